import { describe, expect, test } from 'vitest';
import { type Peers, rowsOf } from '#test/bench/kernel/figures.ts';
import type { Figures } from '#test/bench/kernel/measure.ts';
import { summed } from '#test/bench/support/rounds.ts';

const everyone: Peers = { xdpFilter: 'xdp-filter 1.3.1', whyNoXdpFilter: null, nft: 'nft 1.0.6', whyNoNft: null };

const ns = (values: Record<string, number>) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, summed([value])]));

const whole: Figures = {
  testRuns: ns({
    'floor/banned/turn': 6,
    'ours/banned/turn': 30,
    'ours/banned/one': 20,
    'ours/data/turn': 36,
    'ours/data/one': 28,
    'ours/syn/turn': 100,
    'ours/syn/one': 64,
    'ours/new/turn': 550,
    'ipOnly/banned/turn': 30,
    'ipOnly/banned/one': 18,
    'allFeatures/data/turn': 46,
    'allFeatures/data/one': 31,
    'allFeatures/syn/turn': 47,
    'allFeatures/syn/one': 31,
  }),
  live: ns({ 'native/floor': 44, 'native/ours': 71, 'native/ipOnly': 72, 'generic/floor': 108, 'generic/ours': 140, 'generic/ipOnly': 140, nft: 168 }),
  memory: { ours: 50 * 1024 * 1024, ipOnly: 2 * 1024 * 1024, allFeatures: 5 * 1024 * 1024 },
};

const judged = (figures: Figures, peers = everyone) =>
  rowsOf(figures, peers)
    .filter(row => row.goal !== null)
    .map(row => [row.what, row.peerName, row.goal, row.met]);

describe('the rows of the kernel bench', () => {
  test('carry the goals of the design, each beside its peer', () => {
    expect(judged(whole)).toEqual([
      ['test run: banned, in turn', 'xdp-filter 1.3.1, IP only', '<= 1 x peer', true],
      ['test run: clean data segment, in turn', 'xdp-filter 1.3.1, all features', '<= 1 x peer', true],
      ['test run: clean SYN, closed port, tracker, in turn', 'xdp-filter 1.3.1, all features', '<= 2 x peer', false],
      ['live, native XDP: banned', 'xdp-filter 1.3.1, IP only', '>= 0.97 x peer', true],
      ['live, native XDP: banned', 'nft 1.0.6 set, prerouting raw', '>= 1.5 x peer', true],
      ['live, generic XDP: banned', 'xdp-filter 1.3.1, IP only', '>= 0.97 x peer', true],
      ['live, generic XDP: banned', 'nft 1.0.6 set, prerouting raw', '>= 1.15 x peer', true],
      ['receive side, native XDP: banned', 'nft 1.0.6 set, prerouting raw', '<= 0.1 x peer', false],
      ['receive side, generic XDP: banned', 'nft 1.0.6 set, prerouting raw', '<= 0.7 x peer', false],
    ]);
  });

  test('take the sender out of the receive side, and turn ns into packets a second', () => {
    const rows = rowsOf(whole, everyone);
    expect(rows.find(row => row.what === 'receive side, native XDP: banned')).toMatchObject({ ours: 27, peer: 124 });
    expect(rows.find(row => row.what === 'live, native XDP: floor')?.ours).toBeCloseTo(22.7, 1);
  });

  test('are as many where no peer is installed, and say so', () => {
    const alone: Figures = {
      testRuns: Object.fromEntries(Object.entries(whole.testRuns).filter(([name]) => /^(ours|floor)/.test(name))),
      live: Object.fromEntries(Object.entries(whole.live).filter(([name]) => /^native\/(ours|floor)/.test(name))),
      memory: { ours: whole.memory.ours, ipOnly: null, allFeatures: null },
    };
    const peers: Peers = { xdpFilter: 'xdp-filter', whyNoXdpFilter: 'not installed', nft: 'nft', whyNoNft: 'not installed' };
    const rows = rowsOf(alone, peers);
    expect(rows.map(row => row.what)).toEqual(rowsOf(whole, everyone).map(row => row.what));
    expect(judged(alone, peers)).toEqual([]);
    expect(rows.filter(row => row.peerName !== null).every(row => row.peer === null && row.ratio === null && row.met === null)).toBe(true);
    expect(rows.filter(row => row.peerName !== null).every(row => row.note?.endsWith('not installed'))).toBe(true);
  });
});
