/**
 * What the hub passed on, on its way to the daemon: judged a few envelopes at a time, handed over in batches as the daemon takes them. What an advisory's
 * number says was had is kept only when all of it was taken, so that a crash asks for it again.
 */
import { setImmediate as nextRound } from 'node:timers/promises';
import type { SignedAdvisory } from '@honeymesh/intel/hub-advisory';
import type { UnixMs } from '@honeymesh/intel/time';
import type { LedgerInput } from '../ledger/decisions.ts';
import type { Judge } from './judge.ts';
import type { HubHead } from './numbering.ts';

export interface Pump {
  /** Whether there is room for another advisory: without, it counts as lost on the way, and is asked for later. */
  readonly hasRoom: boolean;
  add(advisory: SignedAdvisory, head: HubHead | null): void;
  /** The daemon took a batch. */
  took(): void;
  /** Judges from now on by this one: trust has changed. */
  judgeBy(judge: Judge): void;
}

export interface PumpDeps {
  readonly hand: (inputs: readonly LedgerInput[]) => void;
  readonly refused: (why: string) => void;
  readonly keepHead: (head: HubHead) => void;
  readonly now: () => UnixMs;
}

interface Job {
  readonly advisory: SignedAdvisory;
  readonly head: HubHead | null;
}

export const INPUTS_AT_ONCE = 128;
/** Batches that the daemon has not taken yet. */
const BATCHES_AHEAD = 2;
const MOST_JOBS = 256;
/** Of envelopes, all waiting ones together: two full snapshots. */
const MOST_BYTES = 32 * 1_048_576;
/** A signature check takes a tenth of a millisecond. */
const ENVELOPES_AT_ONCE = 64;

export function createPump(first: Judge, { hand, refused, keepHead, now }: PumpDeps): Pump {
  let judge = first;
  const jobs: Job[] = [];
  let bytes = 0;
  let ahead = 0;
  let room: (() => void) | null = null;
  let busy = false;

  const sizeOf = ({ advisory }: Job): number => advisory.unsigned.length;

  async function hasTaken(most: number): Promise<void> {
    while (ahead > most)
      await new Promise<void>(resolve => {
        room = resolve;
      });
  }

  async function handOver(inputs: readonly LedgerInput[]): Promise<void> {
    for (let at = 0; at < inputs.length; at += INPUTS_AT_ONCE) {
      await hasTaken(BATCHES_AHEAD - 1);
      ahead++;
      hand(inputs.slice(at, at + INPUTS_AT_ONCE));
    }
  }

  async function work({ advisory, head }: Job): Promise<void> {
    judge.learn(advisory.certificates, now());
    for (let at = 0; at < advisory.envelopes.length; at += ENVELOPES_AT_ONCE) {
      const judged = advisory.envelopes.slice(at, at + ENVELOPES_AT_ONCE).map(envelope => judge.judge(envelope, now()));
      for (const one of judged) if (one.refused !== null) refused(`envelope: ${one.refused}`);
      await handOver(judged.flatMap(({ inputs }) => inputs));
      await nextRound();
    }
    if (head === null) return;
    await hasTaken(0);
    keepHead(head);
  }

  async function run(): Promise<void> {
    if (busy) return;
    busy = true;
    for (let job = jobs[0]; job !== undefined; job = jobs[0]) {
      await work(job);
      jobs.shift();
      bytes -= sizeOf(job);
    }
    busy = false;
  }

  return {
    get hasRoom() {
      return jobs.length < MOST_JOBS && bytes < MOST_BYTES;
    },
    add(advisory, head) {
      const job = { advisory, head };
      jobs.push(job);
      bytes += sizeOf(job);
      void run();
    },
    took() {
      ahead = Math.max(0, ahead - 1);
      const wake = room;
      room = null;
      wake?.();
    },
    judgeBy(next) {
      judge = next;
    },
  };
}
