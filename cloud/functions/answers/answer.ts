/** What a host asks over its own session. Short answers go inline, long ones as an object with a presigned URL; all content is signed, so the way does not matter. */
import type { BucketLimits } from '@honeymesh/intel/bucket';
import { encodeAdvisoryList, LONGEST_ADVISORY_BYTES, LONGEST_OBJECT_BYTES } from '@honeymesh/intel/hub-advisory';
import type { Answer, Question, QuestionRefusal } from '@honeymesh/intel/hub-messages';
import { unixMs } from '@honeymesh/intel/time';
import { coalesce } from '../../hub/coalesce.ts';
import { introduce, type Registered, type Trust } from '../../hub/identity.ts';
import type { Verifier } from '../../hub/keys.ts';
import { numberText } from '../../hub/numbers.ts';
import type { Advisories, KeptAdvisory, KeptObject } from '../../store/advisories.ts';
import type { Envelopes, KeptEnvelope } from '../../store/envelopes.ts';
import type { Peers } from '../../store/peers.ts';
import { type AdviseDeps, outgoingOf, signed, signersOf } from '../shared/advise.ts';

export interface Link {
  readonly url: string;
  readonly expiresAt: number;
}

export interface Objects {
  /** Keeps it for a day. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** To be read by whoever has the link. */
  link(key: string): Promise<Link>;
  /** To be written once, with exactly so many bytes. */
  offer(key: string, bytes: number): Promise<Link>;
}

export interface AnswerDeps {
  readonly peers: Pick<Peers, 'mayAsk' | 'keepIdentity' | 'liftQuarantine' | 'identities'>;
  readonly advisories: Pick<Advisories, 'head' | 'range' | 'snapshot' | 'keepSnapshot'>;
  readonly envelopes: Pick<Envelopes, 'all'>;
  readonly objects: Objects;
  /** The IoT registry; null: there is no such thing. */
  readonly registered: (thing: string) => Promise<Registered | null>;
  readonly sign: AdviseDeps['sign'];
  readonly verifier: Verifier;
  readonly now: () => number;
  /** Not to be guessed. */
  readonly randomName: () => string;
}

/** A host asks when it connects and when numbers are missing. */
export const QUESTION_LIMITS: BucketLimits = { burst: 20, everyMs: 2_000 };
/** Raw; base64 makes 96 kB of it. */
const LONGEST_INLINE_BYTES = 72_000;
/** At most LONGEST_OBJECT_BYTES. */
const MOST_NUMBERS = 160;
const MOST_IN_SNAPSHOT = 50_000;
/** Of 10,000 hosts, at most. */
const CERTIFICATES_ROOM_BYTES = 3 * 1_048_576;
const ENVELOPE_LENGTH_BYTES = 2;

export async function answer(thing: string, question: Question, trust: Trust, deps: AnswerDeps): Promise<Answer> {
  const { id } = question;
  const refused = (why: QuestionRefusal): Answer => ({ v: 1, id, kind: 'refused', why });
  if (!(await deps.peers.mayAsk(thing, QUESTION_LIMITS, deps.now()))) return refused('too-many-questions');
  switch (question.ask) {
    case 'introduce': {
      const registered = await deps.registered(thing);
      if (registered === null) return refused('other-name');
      const known = introduce(thing, question.certificates, registered, trust, { verifier: deps.verifier, now: unixMs(deps.now()) });
      if (!known.ok) return refused(known.why);
      await deps.peers.keepIdentity(known.value);
      await deps.peers.liftQuarantine(thing);
      return { v: 1, id, kind: 'introduced', at: deps.now(), votesFrom: known.value.votesFrom };
    }
    case 'range':
      return question.to < question.from ? refused('bad-range') : range(question, deps);
    case 'snapshot':
      return snapshot(id, trust, deps);
    case 'upload': {
      const link = await deps.objects.offer(`uploads/${thing}/${deps.randomName()}`, question.bytes);
      return { v: 1, id, kind: 'upload', bytes: question.bytes, ...link };
    }
  }
}

