/**
 * Which advisories came, and which are missing. All numbers up to the head came; what comes beyond a gap is used at once, and the gap is asked for after some
 * seconds: most of what is late is only late. Pure.
 */
import { SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';

export interface HubHead {
  readonly epoch: number;
  readonly number: number;
}

export type Missing = { readonly kind: 'range'; readonly epoch: number; readonly from: number; readonly to: number } | { readonly kind: 'snapshot' };

export interface Numbered {
  readonly epoch: number;
  readonly number: number;
  /** The highest that there was then. */
  readonly head: number;
}

export interface Numbering {
  readonly head: HubHead | null;
  /** `known`: it came before, or lies in what a snapshot held; `old`: of a numbering that is over. */
  heard(advisory: Numbered, now: UnixMs): 'new' | 'known' | 'old';
  /** What is missing and due to be asked for. */
  missing(now: UnixMs): Missing | null;
  /** Whether this number of the current numbering came already. */
  has(number: number): boolean;
  /** When something will be due; never: nothing is missing. */
  dueAt(): UnixMs | 'never';
  /** All of `from` to `to` that still holds has come, and there are numbers up to `head`. */
  filled(range: { readonly epoch: number; readonly from: number; readonly to: number; readonly head: number }, now: UnixMs): void;
  /** A snapshot held all up to its head; false: it is of a numbering that is over, or nobody waited for one. */
  took(snapshot: Numbered, now: UnixMs): boolean;
  /** The hub has no such range: begin with a snapshot. */
  lost(now: UnixMs): void;
}

export const GAP_WAIT_MS = 5 * SECOND_MS;
/** A herd that missed the same number does not ask at the same moment. */
export const GAP_JITTER_MS = 5 * SECOND_MS;
/** Numbers beyond a gap that are remembered; a range brings the others again. */
const MOST_AHEAD = 4_096;

export function createNumbering(kept: HubHead | null, { random }: { readonly random: () => number }): Numbering {
  let head = kept;
  /** The numbering whose snapshot is awaited; 0: any. */
  let awaited: number | null = kept === null ? 0 : null;
  let highest = kept?.number ?? 0;
  let dueAt: UnixMs | 'never' = kept === null ? unixMs(0) : 'never';
  const ahead = new Set<number>();

  function later(now: UnixMs): void {
    if (dueAt === 'never') dueAt = unixMs(now + GAP_WAIT_MS + Math.floor(random() * GAP_JITTER_MS));
  }

  /** What follows the head without a hole. */
  function advance(now: UnixMs): void {
    if (head === null) return;
    let { number } = head;
    while (ahead.delete(number + 1)) number++;
    for (const one of ahead) if (one <= number) ahead.delete(one);
    head = { ...head, number };
    highest = Math.max(highest, number);
    if (highest > number) later(now);
    else if (awaited === null) dueAt = 'never';
  }

  function begin(epoch: number, now: UnixMs): void {
    awaited = epoch;
    ahead.clear();
    highest = 0;
    dueAt = 'never';
    later(now);
  }

  return {
    get head() {
      return awaited === null ? head : null;
    },
    heard({ epoch, number, head: said }, now) {
      const current = awaited ?? head?.epoch ?? 0;
      if (epoch < current) return 'old';
      if (epoch > current) {
        if (awaited === 0) awaited = epoch;
        else begin(epoch, now);
      }
      highest = Math.max(highest, said, number);
      if (number === 0) {
        if (awaited === null) advance(now);
        return 'new';
      }
      if (ahead.has(number) || (awaited === null && number <= (head?.number ?? 0))) return 'known';
      if (ahead.size < MOST_AHEAD || number === (head?.number ?? 0) + 1) ahead.add(number);
      if (awaited === null) advance(now);
      return 'new';
    },
    missing(now) {
      if (dueAt === 'never' || now < dueAt) return null;
      if (awaited !== null || head === null) return { kind: 'snapshot' };
      // All holes in one question: what came between them comes again, and is known.
      let to = highest;
      while (to > head.number && ahead.has(to)) to--;
      return to > head.number ? { kind: 'range', epoch: head.epoch, from: head.number + 1, to } : null;
    },
    has: number => awaited === null && (ahead.has(number) || number <= (head?.number ?? 0)),
    dueAt: () => dueAt,
    filled({ epoch, from, to, head: said }, now) {
      if (head === null || awaited !== null || epoch !== head.epoch || from > head.number + 1) return;
      head = { epoch, number: Math.max(head.number, to) };
      highest = Math.max(highest, said);
      // The rest of it is asked for at once.
      dueAt = now;
      advance(now);
    },
    took({ epoch, head: said }, now) {
      if (awaited === null || epoch < awaited) return false;
      if (epoch > awaited && awaited !== 0) ahead.clear();
      awaited = null;
      head = { epoch, number: said };
      dueAt = 'never';
      advance(now);
      return true;
    },
    lost(now) {
      begin(head?.epoch ?? 0, now);
    },
  };
}
