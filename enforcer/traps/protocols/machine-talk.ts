/**
 * The part that all machines share: cuts what came into messages, and keeps deadline, session time, bytes in, bytes out, messages and observations
 * within their bounds. A protocol then is what it greets with and what it answers to a complete message.
 */
import type { MachineLimits, Observation, Outcome, TrapMachine } from './machine.ts';
import { MOST_OBSERVATIONS } from './observation.ts';

export interface Talk {
  readonly protocol: string;
  /** Of an unfinished message no more than this is kept: one that goes on ends the session as too much. */
  readonly longestMessage: number;
  /** What the server says first. Absent: it waits for its client. */
  greet?(nowMs: number): Step;
  /** Takes what it can from the front of `waiting`, which is hostile and not empty. Never throws. The view is valid during the call only: copy what is kept. */
  next(waiting: Buffer, nowMs: number): Step;
  /** TLS that a step asked for stands. */
  secured?(nowMs: number): Step;
}

export interface Step {
  /** Bytes taken. 0 from `next`: there is no complete message yet, nothing happens before more came. */
  readonly used: number;
  /** What was taken is not a complete message yet (a long body, read as it comes): the deadline stays where it is. */
  readonly unfinished?: true;
  readonly send?: Uint8Array;
  readonly observations?: readonly Observation[];
  /** All that waits is given to TLS: it is the ClientHello, never a command (RFC 3207, 4.2: none is carried over). */
  readonly startTls?: true;
  readonly close?: boolean;
}

/** There is no complete message yet. */
export const MORE: Step = { used: 0 };
const NOTHING = Buffer.alloc(0);
const NO_OBSERVATIONS: readonly Observation[] = [];

export function createMachine(talk: Talk, limits: MachineLimits): TrapMachine {
  let waiting: Buffer = NOTHING;
  let store: Buffer = NOTHING; // what `waiting` is a view of, once a part of a message was kept
  let received = 0;
  let sent = 0;
  let messages = 0;
  let observed = 0;
  let deadlineMs = 0;
  let endMs = 0;
  let closed = false;

  /** Room grows by doubling: a message that comes a byte at a time must not cost its square in copies. */
  function append(chunk: Buffer): Buffer {
    const length = waiting.length + chunk.length;
    if (length > store.length) {
      const larger = Buffer.alloc(Math.min(2 * length, length + talk.longestMessage));
      waiting.copy(larger);
      store = larger;
    }
    chunk.copy(store, waiting.length);
    return store.subarray(0, length);
  }

  function listening(): Outcome {
    return { observations: NO_OBSERVATIONS, wakeAtMs: deadlineMs, close: false };
  }

  function over(last: Observation): Outcome {
    closed = true;
    waiting = NOTHING;
    store = NOTHING;
    return { observations: [last], wakeAtMs: 'never', close: true };
  }

  const tooMuch = (): Observation => ({ kind: 'too-much', receivedBytes: received });
  const prolong = (nowMs: number): void => {
    deadlineMs = Math.min(endMs, nowMs + limits.patienceMs);
  };

  /** Steps until nothing complete is left; one outcome for all of them. */
  function run(first: Step | undefined, nowMs: number): Outcome {
    const parts: Uint8Array[] = [];
    const observations: Observation[] = [];
    let startTls = false;
    let replay: Buffer | undefined;
    let step = first;
    while (!closed) {
      step ??= talk.next(waiting, nowMs);
      if (step.used > 0) waiting = waiting.subarray(step.used);
      for (const seen of step.observations ?? NO_OBSERVATIONS) if (observed++ < MOST_OBSERVATIONS) observations.push(seen);
      if (step.send !== undefined && step.send.length > 0) {
        const room = limits.sentBytes - sent;
        parts.push(step.send.length <= room ? step.send : step.send.subarray(0, room));
        sent += step.send.length;
      }
      const answered = step !== first && step.used > 0 && step.unfinished !== true;
      if (answered) {
        messages++;
        prolong(nowMs);
      }
      if (step.startTls !== undefined) {
        startTls = true;
        replay = Buffer.from(waiting);
        waiting = NOTHING;
        break;
      }
      if (step.close === true) closed = true;
      else if (sent > limits.sentBytes || messages >= limits.messages || (step.used === 0 && waiting.length > talk.longestMessage)) {
        closed = true;
        observations.push(tooMuch());
      }
      if (waiting.length === 0 || (step.used === 0 && step !== first)) break;
      step = undefined;
    }
    if (closed) waiting = NOTHING;
    const outcome: Outcome = { observations, wakeAtMs: closed ? 'never' : deadlineMs, close: closed };
    const [only] = parts;
    return {
      ...outcome,
      ...(only === undefined ? {} : { send: parts.length === 1 ? only : Buffer.concat(parts) }),
      ...(startTls ? { startTls } : {}),
      ...(replay === undefined ? {} : { replay }),
    };
  }

  return {
    get protocol() {
      return talk.protocol;
    },
    open(nowMs) {
      endMs = nowMs + limits.sessionMs;
      prolong(nowMs);
      const greeting = talk.greet?.(nowMs);
      return greeting === undefined ? listening() : run(greeting, nowMs);
    },
    receive(bytes, nowMs) {
      if (closed) return { observations: NO_OBSERVATIONS, wakeAtMs: 'never', close: true };
      if (nowMs >= deadlineMs) return over({ kind: 'deadline' });
      received += bytes.length;
      if (received > limits.receivedBytes) return over(tooMuch());
      if (bytes.length === 0) return listening();
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      waiting = waiting.length === 0 ? chunk : append(chunk);
      const before = waiting;
      const outcome = run(undefined, nowMs);
      if (waiting !== before || store === NOTHING) {
        store = kept(waiting);
        waiting = store;
      }
      return outcome;
    },
    expire(nowMs) {
      if (closed) return { observations: NO_OBSERVATIONS, wakeAtMs: 'never', close: true };
      return nowMs < deadlineMs ? listening() : over({ kind: 'deadline' });
    },
    secured(nowMs) {
      if (closed) return { observations: NO_OBSERVATIONS, wakeAtMs: 'never', close: true };
      prolong(nowMs);
      const step = talk.secured?.(nowMs);
      return step === undefined ? listening() : run(step, nowMs);
    },
  };
}

/** A view into the socket's chunk would keep all of it, also an empty one, and a copy out of Node's pool the pool's 64 kB: what stays is a copy of its own. */
function kept(bytes: Buffer): Buffer {
  if (bytes.length === 0) return NOTHING;
  const copy = Buffer.alloc(bytes.length);
  bytes.copy(copy);
  return copy;
}
