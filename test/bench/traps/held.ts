/** Many trap sessions held at once: how long until all are open, and what memory they take while nobody says anything. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clients, Talk } from './clients.ts';
import type { Contender } from './contender.ts';
import { residentKib } from './processes.ts';
import { ALLOWED } from './wire.ts';

export interface HeldRound {
  /** From the first SYN until all had their greeting, or had said what they would say. */
  readonly openSeconds: number;
  /** Of all processes together, the most that was seen while they were held, MiB (1,048,576 bytes). */
  readonly moreMib: number;
  /** Sessions that were not opened, or ended before the time was over. */
  readonly missing: number;
}

export interface HeldOptions {
  readonly sessions: number;
  readonly say: readonly string[];
  readonly holdMs: number;
}

const SOURCES = { base: ALLOWED.base, count: 400 } as const;
const WARM_UP = 400;
const SETTLE_MS = 1_500;
const LOOK_MS = 500;
const PATIENCE_MS = 60_000;

/** Protocols that a client may be silent to for long: by greeting, by half a request, by nothing. */
export const OUR_SAY: readonly string[] = [
  ...['user:21', 'first:22', 'first:23', 'first:25', 'first:110', 'first:143', 'first:3306', 'first:5900', 'first:587', 'first:2121'],
  ...['part:80', 'part:8080', 'part:9200', 'part:2375', 'part:8001', 'part:3128', 'part:8081'],
  ...[
    'idle:443',
    'idle:445',
    'idle:389',
    'idle:1433',
    'idle:1883',
    'idle:3389',
    'idle:5432',
    'idle:5555',
    'idle:6379',
    'idle:27017',
    'idle:11211',
    'idle:9418',
  ],
];
/** Its telnet stops at 64 and its redis at 128; both end idle ones. */
export const OPENCANARY_SAY: readonly string[] = ['user:21', 'first:22', 'part:80', 'first:3306', 'idle:1433', 'first:5000'];
export const BARE_SAY: readonly string[] = ['user:21', 'first:22', 'part:80', 'idle:6379'];

/** One round, of a contender that has just been started and has had a few sessions already. */
export async function hold(contender: Contender, clients: Clients, { sessions, say, holdMs }: HeldOptions): Promise<HeldRound> {
  const talk: Talk = { sources: SOURCES, say, connections: sessions, atOnce: 512, patienceMs: PATIENCE_MS };
  await clients.hold(contender.clients, { ...talk, connections: WARM_UP, holdMs: 0 }, () => {});
  await sleep(SETTLE_MS);
  const pids = Object.values(contender.pids());
  const before = residentKib(pids);
  let most = before;
  const look = setInterval(() => {
    most = Math.max(most, residentKib(pids));
  }, LOOK_MS);
  try {
    let openSeconds = Number.NaN;
    const held = await clients.hold(contender.clients, { ...talk, holdMs }, open => {
      openSeconds = open.seconds;
    });
    return { openSeconds, moreMib: (most - before) / 1_024, missing: sessions - held.answered + held.lost };
  } finally {
    clearInterval(look);
  }
}
