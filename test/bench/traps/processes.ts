/** What processes cost, as the kernel counts it. */
import { readdirSync, readFileSync } from 'node:fs';
import { childrenOf } from '#test/support/enforcer.ts';

/** A process and all below it. */
export function treeOf(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** Resident memory of all of them, KiB: pages that they share count for each. */
export function residentKib(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(/^VmRSS:\s+(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0), 0);
}

/** Time on a processor by all threads of a process that live, microseconds. */
export function processorUs(pid: number): number {
  return threadsOf(pid).reduce((sum, { us }) => sum + us, 0);
}

/** By thread, with its name: where in a process the time goes. */
export function threadsOf(pid: number): readonly { readonly name: string; readonly us: number }[] {
  return entriesOf(`/proc/${pid}/task`).map(thread => ({
    name: textOf(`/proc/${pid}/task/${thread}/comm`).trim(),
    us: Number(textOf(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] ?? 0) / 1_000,
  }));
}

export const commandLineOf = (pid: number): string => textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');

/** Empty where the process has ended in the meantime. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function entriesOf(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
