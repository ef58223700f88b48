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
const CLOSED: Outcome = { observations: NO_OBSERVATIONS, wakeAtMs: 'never', close: true };

/** One for each connection, ten thousand at once: a class, since closures for each would cost more than all that they remember. */
export const createMachine = (talk: Talk, limits: MachineLimits): TrapMachine => new Machine(talk, limits);

class Machine implements TrapMachine {
  readonly #talk: Talk;
  readonly #limits: MachineLimits;
  #waiting: Buffer = NOTHING;
  #store: Buffer = NOTHING; // what `#waiting` is a view of, once a part of a message was kept
  #received = 0;
  #sent = 0;
  #messages = 0;
  #observed = 0;
  #deadlineMs = 0;
  #endMs = 0;
  #closed = false;

  constructor(talk: Talk, limits: MachineLimits) {
    this.#talk = talk;
    this.#limits = limits;
  }

  get protocol(): string {
    return this.#talk.protocol;
  }

  open(nowMs: number): Outcome {
    this.#endMs = nowMs + this.#limits.sessionMs;
    this.#prolong(nowMs);
    const greeting = this.#talk.greet?.(nowMs);
    return greeting === undefined ? this.#listening() : this.#run(greeting, nowMs);
  }

  receive(bytes: Uint8Array, nowMs: number): Outcome {
    if (this.#closed) return CLOSED;
    if (nowMs >= this.#deadlineMs) return this.#over({ kind: 'deadline' });
    this.#received += bytes.length;
    if (this.#received > this.#limits.receivedBytes) return this.#over(this.#tooMuch());
    if (bytes.length === 0) return this.#listening();
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#waiting = this.#waiting.length === 0 ? chunk : this.#append(chunk);
    const before = this.#waiting;
    const outcome = this.#run(undefined, nowMs);
    if (this.#waiting !== before || this.#store === NOTHING) {
      this.#store = kept(this.#waiting);
      this.#waiting = this.#store;
    }
    return outcome;
  }

  expire(nowMs: number): Outcome {
    if (this.#closed) return CLOSED;
    return nowMs < this.#deadlineMs ? this.#listening() : this.#over({ kind: 'deadline' });
  }

  secured(nowMs: number): Outcome {
    if (this.#closed) return CLOSED;
    this.#prolong(nowMs);
    const step = this.#talk.secured?.(nowMs);
    return step === undefined ? this.#listening() : this.#run(step, nowMs);
  }

  /** Room grows by doubling: a message that comes a byte at a time must not cost its square in copies. */
  #append(chunk: Buffer): Buffer {
    const length = this.#waiting.length + chunk.length;
    if (length > this.#store.length) {
      const larger = Buffer.alloc(Math.min(2 * length, length + this.#talk.longestMessage));
      this.#waiting.copy(larger);
      this.#store = larger;
    }
    chunk.copy(this.#store, this.#waiting.length);
    return this.#store.subarray(0, length);
  }

  #listening(): Outcome {
    return { observations: NO_OBSERVATIONS, wakeAtMs: this.#deadlineMs, close: false };
  }

  #over(last: Observation): Outcome {
    this.#closed = true;
    this.#waiting = NOTHING;
    this.#store = NOTHING;
    return { observations: [last], wakeAtMs: 'never', close: true };
  }

  #tooMuch(): Observation {
    return { kind: 'too-much', receivedBytes: this.#received };
  }

  #prolong(nowMs: number): void {
    this.#deadlineMs = Math.min(this.#endMs, nowMs + this.#limits.patienceMs);
  }

  /** Steps until nothing complete is left; one outcome for all of them. */
  #run(first: Step | undefined, nowMs: number): Outcome {
    const { sentBytes, messages } = this.#limits;
    const parts: Uint8Array[] = [];
    const observations: Observation[] = [];
    let replay: Buffer | undefined;
    let step = first;
    while (!this.#closed) {
      step ??= this.#talk.next(this.#waiting, nowMs);
      if (step.used > 0) this.#waiting = this.#waiting.subarray(step.used);
      for (const seen of step.observations ?? NO_OBSERVATIONS) if (this.#observed++ < MOST_OBSERVATIONS) observations.push(seen);
      if (step.send !== undefined && step.send.length > 0) {
        const room = sentBytes - this.#sent;
        parts.push(step.send.length <= room ? step.send : step.send.subarray(0, room));
        this.#sent += step.send.length;
      }
      const answered = step !== first && step.used > 0 && step.unfinished !== true;
      if (answered) {
        this.#messages++;
        this.#prolong(nowMs);
      }
      if (step.startTls !== undefined) {
        replay = Buffer.from(this.#waiting);
        this.#waiting = NOTHING;
        break;
      }
      if (step.close === true) this.#closed = true;
      else if (this.#sent > sentBytes || this.#messages >= messages || (step.used === 0 && this.#waiting.length > this.#talk.longestMessage)) {
        this.#closed = true;
        observations.push(this.#tooMuch());
      }
      if (this.#waiting.length === 0 || (step.used === 0 && step !== first)) break;
      step = undefined;
    }
    if (this.#closed) this.#waiting = NOTHING;
    const outcome: Outcome = { observations, wakeAtMs: this.#closed ? 'never' : this.#deadlineMs, close: this.#closed };
    const [only] = parts;
    return {
      ...outcome,
      ...(only === undefined ? {} : { send: parts.length === 1 ? only : Buffer.concat(parts) }),
      ...(replay === undefined ? {} : { startTls: true as const, replay }),
    };
  }
}

/** A view into the socket's chunk would keep all of it, also an empty one, and a copy out of Node's pool the pool's 64 kB: what stays is a copy of its own. */
function kept(bytes: Buffer): Buffer {
  if (bytes.length === 0) return NOTHING;
  const copy = Buffer.alloc(bytes.length);
  bytes.copy(copy);
  return copy;
}
