/** Once a minute: all that waits, numbered; and where nothing does, the head alone, so that a host finds out what it missed. */
import type { Prefix } from '@honeymesh/intel/address';
import { decodeIntel } from '@honeymesh/intel/advisories';
import { openEnvelope } from '@honeymesh/intel/envelope';
import { DIGEST_TOPIC } from '@honeymesh/intel/hub-topics';
import { MINUTE_MS, unixMs } from '@honeymesh/intel/time';
import { coalesce } from '../../hub/coalesce.ts';
import { summarise } from '../../hub/fleet.ts';
import { batchName, refText } from '../../hub/numbers.ts';
import type { Envelopes, KeptEnvelope } from '../../store/envelopes.ts';
import type { Peers } from '../../store/peers.ts';
import type { Sightings } from '../../store/sightings.ts';
import { announce, type PassOnOptions, statesOf } from '../fan-out/pass-on.ts';
import { type AdviseDeps, advise, outgoingOf, signed, signersOf } from '../shared/advise.ts';

export interface DigestDeps extends AdviseDeps {
  readonly envelopes: Pick<Envelopes, 'waiting' | 'get' | 'passedOn'>;
  readonly sightings: Pick<Sightings, 'of' | 'announce'>;
  readonly peers: Pick<Peers, 'identities' | 'hosts'>;
}

export interface Digested {
  readonly envelopes: number;
  readonly advisories: number;
  readonly overBudget: boolean;
}

/** What does not fit this time waits a minute more. */
const MOST_WAITING = 5_000;
const MOST_HOSTS = 10_000;

export async function sendDigest(options: PassOnOptions, deps: DigestDeps): Promise<Digested> {
  const overBudget = await deps.advisories.wasOverBudget();
  const refs = await deps.envelopes.waiting(MOST_WAITING);
  const kept = (await deps.envelopes.get(refs)).filter(one => one.expiresAt > deps.now());
  const parcels = coalesce(outgoingOf(kept, await signersOf(kept, deps.peers)));
  for (const parcel of parcels) {
    const batch = `digest-${batchName(parcel.refs.map(refText))}`;
    const advised = await advise(
      batch,
      parcel,
      { clusterId: options.clusterId, kind: 'digest', deliveriesPerSecond: options.deliveriesPerSecond, overBudget },
      deps,
    );
    if (advised.kind === 'sent') await deps.envelopes.passedOn(advised.passedOn);
  }
  if (parcels.length === 0) await sayHead(overBudget, options.clusterId, deps);
  // What has ended meanwhile, or was passed on by a fan-out that then failed, waits no more.
  const there = new Set(kept.map(one => refText(one.ref)));
  await deps.envelopes.passedOn(refs.filter(ref => !there.has(refText(ref))));
  await announce(await statesOf(targetsOf(kept), options.quorumSites, deps), deps.sightings);
  return { envelopes: kept.length, advisories: parcels.length, overBudget };
}

async function sayHead(overBudget: boolean, clusterId: Uint8Array, deps: DigestDeps): Promise<void> {
  await deps.advisories.begin(deps.now());
  const head = await deps.advisories.head();
  if (head === null) return;
  const advisory = { kind: 'digest', overBudget, epoch: head.epoch, number: 0, head: head.number, issuedAt: unixMs(deps.now()) } as const;
  await deps.publish(DIGEST_TOPIC, await signed({ ...advisory, certificates: [], envelopes: [] }, clusterId, deps.sign));
}

function targetsOf(kept: readonly KeptEnvelope[]): readonly Prefix[] {
  const targets = kept.flatMap(({ envelope }) => {
    const opened = openEnvelope(envelope);
    const intel = opened.ok ? decodeIntel(opened.value.body) : null;
    return intel?.ok ? intel.value.advice.map(({ target }) => target) : [];
  });
  return [...new Set(targets)];
}

/** How many listen: what one publish costs. */
export async function countListening({ peers, advisories, now }: DigestDeps): Promise<ReturnType<typeof summarise>> {
  const fleet = summarise(await peers.hosts(MOST_HOSTS), now());
  await advisories.keepListening(fleet.listening);
  return fleet;
}

const COUNT_EVERY_MINUTES = 5;
export const isTimeToCount = (nowMs: number): boolean => Math.floor(nowMs / MINUTE_MS) % COUNT_EVERY_MINUTES === 0;
