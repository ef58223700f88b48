/** From what was measured to the rows of kernel.md's "Numbers to reach": which figure stands against which, and the goals. */
import { type BenchRow, compared, figure, type Goal, withoutPeer } from '#test/bench/support/rows.ts';
import type { Figures } from './measure.ts';

export interface Peers {
  readonly xdpFilter: string;
  /** Null where it is there. */
  readonly whyNoXdpFilter: string | null;
  readonly nft: string;
  readonly whyNoNft: string | null;
}

const CONFINED = 'confined, one source: no peer has it; data of an open connection, and a SYN that the tracker knows';
const SENDER = 'live: the sender is BPF_PROG_TEST_RUN with live frames in batches of 64, XDP_TX into a veth pair; sender and receiver share one core';
const TURN =
  'in turn: a program in front gives each packet the next of 10,000 sources and tail-calls what is measured (about 1 ns, in all figures of such rows)';
const ONE = 'one source: everything it needs is in the first cache; shown beside, the goals are for sources in turn';
const LESS = "receive side: ns of all less that of the floor in native mode, which is the sender's own";
const SKB = 'generic and nft: the receiving end turns each frame into an skb (GRO on, by ethtool: not measured where that is not installed)';

interface Versus {
  readonly what: string;
  readonly unit: string;
  readonly ours: number | undefined;
  readonly peer: number | undefined;
  readonly peerName: string;
  readonly why: string | null;
  readonly goal?: Goal;
  readonly note: string;
}

function versus({ what, unit, ours, peer, peerName, why, goal, note }: Versus): BenchRow {
  if (ours === undefined || peer === undefined) return withoutPeer({ what, unit, ours: ours ?? null, peerName, why: why ?? 'not measured' });
  return compared({ what, unit, ours, peer, peerName, note, ...(goal === undefined ? {} : { goal }) });
}

/** All rows, in the order of kernel.md. */
export function rowsOf({ testRuns, live, memory }: Figures, peers: Peers): readonly BenchRow[] {
  const run = (name: string): number | undefined => testRuns[name]?.median;
  const liveNs = (name: string): number | undefined => live[name]?.median;
  const pps = (name: string): number | undefined => of(liveNs(name), ns => 1000 / ns);
  const receiving = (name: string): number | undefined => of(liveNs(name), ns => ns - (liveNs('native/floor') ?? Number.NaN));
  const xdpFilter = (set: string) => ({ peerName: `${peers.xdpFilter}, ${set}`, why: peers.whyNoXdpFilter });
  const nft = { peerName: `${peers.nft} set, prerouting raw`, why: peers.whyNoNft };

  const test = (what: string, kind: string, peer: 'ipOnly' | 'allFeatures', goal: Goal): readonly BenchRow[] => {
    const name = xdpFilter(peer === 'ipOnly' ? 'IP only' : 'all features');
    const row = (sources: 'turn' | 'one') => ({ unit: 'ns', ours: run(`ours/${kind}/${sources}`), peer: run(`${peer}/${kind}/${sources}`), ...name });
    return [
      versus({ ...row('turn'), what: `test run: ${what}, in turn`, goal, note: TURN }),
      versus({ ...row('one'), what: `test run: ${what}, one source`, note: ONE }),
    ];
  };
  const rate = (mode: 'native' | 'generic', atLeastNft: number): readonly BenchRow[] => {
    const row = { what: `live, ${mode} XDP: banned`, unit: 'Mpps', ours: pps(`${mode}/ours`), note: mode === 'native' ? SENDER : SKB };
    return [
      versus({ ...row, peer: pps(`${mode}/ipOnly`), ...xdpFilter('IP only'), goal: { atLeast: 0.97 } }),
      versus({ ...row, peer: pps('nft'), ...nft, goal: { atLeast: atLeastNft } }),
    ];
  };
  const cost = (mode: 'native' | 'generic', atMost: number): BenchRow =>
    versus({
      what: `receive side, ${mode} XDP: banned`,
      unit: 'ns',
      ours: receiving(`${mode}/ours`),
      peer: receiving('nft'),
      ...nft,
      goal: { atMost },
      note: LESS,
    });
  const alone = (what: string, unit: string, ours: number | undefined, note: string): BenchRow => figure({ what, unit, ours: ours ?? null, note });

  return [
    ...test('banned', 'banned', 'ipOnly', { atMost: 1 }),
    ...test('clean data segment', 'data', 'allFeatures', { atMost: 1 }),
    ...test('clean SYN, closed port, tracker', 'syn', 'allFeatures', { atMost: 2 }),
    alone('test run: first SYN of a new source', 'ns', run('ours/new/turn'), TURN),
    alone('test run: confined, data to a trap', 'ns', run('ours/confined/trapData'), CONFINED),
    alone('test run: confined, SYN to a trap', 'ns', run('ours/confined/trapSyn'), CONFINED),
    alone('test run: confined, dropped', 'ns', run('ours/confined/serviceData'), CONFINED),
    alone('test run: floor, in turn', 'ns', run('floor/banned/turn'), TURN),
    ...rate('native', 1.5),
    ...rate('generic', 1.15),
    alone('live, native XDP: floor', 'Mpps', pps('native/floor'), SENDER),
    alone('live, generic XDP: floor', 'Mpps', pps('generic/floor'), SKB),
    cost('native', 0.1),
    cost('generic', 0.7),
    versus({
      what: 'memory of all maps, default sizes',
      unit: 'MiB',
      ours: memory.ours / MIB,
      peer: of(memory.allFeatures ?? undefined, bytes => bytes / MIB),
      ...xdpFilter('all features'),
      note: 'memory: ours has room for 65,536 bans a family and for trackers, shuns, proven sources and events, xdp-filter for 10,000 addresses of each kind',
    }),
  ];
}

const MIB = 1024 * 1024;

const of = (value: number | undefined, change: (value: number) => number): number | undefined => (value === undefined ? undefined : change(value));
