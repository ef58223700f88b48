/** Numbers, signs and publishes what goes out. The number is committed before anything is published: see hub/head. */

import { openEnvelope } from '@honeymesh/intel/envelope';
import { type AdvisoryKind, advisoryMessage, decodeAdvisory, encodeAdvisory, withSignature } from '@honeymesh/intel/hub-advisory';
import { ADVISORY_TOPIC, DIGEST_TOPIC } from '@honeymesh/intel/hub-topics';
import { unixMs } from '@honeymesh/intel/time';
import type { Outgoing, Parcel } from '../../hub/coalesce.ts';
import { nextHead } from '../../hub/head.ts';
import type { Identity } from '../../hub/identity.ts';
import { sha256 } from '../../hub/keys.ts';
import { type EnvelopeRef, itemId } from '../../hub/numbers.ts';
import type { Advisories } from '../../store/advisories.ts';
import type { KeptEnvelope } from '../../store/envelopes.ts';
import type { Peers } from '../../store/peers.ts';

export interface AdviseDeps {
  readonly advisories: Advisories;
  /** ECDSA on P-256 over a SHA-256 digest, DER. */
  readonly sign: (digest: Uint8Array) => Promise<Uint8Array>;
  readonly publish: (topic: string, payload: Uint8Array) => Promise<void>;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export interface Advising {
  readonly clusterId: Uint8Array;
  readonly kind: Exclude<AdvisoryKind, 'snapshot'>;
  readonly deliveriesPerSecond: number;
  readonly overBudget: boolean;
}

/** `passedOn`: what the advisory of this number holds, which need not be what was given this time. */
export type Advised = { readonly kind: 'sent'; readonly number: number; readonly passedOn: readonly EnvelopeRef[] } | { readonly kind: 'over-budget' };

const MOST_TRIES = 20;
const TOPICS = { urgent: ADVISORY_TOPIC, digest: DIGEST_TOPIC } as const;

/** One advisory of one batch, which gets one number however often this runs. */
export async function advise(batch: string, parcel: Parcel, advising: Advising, deps: AdviseDeps): Promise<Advised> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (tries > 0) await deps.sleep(5 * tries);
    const { head, known, listening } = await deps.advisories.forBatch(batch);
    if (known !== null) {
      if (known.bytes.length > 0) await deps.publish(TOPICS[advising.kind], known.bytes);
      return { kind: 'sent', number: known.number, passedOn: refsIn(known.bytes) };
    }
    const step = nextHead(head, advising.kind, { deliveriesPerSecond: advising.deliveriesPerSecond, subscribers: listening }, deps.now());
    if (step.kind === 'over-budget') return step;
    const { epoch, number } = step.head;
    const bytes = await signed({ ...advising, epoch, number, head: number, issuedAt: unixMs(deps.now()), ...parcel }, advising.clusterId, deps.sign);
    if (!(await deps.advisories.commit(step.head, { batch, bytes, expiresAt: parcel.expiresAt }, deps.now()))) continue;
    await deps.publish(TOPICS[advising.kind], bytes);
    return { kind: 'sent', number, passedOn: parcel.refs };
  }
  throw new Error(`no number was to be had in ${MOST_TRIES} tries`);
}

export async function signed(advisory: Parameters<typeof encodeAdvisory>[0], clusterId: Uint8Array, sign: AdviseDeps['sign']): Promise<Uint8Array> {
  const unsigned = encodeAdvisory(advisory);
  return withSignature(unsigned, await sign(sha256(advisoryMessage(clusterId, unsigned))));
}

function refsIn(advisory: Uint8Array): readonly EnvelopeRef[] {
  const decoded = decodeAdvisory(advisory);
  if (!decoded.ok) return [];
  return decoded.value.envelopes.flatMap(bytes => {
    const opened = openEnvelope(bytes);
    return opened.ok ? [{ kid: opened.value.kid, id: itemId(opened.value.epoch, opened.value.seq) }] : [];
  });
}

export const signersOf = (kept: readonly KeptEnvelope[], peers: Pick<Peers, 'identities'>): Promise<readonly Identity[]> =>
  peers.identities(kept.map(one => one.thing));

/** With the certificates of who signed them; in one order, so that the same envelopes make the same parcels. */
export function outgoingOf(kept: readonly KeptEnvelope[], signers: readonly Identity[]): readonly Outgoing[] {
  const identities = new Map(signers.map(identity => [identity.kid, identity]));
  return [...kept]
    .sort((one, other) => (one.ref.kid + one.ref.id < other.ref.kid + other.ref.id ? -1 : 1))
    .map(({ ref, envelope, expiresAt }) => {
      const by = identities.get(ref.kid);
      return { ref, envelope, expiresAt, certificates: by === undefined ? [] : [by.registrar, by.certificate] };
    });
}
