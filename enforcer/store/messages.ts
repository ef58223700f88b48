/** What the store and its worker thread say to each other. Everything is plain values: they are copied. */
import type { StoredEvent } from '@honeymesh/intel/events';
import type { LedgerSnapshot } from '../ledger/decisions.ts';
import type { Failure } from './failures.ts';
import type { Batch, LogNumbers, LogOptions } from './log.ts';
import type { EventQuery, LogTip, Verification } from './port.ts';
import type { PackedEvents } from './rows.ts';

export interface Asks {
  /** Opens for writing; where that fails for reading only, so that the ledger and the past are there. */
  open: { readonly ask: { readonly options: LogOptions; readonly nowMs: number; readonly setAside: string | null }; readonly answer: Opened };
  append: { readonly ask: PackedBatch; readonly answer: { readonly firstId: number; readonly sealed: boolean; readonly numbers: Numbers } };
  maintain: { readonly ask: { readonly nowMs: number }; readonly answer: { readonly more: boolean; readonly numbers: Numbers } };
  ledger: { readonly ask: null; readonly answer: { readonly ledger: LedgerSnapshot; readonly unreadable: number } };
  query: { readonly ask: EventQuery; readonly answer: readonly StoredEvent[] };
  verify: { readonly ask: null; readonly answer: Verification };
  tip: { readonly ask: null; readonly answer: LogTip };
  close: { readonly ask: null; readonly answer: null };
}

/** A batch as it is copied from thread to thread. */
export interface PackedBatch extends Omit<Batch, 'events'> {
  readonly events: PackedEvents;
}

export interface Numbers extends LogNumbers {
  readonly headTrouble: string | null;
  /** Logs that were set aside and still lie in the directory. */
  readonly damaged: readonly string[];
}

export interface Opened {
  readonly numbers: Numbers;
  /** What the operator has to know about how it was opened; each becomes an event. */
  readonly notes: readonly string[];
}

export type AskKind = keyof Asks;
export type Request = { readonly [K in AskKind]: { readonly id: number; readonly kind: K; readonly ask: Asks[K]['ask'] } }[AskKind];
export type Reply =
  | { readonly id: number; readonly ok: true; readonly answer: Asks[AskKind]['answer'] }
  | { readonly id: number; readonly ok: false; readonly failure: Failure };
