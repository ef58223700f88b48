import { type Advisory, encodeAdvisory, encodeAdvisoryList, withSignature } from '@honeymesh/intel/hub-advisory';
import { type Answer, type Question, type Receipt, readHeartbeat, readQuestion, writeMessage, writeReceipt } from '@honeymesh/intel/hub-messages';
import { decodeReport } from '@honeymesh/intel/hub-report';
import { DAY_MS, MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { beforeEach, describe, expect, test } from 'vitest';
import type { HubHead } from '#enforcer/relay/numbering.ts';
import type { OutboxEntry } from '#enforcer/relay/outbox.ts';
import { LATE_AFTER_MS } from '#enforcer/relay/sending.ts';
import { createSession, type Said, type Session } from '#enforcer/relay/session.ts';

const START = 1_800_000_000_000;
const SIGNATURE = new Uint8Array([7]);
let now = unixMs(START);
let entries: OutboxEntry[] = [];
let session: Session;

const outboxOf = (head: HubHead | null) => ({
  oldest: (most: number) => entries.slice(0, most),
  since: (at: number, most: number) => entries.filter(({ issuedAt }) => issuedAt >= at).slice(-most),
  settle({ epoch, upTo }: Receipt) {
    const before = entries.length;
    entries = entries.filter(entry => entry.epoch !== epoch || entry.seq > upTo);
    return before - entries.length;
  },
  prune: () => 0,
  get waiting() {
    return entries.length;
  },
  head: () => head,
});

function begin(head: HubHead | null = { epoch: 5, number: 10 }): void {
  session = createSession(
    { certificates: [new Uint8Array([1]), new Uint8Array([2])] },
    {
      outbox: outboxOf(head),
      isHubs: ({ signature }) => signature[0] === 7,
      facts: () => ({ version: '1.0', mode: 'enforce', bans: 3, degraded: [] }),
      random: () => 0.5,
    },
  );
}

beforeEach(() => {
  now = unixMs(START);
  entries = [];
  begin();
});

const later = (ms: number) => {
  now = unixMs(now + ms);
  return now;
};
const entry = (seq: number, ageMs = 0): OutboxEntry => ({
  epoch: 1,
  seq,
  previous: seq - 1,
  issuedAt: unixMs(now - ageMs),
  bytes: new Uint8Array([72, 77, 49, seq & 255, seq >> 8]),
});
const questionsIn = (said: readonly Said[]): readonly Question[] =>
  said.flatMap(one => {
    if (one.kind !== 'publish' || one.to !== 'question') return [];
    const read = readQuestion(one.payload);
    return read.ok ? [read.value] : [];
  });
const reportsIn = (said: readonly Said[]) =>
  said.flatMap(one => {
    if (one.kind !== 'publish' || one.to !== 'report') return [];
    const read = decodeReport(one.payload);
    return read.ok ? [read.value.map(({ envelope }) => (envelope[3] ?? 0) + 256 * (envelope[4] ?? 0))] : [];
  });
const kindsOf = (said: readonly Said[], kind: Said['kind']) => said.filter(one => one.kind === kind);
const answer = (message: Answer) => session.message('answer', writeMessage(message), now);
const signed = (advisory: Partial<Advisory>, signature = SIGNATURE): Uint8Array =>
  withSignature(
    encodeAdvisory({ kind: 'urgent', overBudget: false, epoch: 5, number: 11, head: 11, issuedAt: now, certificates: [], envelopes: [], ...advisory }),
    signature,
  );
const receipt = (upTo: number) => session.message('receipt', writeReceipt({ v: 1, at: now, epoch: 1, upTo, ranges: [], refused: [] }), now);

function introduce(): readonly Said[] {
  const [question] = questionsIn(session.connected(now));
  return answer({ v: 1, id: question?.id ?? '', kind: 'introduced', at: now, votesFrom: 0 });
}

describe('the way of a report', () => {
  test('nothing is reported before the hub knows the host', () => {
    entries = [entry(1)];
    expect(questionsIn(session.connected(now))).toMatchObject([{ ask: 'introduce' }]);
    expect(reportsIn(session.tick(later(1_000)))).toEqual([]);
    session.disconnected();
    expect(reportsIn(introduce())).toEqual([[1]]);
  });

  test('what has no receipt is sent again after ten seconds at the earliest, and ever more seldom', () => {
    introduce();
    entries = [entry(1)];
    expect(reportsIn(session.added(now))).toEqual([[1]]);
    const sentAt: number[] = [];
    for (let second = 1; second <= 600; second++) if (reportsIn(session.tick(later(SECOND_MS))).length > 0) sentAt.push(second);
    expect(sentAt[0]).toBeGreaterThanOrEqual(10);
    expect(sentAt.length).toBeLessThan(7);
    const gaps = sentAt.slice(1).map((at, index) => at - (sentAt[index] ?? 0));
    expect(gaps).toEqual([...gaps].sort((one, other) => one - other));
  });

  test('a receipt ends it', () => {
    introduce();
    entries = [entry(1), entry(2)];
    session.added(now);
    receipt(2);
    expect(entries).toEqual([]);
    expect(reportsIn(session.tick(later(MINUTE_MS)))).toEqual([]);
  });

  test('a backlog of a day never exceeds what the hub takes of late words, and does not hold up what is new', () => {
    entries = Array.from({ length: 5_000 }, (_, at) => entry(at + 1, DAY_MS / 2));
    const counts: number[] = reportsIn(introduce()).map(report => report.length);
    entries.push(entry(5_001));
    expect(reportsIn(session.added(now)).flat()).toContain(5_001);
    for (let second = 1; second < 60; second++) counts.push(...reportsIn(session.tick(later(SECOND_MS))).map(report => report.length));
    const total = counts.reduce((sum, count) => sum + count, 0);
    expect(total).toBeLessThanOrEqual(1_280);
    expect(total).toBeGreaterThan(500);
  });

  test('a hub that is gone for a day costs nothing but time', () => {
    introduce();
    session.disconnected();
    for (let minute = 0; minute < 24 * 60; minute++) {
      if (minute % 10 === 0) entries.push(entry(entries.length + 1));
      expect(session.tick(later(MINUTE_MS))).toEqual([]);
    }
    const heard = new Set(reportsIn(introduce()).flat());
    for (let second = 0; second < 30; second++) for (const seq of reportsIn(session.tick(later(SECOND_MS))).flat()) heard.add(seq);
    expect(heard.size).toBe(144);
    expect(LATE_AFTER_MS).toBe(2 * MINUTE_MS);
  });
});

describe('introduction', () => {
  test('a refusal says why and what to do, and is not asked again at once', () => {
    const [question] = questionsIn(session.connected(now));
    const said = answer({ v: 1, id: question?.id ?? '', kind: 'refused', why: 'other-key' });
    expect(said).toMatchObject([{ kind: 'complaint', key: 'introduce', fix: expect.stringContaining('honeymesh hub enrol') }]);
    expect(questionsIn(session.tick(later(20 * SECOND_MS)))).toEqual([]);
    session.disconnected();
    expect(questionsIn(session.connected(now))).toEqual([]);
    expect(questionsIn(session.tick(later(MINUTE_MS)))).toMatchObject([{ ask: 'introduce' }]);
  });

  test('where no answer comes it asks again with back-off, and says so after a while', () => {
    session.connected(now);
    let asked = 0;
    let complained = false;
    for (let second = 0; second < 600; second++) {
      const said = session.tick(later(SECOND_MS));
      asked += questionsIn(said).length;
      complained ||= said.some(one => one.kind === 'complaint' && one.key === 'mute');
    }
    expect(asked).toBeGreaterThan(3);
    expect(asked).toBeLessThan(10);
    expect(complained).toBe(true);
  });

  test("a clock that is off the hub's is told", () => {
    const [question] = questionsIn(session.connected(now));
    const said = answer({ v: 1, id: question?.id ?? '', kind: 'introduced', at: now + 3_600_000, votesFrom: 0 });
    expect(said).toContainEqual(expect.objectContaining({ kind: 'complaint', key: 'clock', why: expect.stringContaining('3600 s behind') }));
  });

  test('a heartbeat goes out once a minute', () => {
    const said = [...introduce()];
    for (let second = 0; second < 179; second++) said.push(...session.tick(later(SECOND_MS)));
    const beats = said.flatMap(one => (one.kind === 'publish' && one.to === 'heartbeat' ? [readHeartbeat(one.payload)] : []));
    expect(beats).toHaveLength(3);
    expect(beats.every(beat => beat.ok && beat.value.head?.number === 10 && beat.value.bans === 3)).toBe(true);
  });
});

describe('what the hub says', () => {
  test('an advisory that no pinned key signed is not used', () => {
    introduce();
    const said = session.message('advisory', signed({}, new Uint8Array([8])), now);
    expect(kindsOf(said, 'advisory')).toEqual([]);
    expect(said).toContainEqual(expect.objectContaining({ kind: 'complaint', key: 'signer' }));
  });

  test('the same one twice is used once', () => {
    introduce();
    expect(kindsOf(session.message('advisory', signed({}), now), 'advisory')).toHaveLength(1);
    expect(kindsOf(session.message('advisory', signed({}), now), 'advisory')).toHaveLength(0);
  });

  test('a number that is missing is asked for, and its answer is used', () => {
    introduce();
    session.message('advisory', signed({ number: 13, head: 13 }), now);
    expect(questionsIn(session.tick(later(SECOND_MS)))).toEqual([]);
    const [question] = questionsIn(session.tick(later(10 * SECOND_MS)));
    expect(question).toMatchObject({ ask: 'range', epoch: 5, from: 11, to: 12 });
    const advisories = [signed({ number: 11, head: 13 }), signed({ number: 12, head: 13 })];
    const said = answer({ v: 1, id: question?.id ?? '', kind: 'range', epoch: 5, from: 11, to: 12, head: 13, advisories });
    expect(kindsOf(said, 'advisory')).toHaveLength(2);
    expect(session.figures().head).toEqual({ epoch: 5, number: 13 });
    expect(questionsIn(session.tick(later(MINUTE_MS)))).toEqual([]);
  });

  test('an answer to what was not asked moves nothing', () => {
    introduce();
    session.message('advisory', signed({ number: 13, head: 13 }), now);
    const [question] = questionsIn(session.tick(later(10 * SECOND_MS)));
    answer({ v: 1, id: question?.id ?? '', kind: 'range', epoch: 5, from: 12, to: 900, head: 900, advisories: [] });
    answer({ v: 1, id: 'guessed', kind: 'range', epoch: 5, from: 11, to: 900, head: 900, advisories: [] });
    expect(session.figures().head).toEqual({ epoch: 5, number: 10 });
  });

  test('a range that lies in an object is fetched, and asked for again where that fails', () => {
    introduce();
    session.message('advisory', signed({ number: 12, head: 12 }), now);
    const [question] = questionsIn(session.tick(later(10 * SECOND_MS)));
    const object = encodeAdvisoryList([signed({ number: 11, head: 12 })]);
    const link = { url: 'https://bucket.example/1', bytes: object.length, expiresAt: now + MINUTE_MS };
    const id = question?.id ?? '';
    expect(answer({ v: 1, id, kind: 'range-object', epoch: 5, from: 11, to: 11, head: 12, ...link })).toMatchObject([{ kind: 'fetch', id, url: link.url }]);
    session.fetched(id, null, now);
    const [again] = questionsIn(session.tick(later(MINUTE_MS)));
    answer({ v: 1, id: again?.id ?? '', kind: 'range-object', epoch: 5, from: 11, to: 11, head: 12, ...link });
    expect(kindsOf(session.fetched(again?.id ?? '', object, now), 'advisory')).toHaveLength(1);
    expect(session.figures().head).toEqual({ epoch: 5, number: 12 });
  });

  test('a host that knows nothing asks for all that holds, once', () => {
    begin(null);
    const [question] = questionsIn(introduce());
    expect(question).toMatchObject({ ask: 'snapshot' });
    const advisory = signed({ kind: 'snapshot', epoch: 9, number: 0, head: 77 });
    expect(answer({ v: 1, id: question?.id ?? '', kind: 'snapshot', advisory })).toMatchObject([{ kind: 'advisory', head: { epoch: 9, number: 77 } }]);
    expect(questionsIn(session.tick(later(MINUTE_MS)))).toEqual([]);
  });

  test('a new numbering voids the old one: a snapshot is asked for', () => {
    introduce();
    session.message('advisory', signed({ epoch: 6, number: 1, head: 1 }), now);
    expect(questionsIn(session.tick(later(10 * SECOND_MS)))).toMatchObject([{ ask: 'snapshot' }]);
  });

  test('a hub that counts anew is asked for all that holds, and not again and again where it has nothing', () => {
    introduce();
    session.message('advisory', signed({ number: 13, head: 13 }), now);
    const [question] = questionsIn(session.tick(later(10 * SECOND_MS)));
    answer({ v: 1, id: question?.id ?? '', kind: 'range', epoch: 0, from: 11, to: 0, head: 0, advisories: [] });
    let asked = 0;
    for (let second = 0; second < 120; second++) {
      const open = [...questionsIn(session.tick(later(SECOND_MS)))];
      for (let one = open.shift(); one !== undefined && asked < 100; one = open.shift()) {
        expect(one.ask).toBe('snapshot');
        asked++;
        open.push(...questionsIn(answer({ v: 1, id: one.id, kind: 'snapshot', advisory: signed({ kind: 'snapshot', epoch: 0, number: 0, head: 0 }) })));
      }
    }
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThan(8);
  });

  test('rubbish on every topic is counted and nothing else', () => {
    introduce();
    for (const topic of ['advisory', 'receipt', 'answer'] as const) {
      for (const bytes of [new Uint8Array(), new Uint8Array(200_000), new TextEncoder().encode('{"v":1}')]) {
        expect(session.message(topic, bytes, now).every(({ kind }) => kind === 'refused')).toBe(true);
      }
    }
  });
});
