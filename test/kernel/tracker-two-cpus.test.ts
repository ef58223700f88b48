/** Trackers are shared by CPUs: receive-side scaling spreads one scan over all of them, and none of its ports may be lost or counted twice. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { BANKS, EVENT_KINDS, LAYOUTS } from '#enforcer/kernel/layouts.ts';
import { type KernelMap, kernelMap } from '#enforcer/kernel/maps.ts';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import { COUNTERS, VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { PARTS } from '#enforcer/launch/parts.ts';
import { encode, type Layouts } from '#test/support/oracle/kernel-state.ts';
import { emptyScenario, type Settings, usualSettings } from '#test/support/oracle/scenario.ts';
import type { CpuDone, CpuRound, CpuTask } from './tracker-cpu.ts';

const OWN = '198.51.100.1';
const nightly = process.env.HONEYMESH_NIGHTLY === '1';
const SCANS = nightly ? 1_000_000 : 100_000;
const ROUND = 8_000;
const PACE_MS = 1_100; // below the flood guard's rate, which counts by the second
const NEW_SOURCES_PER_SECOND = 10_000;
const GUARDED = VERDICTS.length * BANKS.length + COUNTERS.indexOf('guarded');
const EVENT = LAYOUTS.hm_event;

let maps: Record<string, KernelMap>;
let layouts: Layouts;
const events: Uint8Array[] = [];
let ring: { readonly drain: () => void; readonly stop: () => void };
let cpus: Worker[];

beforeAll(async () => {
  expect(availableParallelism(), 'two CPUs').toBeGreaterThanOrEqual(2);
  const native = addon();
  const loaded = native.load(PARTS.program, [], [], 0);
  if ('errno' in loaded) throw new Error(loaded.log);
  maps = Object.fromEntries(Object.entries(loaded.maps).map(([name, fd]) => [name, kernelMap(name, fd)]));
  const layout = (name: string) => mustHave(native.structLayout(PARTS.program, name), 'HM_MAP', name);
  layouts = {
    hm_ban: layout('hm_ban'),
    hm_rule: layout('hm_rule'),
    hm_tracker: layout('hm_tracker'),
    hm_shun: layout('hm_shun'),
    hm_flow: layout('hm_flow'),
    hm_config: layout('hm_config'),
    hm_guard: layout('hm_guard'),
  };
  const buffer = new Uint8Array(16_384 * EVENT.size);
  const keep = (count: number): void => {
    for (let at = 0; at < count; at++) events.push(buffer.slice(at * EVENT.size, (at + 1) * EVENT.size));
  };
  const started = mustHave(native.startRing([map('events_lo').fd], buffer, EVENT.size, keep), 'HM_MAP', 'the ring');
  ring = { drain: () => keep(started.drain()), stop: started.stop };
  const programFd = loaded.programs.find(({ type }) => type === 6)?.fd ?? -1;
  const steps = new SharedArrayBuffer(8);
  cpus = [0, 1].map(cpu => new Worker(new URL('./tracker-cpu.ts', import.meta.url), { workerData: { cpu, programFd, own: OWN, steps } satisfies CpuTask }));
  await Promise.all(cpus.map(worker => once(worker, 'message')));
  resetSteps = () => new Int32Array(steps).fill(0);
});

let resetSteps = (): unknown => undefined;

afterAll(async () => {
  ring?.stop();
  await Promise.all((cpus ?? []).map(worker => worker.terminate()));
  for (const opened of Object.values(maps ?? {})) opened.close();
});

const map = (name: string): KernelMap => {
  const found = maps[name];
  if (found === undefined) throw new Error(`no map ${name}`);
  return found;
};

function configure(settings: Partial<Settings>): void {
  const scenario = { ...emptyScenario, own: [OWN], settings: { ...usualSettings, synPerSecond: 0, newSourcesPerSecond: NEW_SOURCES_PER_SECOND, ...settings } };
  for (const [name, rows] of encode(scenario, process.hrtime.bigint(), layouts)) for (const { key, value } of rows) map(name).put(key, value);
}

function empty(name: string): void {
  const keys = [...map(name).entries()].map(([key]) => key.slice());
  map(name).removeMany(Uint8Array.from(keys.flatMap(key => [...key])));
}

beforeEach(() => {
  for (const name of ['trackers', 'shuns']) empty(name);
  ring.drain();
  events.length = 0;
});

/** How many shuns last longer than hm_guard says that any does: they would not be looked for. */
function overlooked(): number {
  const until = (value: Uint8Array): bigint => new DataView(value.buffer, value.byteOffset).getBigUint64(0, true);
  const guarded = until(map('guard').get(new Uint8Array(4)) ?? new Uint8Array(8));
  expect(guarded, 'kept at all').toBeGreaterThan(1n);
  return [...map('shuns').entries()].filter(([, value]) => until(value) > guarded).length;
}

