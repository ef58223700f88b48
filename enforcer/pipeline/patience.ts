/**
 * When the traps have heard enough of a confined source: the third port that it touched, the end of its last session, or, in `study`, the number of its
 * sessions. Pure and bounded: a source that is forgotten here is banned in full by the end of its time all the same.
 */
import type { Prefix } from '@honeymesh/intel/address';
import type { Ban, Patience } from '@honeymesh/intel/bans';
import type { Completion } from '../ledger/decisions.ts';

export interface PatienceOptions {
  readonly kind: Patience;
  /** `study`: so many sessions are heard out. */
  readonly sessions: number;
  /** Sources that are kept count of. */
  readonly atMost?: number;
}

export interface PatienceBook {
  /** A source under this ban connected to a trap, `count` times. Why its ban is to be full now, or null. Nothing for a ban that confines nobody. */
  touched(ban: Ban, port: number, count: number): Completion | null;
  /** A session of it ended, and `open` are left. */
  ended(ban: Ban, open: number): Completion | null;
  readonly size: number;
}

/** Who touches so many traps scans, whatever it may say in them. */
export const PORTS_THAT_END_IT = 3;
const AT_MOST = 16_384;

interface Count {
  /** Tells one confinement of a target from the next. */
  readonly since: number;
  readonly ports: number[];
  opened: number;
  ended: number;
}

export function createPatience({ kind, sessions, atMost = AT_MOST }: PatienceOptions): PatienceBook {
  const counts = new Map<Prefix, Count>();

  function countOf(target: Prefix, since: number): Count {
    const known = counts.get(target);
    if (known?.since === since) return known;
    const count: Count = { since, ports: [], opened: 0, ended: 0 };
    if (known === undefined && counts.size >= atMost) counts.delete(counts.keys().next().value as Prefix);
    counts.set(target, count);
    return count;
  }

  function over(target: Prefix, why: Completion): Completion {
    counts.delete(target);
    return why;
  }

  return {
    touched({ target, confined }, port, connections) {
      if (confined === undefined || kind === 'instant') return null;
      const count = countOf(target, confined.since);
      count.opened += connections;
      if (kind === 'study') return count.opened > sessions ? over(target, 'sessions') : null;
      if (count.ports.includes(port)) return null;
      count.ports.push(port);
      return count.ports.length >= PORTS_THAT_END_IT ? over(target, 'ports') : null;
    },
    ended({ target, confined }, open) {
      if (confined === undefined || kind === 'instant') return null;
      if (kind === 'listen') return open === 0 ? over(target, 'session-end') : null;
      const count = countOf(target, confined.since);
      count.ended++;
      return count.ended >= sessions ? over(target, 'sessions') : null;
    },
    get size() {
      return counts.size;
    },
  };
}
