/**
 * Whether an envelope of a report is taken, cheapest check first. Nothing here throws, and nothing is judged by when or in which order it arrived, but for
 * its age and new epochs: IoT delivers twice, late and reversed.
 */
import { decodeIntel, type Intel } from '@honeymesh/intel/advisories';
import { CLOCK_SKEW_MS, type Envelope, type EnvelopeFailure, type EnvelopeHeader, expiryOf, isSignedBy, openEnvelope } from '@honeymesh/intel/envelope';
import { REPORT_REFUSALS, type ReportRefusal } from '@honeymesh/intel/hub-messages';
import type { ReportEntry } from '@honeymesh/intel/hub-report';
import { MINUTE_MS, type UnixMs } from '@honeymesh/intel/time';
import { type Epochs, withEpoch } from './epochs.ts';
import type { Identity } from './identity.ts';
import type { Verifier } from './keys.ts';
import { type NeverAdvised, neverAdvised } from './never-advised.ts';
import { keepsPace, type Paced } from './pace.ts';

/** What never becomes a receipt, for nobody has signed it: it is counted, and it counts towards quarantine. */
export type Drop = EnvelopeFailure | 'unknown-peer' | 'other-key' | 'expired-certificate' | 'bad-signature';

export interface Reported {
  readonly envelope: Envelope;
  /** Number of the one before it that was meant for the hub. */
  readonly previous: number;
}

export interface Taken extends Reported {
  readonly intel: Intel;
  readonly expiresAt: UnixMs;
}

export interface Numbered extends Paced {
  readonly previous: number;
}

export interface Refused {
  readonly seq: number;
  readonly previous: number;
  readonly why: ReportRefusal;
}

/** What was signed within one span and came. */
export interface SpanRecord {
  readonly taken: readonly Numbered[];
  readonly refused: readonly Refused[];
}

export const emptySpan: SpanRecord = { taken: [], refused: [] };
export const MOST_REFUSED_OF_A_SPAN = 64;

export interface AdmitRules {
  readonly clusterId: Uint8Array;
  readonly never: NeverAdvised;
}

export type Judged =
  | { readonly kind: 'taken'; readonly taken: Taken; readonly epochs: Epochs }
  /** It was taken or refused before: only the receipt is made again. */
  | { readonly kind: 'repeated' }
  | { readonly kind: 'refused'; readonly refused: Refused }
  | { readonly kind: 'dropped'; readonly why: Drop };

export type Opened = { readonly kind: 'opened'; readonly reported: Reported } | { readonly kind: 'dropped'; readonly why: Drop };

/** Takes the entry apart. A `previous` that is none counts as the number before. */
export function openEntry({ previous, envelope }: ReportEntry): Opened {
  const opened = openEnvelope(envelope);
  if (!opened.ok) return { kind: 'dropped', why: opened.why };
  const { seq } = opened.value;
  return { kind: 'opened', reported: { envelope: opened.value, previous: previous < seq ? previous : seq - 1 } };
}

export interface Standing {
  readonly identity: Identity | null;
  readonly epochs: Epochs;
  /** The span of the envelope's signed time. */
  readonly own: SpanRecord;
  /** Taken in that span and in those beside it, in the order of seq. */
  readonly near: readonly Paced[];
}

export function judge(
  reported: Reported,
  standing: Standing,
  rules: AdmitRules,
  { verifier, now }: { readonly verifier: Verifier; readonly now: UnixMs },
): Judged {
  const { envelope, previous } = reported;
  const { identity, own } = standing;
  const dropped = (why: Drop): Judged => ({ kind: 'dropped', why });
  const refused = (why: ReportRefusal): Judged => ({ kind: 'refused', refused: { seq: envelope.seq, previous, why } });
  if (identity === null) return dropped('unknown-peer');
  if (identity.kid !== envelope.kid) return dropped('other-key');
  if (identity.notAfter <= now) return dropped('expired-certificate');
  if (!isSignedBy(envelope, identity.edPublic, rules.clusterId, verifier)) return dropped('bad-signature');
  if (own.refused.some(one => one.seq === envelope.seq)) return { kind: 'repeated' };
  const same = own.taken.find(one => one.seq === envelope.seq);
  if (same !== undefined) return same.issuedAt === envelope.issuedAt ? { kind: 'repeated' } : refused('two-contents');
  const untimely = timeRefusal(envelope, now);
  if (untimely !== null) return refused(untimely);
  if (envelope.type !== 'intel') return refused('not-intel');
  const intel = decodeIntel(envelope.body);
  if (!intel.ok) return refused('bad-body');
  for (const { target } of intel.value.advice) {
    const never = neverAdvised(target, rules.never);
    if (never !== null) return refused(never);
  }
  const epochs = withEpoch(standing.epochs, envelope.epoch, now);
  if (!epochs.ok) return refused(epochs.why);
  if (!keepsPace(standing.near, envelope)) return refused('too-fast');
  return { kind: 'taken', taken: { envelope, previous, intel: intel.value, expiresAt: expiryOf(envelope) }, epochs: epochs.value };
}

function timeRefusal(header: EnvelopeHeader, now: UnixMs): 'from-the-future' | 'expired' | null {
  if (header.issuedAt > now + CLOCK_SKEW_MS) return 'from-the-future';
  return expiryOf(header) <= now ? 'expired' : null;
}

/** The span after this; what is not final leaves no trace, for it will come again. */
export function withJudged(span: SpanRecord, judged: Judged): SpanRecord {
  if (judged.kind === 'taken') {
    const { envelope, previous } = judged.taken;
    const taken = [...span.taken, { seq: envelope.seq, issuedAt: envelope.issuedAt, previous }].sort((one, other) => one.seq - other.seq);
    return { ...span, taken };
  }
  if (judged.kind === 'refused' && REPORT_REFUSALS[judged.refused.why].final) {
    return { ...span, refused: [...span.refused, judged.refused].slice(-MOST_REFUSED_OF_A_SPAN) };
  }
  return span;
}

/**
 * The pace runs over signed time, so a host that was away may hand over a day at once, and a stolen one a day that it makes up: up to 172,800 envelopes.
 * What is older than two minutes comes in at so many a minute, lest it hold up everybody else's. An honest host's is only later by that.
 */
export const LATE_AFTER_MS = 2 * MINUTE_MS;
export const LATE_A_MINUTE = 1_280;

/** In the order given: what may come in now, and what must come again. `countBefore`: of late ones in this minute. */
export function withinLateBudget(
  reported: readonly Reported[],
  countBefore: number,
  now: UnixMs,
): { readonly now: readonly Reported[]; readonly again: readonly Reported[] } {
  let left = Math.max(0, LATE_A_MINUTE - countBefore);
  const [taken, again]: [Reported[], Reported[]] = [[], []];
  for (const one of reported) (!isLate(one, now) || left-- > 0 ? taken : again).push(one);
  return { now: taken, again };
}

export const isLate = ({ envelope }: Reported, now: UnixMs): boolean => envelope.issuedAt < now - LATE_AFTER_MS;

const INNOCENT: ReadonlySet<Drop | ReportRefusal> = new Set([
  'expired',
  'from-the-future',
  'too-many-epochs',
  'too-many-late',
  'old-epoch',
  'unknown-peer',
  'expired-certificate',
]);

/** Whether it speaks against the host: a clock, a delay or many restarts do not. */
export const isGuilty = (why: Drop | ReportRefusal): boolean => !INNOCENT.has(why);
