import { fc, test } from '@fast-check/vitest';
import { type Envelope, openEnvelope } from '@honeymesh/intel/envelope';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { createInbox } from '#enforcer/mesh/signed/inbox.ts';
import { createLiveBook } from '#enforcer/mesh/signed/live-book.ts';
import { createSeen } from '#enforcer/mesh/signed/seen.ts';
import { createTombstones } from '#enforcer/mesh/signed/tombstones.ts';
import { advice, type Host, keyedHash, NOON, prefix, signedBy, trust } from '#test/support/hm1.ts';

const signatures = keyedHash();
const trusted = trust(signatures);
const hosts = [trusted.host('a'), trusted.host('b'), trusted.host('c')] as const;

function envelope(
  host: Host,
  epoch: number,
  seq: number,
  more: { readonly bytes?: number; readonly ttlS?: number; readonly type?: 'intel' | 'leave' } = {},
): Envelope {
  const { bytes = 20, ttlS = 60, type = 'intel' } = more;
  const read = openEnvelope(signedBy(host, new Uint8Array(bytes), signatures, { epoch, seq, ttlS, type }));
  if (!read.ok) throw new Error(read.why);
  return read.value;
}

describe('the numbers that were seen', () => {
  test.prop([fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 200 })])('are those of a plain set', numbers => {
    const seen = createSeen();
    const plain = new Set<number>();
    for (const number of numbers) {
      expect(seen.has(number)).toBe(plain.has(number));
      expect(seen.add(number)).toBe(!plain.has(number));
      plain.add(number);
    }
    const listed = seen.ranges().flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at));
    expect(listed).toEqual([...plain].sort((one, other) => one - other));
    for (const [at, range] of seen.ranges().entries()) if (at > 0) expect(range[0]).toBeGreaterThan((seen.ranges()[at - 1]?.[1] ?? 0) + 1);
  });

  test.prop([fc.array(fc.maxSafeNat(), { maxLength: 300 }), fc.integer({ min: 1, max: 10 })])('are bounded, and never forgotten for it', (numbers, bound) => {
    const seen = createSeen(bound);
    for (const number of numbers) {
      seen.add(number);
      expect(seen.ranges().length).toBeLessThanOrEqual(bound);
    }
    for (const number of numbers) expect(seen.has(number)).toBe(true);
  });
});

describe('the book of what holds', () => {
  const step = fc.record({
    who: fc.nat(2),
    epoch: fc.integer({ min: 1, max: 3 }),
    seq: fc.integer({ min: 1, max: 12 }),
    remove: fc.boolean(),
    bytes: fc.integer({ min: 10, max: 200 }),
  });
  test.prop([fc.array(step, { maxLength: 120 })], { numRuns: 60 })('keeps what a plain map would, in order, and counts its bytes', steps => {
    const book = createLiveBook();
    const plain = new Map<string, Envelope>();
    for (const { who, epoch, seq, remove, bytes } of steps) {
      const one = envelope(hosts[who] ?? hosts[0], epoch, seq, { bytes });
      const name = `${one.kid} ${epoch} ${seq}`;
      if (remove) {
        book.remove(one.kid, epoch, seq);
        plain.delete(name);
      } else {
        book.add(one);
        if (!plain.has(name)) plain.set(name, one);
      }
    }
    expect(book.items).toBe(plain.size);
    expect(book.bytes).toBe([...plain.values()].reduce((sum, { bytes }) => sum + bytes.length, 0));
    for (const { certificate } of hosts) {
      const all = book.latestOf(certificate.kid);
      expect(all.map(({ epoch, seq }) => [epoch, seq])).toEqual(
        [...plain.values()]
          .filter(({ kid }) => kid === certificate.kid)
          .map(({ epoch, seq }) => [epoch, seq])
          .sort((one, other) => (other[0] ?? 0) - (one[0] ?? 0) || (other[1] ?? 0) - (one[1] ?? 0)),
      );
      for (const one of all) {
        const same = all.filter(({ epoch, type }) => epoch === one.epoch && type === one.type);
        const at = same.indexOf(one);
        expect(
          book
            .neighbours(one)
            .filter(near => near !== one)
            .map(({ seq }) => seq),
        ).toEqual([same[at + 1]?.seq].filter(seq => seq !== undefined));
      }
    }
  });

  test('gives a flooder the room of one speaker, whoever else is in it', () => {
    const book = createLiveBook({ speakerItems: 50, speakerBytes: 4_000, bytes: 1_000_000 });
    book.add(envelope(hosts[0], 1, 1));
    for (let seq = 1; seq <= 2_000; seq++) book.add(envelope(hosts[1], 1, seq));
    expect(book.latestOf(hosts[1].certificate.kid).length).toBeLessThanOrEqual(Math.floor(4_000 / 125));
    expect(book.latestOf(hosts[1].certificate.kid)[0]?.seq).toBe(2_000);
    expect(book.latestOf(hosts[0].certificate.kid)).toHaveLength(1);
  });

  test('when full takes room from who has most', () => {
    const book = createLiveBook({ speakerItems: 1_000, speakerBytes: 1_000_000, bytes: 2_500 });
    for (let seq = 1; seq <= 3; seq++) book.add(envelope(hosts[0], 1, seq));
    for (let seq = 1; seq <= 500; seq++) book.add(envelope(hosts[1], 1, seq));
    expect(book.bytes).toBeLessThanOrEqual(2_500);
    expect(book.latestOf(hosts[0].certificate.kid)).toHaveLength(3);
  });

  test('lets go of what ends, when it ends', () => {
    const book = createLiveBook();
    book.add(envelope(hosts[0], 1, 1, { ttlS: 10 }));
    book.add(envelope(hosts[0], 1, 2, { ttlS: 20 }));
    expect(book.nextEnd()).toBe(NOON + 10_000);
    book.prune(unixMs(NOON + 9_999));
    expect(book.items).toBe(2);
    book.prune(unixMs(NOON + 10_000));
    expect(book.latestOf(hosts[0].certificate.kid).map(({ seq }) => seq)).toEqual([2]);
    expect(book.nextEnd()).toBe(NOON + 20_000);
    book.forget(hosts[0].certificate.kid);
    expect([book.items, book.bytes]).toEqual([0, 0]);
  });
});

