/**
 * One CPU's half of the scans in tracker-two-cpus.test.ts: a worker thread, pinned, that sends its ports of each source through PROG_TEST_RUN in
 * step with the other CPU's, so that both are in the same tracker at the same time.
 */
import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { addon } from '#enforcer/kernel/native.ts';
import { ethernet, ipv4, tcp } from '#test/support/frames/frames.ts';

export interface CpuTask {
  readonly cpu: number;
  readonly programFd: number;
  /** The address that is scanned. */
  readonly own: string;
  /** Two counters, one a CPU: how many sources it has begun with. */
  readonly steps: SharedArrayBuffer;
}

export interface CpuRound {
  /** Sources 10.x.y.z counted from here. */
  readonly first: number;
  readonly sources: number;
  /** The ports that this CPU sends for the source of an even and of an odd number. */
  readonly ports: readonly [even: readonly number[], odd: readonly number[]];
  /** How often each packet is sent, within one system call. */
  readonly repeat?: number;
}

export interface CpuDone {
  /** By XDP action: 1 drop, 2 pass. */
  readonly drops: number;
  /** Of how many sources the other CPU was there in the same instant. */
  readonly together: number;
}

const SPINS = 2_000;
const LONGEST_WAIT_MS = 20;
const SOURCE_AT = 26;
const PORT_AT = 36;

const { cpu, programFd, own, steps } = workerData as CpuTask;
const counters = new Int32Array(steps);
const native = addon();

function pin(): void {
  const tid = readlinkSync('/proc/thread-self').split('/').at(-1) ?? '';
  const ran = spawnSync('taskset', ['-cp', String(cpu), tid], { encoding: 'utf8', timeout: 10_000 });
  if (ran.status !== 0) throw new Error(`taskset: ${ran.stderr}`);
}

/** Waits for the other CPU, first by looking, so that both go on at the same instant; then asleep, as it may not be running just now. */
function meet(step: number): boolean {
  Atomics.store(counters, cpu, step);
  Atomics.notify(counters, cpu);
  for (let spin = 0; spin < SPINS; spin++) if (Atomics.load(counters, 1 - cpu) >= step) return true;
  const there = Atomics.load(counters, 1 - cpu);
  if (there < step) Atomics.wait(counters, 1 - cpu, there, LONGEST_WAIT_MS);
  return false;
}

function run({ first, sources, ports, repeat = 1 }: CpuRound): CpuDone {
  const frame = ethernet(ipv4({ from: '10.0.0.1', to: own }, tcp({ to: 1 })));
  let drops = 0;
  let together = 0;
  for (let at = 0; at < sources; at++) {
    const number = first + at;
    frame.set([10, (number >> 16) & 0xff, (number >> 8) & 0xff, number & 0xff], SOURCE_AT);
    if (meet(at + 1)) together++;
    for (const port of ports[number & 1] ?? []) {
      frame.set([port >> 8, port & 0xff], PORT_AT);
      const { errno, retval } = native.testRun(programFd, frame, null, null, null, repeat, 0, 0);
      if (errno !== 0) throw new Error(`PROG_TEST_RUN: ${errno}`);
      if (retval === 1) drops++;
    }
  }
  return { drops, together };
}

pin();
parentPort?.on('message', (round: CpuRound) => parentPort?.postMessage(run(round)));
parentPort?.postMessage('ready');
