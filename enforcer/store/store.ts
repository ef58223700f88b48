/** The store as the rest of the program sees it: keeps the worker thread alive, the log open and the operator informed. */
import { randomUUID } from 'node:crypto';
import { DAY_MS, MINUTE_MS, type UnixMs } from '@honeymesh/intel/time';
import type { Log as DaemonLog } from '../health/log.ts';
import { createCommitQueue, type NumberedBatch, type Written } from './commit-queue.ts';
import { errorOf, type Failure } from './failures.ts';
import { NOTHING } from './ledger-tables.ts';
import type { AskKind, Asks, Numbers } from './messages.ts';
import type { Store, StoreStatus } from './port.ts';
import { packEvents } from './rows.ts';
import { type Answer, GONE, startWorker, type WorkerLink } from './worker-link.ts';

export interface StoreOptions {
  /** Of this instance alone; made with mode 0700 if it is not there. Holds events.db and events.head. */
  readonly directory: string;
  /** store/worker.ts, as a path or URL: launch/parts.ts knows where it lies. */
  readonly workerPath: string | URL;
  /** Events older than this go, whole sealed segments at a time. */
  readonly retentionMs: number;
  /** Events after which a segment is sealed; 100,000. */
  readonly segmentEvents?: number;
  /** Age of its first event after which a segment is sealed; a day. */
  readonly segmentMs?: number;
  /** Above this size the oldest sealed segments go before their time; 4 GiB. */
  readonly maxBytes?: number;
  /** What may wait in memory while the disk refuses; 50,000 events and 32 MiB. */
  readonly maxWaitingEvents?: number;
  readonly maxWaitingBytes?: number;
  /** Between two rounds of retention and vacuum; a minute. */
  readonly maintainMs?: number;
  /** Back-off after a refusal or a crash of the worker; from 500 ms to 30 s. */
  readonly retryMs?: number;
  readonly longestRetryMs?: number;
}

export interface StoreDeps {
  readonly log?: Pick<DaemonLog, 'info' | 'warn' | 'error'>;
  readonly now: () => UnixMs;
}

const BATCH_EVENTS = 5_000;
/** A transaction costs as much as 30 rows: what comes in a stream is gathered for so long. */
const GATHER_MS = 20;
/** Between two steps of maintenance commits go first; a round ends after so many steps. */
const MAINTENANCE_STEPS = 1_000;

