/**
 * A report into the tables. All of one span of signed time goes in one transaction with the span's record: whoever delivers the same at the same moment is
 * told to look again, so the pace holds whatever runs beside it, and a second delivery changes nothing but that the receipt is made again.
 */

import type { ReportRefusal } from '@honeymesh/intel/hub-messages';
import { decodeReport, type ReportFailure } from '@honeymesh/intel/hub-report';
import { unixMs } from '@honeymesh/intel/time';
import {
  type AdmitRules,
  type Drop,
  isGuilty,
  isLate,
  type Judged,
  judge,
  openEntry,
  type Reported,
  type SpanRecord,
  withinLateBudget,
  withJudged,
} from '../../hub/admit.ts';
import type { Epochs } from '../../hub/epochs.ts';
import type { Identity } from '../../hub/identity.ts';
import type { Verifier } from '../../hub/keys.ts';
import { neighbourhood, type Paced, type Span, spanOf } from '../../hub/pace.ts';
import type { Envelopes, KeptSpan } from '../../store/envelopes.ts';
import type { Peers, Versioned } from '../../store/peers.ts';
import type { Tables, Write } from '../../store/port.ts';
import { spanText } from '../../store/span-format.ts';

export interface TakeDeps {
  readonly tables: Pick<Tables, 'transact'>;
  readonly peers: Pick<Peers, 'speaker' | 'epochsWrite' | 'countLate'>;
  readonly envelopes: Pick<Envelopes, 'spans' | 'spanWrite' | 'spanCheck' | 'envelopeWrites'>;
  readonly verifier: Verifier;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export type Refusal = Drop | ReportRefusal | ReportFailure;

export interface ReportOutcome {
  taken: number;
  repeated: number;
  readonly refused: Map<Refusal, number>;
  /** Refusals that speak against the host. Another key counts once in a message: a backlog that was signed with an old one is no attack. */
  guilty: number;
}

/** An envelope is two writes, and there are the span, its guards and the epochs; DynamoDB takes 100. */
const MOST_IN_ONE = 40;
const MOST_TRIES = 12;
/** A host sends again after 10 s at the soonest; IoT's second delivery comes sooner, and needs no receipt. */
const RECEIPT_AGAIN_MS = 5_000;

/** Rejects only where the tables do: then the whole report is delivered again. */
export async function takeReport(thing: string, bytes: Uint8Array, rules: AdmitRules, deps: TakeDeps): Promise<ReportOutcome> {
  const outcome: ReportOutcome = { taken: 0, repeated: 0, refused: new Map(), guilty: 0 };
  const report = decodeReport(bytes);
  if (!report.ok) {
    refuse(outcome, report.why);
    return outcome;
  }
  const reported: Reported[] = [];
  for (const entry of report.value) {
    const opened = openEntry(entry);
    if (opened.kind === 'opened') reported.push(opened.reported);
    else refuse(outcome, opened.why);
  }
  const now = unixMs(deps.now());
  const late = reported.filter(one => isLate(one, now)).length;
  const budget = withinLateBudget(reported, late === 0 ? 0 : await deps.peers.countLate(thing, late, now), now);
  for (const _ of budget.again) refuse(outcome, 'too-many-late');
  for (const group of bySpan(budget.now)) count(outcome, await takeGroup(group, thing, rules, deps));
  return outcome;
}

function refuse(outcome: ReportOutcome, why: Refusal): void {
  outcome.refused.set(why, (outcome.refused.get(why) ?? 0) + 1);
  if (isGuilty(why as Drop) && !(why === 'other-key' && outcome.refused.get(why) !== 1)) outcome.guilty++;
}

function count(outcome: ReportOutcome, judged: readonly Judged[]): void {
  for (const one of judged) {
    if (one.kind === 'taken') outcome.taken++;
    else if (one.kind === 'repeated') outcome.repeated++;
    else refuse(outcome, one.kind === 'refused' ? one.refused.why : one.why);
  }
}

/** In the order of epoch and seq, cut where the span changes and where a transaction is full. */
function bySpan(reported: readonly Reported[]): readonly (readonly Reported[])[] {
  const sorted = [...reported].sort((one, other) => one.envelope.epoch - other.envelope.epoch || one.envelope.seq - other.envelope.seq);
  const groups: Reported[][] = [];
  let last = '';
  for (const one of sorted) {
    const span = spanText(spanOf(one.envelope));
    const open = groups.at(-1);
    if (open !== undefined && span === last && open.length < MOST_IN_ONE) open.push(one);
    else groups.push([one]);
    last = span;
  }
  return groups;
}

async function takeGroup(group: readonly Reported[], thing: string, rules: AdmitRules, deps: TakeDeps): Promise<readonly Judged[]> {
  /** Numbers that are there under another span: two contents. */
  const elsewhere = new Set<number>();
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (tries > 0) await deps.sleep(10 * 2 ** Math.min(tries, 6));
    const attempt = await judgeGroup(group, thing, elsewhere, rules, deps);
    if (attempt.writes.length === 0) return attempt.judged;
    const result = await deps.tables.transact(attempt.writes);
    if (result.kind === 'done') return attempt.judged;
    if (result.kind === 'refused') for (const at of result.failed) elsewhere.add(attempt.seqOf.get(at) ?? -1);
  }
  throw new Error(`a report of ${thing} found its span changed ${MOST_TRIES} times`);
}

