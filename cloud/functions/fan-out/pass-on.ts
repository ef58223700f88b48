/**
 * What came in, out again to all: counts who agrees, and passes on at once what cannot wait. All else lies in the table among what waits, where the digest
 * finds it; so does whatever fails here.
 */
import type { Prefix } from '@honeymesh/intel/address';
import { decodeIntel, type Intel } from '@honeymesh/intel/advisories';
import { type Envelope, expiryOf, LONGEST_LIFE_MS, openEnvelope } from '@honeymesh/intel/envelope';
import { SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { coalesce } from '../../hub/coalesce.ts';
import { type Corroboration, corroborate, type Sighting } from '../../hub/corroborate.ts';
import { batchName, type EnvelopeRef, itemId, refText } from '../../hub/numbers.ts';
import { type Retraction, retractionsOf } from '../../hub/withdraw.ts';
import type { Envelopes, KeptEnvelope } from '../../store/envelopes.ts';
import type { Peers } from '../../store/peers.ts';
import type { Sightings } from '../../store/sightings.ts';
import { type AdviseDeps, advise, outgoingOf, signersOf } from '../shared/advise.ts';
import { inTurns } from '../shared/in-turns.ts';

export interface PassOnDeps extends AdviseDeps {
  readonly envelopes: Pick<Envelopes, 'get' | 'stillWaiting' | 'passedOn'>;
  readonly sightings: Sightings;
  readonly peers: Pick<Peers, 'identities'>;
}

export interface PassOnOptions {
  readonly clusterId: Uint8Array;
  readonly quorumSites: number;
  readonly deliveriesPerSecond: number;
}

export interface Arrival {
  /** The stream's name of it, the same in each delivery. */
  readonly event: string;
  readonly kept: KeptEnvelope;
}

export interface PassedOn {
  readonly urgent: number;
  readonly advisories: number;
  readonly overBudget: boolean;
}

interface Read {
  readonly kept: KeptEnvelope;
  readonly envelope: Envelope;
  readonly intel: Intel;
}

export async function passOn(arrivals: readonly Arrival[], options: PassOnOptions, deps: PassOnDeps): Promise<PassedOn> {
  const now = unixMs(deps.now());
  const live = arrivals.flatMap(({ kept }) => (kept.expiresAt > now ? readOf(kept) : []));
  const retractions = live.flatMap(({ envelope, intel }) => retractionsOf(envelope, intel.withdrawals));
  // What a report waits for is requests one after the other: these do not need each other.
  const [signers] = await Promise.all([
    signersOf(
      live.map(one => one.kept),
      deps.peers,
    ),
    keepCount(live, retractions, deps),
  ]);
  const targets = [...new Set(live.flatMap(({ intel }) => intel.advice.map(({ target }) => target)))];
  const states = await statesOf(targets, options.quorumSites, deps);
  const urgentTargets = new Set(states.filter(({ state }) => state.urgency !== null).map(({ target }) => target));
  const urgent = live.filter(({ intel }) => intel.withdrawals.length > 0 || intel.advice.some(({ target }) => urgentTargets.has(target)));
  if (urgent.length === 0) return { urgent: 0, advisories: 0, overBudget: false };
  const along = await waitingOn(states, live, deps);
  const kept = [...urgent.map(one => one.kept), ...along];
  const parcels = coalesce(outgoingOf(kept, [...signers, ...(await signersOf(along, deps.peers))]));
  const advising = { clusterId: options.clusterId, kind: 'urgent', deliveriesPerSecond: options.deliveriesPerSecond, overBudget: false } as const;
  const batch = batchName(arrivals.map(({ event }) => event));
  let advisories = 0;
  for (const [at, parcel] of parcels.entries()) {
    const advised = await advise(`${batch}-${at}`, parcel, advising, deps);
    if (advised.kind === 'over-budget') {
      await deps.advisories.noteOverBudget(now);
      return { urgent: urgent.length, advisories, overBudget: true };
    }
    await deps.envelopes.passedOn(advised.passedOn);
    advisories++;
  }
  await announce(states, deps.sightings);
  return { urgent: urgent.length, advisories, overBudget: false };
}

function readOf(kept: KeptEnvelope): readonly Read[] {
  const opened = openEnvelope(kept.envelope);
  if (!opened.ok) return [];
  const intel = decodeIntel(opened.value.body);
  return intel.ok ? [{ kept, envelope: opened.value, intel: intel.value }] : [];
}

/** Rows first, counting after: of two fan-outs that meet, the later one sees both. */
async function keepCount(live: readonly Read[], retractions: readonly Retraction[], { envelopes, sightings, now }: PassOnDeps): Promise<void> {
  const whole = retractions.filter(({ targets }) => targets === 'whole').map(({ kid, id }) => ({ kid, id }));
  const named = retractions.flatMap(({ kid, id, targets }) => (targets === 'whole' ? [] : targets.map(target => ({ target, by: { kid, upTo: id } }))));
  const endsAt = now() + LONGEST_LIFE_MS;
  await sightings.takeBackWhole(whole, endsAt);
  const found = (await envelopes.get(whole)).flatMap(readOf);
  const [voided] = await Promise.all([sightings.takenBackWhole(live.map(({ kept }) => kept.ref)), sightings.keep(live.flatMap(sightingsIn))]);
  // Of some the withdrawal had come before them.
  const late = new Set(voided.map(refText));
  const gone = [...found, ...live.filter(({ kept }) => late.has(refText(kept.ref)))];
  const ofWhole = gone.flatMap(({ kept, intel }) => intel.advice.map(({ target }) => ({ target, by: { kid: kept.ref.kid, upTo: kept.ref.id } })));
  await sightings.takeBack([...ofWhole, ...named].map(one => ({ ...one, expiresAt: endsAt })));
}

const sightingsIn = ({ kept, envelope, intel }: Read): readonly { readonly target: Prefix; readonly sighting: Sighting }[] =>
  intel.advice.map(({ target, tier, ttlS }) => ({
    target,
    sighting: {
      kid: envelope.kid,
      site: kept.site,
      tier,
      id: itemId(envelope.epoch, envelope.seq),
      votesFrom: unixMs(kept.votesFrom),
      expiresAt: unixMs(Math.min(envelope.issuedAt + ttlS * SECOND_MS, expiryOf(envelope))),
    },
  }));

export interface TargetCount {
  readonly target: Prefix;
  readonly state: Corroboration;
}

export function statesOf(
  targets: readonly Prefix[],
  quorumSites: number,
  { sightings, now }: { readonly sightings: Pick<Sightings, 'of'>; readonly now: () => number },
): Promise<readonly TargetCount[]> {
  return inTurns(targets, async target => ({ target, state: corroborate(await sightings.of(target), quorumSites, unixMs(now())) }));
}

/** A quorum is of use to those who have all of it: what it stands on and still waits goes along. */
async function waitingOn(states: readonly TargetCount[], live: readonly Read[], { envelopes }: PassOnDeps): Promise<readonly KeptEnvelope[]> {
  const arrived = new Set(live.map(({ kept }) => refText(kept.ref)));
  const standing = states.filter(({ state }) => state.urgency === 'quorum').flatMap(({ state }) => state.standing);
  const refs = new Map<string, EnvelopeRef>(standing.map(({ kid, id }) => [refText({ kid, id }), { kid, id }]));
  return envelopes.get(await envelopes.stillWaiting([...refs].filter(([text]) => !arrived.has(text)).map(([, ref]) => ref)));
}

/** What was passed on is news no more, as long as it holds. */
export async function announce(states: readonly TargetCount[], sightings: Pick<Sightings, 'announce'>): Promise<void> {
  const news = states.filter(({ state }) => state.urgency !== null);
  await sightings.announce(
    news.map(({ target, state }) => ({
      target,
      firstE2: state.hasE2,
      quorum: state.hasQuorum,
      expiresAt: Math.max(...state.standing.map(({ expiresAt }) => expiresAt)),
    })),
  );
}