export function createStore(options: StoreOptions, { log, now }: StoreDeps): Store {
  const logOptions: Asks['open']['ask']['options'] = {
    directory: options.directory,
    retentionMs: options.retentionMs,
    segmentEvents: options.segmentEvents ?? 100_000,
    segmentMs: options.segmentMs ?? DAY_MS,
    maxBytes: options.maxBytes ?? 4 * 1024 ** 3,
  };
  const token = randomUUID();
  let worker: WorkerLink | null = null;
  let state: 'new' | 'closed' | 'open' | 'stopped' = 'new';
  let opening: Promise<Failure | null> | null = null;
  let damage: string | null = null;
  let numbers: Numbers = { events: 0, lastId: 0, bytes: 0, segments: 0, headTrouble: null, damaged: [] };
  let maintenance: NodeJS.Timeout | null = null;
  let maintaining: Promise<void> | null = null;
  let stopping = false;

  const queue = createCommitQueue(
    {
      maxEvents: options.maxWaitingEvents ?? 50_000,
      maxBytes: options.maxWaitingBytes ?? 32 * 1024 ** 2,
      batchEvents: BATCH_EVENTS,
      gatherMs: GATHER_MS,
      retryMs: options.retryMs ?? 500,
      longestRetryMs: options.longestRetryMs ?? 30_000,
    },
    { write, now },
  );

  async function ask<K extends AskKind>(kind: K, what: Asks[K]['ask']): Promise<Answer<K> | typeof GONE> {
    if (state === 'stopped') return GONE;
    worker ??= startWorker(options.workerPath, why => {
      worker = null;
      if (state === 'stopped') return;
      state = 'closed';
      log?.error('the thread of the event log ended', { why });
    });
    return worker.ask(kind, what);
  }

  /** Resolves with why it cannot be opened, or null. One attempt at a time, shared by all who need it. */
  function open(): Promise<Failure | null> {
    opening ??= tryOpen().finally(() => {
      opening = null;
    });
    return opening;
  }

  async function tryOpen(): Promise<Failure | null> {
    const reply = await ask('open', { options: logOptions, nowMs: now(), setAside: damage });
    if (reply === GONE) return crashed(options.directory);
    if (!reply.ok) return reply.failure;
    damage = null;
    if (state !== 'stopped') state = 'open';
    numbers = reply.answer.numbers;
    for (const note of reply.answer.notes) {
      log?.warn(note);
      queue.note({
        at: now(),
        kind: 'degraded',
        source: null,
        port: null,
        protocol: null,
        tier: null,
        reasons: [],
        origin: null,
        summary: note,
        detail: { part: 'store' },
      });
    }
    return null;
  }

  /** Twice where the thread died or the log turned out damaged: a batch keeps its number, so the second attempt finds what the first one wrote. */
  async function write({ number, events, changes }: NumberedBatch): Promise<Written> {
    const packed = packEvents(events);
    for (let attempt = 1; ; attempt++) {
      const closed = state === 'open' ? null : await open();
      if (closed !== null) return { ok: false, failure: closed, poisoned: false };
      const reply = await ask('append', { number, events: packed, changes, token, nowMs: now() });
      if (reply === GONE) {
        if (attempt === 1) continue;
        log?.error('events were given up: writing them ended the thread of the event log twice', { events: events.length });
        return { ok: false, failure: crashed(options.directory), poisoned: true };
      }
      if (reply.ok) {
        numbers = reply.answer.numbers;
        if (queue.refusal !== null) log?.info('the event log can be written again', { waiting: queue.waiting, lost: queue.lost });
        if (reply.answer.sealed) maintainSoon();
        return { ok: true, firstId: reply.answer.firstId };
      }
      const { failure } = reply;
      if (failure.kind === 'damaged' && attempt === 1) {
        damage = failure.why;
        state = 'closed';
        continue;
      }
      // SQLite opens what it may not write for reading, and stays so when it may: only a new connection notices.
      if (failure.kind === 'read-only') state = 'closed';
      if (queue.refusal?.why !== failure.why) log?.error(failure.why, { fix: failure.fix });
      return { ok: false, failure, poisoned: failure.kind === 'bug' };
    }
  }

  /** Retention and vacuum in small steps. */
  async function maintain(): Promise<void> {
    for (let step = 0; step < MAINTENANCE_STEPS && state === 'open' && !stopping; step++) {
      const reply = await ask('maintain', { nowMs: now() });
      if (reply === GONE) return;
      if (!reply.ok) {
        log?.warn(`maintenance of the event log: ${reply.failure.why}`, { fix: reply.failure.fix });
        return;
      }
      numbers = reply.answer.numbers;
      if (!reply.answer.more) return;
    }
  }

  function maintainSoon(): void {
    maintaining ??= maintain().finally(() => {
      maintaining = null;
    });
  }

  /** A question that changes nothing is asked again of a new thread. */
  async function read<K extends 'ledger' | 'query' | 'verify' | 'tip'>(kind: K, what: Asks[K]['ask']): Promise<Asks[K]['answer']> {
    for (let attempt = 1; ; attempt++) {
      if (state === 'closed') await open();
      const reply = await ask(kind, what);
      if (reply === GONE && attempt === 1) continue;
      if (reply === GONE) throw errorOf(queue.refusal ?? crashed(options.directory));
      if (reply.ok) return reply.answer;
      throw errorOf(state === 'open' ? reply.failure : (queue.refusal ?? reply.failure));
    }
  }

  return {
    async start() {
      state = 'closed';
      const failure = await open();
      if (failure?.kind === 'newer') {
        await stopWorker();
        throw errorOf(failure);
      }
      if (failure !== null) {
        log?.error(failure.why, { fix: failure.fix });
        queue.refuse(failure);
      }
      maintenance = setInterval(maintainSoon, options.maintainMs ?? MINUTE_MS).unref();
      maintainSoon();
    },
    commit: commit => queue.add(commit),
    async loadLedger() {
      try {
        const { ledger, unreadable } = await read('ledger', null);
        if (unreadable > 0) log?.warn('rows of the ledger hold what was never written and are left out', { rows: unreadable });
        return ledger;
      } catch (error) {
        log?.error('the ledger could not be read: it starts empty', { why: error instanceof Error ? error.message : String(error) });
        return NOTHING;
      }
    },
    query: query => read('query', query),
    verify: () => read('verify', null),
    tip: () => read('tip', null),
    status: () => statusOf(numbers, queue, options.directory),
    async stop() {
      if (stopping) return;
      stopping = true;
      await maintaining;
      if (maintenance !== null) clearInterval(maintenance);
      if (state !== 'new') await queue.drain();
      await stopWorker();
    },
  };

  async function stopWorker(): Promise<void> {
    const link = worker;
    state = 'stopped';
    await link?.ask('close', null);
    await link?.terminate();
  }
}

function statusOf(
  numbers: Numbers,
  queue: { readonly refusal: Failure | null; readonly waiting: number; readonly lost: number },
  directory: string,
): StoreStatus {
  const { events, lastId, bytes, segments, headTrouble, damaged } = numbers;
  const counted = { events, lastId, bytes, segments, waiting: queue.waiting, lost: queue.lost };
  if (queue.refusal !== null) return { ok: false, ...counted, why: queue.refusal.why, fix: queue.refusal.fix };
  if (headTrouble !== null)
    return { ok: false, ...counted, why: `the head file of the event log cannot be written (${headTrouble})`, fix: `make ${directory}/events.head writable` };
  if (damaged.length > 0) {
    return {
      ok: false,
      ...counted,
      why: `the event log was damaged: it was set aside as ${damaged.map(name => `${directory}/${name}`).join(', ')} and a new one begun`,
      fix: `keep what you need of it and move it away: mv ${directory}/${damaged[0]}* /root/`,
    };
  }
  return { ok: true, ...counted };
}

const crashed = (directory: string): Failure => ({
  kind: 'failing',
  why: `the thread of the event log in ${directory} ended unexpectedly`,
  fix: 'it is started again by itself; "honeymesh support dump" and the log tell what a report needs',
});
