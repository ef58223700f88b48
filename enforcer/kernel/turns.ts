/** How soon a thread that wakes up gets the processor, where more want to run than there are processors. */
import { addon } from './native.ts';

/** The daemon's main thread: on its way from a touch to the ban it stands in line once. */
export const DAEMON_TURN_MS = 0.1;
/** The traps' main thread: it stands in line before that. */
export const TRAP_TURN_MS = 0.5;

/**
 * Asks for turns of `ms` (0.1 to 100) for the calling thread, which then come sooner; it gets no more time in all. Without it each turn of the others is some
 * milliseconds long. Threads and processes that it starts later inherit that. What comes back: whether the kernel does so (Linux 6.12); where it does not,
 * nothing is worse than before.
 */
export function takeShortTurns(ms: number): boolean {
  const nanoseconds = Math.round(ms * 1e6);
  return addon().setTurns(nanoseconds) === nanoseconds;
}
