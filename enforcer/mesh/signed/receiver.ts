/**
 * What becomes of an envelope that came in, in this order, cheapest first: size, version, key known and not revoked, signed time, seen before,
 * signature, mark, deliver, pass on. Duplicates, of which gossip has many, die before any signature is checked.
 */

import { type Advice, decodeIntel, type Withdrawal } from '@honeymesh/intel/advisories';
import { type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import {
  CLOCK_SKEW_MS,
  type Envelope,
  type EnvelopeFailure,
  type EnvelopeHeader,
  expiryOf,
  isSignedBy,
  type KeyId,
  openEnvelope,
  type Signatures,
} from '@honeymesh/intel/envelope';
import { type Accusation, decodeAccusations, decodeLeave, decodeRekey, type Leave, type Rekey } from '@honeymesh/intel/envelope-bodies';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import type { NodeCertificate, RegistrarCertificate } from './certificates.ts';
import type { LiveBook } from './live-book.ts';
import { type Misuse, misuseOf, sameContent } from './misuse.ts';
import type { Roster } from './roster.ts';
import type { EpochRefusal, Speakers } from './speakers.ts';
import type { Tombstones } from './tombstones.ts';

export interface ReceiverOptions {
  readonly clusterId: Uint8Array;
  /** Whoever handed over so many envelopes with a bad signature is not listened to for a while. */
  readonly forgeries: BucketLimits;
  readonly mostHops: number;
}

export const RECEIVER_LIMITS = { forgeries: { burst: 32, everyMs: SECOND_MS }, mostHops: 1_024 } as const;

export interface ReceiverDeps {
  readonly roster: Roster;
  readonly book: LiveBook;
  readonly speakers: Speakers;
  readonly tombstones: Tombstones;
  readonly signatures: Signatures;
}

export interface Arrival {
  /** `repair`: brought by anti-entropy, bounded by bytes and not by the live rate. */
  readonly path: 'live' | 'repair';
  /** Who handed it over, such as `203.0.113.7:7946`: not who signed it. */
  readonly hop: string;
}

/** A withdrawal with the targets that it takes back of what we hold; none where we held nothing of it. */
export interface EffectiveWithdrawal extends Withdrawal {
  readonly whole: boolean;
}

export type Content =
  | { readonly type: 'intel'; readonly advice: readonly Advice[]; readonly withdrawals: readonly EffectiveWithdrawal[] }
  | { readonly type: 'accusation'; readonly accusations: readonly Accusation[] }
  | ({ readonly type: 'leave' } & Leave)
  | ({ readonly type: 'rekey' } & Rekey);

export type EnvelopeRefusal =
  | EnvelopeFailure
  | EpochRefusal
  | 'unknown-key'
  | 'revoked'
  | 'expired-certificate'
  | 'from-the-future'
  | 'expired'
  | 'hop-forges'
  | 'too-many-at-once'
  | 'bad-signature'
  | 'not-a-registrar'
  | 'only-a-registrar'
  | 'malformed-body'
  | Misuse;

export type Received =
  | { readonly kind: 'deliver'; readonly header: EnvelopeHeader; readonly signer: NodeCertificate | RegistrarCertificate; readonly content: Content }
  /** To all but whoever has it already, byte for byte. */
  | { readonly kind: 'relay'; readonly payload: Uint8Array }
  | { readonly kind: 'refused'; readonly why: EnvelopeRefusal; readonly kid: KeyId | null; readonly hop: string }
  /** Two envelopes that convict their signer before anybody. */
  | {
      readonly kind: 'misuse';
      readonly why: Misuse;
      readonly signer: NodeCertificate | RegistrarCertificate;
      readonly proof: readonly [Uint8Array, Uint8Array];
    };

export interface Receiver {
  /** Never throws; `bytes` is hostile and may be a view that is reused afterwards. Duplicates give nothing. */
  receive(bytes: Uint8Array, arrival: Arrival, now: UnixMs): readonly Received[];
  /** Our own words: remembered and offered to others like anybody's. */
  keepOwn(bytes: Uint8Array, now: UnixMs): void;
}

type Signer = NodeCertificate | RegistrarCertificate;

export function createReceiver(options: ReceiverOptions, deps: ReceiverDeps): Receiver {
  const { roster, book, speakers, tombstones, signatures } = deps;
  const forgers = new Map<string, ReturnType<typeof pour>['bucket']>();

  const mayForge = (hop: string, now: UnixMs): boolean => pour(forgers.get(hop) ?? emptyBucket, options.forgeries, now).admitted;

  function forged(hop: string, now: UnixMs): void {
    const poured = pour(forgers.get(hop) ?? emptyBucket, options.forgeries, now).bucket;
    forgers.delete(hop);
    if (forgers.size >= options.mostHops) for (const oldest of forgers.keys()) if (forgers.delete(oldest)) break;
    forgers.set(hop, poured);
  }

  /** Group keys come from registrars only, and registrars say nothing else: a stolen host cannot lock the others out, nor a registrar advise. */
  function signerOf(envelope: Envelope, now: UnixMs): Parsed<Signer, EnvelopeRefusal> {
    const registrar = roster.registrar(envelope.kid, now);
    const found = registrar.ok || registrar.why !== 'unknown-key' ? registrar : roster.node(envelope.kid, now);
    if (!found.ok) return unparsed(found.why === 'expired' ? 'expired-certificate' : found.why);
    if (envelope.type === 'rekey') return found.value.kind === 'registrar' ? found : unparsed('only-a-registrar');
    return found.value.kind === 'node' ? found : unparsed('not-a-registrar');
  }

  function timeRefusal(envelope: Envelope, now: UnixMs): EnvelopeRefusal | null {
    if (envelope.issuedAt > now + CLOCK_SKEW_MS) return 'from-the-future';
    return expiryOf(envelope) <= now ? 'expired' : null;
  }

  /** Another content under a number that we hold is either nobody's (then it costs the hop) or proof against the signer. */
  function repeated(envelope: Envelope, signer: Signer, { hop }: Arrival, now: UnixMs): readonly Received[] {
    const held = book.get(envelope.kid, envelope.epoch, envelope.seq);
    if (held === null || sameContent(held, envelope) || !mayForge(hop, now)) return [];
    // Poured for a true one as well: each costs a check, and one proof is enough.
    forged(hop, now);
    if (!isSignedBy(envelope, signer.edPublic, options.clusterId, signatures)) return [{ kind: 'refused', why: 'bad-signature', kid: envelope.kid, hop }];
    return [{ kind: 'misuse', why: 'two-contents', signer, proof: [held.bytes, envelope.bytes.slice()] }];
  }

  function decode(envelope: Envelope): Parsed<Content, 'malformed-body'> {
    switch (envelope.type) {
      case 'intel': {
        const intel = decodeIntel(envelope.body);
        if (!intel.ok) return unparsed('malformed-body');
        // Advice first: an envelope cannot take back itself, and what came before it is judged by earlier stones.
        const advice = tombstones.standing(envelope, intel.value.advice);
        return parsed({ type: 'intel', advice, withdrawals: intel.value.withdrawals.flatMap(one => takeBack(envelope, one)) });
      }
      case 'accusation': {
        const accusations = decodeAccusations(envelope.body);
        return accusations.ok ? parsed({ type: 'accusation', accusations: accusations.value }) : unparsed('malformed-body');
      }
      case 'leave': {
        const leave = decodeLeave(envelope.body);
        return leave.ok ? parsed({ type: 'leave', ...leave.value }) : unparsed('malformed-body');
      }
      case 'rekey': {
        const rekey = decodeRekey(envelope.body);
        return rekey.ok ? parsed({ type: 'rekey', ...rekey.value }) : unparsed('malformed-body');
      }
    }
  }

  /** Lays the stone; envelopes of which nothing is left are not offered to others any more. */
  function takeBack(by: Envelope, withdrawal: Withdrawal): readonly EffectiveWithdrawal[] {
    const { epoch, seq, asError } = withdrawal;
    const held = book.get(by.kid, epoch, seq);
    const intel = held?.type === 'intel' ? decodeIntel(held.body) : null;
    const advised = held !== null && intel?.ok ? tombstones.standing(held, intel.value.advice) : [];
    if (!tombstones.lay(by, withdrawal)) return [];
    const whole = withdrawal.targets.length === 0;
    if (held !== null && intel?.ok) {
      const nothingLeft = tombstones.standing(held, intel.value.advice).length === 0 && intel.value.withdrawals.length === 0;
      if (nothingLeft) book.remove(by.kid, epoch, seq);
    }
    return [{ epoch, seq, asError, whole, targets: whole ? advised.map(({ target }) => target) : withdrawal.targets }];
  }

  function misuses(envelope: Envelope, signer: Signer): Extract<Received, { kind: 'misuse' }> | null {
    for (const near of book.neighbours(envelope)) {
      const why = misuseOf(near, envelope);
      if (why !== null) return { kind: 'misuse', why, signer, proof: [near.bytes, envelope.bytes] };
    }
    return null;
  }

  function taken(envelope: Envelope, signer: Signer, { hop }: Arrival, relayed: boolean): readonly Received[] {
    const misuse = misuses(envelope, signer);
    if (misuse !== null) return [misuse, { kind: 'refused', why: misuse.why, kid: envelope.kid, hop }];
    const content = decode(envelope);
    if (!content.ok) return [{ kind: 'refused', why: content.why, kid: envelope.kid, hop }];
    // All of it was taken back before it came: of no use to anybody.
    if (content.value.type === 'intel' && content.value.advice.length + content.value.withdrawals.length === 0) return [];
    book.add(envelope);
    const deliver: Received = { kind: 'deliver', header: envelope, signer, content: content.value };
    return relayed ? [deliver, { kind: 'relay', payload: envelope.bytes }] : [deliver];
  }

  return {
    receive(bytes, arrival, now) {
      const { path, hop } = arrival;
      const refused = (why: EnvelopeRefusal, kid: KeyId | null): readonly Received[] => [{ kind: 'refused', why, kid, hop }];
      const opened = openEnvelope(bytes);
      if (!opened.ok) return refused(opened.why, null);
      const envelope = opened.value;
      const { kid } = envelope;
      const signer = signerOf(envelope, now);
      if (!signer.ok) return refused(signer.why, kid);
      const timeFault = timeRefusal(envelope, now);
      if (timeFault !== null) return refused(timeFault, kid);
      if (speakers.has(kid, envelope.epoch, envelope.seq)) return repeated(envelope, signer.value, arrival, now);
      const epochFault = speakers.epochRefusal(envelope, now);
      if (epochFault !== null) return refused(epochFault, kid);
      const inTime = speakers.mayArrive(envelope, now);
      // Not marked: repair will bring it.
      if (path === 'live' && !inTime) return refused('too-many-at-once', kid);
      if (!mayForge(hop, now)) return refused('hop-forges', kid);
      if (!isSignedBy(envelope, signer.value.edPublic, options.clusterId, signatures)) {
        forged(hop, now);
        return refused('bad-signature', kid);
      }
      const own = ownCopy(envelope);
      speakers.mark(own, now);
      // What repair brings is passed on too, as far as live arrivals would be: others may be missing it, and will find out by themselves otherwise.
      if (inTime) speakers.arrived(own, now);
      return taken(own, signer.value, arrival, inTime);
    },
    keepOwn(bytes, now) {
      const opened = openEnvelope(bytes);
      if (!opened.ok) return;
      const own = ownCopy(opened.value);
      speakers.mark(own, now);
      if (decode(own).ok) book.add(own);
    },
  };
}

function ownCopy(envelope: Envelope): Envelope {
  const opened = openEnvelope(envelope.bytes.slice());
  return opened.ok ? opened.value : envelope;
}
