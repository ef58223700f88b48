/** Envelopes that repair brought, waiting for their signature check: a few at a time, so that hundreds at once do not hold up the failure detector. */
import { type UnixMs, unixMs } from '@honeymesh/intel/time';

export interface InboxItem {
  readonly bytes: Uint8Array;
  readonly hop: string;
}

export interface InboxLimits {
  readonly bytes: number;
  /** Of one hop. */
  readonly hopBytes: number;
  /** Checked in one turn: some 2 ms of Ed25519. */
  readonly turn: number;
  /** Between turns. */
  readonly pauseMs: number;
}

export const INBOX_LIMITS: InboxLimits = { bytes: 4 * 1_048_576, hopBytes: 1_048_576, turn: 8, pauseMs: 5 };

/** What was taken is let go of in steps, for a hop whose box never empties. */
const COMPACT_AFTER = 256;

export interface Inbox {
  /** False: full, for this hop or at all. The bytes are copied. */
  add(bytes: Uint8Array, hop: string): boolean;
  take(now: UnixMs): readonly InboxItem[];
  nextDeadline(): UnixMs | 'never';
  readonly waiting: number;
}

export function createInbox(limits: InboxLimits = INBOX_LIMITS): Inbox {
  /** Hops take turns. */
  const byHop = new Map<string, { items: Uint8Array[]; at: number; bytes: number }>();
  let total = 0;
  let waiting = 0;
  let turnAt = 0;

  return {
    add(bytes, hop) {
      const box = byHop.get(hop) ?? { items: [], at: 0, bytes: 0 };
      if (total + bytes.length > limits.bytes || box.bytes + bytes.length > limits.hopBytes) return false;
      box.items.push(bytes.slice());
      box.bytes += bytes.length;
      byHop.set(hop, box);
      total += bytes.length;
      waiting++;
      return true;
    },
    take(now) {
      // Also where the clock went back: a pause is never longer than itself.
      if (waiting === 0 || (now < turnAt && turnAt - now <= limits.pauseMs)) return [];
      turnAt = now + limits.pauseMs;
      const taken: InboxItem[] = [];
      while (taken.length < limits.turn && waiting > 0) {
        for (const [hop, box] of byHop) {
          const bytes = box.items[box.at++];
          if (box.at >= box.items.length) byHop.delete(hop);
          if (box.at >= COMPACT_AFTER) {
            box.items.splice(0, box.at);
            box.at = 0;
          }
          if (bytes === undefined) continue;
          box.bytes -= bytes.length;
          total -= bytes.length;
          waiting--;
          taken.push({ bytes, hop });
          if (taken.length >= limits.turn) break;
        }
      }
      return taken;
    },
    nextDeadline: () => (waiting === 0 ? 'never' : unixMs(turnAt)),
    get waiting() {
      return waiting;
    },
  };
}