interface Attempt {
  readonly judged: readonly Judged[];
  readonly writes: readonly Write[];
  /** Which write puts which envelope. */
  readonly seqOf: ReadonlyMap<number, number>;
}

async function judgeGroup(group: readonly Reported[], thing: string, elsewhere: ReadonlySet<number>, rules: AdmitRules, deps: TakeDeps): Promise<Attempt> {
  const [first] = group;
  if (first === undefined) return { judged: [], writes: [], seqOf: new Map() };
  const own = spanOf(first.envelope);
  const { spans: around } = neighbourhood(first.envelope);
  const beside = around.filter(span => span.index !== own.index);
  // All at once: a report waits for two requests one after the other, this and the transaction.
  const [{ identity, epochs }, spans] = await Promise.all([deps.peers.speaker(thing), deps.envelopes.spans(thing, around)]);
  if (identity === null) return { judged: group.map(() => ({ kind: 'dropped', why: 'unknown-peer' })), writes: [], seqOf: new Map() };
  const kept = spans.get(spanText(own));
  let record: SpanRecord = kept?.value ?? { taken: [], refused: [] };
  let known: Epochs = epochs.value;
  const others: readonly Paced[] = beside.flatMap(span => spans.get(spanText(span))?.value.taken ?? []);
  const judged: Judged[] = [];
  for (const reported of group) {
    const near = [...others, ...record.taken].sort((one, other) => one.seq - other.seq);
    const { seq } = reported.envelope;
    const two: Judged = { kind: 'refused', refused: { seq, previous: reported.previous, why: 'two-contents' } };
    const fresh = judge(reported, { identity, epochs: known, own: record, near }, rules, { verifier: deps.verifier, now: unixMs(deps.now()) });
    const one = fresh.kind === 'taken' && elsewhere.has(seq) ? two : fresh;
    record = withJudged(record, one);
    if (one.kind === 'taken') known = one.epochs;
    judged.push(one);
  }
  return {
    judged,
    ...writesOf(judged, { thing, identity, own, spans, record, version: kept?.version ?? 0, epochs, known }, deps),
  };
}

interface Judgement {
  readonly thing: string;
  readonly identity: Identity;
  readonly own: Span;
  readonly spans: ReadonlyMap<string, KeptSpan>;
  readonly record: SpanRecord;
  readonly version: number;
  readonly epochs: Versioned<Epochs>;
  readonly known: Epochs;
}

function writesOf(judged: readonly Judged[], judgement: Judgement, { envelopes, peers, now }: TakeDeps): Pick<Attempt, 'writes' | 'seqOf'> {
  const { thing, identity, own, spans, record, version, epochs, known } = judgement;
  const seqOf = new Map<number, number>();
  const kept = spans.get(spanText(own));
  // Also where it was all there: a changed item makes a receipt, and the one before may have been lost.
  const wants = judged.some(one => one.kind === 'repeated') && now() - (kept?.writtenAt ?? 0) >= RECEIPT_AGAIN_MS;
  if (record === kept?.value && !wants) return { writes: [], seqOf };
  const writes: Write[] = [envelopes.spanWrite(thing, own, { value: record, version }, now())];
  const guarded = new Map<string, Span>();
  for (const one of judged) {
    if (one.kind !== 'taken') continue;
    for (const span of neighbourhood(one.taken.envelope).guarded) guarded.set(spanText(span), span);
    seqOf.set(writes.length, one.taken.envelope.seq);
    writes.push(...envelopes.envelopeWrites(one.taken, identity));
  }
  for (const [text, span] of guarded) writes.push(envelopes.spanCheck(thing, span, spans.get(text)?.version ?? 0));
  if (known !== epochs.value) writes.push(peers.epochsWrite(thing, { value: known, version: epochs.version }));
  return { writes, seqOf };
}
