/** The rows of `strain`. */
import { availableParallelism, loadavg } from 'node:os';
import { quantile } from '../support/rounds.ts';
import { type BenchRow, figure } from '../support/rows.ts';
import type { PartDeps } from './contender.ts';
import { CALM_CONFIG } from './load-rows.ts';
import { ACT_MS, type StrainRound, startStrained, WINDOW_MS } from './strain.ts';

const SOURCES_A_ROUND = 60;
const GOALS = { delay: 10, drop: 5 } as const; // ms, p99

export async function strainRows({ clients, rounds }: PartDeps): Promise<readonly BenchRow[]> {
  const strained = await startStrained(CALM_CONFIG, clients);
  const taken: StrainRound[] = [];
  try {
    // The first round is a warm-up, and tells how many connections keep it busy for as long as the acts take.
    const first = await strained.round(sourcesOf(-1), 20_000);
    const connections = Math.ceil((first.load.answered / first.load.seconds) * SOURCES_A_ROUND * (ACT_MS / 1_000) * 1.2);
    for (let round = 0; round < rounds; round++) taken.push(await strained.round(sourcesOf(round), connections));
  } finally {
    await strained.remove();
  }
  const acts = taken.flatMap(round => round.acts);
  const reactionsMs = acts.map(({ actedNs, firstDroppedNs }) => (firstDroppedNs === null ? WINDOW_MS : (firstDroppedNs - actedNs) / 1e6));
  const loadNote = `${acts.length} acts under the load of "connections accepted"; who was still not dropped after ${WINDOW_MS} ms counts as ${WINDOW_MS} ms`;
  return [
    figure({
      what: 'under load: event-loop delay of the daemon, p99',
      unit: 'ms',
      ours: quantile(
        taken.map(({ delaysMs }) => delaysMs.p99),
        0.5,
      ),
      goal: { below: GOALS.delay },
      note: 'event-loop delay: how late a timer of 1 ms comes, by perf_hooks within the daemon, median of the rounds',
    }),
    figure({ what: 'under load: event-loop delay of the daemon, longest', unit: 'ms', ours: Math.max(...taken.map(({ delaysMs }) => delaysMs.longest)) }),
    figure({ what: 'under load: act in a trap to first dropped packet, p50', unit: 'ms', ours: quantile(reactionsMs, 0.5), note: loadNote }),
    figure({ what: 'under load: act in a trap to first dropped packet, p99', unit: 'ms', ours: quantile(reactionsMs, 0.99), goal: { below: GOALS.drop } }),
    figure({
      what: 'under load: connections answered meanwhile',
      unit: '/s',
      ours: quantile(
        taken.map(({ load }) => load.answered / load.seconds),
        0.5,
      ),
    }),
    figure({ what: 'load of the machine in the last minute, for each processor', unit: 'processes', ours: (loadavg()[0] ?? 0) / availableParallelism() }),
  ];
}

/** One in a /24 each round. */
const sourcesOf = (round: number): readonly string[] => Array.from({ length: SOURCES_A_ROUND }, (_, at) => `10.90.${at}.${round + 2}`);
