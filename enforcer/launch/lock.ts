/** One launcher for an instance: a file with the owner's process id and start time, made atomically; what a dead owner left is taken over. */
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoneyMeshError } from '../errors.ts';

export interface LockOwner {
  readonly pid: number;
  /** Start time in clock ticks since boot (/proc/PID/stat): a process id that was used again is another process. */
  readonly startTicks: string;
}

export interface Lock {
  release(): void;
}

const ATTEMPTS = 5;
export const lockPath = (runDirectory: string): string => join(runDirectory, 'launcher.lock');

/** Takes the lock of an instance, or says who has it (HM_ALREADY_RUNNING). */
export function takeLock(runDirectory: string, instance: string): Lock {
  const path = lockPath(runDirectory);
  const mine = `${path}.${process.pid}`;
  const content = `${process.pid} ${processState(process.pid)?.startTicks ?? ''}\n`;
  writeFileSync(mine, content, { mode: 0o644 });
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        linkSync(mine, path);
        return { release: () => releaseLock(path, content) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = lockOwner(runDirectory);
      if (owner !== undefined) {
        throw new HoneyMeshError('HM_ALREADY_RUNNING', `an enforcer of the instance "${instance}" runs already (process ${owner.pid})`, {
          fix: 'use it ("honeymesh status"), end it ("honeymesh stop"), or start another one with --instance NAME',
        });
      }
      takeAway(path, mine);
    }
  } finally {
    unlinkSync(mine);
  }
  throw new HoneyMeshError('HM_ALREADY_RUNNING', `others keep taking ${path}`, { fix: 'start one enforcer of this instance only' });
}

/** Who holds the lock and lives, or undefined. */
export function lockOwner(runDirectory: string): LockOwner | undefined {
  const [, pid, startTicks] = /^(\d{1,10}) (\d*)\n$/.exec(readOr(lockPath(runDirectory))) ?? [];
  if (pid === undefined || startTicks === undefined) return undefined;
  const state = processState(Number(pid));
  return state === undefined || state.startTicks !== startTicks ? undefined : { pid: Number(pid), startTicks };
}

/** A process that lives: a zombie does not, though `kill -0` says so where pid 1 does not reap. */
export function processState(pid: number): { readonly startTicks: string } | undefined {
  const stat = readOr(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name in parentheses may hold anything
  if (fields[0] === undefined || fields[0] === '' || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { startTicks: fields[19] ?? '' };
}

/** Moves a stale lock aside. What was moved is looked at again: if another starter was faster, its fresh lock is put back. */
function takeAway(path: string, mine: string): void {
  const aside = `${mine}.stale`;
  try {
    renameSync(path, aside);
    const [, pid, startTicks] = /^(\d{1,10}) (\d*)\n$/.exec(readOr(aside)) ?? [];
    if (pid !== undefined && processState(Number(pid))?.startTicks === startTicks) linkSync(aside, path);
    unlinkSync(aside);
  } catch {
    // gone in the meantime, or taken again: the next attempt sees
  }
}

function releaseLock(path: string, content: string): void {
  if (readOr(path) !== content) return; // not ours any more
  try {
    unlinkSync(path);
  } catch {
    // the folder went with it
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
