/**
 * Pings and acks are answered at once; gossip waits its turn (memberlist's handoff queues). Within a turn (one time that the driver tells) a bounded
 * number of messages is handled as it comes; what is more waits, news of the living before all else, the newest first, and what does not fit is
 * dropped: an old accusation helps nobody, and all of it comes again.
 */
import type { Message } from '../messages.ts';
import type { Endpoint } from './endpoint.ts';

export type Gossip = Extract<Message, { kind: 'alive' | 'suspect' | 'dead' | 'user' }>;

export interface Handoff {
  readonly size: number;
  /** Handles it now or keeps it; false: full, dropped. */
  take(message: Gossip, from: Endpoint, nowMs: number): boolean;
  /** Handles what waits, as far as this turn goes. */
  drain(nowMs: number): void;
}

/** Messages a turn. What costs most is a signature to check (70 µs): so a turn takes some 10 ms at the most. */
export const TURN_MESSAGES = 128;

interface Waiting {
  readonly message: Gossip;
  readonly from: Endpoint;
}

export function createHandoff(depth: number, handle: (message: Gossip, from: Endpoint, nowMs: number) => void): Handoff {
  const first: Waiting[] = [];
  const second: Waiting[] = [];
  let turnMs = Number.NEGATIVE_INFINITY;
  let left = 0;

  function turn(nowMs: number): void {
    if (nowMs === turnMs) return;
    turnMs = nowMs;
    left = TURN_MESSAGES;
  }

  function drain(nowMs: number): void {
    turn(nowMs);
    while (left > 0) {
      const next = first.pop() ?? second.pop();
      if (next === undefined) return;
      left--;
      handle(next.message, next.from, nowMs);
    }
  }

  return {
    get size() {
      return first.length + second.length;
    },
    drain,
    take(message, from, nowMs) {
      turn(nowMs);
      if (left > 0 && first.length + second.length === 0) {
        left--;
        handle(message, from, nowMs);
        return true;
      }
      const queue = message.kind === 'alive' ? first : second;
      if (queue.length >= depth) return false;
      queue.push({ message, from });
      return true;
    },
  };
}
