/**
 * Commits on their way to the disk: one batch is under way, what arrives meanwhile shares the next. When the disk refuses, callers are told at
 * once and what they brought waits in the backlog; the refused batch is tried again under its own number, so that it can never be written twice.
 */
import type { NewEvent, StoredEvent } from '@honeymesh/intel/events';
import type { UnixMs } from '@honeymesh/intel/time';
import type { LedgerChange } from '../ledger/decisions.ts';
import { type BacklogLimits, createBacklog, type Weighed } from './backlog.ts';
import type { Failure } from './failures.ts';
import { lastWords } from './ledger-tables.ts';
import type { Commit } from './port.ts';
import { type EventParts, flatten } from './rows.ts';

export interface NumberedBatch {
  readonly number: number;
  readonly events: readonly EventParts[];
  readonly changes: readonly LedgerChange[];
}

/** `poisoned`: the batch killed the writer twice and is given up. */
export type Written = { readonly ok: true; readonly firstId: number } | { readonly ok: false; readonly failure: Failure; readonly poisoned: boolean };
export interface Outcome {
  readonly stored: boolean;
  readonly events: readonly StoredEvent[];
}

export interface CommitQueueOptions extends BacklogLimits {
  /** Events of one transaction. */
  readonly batchEvents: number;
  /** After a batch of many events the next one is not begun for so long. A commit that comes by itself never waits. */
  readonly gatherMs: number;
  /** Back-off of a refused batch: doubled from the first to the longest. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
}

export interface CommitQueueDeps {
  readonly write: (batch: NumberedBatch) => Promise<Written>;
  readonly now: () => UnixMs;
}

export interface CommitQueue {
  add(commit: Commit): Promise<Outcome>;
  /** An event of the store's own. */
  note(event: NewEvent): void;
  /** Says from outside that the disk refuses: it is tried again later, also with nothing to write. */
  refuse(failure: Failure): void;
  readonly refusal: Failure | null;
  readonly waiting: number;
  readonly lost: number;
  /** Writes what is there, a refused batch once more, and takes nothing after that. Resolves when nothing is under way. */
  drain(): Promise<void>;
}

interface Arrival {
  readonly events: readonly Weighed[];
  readonly kept: readonly NewEvent[];
  readonly changes: readonly LedgerChange[];
  readonly settle: (outcome: Outcome) => void;
}

/** Events of a batch that show that more are coming. */
const STREAM_EVENTS = 32;
const NOT_STORED: Outcome = { stored: false, events: [] };

