/**
 * The property: for random scenarios and frames the kernel decides what the oracle decides. One line of JSON at the end.
 *   run-random.ts FRAMES SEED [FLAW]
 */
import { setTimeout as wait } from 'node:timers/promises';
import { compare, report } from './compare.ts';
import { FLAWS } from './flaws.ts';
import { setUpNamespace } from './in-namespace.ts';
import { createKernelSide } from './kernel-side.ts';
import { createRandom } from './random.ts';
import { randomSequence, shapes } from './random-frames.ts';
import { OLDEST_NS, randomScenario } from './random-scenarios.ts';
import { openRealSockets } from './real-sockets.ts';

export interface RandomOutcome {
  readonly frames: number;
  readonly scenarios: number;
  readonly verdicts: Readonly<Record<string, number>>;
  /** The first difference, shrunk; null: none. */
  readonly difference: string | null;
}

const FRAMES_A_SEQUENCE = 100;
const SHAPES_EVERY = 50; // sequences: the fixed shapes and truncations come again under another scenario

async function main(frames: number, seed: number, flawName: string | undefined): Promise<RandomOutcome> {
  setUpNamespace();
  const upNs = process.hrtime.bigint();
  if (upNs < OLDEST_NS) await wait(Number((OLDEST_NS - upNs) / 1_000_000n));
  const { sockets, ports, close } = await openRealSockets();
  const kernel = createKernelSide(ports);
  const flaw = flawName === undefined ? undefined : FLAWS[flawName];
  if (flawName !== undefined && flaw === undefined) throw new Error(`no flaw "${flawName}"`);
  const contest = { kernel, sockets, ...(flaw === undefined ? {} : { flaw }) };
  const verdicts: Record<string, number> = {};
  const count = (verdict: string): void => {
    verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
  };
  let judged = 0;
  let scenarios = 0;
  let difference: string | null = null;
  for (; judged < frames && difference === null; scenarios++) {
    const random = createRandom(seed + scenarios);
    const scenario = randomScenario(random);
    const sequence = scenarios % SHAPES_EVERY === 0 ? shapes() : randomSequence(random, FRAMES_A_SEQUENCE);
    const found = compare(contest, scenario, sequence, count);
    if (found !== undefined) difference = `seed ${seed + scenarios}: ${report(contest, scenario, sequence, found)}`;
    judged += sequence.length;
  }
  kernel.close();
  close();
  return { frames: judged, scenarios, verdicts, difference };
}

const [frames = '10000', seed = '1', flaw] = process.argv.slice(2);
console.log(JSON.stringify(await main(Number(frames), Number(seed), flaw)));
