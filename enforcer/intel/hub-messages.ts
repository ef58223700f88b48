/** The small messages between a host and the hub, in JSON: heartbeat, question, answer, receipt. Each is bounded and has a version of its own. */
import { LONGEST_CERTIFICATE_BYTES } from './certificates.ts';
import { MODES } from './evidence.ts';
import { LONGEST_ADVISORY_BYTES } from './hub-advisory.ts';
import { LONGEST_MESSAGE_BYTES } from './hub-report.ts';
import {
  base64,
  base64Of,
  counter,
  either,
  integer,
  list,
  object,
  oneOf,
  orNull,
  readJson,
  type ShapeFailure,
  type ShapeOf,
  text,
  writeJson,
} from './json-shape.ts';
import type { Parsed } from './parsed.ts';

const WORD = /^[a-z0-9][a-z0-9-]*$/;
const VERSION = /^[0-9A-Za-z.+-]+$/;
const v1 = oneOf([1]);

/** One a minute, at most 1 kB. */
export const LONGEST_HEARTBEAT_BYTES = 1_024;
const heartbeat = object({
  v: v1,
  /** The host's wall clock, ms. */
  at: counter,
  version: text(32, VERSION),
  mode: oneOf(MODES),
  bans: counter,
  /** Envelopes that no receipt covers yet. */
  waiting: counter,
  /** The last advisory that it has everything up to; null: none yet. */
  head: orNull(object({ epoch: counter, number: counter })),
  /** Parts that are degraded. */
  degraded: list(text(16, WORD), 8),
});
export type Heartbeat = ShapeOf<typeof heartbeat>;
export const readHeartbeat = (bytes: Uint8Array): Parsed<Heartbeat, ShapeFailure> => readJson(bytes, LONGEST_HEARTBEAT_BYTES, heartbeat);
export const writeHeartbeat = (message: Heartbeat): Uint8Array => writeJson(message);

/** What a host asks. `id` comes back with the answer. */
const id = text(32, /^[A-Za-z0-9_-]+$/);
export const LONGEST_QUESTION_BYTES = 16_384;
export const MOST_INTRODUCED = 4;
const question = either(
  /** Its registrar's certificate and its own, at each connect: the hub takes no report of a host that it does not know. */
  object({ v: v1, id, ask: oneOf(['introduce']), certificates: list(base64(LONGEST_CERTIFICATE_BYTES), MOST_INTRODUCED) }),
  /** Numbers that did not come, both ends included. */
  object({ v: v1, id, ask: oneOf(['range']), epoch: counter, from: integer(1, Number.MAX_SAFE_INTEGER), to: integer(1, Number.MAX_SAFE_INTEGER) }),
  /** All that holds: for a new epoch only. */
  object({ v: v1, id, ask: oneOf(['snapshot']) }),
  /** Where to put reports that are too long for messages: an HMB report each, one after the other with a u32 length. */
  object({ v: v1, id, ask: oneOf(['upload']), bytes: integer(1, 8 * 1_048_576) }),
);
export type Question = ShapeOf<typeof question>;
export const readQuestion = (bytes: Uint8Array): Parsed<Question, ShapeFailure> => readJson(bytes, LONGEST_QUESTION_BYTES, question);

export type QuestionRefusal =
  | 'unknown-certificate'
  | 'bad-certificate'
  | 'other-name'
  | 'other-key'
  | 'no-trust'
  | 'quarantined'
  | 'too-many-questions'
  | 'bad-range';
const QUESTION_REFUSALS = [
  'unknown-certificate',
  'bad-certificate',
  'other-name',
  'other-key',
  'no-trust',
  'quarantined',
  'too-many-questions',
  'bad-range',
] as const satisfies readonly QuestionRefusal[];

const link = { url: text(4_096, /^https?:\/\/[\x21-\x7e]+$/), bytes: counter, expiresAt: counter } as const;
const answer = either(
  object({ v: v1, id, kind: oneOf(['introduced']), at: counter, votesFrom: counter }),
  /** `to`: up to where this answer says all that still holds; numbers that are not in it have ended. Ask on from there. */
  object({
    v: v1,
    id,
    kind: oneOf(['range']),
    epoch: counter,
    from: counter,
    to: counter,
    head: counter,
    advisories: list(base64(LONGEST_ADVISORY_BYTES), 1_000),
  }),
  object({ v: v1, id, kind: oneOf(['range-object']), epoch: counter, from: counter, to: counter, head: counter, ...link }),
  object({ v: v1, id, kind: oneOf(['snapshot']), advisory: base64(LONGEST_ADVISORY_BYTES) }),
  object({ v: v1, id, kind: oneOf(['snapshot-object']), ...link }),
  object({ v: v1, id, kind: oneOf(['upload']), ...link }),
  object({ v: v1, id, kind: oneOf(['refused']), why: oneOf(QUESTION_REFUSALS) }),
);
export type Answer = ShapeOf<typeof answer>;
export const readAnswer = (bytes: Uint8Array): Parsed<Answer, ShapeFailure> => readJson(bytes, LONGEST_MESSAGE_BYTES, answer);

/** Why the hub does not pass an envelope on. Final: sending it again changes nothing, the outbox lets it go. */
export const REPORT_REFUSALS = {
  'too-fast': { final: true },
  'two-contents': { final: true },
  'not-intel': { final: true },
  'bad-body': { final: true },
  'never-advised': { final: true },
  'fleet-owned': { final: true },
  expired: { final: true },
  'from-the-future': { final: false },
  'too-many-epochs': { final: false },
  'too-many-late': { final: false },
  'old-epoch': { final: true },
} as const satisfies Readonly<Record<string, { readonly final: boolean }>>;
export type ReportRefusal = keyof typeof REPORT_REFUSALS;
const REFUSAL_NAMES = Object.keys(REPORT_REFUSALS) as readonly ReportRefusal[];

export const MOST_RECEIPT_RANGES = 64;
export const MOST_RECEIPT_REFUSALS = 64;
/** What the hub has of one epoch: the outbox lets go of all up to `upTo`, and of what the ranges beyond hold. Refused numbers count as had where final. */
const receipt = object({
  v: v1,
  /** The hub's clock, ms: for a host that wonders about its own. */
  at: counter,
  epoch: counter,
  upTo: counter,
  ranges: list(value => {
    const pair = list(counter, 2)(value);
    return pair?.length === 2 ? ([pair[0] ?? 0, pair[1] ?? 0] as const) : undefined;
  }, MOST_RECEIPT_RANGES),
  refused: list(object({ seq: counter, why: oneOf(REFUSAL_NAMES) }), MOST_RECEIPT_REFUSALS),
});
export type Receipt = ShapeOf<typeof receipt>;
export const readReceipt = (bytes: Uint8Array): Parsed<Receipt, ShapeFailure> => readJson(bytes, 16_384, receipt);
export const writeReceipt = (message: Receipt): Uint8Array => writeJson(message);

/** Whether the outbox may let go of this number of the receipt's epoch. */
export const isSettled = ({ upTo, ranges }: Receipt, seq: number): boolean => seq <= upTo || ranges.some(([from, to]) => seq >= from && seq <= to);

/** JSON of a question or an answer: bytes as base64. */
export const writeMessage = (message: Question | Answer): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(message, (_, value: unknown) => (value instanceof Uint8Array ? base64Of(value) : value)));