/** Both CPUs at once. */
async function both(rounds: readonly [CpuRound, CpuRound]): Promise<CpuDone[]> {
  resetSteps();
  const done = cpus.map(worker => once(worker, 'message'));
  for (const [at, worker] of cpus.entries()) worker.postMessage(rounds[at]);
  return (await Promise.all(done)).map(([answer]) => answer as CpuDone);
}

const counter = (row: number): number => {
  const key = new Uint8Array(Uint32Array.of(row).buffer);
  const words = new BigUint64Array(map('stats').get(key)?.slice().buffer ?? new ArrayBuffer(0));
  return words.reduce((sum, value, at) => (at % 2 === 0 ? sum + Number(value) : sum), 0);
};

test(
  `${SCANS} three-port scans from two CPUs are all caught at the third port`,
  async () => {
    configure({ eventsPerSecond: 1_000 });
    let [caught, drops, together, missed] = [0, 0, 0, 0];
    for (let first = 0; first < SCANS; first += ROUND) {
      const pace = sleep(PACE_MS);
      const sources = Math.min(ROUND, SCANS - first);
      // Two ports from the one CPU, the third from the other, and the other way round for the next source.
      const done = await both([
        { first, sources, ports: [[21, 23], [25]] },
        { first, sources, ports: [[25], [21, 23]] },
      ]);
      for (const one of done) {
        drops += one.drops;
        together += one.together;
      }
      caught += [...map('shuns').entries()].length;
      missed += overlooked();
      empty('shuns');
      await pace;
    }
    expect(counter(GUARDED)).toBe(0);
    expect(caught).toBe(SCANS);
    expect(missed).toBe(0);
    // The packet that brings the third port is dropped itself; one that another CPU was just about to pass may be dropped with it.
    expect(drops).toBeGreaterThanOrEqual(SCANS);
    expect(drops).toBeLessThanOrEqual(SCANS * 2);
    expect(together, 'sources that both CPUs sent at the same time').toBeGreaterThan(0);
  },
  SCANS * 0.5 + 10_000,
);

test('two ports that both CPUs send at the same time are two ports', async () => {
  configure({ eventsPerSecond: 1_000, newSourcesPerSecond: 0 });
  const round: CpuRound = {
    first: 2_000_000,
    sources: ROUND,
    ports: [
      [21, 23, 21, 23],
      [23, 21, 23, 21],
    ],
  };
  const done = await both([round, { ...round, ports: [round.ports[1], round.ports[0]] }]);
  expect(done.map(({ drops }) => drops)).toEqual([0, 0]);
  expect(map('shuns').isEmpty()).toBe(true);
});

test('the crossing of a threshold is told by exactly one CPU', async () => {
  configure({ eventsPerSecond: 0, newSourcesPerSecond: 0 });
  const sources = 4_000;
  const first = 3_000_000;
  const idle: CpuRound = { first, sources, ports: [[], []] };
  await both([
    {
      ...idle,
      ports: [
        [21, 23],
        [21, 23],
      ],
    },
    idle,
  ]);
  ring.drain();
  events.length = 0;
  // Both bring a third port at the same time: both may see three.
  const done = await both([
    { ...idle, ports: [[25], [25]] },
    { ...idle, ports: [[27], [27]] },
  ]);
  const drops = done.reduce((sum, one) => sum + one.drops, 0);
  expect(drops).toBeGreaterThanOrEqual(sources);
  const told = new Map<string, number>();
  ring.drain();
  const [[sourceAt], [kindAt]] = [EVENT.fields.source, EVENT.fields.kind];
  for (const record of events.filter(bytes => bytes[kindAt] === EVENT_KINDS.scan)) {
    const source = Buffer.from(record.subarray(sourceAt, sourceAt + 16)).toString('hex');
    told.set(source, (told.get(source) ?? 0) + 1);
  }
  expect(told.size).toBe(sources);
  expect([...told.values()].filter(times => times !== 1)).toEqual([]);
  expect(overlooked()).toBe(0);
});

test('a rate that two CPUs share loses no packet', async () => {
  configure({ eventsPerSecond: 0, synPerSecond: 1_000_000, newSourcesPerSecond: 0 });
  const [calls, repeat] = [30, 1_000];
  const round: CpuRound = { first: 4_000_000, sources: 1, ports: [Array.from({ length: calls }, () => 21), []], repeat };
  const startMs = process.hrtime.bigint() / 1_000_000n;
  await both([round, round]);
  const [entry] = [...map('trackers').entries()];
  const window = new BigUint64Array(entry?.[1].slice().buffer ?? new ArrayBuffer(LAYOUTS.hm_tracker.size))[0] ?? 0n;
  // A machine so busy that this takes a second starts another window.
  if (process.hrtime.bigint() / 1_000_000n - startMs < 900n) expect(Number(window & 0xff_ffffn)).toBe(2 * calls * repeat);
  expect(Number(window >> 24n)).toBeGreaterThan(0);
});
