/**
 * When the core is called. All that one round of the event loop brings is told with one time (the core's bounds count by it), and what was received goes
 * before what is due: an ack that lies in the socket at its deadline has come in time.
 */
import type { Input } from '../protocol/core/inputs.ts';
import type { Core } from '../protocol/core/member.ts';
import type { Output } from '../protocol/core/outputs.ts';

export interface Turns {
  /** What came from the network. */
  received(input: Input): readonly Output[];
  /** What the owner wants. */
  now(input: Input): readonly Output[];
  /** Monotonic, ms: the core's clock. */
  clock(): number;
  stop(): void;
}

/** libuv reads so many datagrams at the most before it looks at anything else; after as many there may be more. */
const DATAGRAMS_OF_ROUND = 32;
/** Rounds that full sockets may put a deadline off: a flood must not stop the failure detector. */
const MOST_PUT_OFF = 16;
/** Less than any interval: before a deadline, and after all that was before it. */
const BEFORE_MS = 0.001;
const LONGEST_SLEEP_MS = 60_000;

export function createTurns(core: Core, obey: (outputs: readonly Output[]) => void): Turns {
  let timer: NodeJS.Timeout | null = null;
  let timerMs = Number.POSITIVE_INFINITY;
  let immediate: NodeJS.Immediate | null = null;
  let turnMs: number | null = null;
  let received = 0;
  let putOff = 0;
  let stopped = false;

  const clock = (): number => performance.now();

  function handle(input: Input, atMs: number): readonly Output[] {
    const outputs = core.handle(input, atMs);
    obey(outputs);
    schedule();
    return outputs;
  }

  function schedule(): void {
    const deadlineMs = core.nextDeadline();
    if (stopped || deadlineMs === null || immediate !== null || deadlineMs >= timerMs) return;
    if (timer !== null) clearTimeout(timer);
    timerMs = deadlineMs;
    timer = setTimeout(wake, Math.min(LONGEST_SLEEP_MS, Math.max(0, Math.ceil(deadlineMs - clock()))));
  }

  function wake(): void {
    timer = null;
    timerMs = Number.POSITIVE_INFINITY;
    endRoundLater();
  }

  /** Immediates run after the round's sockets were read. */
  function endRoundLater(): void {
    if (!stopped) immediate ??= setImmediate(endRound);
  }

  function endRound(): void {
    immediate = null;
    turnMs = null;
    const full = received >= DATAGRAMS_OF_ROUND;
    received = 0;
    const deadlineMs = core.nextDeadline();
    const nowMs = clock();
    if (deadlineMs === null || deadlineMs > nowMs) {
      putOff = 0;
      schedule();
      return;
    }
    if (full && putOff < MOST_PUT_OFF) {
      putOff++;
      endRoundLater();
      return;
    }
    putOff = 0;
    handle({ kind: 'tick' }, nowMs);
  }

  return {
    clock,
    received(input) {
      if (stopped) return [];
      received++;
      if (turnMs === null) {
        const nowMs = clock();
        const deadlineMs = core.nextDeadline();
        turnMs = deadlineMs !== null && deadlineMs <= nowMs ? deadlineMs - BEFORE_MS : nowMs;
        endRoundLater();
      }
      return handle(input, turnMs);
    },
    now: input => (stopped ? [] : handle(input, turnMs ?? clock())),
    stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      if (immediate !== null) clearImmediate(immediate);
    },
  };
}
