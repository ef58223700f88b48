import { fc, test as property } from '@fast-check/vitest';
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Ban, Patience } from '@honeymesh/intel/bans';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { createPatience, type EndedSession, PORTS_THAT_END_IT } from '#enforcer/pipeline/patience.ts';

const confinedBan = (target = '203.0.113.7/32', since = 1_000): Ban => ({
  target: target as Prefix,
  tier: 'E1',
  reasons: ['trap-touch'],
  origins: ['trap'],
  createdAt: unixMs(since),
  expiresAt: unixMs(since + 10_000_000),
  offences: 1,
  confined: { since: unixMs(since), fullAt: unixMs(since + 60_000) },
});
const NOW = unixMs(5_000);
const SOURCE = '203.0.113.7' as Address;
const ending = (more: Partial<EndedSession> = {}): EndedSession => ({ source: SOURCE, open: 0, hungUp: false, ...more });
const fullBan = (): Ban => {
  const { confined: _, ...ban } = confinedBan();
  return ban;
};

describe('listen', () => {
  test('ends at the third distinct port, however often the others were touched', () => {
    const book = createPatience({ kind: 'listen', sessions: 20 });
    const told = [22, 22, 23, 22, 23, 3306].map(port => book.touched(confinedBan(), port, 5));
    expect(told).toEqual([null, null, null, null, null, 'ports']);
  });

  test('ends with the last open session that fell silent, not with one of several', () => {
    const book = createPatience({ kind: 'listen', sessions: 20 });
    expect([2, 1, 0].map(open => book.ended(confinedBan(), ending({ open }), NOW))).toEqual([null, null, 'session-end']);
  });

  test('waits for who hung up: guessers knock before they begin', () => {
    const book = createPatience({ kind: 'listen', sessions: 20, silenceMs: 3_000 });
    expect(book.ended(confinedBan(), ending({ hungUp: true }), NOW)).toBeNull();
    expect(book.silent(unixMs(NOW + 2_999))).toEqual([]);
    expect(book.silent(unixMs(NOW + 3_000))).toEqual([{ source: SOURCE, since: 1_000 }]);
    expect(book.silent(unixMs(NOW + 9_000))).toEqual([]);
  });

  test('and has waited when they are back', () => {
    const book = createPatience({ kind: 'listen', sessions: 20, silenceMs: 3_000 });
    book.ended(confinedBan(), ending({ hungUp: true }), NOW);
    book.touched(confinedBan(), 22, 1);
    expect(book.silent(unixMs(NOW + 60_000))).toEqual([]);
    expect(book.ended(confinedBan(), ending({ hungUp: true }), unixMs(NOW + 5_000))).toBeNull();
    expect(book.silent(unixMs(NOW + 7_999))).toEqual([]);
    expect(book.silent(unixMs(NOW + 8_000))).toHaveLength(1);
  });

  test('waits for 256 at once, not for a flood of them', () => {
    const book = createPatience({ kind: 'listen', sessions: 20 });
    const told = Array.from({ length: 400 }, (_, at) => book.ended(confinedBan(`198.18.${at >> 8}.${at & 255}/32`), ending({ hungUp: true }), NOW));
    expect(told.filter(why => why === 'session-end')).toHaveLength(144);
    expect(book.silent(unixMs(NOW + 60_000))).toHaveLength(256);
  });

  test('counts anew for a new confinement: what was touched before the former ban does not count', () => {
    const book = createPatience({ kind: 'listen', sessions: 20 });
    book.touched(confinedBan(), 22, 1);
    book.touched(confinedBan(), 23, 1);
    expect(book.touched(confinedBan('203.0.113.7/32', 900_000), 3306, 1)).toBeNull();
  });

  test('keeps sources apart, and takes a /64 for one source', () => {
    const book = createPatience({ kind: 'listen', sessions: 20 });
    for (const target of ['203.0.113.7/32', '203.0.113.8/32']) for (const port of [22, 23]) expect(book.touched(confinedBan(target), port, 1)).toBeNull();
    const told = [22, 23, 24].map(port => book.touched(confinedBan('2001:db8::/64'), port, 1));
    expect(told.at(-1)).toBe('ports');
  });
});

describe('study', () => {
  test('neither ports nor the end of a session end it, the number of sessions does', () => {
    const book = createPatience({ kind: 'study', sessions: 4 });
    const told = [22, 23, 24, 25].flatMap(port => [book.touched(confinedBan(), port, 1), book.ended(confinedBan(), ending(), NOW)]);
    expect(told).toEqual([null, null, null, null, null, null, null, 'sessions']);
  });

  test('sessions that are never ended count too, as soon as there is one more than is granted', () => {
    const book = createPatience({ kind: 'study', sessions: 4 });
    expect([book.touched(confinedBan(), 22, 4), book.touched(confinedBan(), 22, 1)]).toEqual([null, 'sessions']);
  });
});

test('who is banned in full, or by a host without patience, is not kept count of', () => {
  const listen = createPatience({ kind: 'listen', sessions: 20 });
  const instant = createPatience({ kind: 'instant', sessions: 20 });
  for (const port of [1, 2, 3, 4]) {
    expect(listen.touched(fullBan(), port, 1)).toBeNull();
    expect(instant.touched(confinedBan(), port, 1)).toBeNull();
  }
  expect(listen.ended(fullBan(), ending(), NOW)).toBeNull();
  expect([listen.size, instant.size]).toEqual([0, 0]);
});

const act = fc.record({ kind: fc.constantFrom('touch', 'end'), source: fc.nat(40), port: fc.integer({ min: 1, max: 5 }), open: fc.nat(2) });

property.prop([fc.constantFrom<Patience>('listen', 'study'), fc.array(act, { maxLength: 300 })])(
  'whatever comes, it stays within its bound, and no source touches three ports in listen or opens more than its sessions in study unnoticed',
  (kind, acts) => {
    const book = createPatience({ kind, sessions: 6, atMost: 50 });
    const since = new Map<number, { ports: Set<number>; opened: number }>();
    for (const { kind: what, source, port, open } of acts) {
      const ban = confinedBan(`203.0.113.${source}/32`);
      const seen = since.get(source) ?? { ports: new Set<number>(), opened: 0 };
      since.set(source, seen);
      const why = what === 'touch' ? book.touched(ban, port, 1) : book.ended(ban, ending({ open }), NOW);
      if (what === 'touch') {
        seen.ports.add(port);
        seen.opened++;
      }
      const mustEnd = kind === 'listen' ? seen.ports.size >= PORTS_THAT_END_IT : seen.opened > 6;
      if (mustEnd && what === 'touch') expect(why).not.toBeNull();
      if (why !== null) since.delete(source);
      expect(book.size).toBeLessThanOrEqual(50);
    }
  },
);

test('a flood of confined sources forgets the oldest counts, never more', () => {
  const book = createPatience({ kind: 'listen', sessions: 20, atMost: 100 });
  for (let at = 0; at < 1_000; at++) book.touched(confinedBan(`198.18.${at >> 8}.${at & 255}/32`), 22, 1);
  expect(book.size).toBe(100);
  book.touched(confinedBan('198.18.3.231/32'), 23, 1);
  expect(book.touched(confinedBan('198.18.3.231/32'), 24, 1)).toBe('ports');
});
