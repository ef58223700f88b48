/**
 * When the traps have heard enough of a confined source: the third port that it touched, silence after its last session, or, in `study`, the number of its
 * sessions. Pure and bounded: a source that is forgotten here is banned in full by the end of its time all the same.
 */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Ban, Patience } from '@honeymesh/intel/bans';
import { SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { Completion } from '../ledger/decisions.ts';

export interface PatienceOptions {
  readonly kind: Patience;
  /** `study`: so many sessions are heard out. */
  readonly sessions: number;
  /** `listen`: so long who hung up may come back. */
  readonly silenceMs?: number;
  /** Sources that are kept count of. */
  readonly atMost?: number;
}

/** A session that ended. `hungUp`: not by silence or a bound of ours. */
export interface EndedSession {
  readonly source: Address;
  /** Sessions of the source that are left. */
  readonly open: number;
  readonly hungUp: boolean;
}

export interface PatienceBook {
  /** A source under this ban connected to a trap, `count` times. Why its ban is to be full now, or null. Nothing for a ban that confines nobody. */
  touched(ban: Ban, port: number, count: number): Completion | null;
  ended(ban: Ban, session: EndedSession, now: UnixMs): Completion | null;
  /** Sources that hung up and were silent since, each once. `since`: of the confinement that was meant. */
  silent(now: UnixMs): readonly { readonly source: Address; readonly since: UnixMs }[];
  readonly size: number;
}

/** Who touches so many traps scans, whatever it may say in them. */
export const PORTS_THAT_END_IT = 3;
const AT_MOST = 16_384;
/** Tools that guess or scan knock first, hang up, and begin with the next connection. Beyond so many at once, who hangs up has had its chance. */
const WAITED_FOR = 256;

interface Count {
  /** Tells one confinement of a target from the next. */
  readonly since: number;
  readonly ports: number[];
  opened: number;
  ended: number;
}

export function createPatience({ kind, sessions, silenceMs = 3 * SECOND_MS, atMost = AT_MOST }: PatienceOptions): PatienceBook {
  const counts = new Map<Prefix, Count>();
  /** Those that hung up, the longest silent first. */
  const waiting = new Map<Prefix, { readonly source: Address; readonly since: UnixMs; readonly until: UnixMs }>();

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
    waiting.delete(target);
    return why;
  }

  return {
    touched({ target, confined }, port, connections) {
      if (confined === undefined || kind === 'instant') return null;
      waiting.delete(target);
      const count = countOf(target, confined.since);
      count.opened += connections;
      if (kind === 'study') return count.opened > sessions ? over(target, 'sessions') : null;
      if (count.ports.includes(port)) return null;
      count.ports.push(port);
      return count.ports.length >= PORTS_THAT_END_IT ? over(target, 'ports') : null;
    },
    ended({ target, confined }, { source, open, hungUp }, now) {
      if (confined === undefined || kind === 'instant') return null;
      if (kind === 'listen') {
        if (open > 0) return null;
        waiting.delete(target);
        if (!hungUp || waiting.size >= WAITED_FOR) return over(target, 'session-end');
        waiting.set(target, { source, since: confined.since, until: unixMs(now + silenceMs) });
        return null;
      }
      const count = countOf(target, confined.since);
      count.ended++;
      return count.ended >= sessions ? over(target, 'sessions') : null;
    },
    silent(now) {
      const found: { readonly source: Address; readonly since: UnixMs }[] = [];
      for (const [target, { source, since, until }] of waiting) {
        if (until > now) break;
        over(target, 'session-end');
        found.push({ source, since });
      }
      return found;
    },
    get size() {
      return counts.size + waiting.size;
    },
  };
}
