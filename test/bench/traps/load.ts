/** Connections accepted, answered and logged a second: the same mix against each contender. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clients, Counted, Talk } from './clients.ts';
import { type Contender, MIX } from './contender.ts';
import { processorUs } from './processes.ts';
import { ALLOWED } from './wire.ts';

export interface LoadRound {
  /** Answered connections a second, from the first SYN until all were answered and the last row stood in the log. */
  readonly rate: number;
  readonly counted: Counted;
  /** How long the log grew after the last answer. */
  readonly lateMs: number;
  /** Processor time a connection, microseconds, by process. */
  readonly costUs: Readonly<Record<string, number>>;
}

/** Of all processes together. */
export const processorTime = ({ costUs }: LoadRound): number => Object.values(costUs).reduce((sum, us) => sum + us, 0);

/** 256 sources of the allow-list. */
export const calmTalk: Talk = { sources: { base: ALLOWED.base, count: 256 }, say: MIX, connections: 20_000, atOnce: 64, patienceMs: 5_000 };

const LOOK_MS = 25;
const QUIET_MS = 1_500;
const GIVE_UP_MS = 30_000;

/** One round. Over when the log has not grown for a second and a half after the last answer, which is not counted. */
export async function load(contender: Contender, clients: Clients, talk: Talk): Promise<LoadRound> {
  const pids = Object.entries(contender.pids());
  const usBefore = pids.map(([, pid]) => processorUs(pid));
  let size = await contender.logSize();
  const counted = await clients.talk(contender.clients, talk);
  const overMs = performance.now();
  let grewMs = overMs;
  for (let nowMs = overMs; nowMs - grewMs < QUIET_MS && nowMs - overMs < GIVE_UP_MS; nowMs = performance.now()) {
    const grown = await contender.logSize();
    if (grown > size) grewMs = performance.now();
    size = grown;
    await sleep(LOOK_MS);
  }
  const lateMs = Math.max(0, grewMs - overMs);
  const costUs = Object.fromEntries(pids.map(([what, pid], at) => [what, (processorUs(pid) - (usBefore[at] ?? 0)) / counted.begun]));
  return { rate: counted.answered / (counted.seconds + lateMs / 1_000), counted, lateMs, costUs };
}
