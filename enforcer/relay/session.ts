/**
 * The talk with the hub as one machine: connection, messages and time in, messages and words out. No sockets, no timers: whoever owns the connection calls
 * `tick` each second. While there is no connection nothing is lost but time: the outbox waits, and what the hub said meanwhile is asked for by its numbers.
 */

import { CLOCK_SKEW_MS } from '@honeymesh/intel/envelope';
import { decodeAdvisory, decodeAdvisoryList, LONGEST_OBJECT_BYTES, type SignedAdvisory } from '@honeymesh/intel/hub-advisory';
import { type Answer, readAnswer, readReceipt, writeHeartbeat, writeMessage } from '@honeymesh/intel/hub-messages';
import { MINUTE_MS, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { createNumbering, type HubHead } from './numbering.ts';
import type { Outbox } from './outbox.ts';
import type { HostFacts } from './port.ts';
import { type Ask, createQuestions, QUESTION_TROUBLES } from './questions.ts';
import { createSending } from './sending.ts';

export type Said =
  | { readonly kind: 'publish'; readonly to: 'report' | 'heartbeat' | 'question'; readonly payload: Uint8Array }
  /** Signed by the hub: whose word counts is for the judge. `head`: what may be kept as had once this was taken. */
  | { readonly kind: 'advisory'; readonly advisory: SignedAdvisory; readonly head: HubHead | null }
  /** To be fetched and handed to `fetched`. */
  | { readonly kind: 'fetch'; readonly id: string; readonly url: string; readonly bytes: number }
  | { readonly kind: 'refused'; readonly why: string; readonly count: number }
  | { readonly kind: 'complaint'; readonly key: string; readonly why: string; readonly fix: string }
  | { readonly kind: 'recovered'; readonly key: string };

export interface SessionOptions {
  /** This host's registrar's certificate and its own. */
  readonly certificates: readonly Uint8Array[];
}

export interface SessionDeps {
  readonly outbox: Pick<Outbox, 'oldest' | 'since' | 'settle' | 'prune' | 'waiting' | 'head'>;
  /** Whether one of the pinned hub keys signed it. */
  readonly isHubs: (advisory: SignedAdvisory) => boolean;
  readonly facts: () => HostFacts;
  /** 0..1 */
  readonly random: () => number;
}

export type Inbound = 'advisory' | 'receipt' | 'answer';

export interface Session {
  connected(now: UnixMs): readonly Said[];
  disconnected(): void;
  message(topic: Inbound, payload: Uint8Array, now: UnixMs): readonly Said[];
  fetched(id: string, bytes: Uint8Array | null, now: UnixMs): readonly Said[];
  /** The outbox has more. */
  added(now: UnixMs): readonly Said[];
  /** Renewed: from the next introduction on. */
  certify(certificates: readonly Uint8Array[]): void;
  tick(now: UnixMs): readonly Said[];
  figures(): {
    readonly introduced: boolean;
    readonly head: HubHead | null;
    readonly receiptAt: UnixMs | null;
    readonly advisoryAt: UnixMs | null;
    readonly votesFrom: UnixMs | null;
  };
}

export const HEARTBEAT_MS = MINUTE_MS;
const PRUNE_MS = MINUTE_MS;
/** Reports without any receipt for so long: said in `degraded`. */
const UNANSWERED_MS = 5 * MINUTE_MS;
/** Questions without an answer. */
const MUTE_AFTER = 3;
/** Each minute there is at least a digest. */
const QUIET_MS = 10 * MINUTE_MS;
const MOST_DEGRADED = 8;

interface Fetching {
  readonly id: string;
  readonly answer: Extract<Answer, { kind: 'range-object' | 'snapshot-object' }>;
}

export function createSession(options: SessionOptions, { outbox, isHubs, facts, random }: SessionDeps): Session {
  const numbering = createNumbering(outbox.head(), { random });
  const questions = createQuestions({ random });
  const sending = createSending(outbox, { random });
  let { certificates } = options;
  let online = false;
  let introduced = false;
  let onlineSince = unixMs(0);
  let heartbeatAt = unixMs(0);
  let pruneAt = unixMs(0);
  let receiptAt: UnixMs | null = null;
  let advisoryAt: UnixMs | null = null;
  let votesFrom: UnixMs | null = null;
  let fetching: Fetching | null = null;
  let forgedAt = Number.NEGATIVE_INFINITY;

  const recovered = (key: string): Said => ({ kind: 'recovered', key });
  const refused = (why: string, count = 1): Said => ({ kind: 'refused', why, count });
  const complaint = (key: string, why: string, fix: string): Said => ({ kind: 'complaint', key, why, fix });

  function ask(question: Ask, now: UnixMs): readonly Said[] {
    const asked = questions.ask(question, now);
    return asked === null ? [] : [{ kind: 'publish', to: 'question', payload: writeMessage(asked) }];
  }

  function reports(now: UnixMs): readonly Said[] {
    if (!online || !introduced) return [];
    return sending.due(now).map((payload): Said => ({ kind: 'publish', to: 'report', payload }));
  }

  function missing(now: UnixMs): readonly Said[] {
    const wanted = introduced && fetching === null ? numbering.missing(now) : null;
    if (wanted === null) return [];
    return ask(wanted.kind === 'snapshot' ? { ask: 'snapshot' } : { ask: 'range', epoch: wanted.epoch, from: wanted.from, to: wanted.to }, now);
  }

  function heartbeat(now: UnixMs): readonly Said[] {
    if (now < heartbeatAt && heartbeatAt - now <= HEARTBEAT_MS) return [];
    heartbeatAt = unixMs(now + HEARTBEAT_MS);
    const { version, mode, bans, degraded } = facts();
    const message = { v: 1 as const, at: now, version, mode, bans, waiting: outbox.waiting, head: numbering.head, degraded: degraded.slice(0, MOST_DEGRADED) };
    return [{ kind: 'publish', to: 'heartbeat', payload: writeHeartbeat(message) }];
  }

  function troubles(now: UnixMs): readonly Said[] {
    const unanswered = introduced ? sending.unanswered(now) : null;
    const noReceipts = unanswered !== null && unanswered > UNANSWERED_MS;
    const mute = questions.silent('introduce') >= MUTE_AFTER;
    const heardAt = Math.max(advisoryAt ?? 0, onlineSince);
    return [
      ...(now - forgedAt > QUIET_MS ? [recovered('signer')] : []),
      noReceipts
        ? complaint(
            'receipts',
            'the hub gives no receipts for what this host reports',
            'nothing is lost; look at the alarms of the hub (docs/hub.md), and at the clock of this host',
          )
        : recovered('receipts'),
      mute
        ? complaint(
            'mute',
            'the hub is reached and does not answer',
            'look at the log of the function that answers, and at the policy of this host (docs/hub.md)',
          )
        : recovered('mute'),
      introduced && now - heardAt > QUIET_MS
        ? complaint(
            'quiet',
            'no advisory came for 10 minutes, not even an empty digest',
            'look at the alarm FanOutLate and the function of the digest (docs/hub.md)',
          )
        : recovered('quiet'),
    ];
  }

  function live(payload: Uint8Array, now: UnixMs): readonly Said[] {
    const read = decodeAdvisory(payload);
    if (!read.ok) return [refused(`advisory: ${read.why}`)];
    if (!isHubs(read.value)) return [refused('advisory: not signed by a pinned key'), ...forged(now)];
    const heard = numbering.heard(read.value, now);
    if (heard === 'old') return [refused('advisory: of a numbering that is over')];
    advisoryAt = now;
    return heard === 'known' ? [] : [{ kind: 'advisory', advisory: read.value, head: numbering.head }];
  }

  function forged(now: UnixMs): readonly Said[] {
    forgedAt = now;
    const fix = 'if the hub was deployed anew, pin its key: "honeymesh hub enrol"; if not, look who may publish there';
    return [complaint('signer', 'an advisory came that no pinned key has signed: it was not used', fix)];
  }

  function misfit(now: UnixMs): readonly Said[] {
    questions.failed('range', now);
    return [refused('answer: not what was asked')];
  }

  /** Of a range: each as it was published. */
  function filled(advisories: readonly Uint8Array[], range: Extract<Answer, { kind: 'range' | 'range-object' }>, now: UnixMs): readonly Said[] {
    const read = advisories.map(bytes => decodeAdvisory(bytes));
    const good = read.flatMap(one => (one.ok && isHubs(one.value) && one.value.epoch === range.epoch ? [one.value] : []));
    if (good.length < read.length) {
      questions.failed('range', now);
      return [refused('range: an advisory in it does not hold', read.length - good.length)];
    }
    questions.done('range');
    const fresh = good.filter(({ number }) => !numbering.has(number));
    numbering.filled(range, now);
    const head = numbering.head;
    return fresh.map((advisory, at): Said => ({ kind: 'advisory', advisory, head: at === fresh.length - 1 ? head : null }));
  }

  function took(bytes: Uint8Array, now: UnixMs): readonly Said[] {
    const read = decodeAdvisory(bytes, LONGEST_OBJECT_BYTES);
    if (!read.ok || read.value.kind !== 'snapshot' || !isHubs(read.value)) {
      questions.failed('snapshot', now);
      return [refused(`snapshot: ${read.ok ? 'not signed by a pinned key, or none' : read.why}`), ...(read.ok ? forged(now) : [])];
    }
    if (!numbering.took(read.value, now)) {
      questions.failed('snapshot', now);
      return [refused('snapshot: of a numbering that is over')];
    }
    questions.done('snapshot');
    return [{ kind: 'advisory', advisory: read.value, head: numbering.head }];
  }

  function answered(payload: Uint8Array, now: UnixMs): readonly Said[] {
    const read = readAnswer(payload);
    if (!read.ok) return [refused(`answer: ${read.why}`)];
    const answer = read.value;
    const asked = questions.answered(answer, now);
    if (asked === null) return [refused('answer: to no question of ours')];
    switch (answer.kind) {
      case 'introduced':
        introduced = true;
        questions.done('introduce');
        votesFrom = unixMs(answer.votesFrom);
        return [recovered('introduce'), recovered('mute'), ...skew(answer.at, now), ...reports(now), ...missing(now), ...heartbeat(now)];
      case 'range':
        if (asked.ask === 'range' && answer.epoch !== asked.epoch && answer.to === 0) {
          // The hub counts anew, or has nothing yet.
          questions.failed('range', now);
          numbering.lost(now);
          return [refused('range: the hub has another numbering')];
        }
        return asked.ask === 'range' && fits(asked, answer) ? [...filled(answer.advisories, answer, now), ...missing(now)] : misfit(now);
      case 'snapshot':
        return [...took(answer.advisory, now), ...missing(now)];
      case 'range-object':
      case 'snapshot-object':
        if (answer.bytes > LONGEST_OBJECT_BYTES) return [refused('answer: an object that is too long')];
        if (answer.kind === 'range-object' && (asked.ask !== 'range' || !fits(asked, answer))) return misfit(now);
        fetching = { id: answer.id, answer };
        return [{ kind: 'fetch', id: answer.id, url: answer.url, bytes: answer.bytes }];
      case 'upload':
        return [];
      case 'refused':
        if (asked.ask === 'introduce') {
          introduced = false;
          const { why, fix } = QUESTION_TROUBLES[answer.why];
          return [complaint('introduce', why, fix)];
        }
        if (answer.why === 'bad-range') numbering.lost(now);
        return [refused(`${asked.ask}: ${answer.why}`)];
    }
  }

  function skew(at: number, now: UnixMs): readonly Said[] {
    const offMs = now - at;
    if (Math.abs(offMs) <= CLOCK_SKEW_MS) return [recovered('clock')];
    const why = `the clock of this host is ${Math.round(Math.abs(offMs) / SECOND_MS)} s ${offMs > 0 ? 'ahead of' : 'behind'} the hub's: what it signs is refused, or comes late`;
    return [complaint('clock', why, 'set it: "timedatectl set-ntp true", or your own NTP service')];
  }

  return {
    connected(now) {
      online = true;
      onlineSince = now;
      introduced = false;
      fetching = null;
      questions.reset();
      return ask({ ask: 'introduce', certificates }, now);
    },
    disconnected() {
      online = false;
      introduced = false;
    },
    message(topic, payload, now) {
      if (topic === 'advisory') return live(payload, now);
      if (topic === 'answer') return answered(payload, now);
      const read = readReceipt(payload);
      if (!read.ok) return [refused(`receipt: ${read.why}`)];
      receiptAt = now;
      if (outbox.settle(read.value) > 0) sending.changed();
      const counts = new Map<string, number>();
      for (const { why } of read.value.refused) counts.set(why, (counts.get(why) ?? 0) + 1);
      return [...[...counts].map(([why, count]) => refused(`the hub refused: ${why}`, count)), ...reports(now)];
    },
    fetched(id, bytes, now) {
      if (fetching?.id !== id) return [];
      const { answer } = fetching;
      fetching = null;
      const kind = answer.kind === 'range-object' ? 'range' : 'snapshot';
      if (bytes === null || bytes.length !== answer.bytes) {
        questions.failed(kind, now);
        return [refused(`${kind}: its object could not be fetched`)];
      }
      if (answer.kind === 'snapshot-object') return [...took(bytes, now), ...missing(now)];
      const read = decodeAdvisoryList(bytes);
      if (read.ok) return [...filled(read.value, answer, now), ...missing(now)];
      questions.failed(kind, now);
      return [refused(`range: ${read.why}`)];
    },
    added(now) {
      sending.changed();
      return reports(now);
    },
    certify(renewed) {
      certificates = renewed;
    },
    tick(now) {
      if (now >= pruneAt || pruneAt - now > PRUNE_MS) {
        pruneAt = unixMs(now + PRUNE_MS);
        const gone = outbox.prune(now);
        if (gone > 0) {
          sending.changed();
          return [refused('not reported: it expired first', gone), ...turn(now)];
        }
      }
      return turn(now);
    },
    figures: () => ({ introduced, head: numbering.head, receiptAt, advisoryAt, votesFrom }),
  };

  function turn(now: UnixMs): readonly Said[] {
    if (!online) return [];
    return [
      ...(introduced ? [] : ask({ ask: 'introduce', certificates }, now)),
      ...reports(now),
      ...missing(now),
      ...(introduced ? heartbeat(now) : []),
      ...troubles(now),
    ];
  }
}

/** An answer must not make us believe that we have what we did not ask for. */
const fits = (asked: Extract<Ask, { ask: 'range' }>, answer: { readonly epoch: number; readonly from: number; readonly to: number }): boolean =>
  answer.epoch === asked.epoch && answer.from === asked.from && answer.to >= answer.from && answer.to <= Number.MAX_SAFE_INTEGER;
