import { fc, test as prop } from '@fast-check/vitest';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { createNumbering, GAP_JITTER_MS, GAP_WAIT_MS } from '#enforcer/relay/numbering.ts';

const at = (ms: number) => unixMs(1_000_000 + ms);
const LATEST = GAP_WAIT_MS + GAP_JITTER_MS;

describe('numbers of advisories', () => {
  test('a host that knows nothing asks for a snapshot at once', () => {
    expect(createNumbering(null, { random: () => 0 }).missing(at(0))).toEqual({ kind: 'snapshot' });
  });

  test('a number that comes a little late is not asked for', () => {
    const numbering = createNumbering({ epoch: 7, number: 4 }, { random: () => 0.5 });
    expect(numbering.heard({ epoch: 7, number: 6, head: 6 }, at(0))).toBe('new');
    expect(numbering.missing(at(GAP_WAIT_MS - 1))).toBeNull();
    expect(numbering.heard({ epoch: 7, number: 5, head: 6 }, at(1_000))).toBe('new');
    expect(numbering.head).toEqual({ epoch: 7, number: 6 });
    expect(numbering.dueAt()).toBe('never');
  });

  test('a gap is asked for after five seconds and a little; what lies between two gaps comes along with them', () => {
    const numbering = createNumbering({ epoch: 7, number: 4 }, { random: () => 0.999 });
    numbering.heard({ epoch: 7, number: 8, head: 8 }, at(0));
    expect(numbering.missing(at(LATEST))).toEqual({ kind: 'range', epoch: 7, from: 5, to: 7 });
    numbering.filled({ epoch: 7, from: 5, to: 6, head: 9 }, at(LATEST));
    expect(numbering.missing(at(LATEST))).toEqual({ kind: 'range', epoch: 7, from: 7, to: 9 });
    expect([7, 8, 9].map(numbering.has)).toEqual([false, true, false]);
    numbering.filled({ epoch: 7, from: 7, to: 9, head: 9 }, at(LATEST));
    expect(numbering.missing(at(LATEST))).toBeNull();
  });

  test('an empty digest tells of numbers that were lost at the end', () => {
    const numbering = createNumbering({ epoch: 7, number: 4 }, { random: () => 0 });
    numbering.heard({ epoch: 7, number: 0, head: 6 }, at(0));
    expect(numbering.missing(at(LATEST))).toEqual({ kind: 'range', epoch: 7, from: 5, to: 6 });
  });

  test('another numbering voids what was known; an older one is not listened to', () => {
    const numbering = createNumbering({ epoch: 7, number: 40 }, { random: () => 0 });
    expect(numbering.heard({ epoch: 9, number: 2, head: 2 }, at(0))).toBe('new');
    expect(numbering.heard({ epoch: 7, number: 41, head: 41 }, at(1))).toBe('old');
    expect(numbering.head).toBeNull();
    expect(numbering.missing(at(LATEST))).toEqual({ kind: 'snapshot' });
    numbering.took({ epoch: 9, number: 0, head: 1 }, at(LATEST));
    expect(numbering.head).toEqual({ epoch: 9, number: 2 });
  });

  test('the same number twice is told once', () => {
    const numbering = createNumbering({ epoch: 7, number: 4 }, { random: () => 0 });
    expect(numbering.heard({ epoch: 7, number: 6, head: 6 }, at(0))).toBe('new');
    expect(numbering.heard({ epoch: 7, number: 6, head: 6 }, at(0))).toBe('known');
    expect(numbering.heard({ epoch: 7, number: 4, head: 6 }, at(0))).toBe('known');
  });
});

prop.prop([fc.shuffledSubarray([...Array(30).keys()].map(one => one + 1)), fc.integer({ min: 1, max: 9 })])(
  'whatever is lost or comes late: asking until nothing is missing brings every number, each once',
  (order, atOnce) => {
    const numbering = createNumbering({ epoch: 3, number: 0 }, { random: () => 0.3 });
    const had: number[] = [];
    for (const number of order) if (numbering.heard({ epoch: 3, number, head: 30 }, at(0)) === 'new') had.push(number);
    numbering.heard({ epoch: 3, number: 0, head: 30 }, at(1));
    for (let asked = 0; asked < 100; asked++) {
      const missing = numbering.missing(at(LATEST * (asked + 2)));
      if (missing === null) break;
      if (missing.kind !== 'range') throw new Error('a range was expected');
      const to = Math.min(missing.to, missing.from + atOnce - 1);
      for (let number = missing.from; number <= to; number++) if (!numbering.has(number)) had.push(number);
      numbering.filled({ epoch: 3, from: missing.from, to, head: 30 }, at(LATEST * (asked + 2)));
    }
    expect(numbering.head).toEqual({ epoch: 3, number: 30 });
    expect([...had].sort((one, other) => one - other)).toEqual([...Array(30).keys()].map(one => one + 1));
  },
);
