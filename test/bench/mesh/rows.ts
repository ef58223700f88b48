/** What the lives of meshes come to, as rows: ours beside Go's where there is one. */
import { quantile } from '../support/rounds.ts';
import { type BenchRow, compared, figure, type Goal, withoutPeer } from '../support/rows.ts';
import type { Life } from './life.ts';

/** A peer that was measured, or why not. */
export type Beside = { readonly name: string; readonly lives: readonly Life[] } | { readonly name: string; readonly why: string };

export interface Lives {
  /** What the rows begin with; empty for the plain variant. */
  readonly title: string;
  readonly nodes: number;
  readonly ours: readonly Life[];
  readonly peer: Beside;
  /** Whether the design sets goals for this variant. */
  readonly judged: boolean;
}

interface Measure {
  readonly what: string;
  readonly unit: string;
  /** One value a life; its rows show the median. `null`: that life did not come to it. */
  readonly of: (life: Life) => number | null;
  /** Of ours / peer. */
  readonly ratio?: Goal;
  /** Of ours, in the unit. */
  readonly own?: Goal;
  /** The sum over all lives, not the median: for what must never happen. */
  readonly sum?: boolean;
  readonly note?: string;
}

const medianOf = <T>(values: readonly T[], of: (value: T) => number): number | null => (values.length === 0 ? null : quantile(values.map(of), 0.5));
const sumOf = <T>(values: readonly T[], of: (value: T) => number): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + of(value), 0);

const EIGHTH = 1 / 8;
const QUARTER = 1 / 4;

function measures(others: number): readonly Measure[] {
  return [
    { what: 'a ban on every node: p50', unit: 'ms', of: life => medianOf(life.spreads, ({ p50Ms }) => p50Ms), ratio: { atMost: EIGHTH } },
    { what: `a ban on every node: the last of ${others}`, unit: 'ms', of: life => medianOf(life.spreads, ({ lastMs }) => lastMs), ratio: { atMost: QUARTER } },
    {
      what: 'a ban on every node: the slowest of all bans',
      unit: 'ms',
      of: life => (life.spreads.length === 0 ? null : Math.max(...life.spreads.map(({ lastMs }) => lastMs))),
    },
    { what: 'bans missed, no loss', unit: 'misses', of: life => sumOf(life.spreads, ({ missed }) => missed), own: { atMost: 0 }, sum: true },
    { what: 'a lift on every node: p50', unit: 'ms', of: life => medianOf(life.lifts, ({ p50Ms }) => p50Ms) },
    { what: `a lift on every node: the last of ${others}`, unit: 'ms', of: life => medianOf(life.lifts, ({ lastMs }) => lastMs) },
    { what: 'lifts missed, no loss', unit: 'misses', of: life => sumOf(life.lifts, ({ missed }) => missed), own: { atMost: 0 }, sum: true },
    { what: 'sent by a node for a ban', unit: 'packets', of: life => life.perBroadcast?.packets ?? null },
    { what: 'sent by a node for a ban', unit: 'bytes', of: life => life.perBroadcast?.bytes ?? null },
    { what: 'processor time of a node for a ban', unit: 'ms', of: life => life.perBroadcast?.cpuMs ?? null },
    { what: 'a ban at 25 % loss: p50', unit: 'ms', of: life => medianOf(life.lossy, ({ p50Ms }) => p50Ms) },
    { what: `a ban at 25 % loss: the last of ${others}`, unit: 'ms', of: life => medianOf(life.lossy, ({ lastMs }) => lastMs) },
    {
      what: 'bans missed at 25 % loss, after one push/pull',
      unit: 'misses',
      of: life => sumOf(life.lossy, ({ missed }) => missed),
      own: { atMost: 0 },
      sum: true,
    },
    { what: 'idle: sent by a node', unit: 'packets/s', of: life => life.idle?.packets ?? null, own: { atMost: 2.1 } },
    { what: 'idle: sent by a node', unit: 'bytes/s', of: life => life.idle?.bytes ?? null, own: { atMost: 200 } },
    { what: 'idle: processor time of a node', unit: 'ms/s', of: life => life.idle?.cpuMs ?? null },
    { what: 'killed: the first suspects it', unit: 'ms', of: life => medianOf(life.deaths, ({ suspectedMs }) => suspectedMs), ratio: { atMost: 1 } },
    { what: 'killed: dead for all', unit: 'ms', of: life => medianOf(life.deaths, ({ allDeadMs }) => allDeadMs), ratio: { atMost: 1 } },
    { what: 'memory of a node, RSS', unit: 'MiB', of: life => life.memory.rss },
    { what: 'memory of a node, PSS', unit: 'MiB', of: life => life.memory.pss, note: 'PSS: pages that several processes share are divided among them' },
    { what: 'start: all processes are ready', unit: 's', of: life => life.startS },
    { what: 'start: processor time of a node until it is ready', unit: 'ms', of: life => life.startCpuMs },
    { what: 'start: each sees all, from the first join', unit: 's', of: life => life.viewS },
  ];
}

/** Rows of what was measured at all. */
export function rowsOfLives({ title, nodes, ours, peer, judged }: Lives): readonly BenchRow[] {
  return measures(nodes - 1).flatMap(measure => {
    const value = over(ours, measure);
    if (value === null) return [];
    const what = `${title}${measure.what}`;
    const goals = judged ? measure : { ...measure, ratio: undefined, own: undefined };
    return [row({ ...goals, what }, value, 'why' in peer ? peer : { name: peer.name, value: over(peer.lives, measure) })];
  });
}

function over(lives: readonly Life[], { of, sum }: Measure): number | null {
  const values = lives.flatMap(life => of(life) ?? []);
  if (values.length === 0) return null;
  return sum === true ? values.reduce((total, value) => total + value, 0) : quantile(values, 0.5);
}

type PeerValue = { readonly name: string; readonly why: string } | { readonly name: string; readonly value: number | null };
type Judged = { readonly what: string; readonly unit: string; readonly ratio?: Goal | undefined; readonly own?: Goal | undefined; readonly note?: string };

/** A goal of our own stands beside a peer's figure too: the peer's says what is usual. */
export function row({ what, unit, ratio, own, note }: Judged, ours: number, peer: PeerValue): BenchRow {
  if ('why' in peer || peer.value === null) return withoutPeer({ what, unit, ours, peerName: peer.name, why: 'why' in peer ? peer.why : 'not measured' });
  const beside = compared({
    what,
    unit,
    ours,
    peer: peer.value,
    peerName: peer.name,
    ...(ratio === undefined ? {} : { goal: ratio }),
    ...(note === undefined ? {} : { note }),
  });
  if (own === undefined) return beside;
  const { goal, met } = figure({ what, unit, ours, goal: own });
  return { ...beside, goal, met };
}
