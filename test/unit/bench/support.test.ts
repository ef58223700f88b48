import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inTurn, quantile } from '#test/bench/support/rounds.ts';
import { compared, figure, report, shown, withoutPeer } from '#test/bench/support/rows.ts';

const drop = { what: 'a drop', unit: 'ns', ours: 15, peer: 20, peerName: 'xdp-filter' } as const;

describe('a row', () => {
  test('is met at the bound itself, on the side that the goal names', () => {
    expect(compared({ ...drop, ours: 20, goal: { atMost: 1 } })).toMatchObject({ ratio: 1, goal: '<= 1 x peer', met: true });
    expect(compared({ ...drop, ours: 20.1, goal: { atMost: 1 } }).met).toBe(false);
    expect(compared({ ...drop, ours: 20, goal: { atLeast: 1 } })).toMatchObject({ goal: '>= 1 x peer', met: true });
    expect(compared({ ...drop, ours: 19.9, goal: { atLeast: 1 } }).met).toBe(false);
  });

  test('without a goal claims nothing', () => {
    expect(compared(drop)).toMatchObject({ ratio: 0.75, goal: null, met: null });
  });

  test('whose peer is not installed is there, with ratio, goal and met null', () => {
    const row = withoutPeer({ what: 'a drop', unit: 'ns', ours: 15, peerName: 'xdp-filter', why: 'not installed' });
    expect(row).toEqual({
      what: 'a drop',
      unit: 'ns',
      ours: 15,
      peer: null,
      peerName: 'xdp-filter',
      ratio: null,
      goal: null,
      met: null,
      note: 'xdp-filter: not installed',
    });
  });

  test('with a goal of its own is held against its figure, the bound excluded', () => {
    expect(figure({ what: 'p99', unit: 'ms', ours: 4.9, goal: { below: 5 } })).toMatchObject({ peerName: null, ratio: null, goal: '< 5 ms', met: true });
    expect(figure({ what: 'p99', unit: 'ms', ours: 5, goal: { below: 5 } }).met).toBe(false);
  });

  test('beside a peer of zero has no ratio, and meets nothing', () => {
    expect(compared({ ...drop, peer: 0, goal: { atMost: 1 } })).toMatchObject({ ratio: null, met: null });
  });
});

test('figures show three digits', () => {
  expect([15.234, 1579.6, 0.04249, 2_512_345, 0, null].map(shown)).toEqual(['15.2', '1,580', '0.0425', '2,510,000', '0', '-']);
});

test('the report says which goals were missed, and the file holds the rows', () => {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-bench-'));
  const jsonPath = join(folder, 'rows.json');
  const rows = [compared({ ...drop, goal: { atMost: 1 } }), compared({ ...drop, what: 'a pass', ours: 40, goal: { atMost: 1 }, note: 'why' })];
  let said = '';
  report(rows, { title: 'a bench', jsonPath, write: text => (said += text) });
  expect(JSON.parse(readFileSync(jsonPath, 'utf8'))).toEqual(rows);
  rmSync(folder, { recursive: true });
  expect(said).toContain('- why\n');
  expect(said).toContain('1 of 2 goals met; missed: a pass (beside xdp-filter)\n');
});

describe('rounds', () => {
  test('let everyone run once a round, each round begun by another, and leave the warm-up out', async () => {
    const order: string[] = [];
    const contestant = (name: string) => ({ name, measure: () => order.push(name) });
    const taken = await inTurn([contestant('a'), contestant('b')], { rounds: 5, warmUps: 1 });
    expect(order.join('')).toBe('abbaabbaabba');
    expect(taken.a?.all).toEqual([4, 5, 8, 9, 12]);
    expect(taken.a).toMatchObject({ median: 8, lowest: 4, highest: 12 });
  });

  test('fewer than five are refused', async () => {
    await expect(inTurn([{ name: 'a', measure: () => 1 }], { rounds: 4 })).rejects.toThrow('at least 5');
  });

  test('a quantile lies between its neighbours', () => {
    expect([0, 0.5, 0.75, 1].map(at => quantile([3, 1, 2, 4], at))).toEqual([1, 2.5, 3.25, 4]);
    expect(quantile([], 0.5)).toBeNaN();
  });
});