type RangeQuestion = Extract<Question, { ask: 'range' }>;

async function range({ id, epoch, from, to }: RangeQuestion, { advisories, objects }: AnswerDeps): Promise<Answer> {
  const head = await advisories.head();
  if (head === null || head.epoch !== epoch) {
    return { v: 1, id, kind: 'range', epoch: head?.epoch ?? 0, from, to: 0, head: head?.number ?? 0, advisories: [] };
  }
  const wanted = Math.min(to, head.number);
  const found = await advisories.range(epoch, from, wanted, MOST_NUMBERS);
  const covered = found.length < MOST_NUMBERS ? wanted : (found.at(-1)?.number ?? wanted);
  const inline = fitting(found);
  if (inline.length === found.length) {
    return { v: 1, id, kind: 'range', epoch, from, to: covered, head: head.number, advisories: found.map(({ bytes }) => bytes) };
  }
  const object = { key: `answers/range-${numberText(epoch)}-${from}-${covered}`, bytes: encodeAdvisoryList(found.map(({ bytes }) => bytes)) };
  await objects.put(object.key, object.bytes);
  return { v: 1, id, kind: 'range-object', epoch, from, to: covered, head: head.number, bytes: object.bytes.length, ...(await objects.link(object.key)) };
}

function fitting(found: readonly KeptAdvisory[]): readonly KeptAdvisory[] {
  let bytes = 0;
  return found.filter(one => {
    bytes += one.bytes.length;
    return bytes <= LONGEST_INLINE_BYTES;
  });
}

/** All that holds. The head is read first: what is numbered meanwhile is in the snapshot and comes again, which does not matter. */
async function snapshot(id: string, trust: Trust, deps: AnswerDeps): Promise<Answer> {
  const made = await deps.advisories.snapshot();
  if (made !== null) return snapshotLink(id, made, deps);
  const head = await deps.advisories.head();
  const kept = longestLived(await deps.envelopes.all(MOST_IN_SNAPSHOT));
  const [parcel] = coalesce(outgoingOf(kept, await signersOf(kept, deps.peers)), LONGEST_OBJECT_BYTES);
  const content = { certificates: parcel?.certificates ?? [], envelopes: parcel?.envelopes ?? [] };
  const numbers = { epoch: head?.epoch ?? 0, number: 0, head: head?.number ?? 0 };
  const advisory = { kind: 'snapshot', overBudget: false, ...numbers, issuedAt: unixMs(deps.now()), ...content } as const;
  const bytes = await signed(advisory, trust.clusterId, deps.sign);
  if (bytes.length <= LONGEST_INLINE_BYTES && bytes.length <= LONGEST_ADVISORY_BYTES) return { v: 1, id, kind: 'snapshot', advisory: bytes };
  const object = { key: `answers/snapshot-${numberText(numbers.epoch)}-${deps.now()}`, bytes: bytes.length };
  await deps.objects.put(object.key, bytes);
  // A fleet that meets a new epoch asks all at once: one snapshot a minute is made for it.
  await deps.advisories.keepSnapshot(object, deps.now());
  return snapshotLink(id, object, deps);
}

/** What fits: where that is not all, what ends first is left out. */
export function longestLived(kept: readonly KeptEnvelope[], roomBytes: number = LONGEST_OBJECT_BYTES - CERTIFICATES_ROOM_BYTES): readonly KeptEnvelope[] {
  let bytes = 0;
  return [...kept]
    .sort((one, other) => other.expiresAt - one.expiresAt)
    .filter(one => {
      bytes += ENVELOPE_LENGTH_BYTES + one.envelope.length;
      return bytes <= roomBytes;
    });
}

async function snapshotLink(id: string, { key, bytes }: KeptObject, { objects }: AnswerDeps): Promise<Answer> {
  return { v: 1, id, kind: 'snapshot-object', bytes, ...(await objects.link(key)) };
}
