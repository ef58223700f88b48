/**
 * The time that this process was awake. One that was stopped (SIGSTOP, a starved machine, a snapshot) finds all its deadlines passed and the answers
 * unread in its sockets: judged by the wall it would declare half the mesh dead. What it slept through counts for nothing, nor for its own timers.
 */
export interface AwakeClock {
  /** Inner time at the driver's `outsideMs`; never goes back. `nextMs`: the first deadline, in inner time. */
  inside(outsideMs: number, nextMs: number | null): number;
  outside(insideMs: number): number;
  lastOutside(): number;
  sleptMs(): number;
}

/** A deadline that is served later than `patienceMs` means sleep: timers of a living process are not that late. */
export function createAwakeClock(patienceMs: number): AwakeClock {
  let last = Number.NEGATIVE_INFINITY;
  let slept = 0;
  return {
    inside(outsideMs, nextMs) {
      if (nextMs !== null && outsideMs - slept - nextMs > patienceMs) slept = outsideMs - Math.min(nextMs, Math.max(last, nextMs - patienceMs / 4));
      last = Math.max(last, outsideMs - slept);
      return last;
    },
    outside: insideMs => insideMs + slept,
    lastOutside: () => last + slept,
    sleptMs: () => slept,
  };
}
