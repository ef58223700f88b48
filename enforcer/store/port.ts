/** The event log and what else outlives a restart. One writer, in a worker thread; acknowledged means committed to disk. */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { EventKind, NewEvent, StoredEvent } from '@honeymesh/intel/events';
import type { UnixMs } from '@honeymesh/intel/time';
import type { LedgerChange, LedgerSnapshot } from '../ledger/decisions.ts';

export interface EventQuery {
  readonly afterId?: number;
  readonly beforeId?: number;
  readonly since?: UnixMs;
  readonly until?: UnixMs;
  readonly kinds?: readonly EventKind[];
  /** Exactly this source, or any source inside this prefix. */
  readonly source?: Address | Prefix;
  readonly port?: number;
  /** Newest first unless `ascending`. */
  readonly ascending?: boolean;
  /** At most 10,000; 100 if absent. */
  readonly limit?: number;
}

export type Verification =
  | {
      readonly ok: true;
      readonly events: number;
      readonly segments: number;
      readonly sealed: number;
      readonly head: string;
      readonly firstId: number;
      readonly lastId: number;
      /** What retention took, by the record that it left. */
      readonly retired?: { readonly segments: number; readonly firstId: number; readonly lastId: number };
    }
  | { readonly ok: false; readonly atId: number | null; readonly segment: number | null; readonly why: string };

/** The end of the log: `head` (hex) is the chain's value at event `lastId` and stands for every event up to it. */
export interface LogTip {
  readonly head: string;
  readonly lastId: number;
  /** Of the oldest event that retention has left, or would be. */
  readonly firstId: number;
}

export interface StoreStatus {
  readonly ok: boolean;
  readonly events: number;
  readonly lastId: number;
  readonly bytes: number;
  readonly segments: number;
  /** Events that wait because the disk refuses them, and those that were given up when the wait grew too long. */
  readonly waiting: number;
  readonly lost: number;
  readonly why?: string;
  readonly fix?: string;
}

export interface Commit {
  readonly events: readonly NewEvent[];
  readonly changes: readonly LedgerChange[];
}

export interface Store {
  /** Opens or creates, migrates, checks; a damaged file is set aside, never overwritten, and said in status. */
  start(): Promise<void>;
  /** Resolves with the numbered events when the transaction is on disk; commits of one tick share a transaction. While the disk refuses, it keeps
   * what fits and resolves with what became of it: `stored: false`. Never rejects for the disk's sake. */
  commit(commit: Commit): Promise<{ readonly stored: boolean; readonly events: readonly StoredEvent[] }>;
  loadLedger(): Promise<LedgerSnapshot>;
  query(query: EventQuery): Promise<readonly StoredEvent[]>;
  verify(): Promise<Verification>;
  /** What a note of the log's end says now: an export carries it. */
  tip(): Promise<LogTip>;
  status(): StoreStatus;
  /** Commits what waits and closes. */
  stop(): Promise<void>;
}