test('tombstones of one key are bounded, and end after a day', () => {
  const stones = createTombstones(100);
  for (let seq = 2; seq <= 500; seq++)
    stones.lay(envelope(hosts[0], 2, seq), { epoch: 1, seq, asError: false, targets: [prefix('203.0.113.7/32'), prefix('203.0.113.8/32')] });
  expect(stones.size).toBeLessThanOrEqual(100);
  expect(stones.standing(envelope(hosts[0], 1, 500), [advice('203.0.113.7/32')])).toEqual([]);
  stones.prune(unixMs(NOON + 86_400_000));
  expect(stones.size).toBe(0);
});

describe('the inbox of repair', () => {
  test('gives a few at a time, hop by hop, with pauses', () => {
    const inbox = createInbox({ bytes: 1_000, hopBytes: 500, turn: 4, pauseMs: 5 });
    for (let at = 0; at < 6; at++) inbox.add(Uint8Array.of(at), 'a');
    inbox.add(Uint8Array.of(100), 'b');
    expect(inbox.take(NOON).map(({ bytes }) => bytes[0])).toEqual([0, 100, 1, 2]);
    expect(inbox.take(unixMs(NOON + 4))).toEqual([]);
    expect(inbox.nextDeadline()).toBe(NOON + 5);
    expect(inbox.take(unixMs(NOON + 5)).map(({ bytes }) => bytes[0])).toEqual([3, 4, 5]);
    expect(inbox.nextDeadline()).toBe('never');
    inbox.add(Uint8Array.of(7), 'a');
    expect(inbox.take(unixMs(NOON - 60_000))).toHaveLength(1);
  });

  test('is bounded for each hop and in all', () => {
    const inbox = createInbox({ bytes: 1_000, hopBytes: 400, turn: 16, pauseMs: 5 });
    const taken = ['a', 'b', 'c'].map(hop => Array.from({ length: 100 }, () => inbox.add(new Uint8Array(10), hop)).filter(Boolean).length);
    expect(taken).toEqual([40, 40, 20]);
    const room = inbox.take(NOON).filter(({ hop }) => hop === 'a').length;
    expect(room).toBeGreaterThan(0);
    expect(Array.from({ length: 40 }, () => inbox.add(new Uint8Array(10), 'a')).filter(Boolean)).toHaveLength(room);
    for (let turn = 1; turn < 100; turn++) inbox.take(unixMs(NOON + turn * 5));
    expect(inbox.waiting).toBe(0);
    expect(inbox.add(new Uint8Array(400), 'a')).toBe(true);
  });
});