export function createCommitQueue(options: CommitQueueOptions, { write, now }: CommitQueueDeps): CommitQueue {
  const backlog = createBacklog(options);
  let arrivals: Arrival[] = [];
  let arrived = { events: 0, bytes: 0 };
  let underWay: { readonly batch: NumberedBatch; arrivals: readonly Arrival[] } | null = null;
  let writing: Promise<void> | null = null;
  let nextNumber = 1;
  let refusal: Failure | null = null;
  let retry: NodeJS.Timeout | null = null;
  let gathering: NodeJS.Timeout | null = null;
  let retryMs = options.retryMs;
  let lost = 0;
  let untold = 0;
  let woken = false;
  let closed = false;

  function add(commit: Commit): Promise<Outcome> {
    const at = now();
    const flat = commit.events.map(event => flatten(event, at));
    if (closed) {
      giveUp(flat.length);
      return Promise.resolve(NOT_STORED);
    }
    if (flat.length === 0 && commit.changes.length === 0) return Promise.resolve({ stored: true, events: [] });
    return new Promise(settle => {
      const arrival: Arrival = { events: flat, kept: flat.map(event => event.kept), changes: commit.changes, settle };
      const bytes = flat.reduce((sum, event) => sum + event.bytes, 0);
      const fits = arrived.events + flat.length <= options.maxEvents && arrived.bytes + bytes <= options.maxBytes;
      if (refusal !== null) {
        putAside(arrival);
        return;
      }
      if (fits) {
        arrivals.push(arrival);
        arrived = { events: arrived.events + flat.length, bytes: arrived.bytes + bytes };
      } else {
        giveUp(flat.length); // the disk is slower than what comes; the ledger's changes still have to get there
        arrivals.push({ events: [], kept: [], changes: commit.changes, settle: () => settle(NOT_STORED) });
      }
      wake();
    });
  }

  /** At the end of this tick: commits of one tick share a transaction. */
  function wake(): void {
    if (woken || writing !== null || gathering !== null) return;
    woken = true;
    queueMicrotask(() => {
      woken = false;
      if (refusal === null) start();
    });
  }

  function putAside(arrival: Arrival): void {
    giveUp(backlog.add(arrival.events, arrival.changes));
    arrival.settle(NOT_STORED);
  }

  function giveUp(events: number): void {
    lost += events;
    untold += events;
  }

  function start(): void {
    if (writing !== null) return;
    underWay ??= nextBatch();
    if (underWay === null) return;
    const { batch } = underWay;
    writing = write(batch)
      .catch(bug)
      .then(written => {
        writing = null;
        if (written.ok) succeeded(written.firstId);
        else if (written.poisoned) poisoned(written.failure);
        else refused(written.failure);
      });
  }

  function nextBatch(): typeof underWay {
    if (!backlog.empty) return { batch: { number: nextNumber++, ...backlog.take(options.batchEvents) }, arrivals: [] };
    if (arrivals.length === 0) return null;
    let events = 0;
    let count = 0;
    for (const arrival of arrivals) {
      if (count > 0 && events + arrival.events.length > options.batchEvents) break;
      events += arrival.events.length;
      count++;
    }
    const taken = arrivals.slice(0, count);
    arrivals = arrivals.slice(count);
    const bytes = taken.reduce((sum, arrival) => sum + arrival.events.reduce((of, event) => of + event.bytes, 0), 0);
    arrived = { events: arrived.events - events, bytes: arrived.bytes - bytes };
    const batch = {
      number: nextNumber++,
      events: taken.flatMap(arrival => arrival.events.map(event => event.parts)),
      changes: lastWords(taken.flatMap(arrival => arrival.changes)),
    };
    return { batch, arrivals: taken };
  }

  function succeeded(firstId: number): void {
    let id = firstId;
    const streaming = backlog.empty && (underWay?.batch.events.length ?? 0) >= STREAM_EVENTS;
    for (const arrival of underWay?.arrivals ?? []) arrival.settle({ stored: true, events: arrival.kept.map(event => ({ ...event, id: id++ })) });
    underWay = null;
    retryMs = options.retryMs;
    refusal = null;
    if (untold > 0 && backlog.empty) tellOfLoss();
    if (streaming && arrived.events < options.batchEvents && !closed) gathering = setTimeout(gathered, options.gatherMs);
    else start();
  }

  function gathered(): void {
    gathering = null;
    if (refusal === null) start();
  }

  /** The log itself says where it has a hole. */
  function tellOfLoss(): void {
    const count = untold;
    untold = 0;
    note({
      ...NO_SOURCE,
      at: now(),
      summary: `${count} events were lost here: the event log could not be written and no more could wait`,
      detail: { part: 'store', lost: count },
    });
  }

  function refused(failure: Failure): void {
    for (const arrival of underWay?.arrivals ?? []) arrival.settle(NOT_STORED);
    if (underWay !== null) underWay.arrivals = [];
    refuse(failure);
  }

  function refuse(failure: Failure): void {
    refusal = failure;
    for (const arrival of arrivals) putAside(arrival);
    arrivals = [];
    arrived = { events: 0, bytes: 0 };
    if (retry !== null || closed) return;
    retry = setTimeout(tryAgain, retryMs);
    retryMs = Math.min(retryMs * 2, options.longestRetryMs);
  }

  function tryAgain(): void {
    retry = null;
    underWay ??= nextBatch() ?? { batch: { number: nextNumber++, events: [], changes: [] }, arrivals: [] };
    start();
  }

  function poisoned(failure: Failure): void {
    giveUp(underWay?.batch.events.length ?? 0);
    for (const arrival of underWay?.arrivals ?? []) arrival.settle(NOT_STORED);
    underWay = null;
    refuse(failure);
  }

  function note(event: NewEvent): void {
    giveUp(backlog.add([flatten(event, now())], []));
    if (refusal === null) wake();
  }

  return {
    add,
    note,
    refuse,
    get refusal() {
      return refusal;
    },
    get waiting() {
      return refusal === null ? 0 : backlog.events + (underWay?.batch.events.length ?? 0);
    },
    get lost() {
      return lost;
    },
    async drain() {
      closed = true;
      if (gathering !== null) {
        clearTimeout(gathering);
        gathering = null;
      }
      if (retry !== null) {
        clearTimeout(retry);
        tryAgain();
      } else if (refusal === null) start();
      while (writing !== null) await writing;
      if (retry !== null) clearTimeout(retry);
      giveUp(backlog.events + (underWay?.batch.events.length ?? 0));
    },
  };
}

const NO_SOURCE = { kind: 'degraded', source: null, port: null, protocol: null, tier: null, reasons: [], origin: null } as const;

/** A writer that rejects broke its promise: what it was given is given up, for it would break again. */
const bug = (error: unknown): Written => ({
  ok: false,
  failure: {
    kind: 'bug',
    why: `the event log failed: ${error instanceof Error ? error.message : String(error)}`,
    fix: 'this is a bug in HoneyMesh: please report it',
  },
  poisoned: true,
});
