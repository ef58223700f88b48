/** The thread that holds the log. It answers one request after another; a long verification lets the others in between its steps. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { unreachable } from '@honeymesh/intel/parsed';
import { HoneyMeshError } from '../errors.ts';
import { damagedLogs } from './damage.ts';
import { type Failure, failureOf } from './failures.ts';
import { readLedger } from './ledger-tables.ts';
import type { Log } from './log.ts';
import type { AskKind, Asks, Numbers, Reply, Request } from './messages.ts';
import { openOrReplace } from './opening.ts';
import type { Verification } from './port.ts';
import { selectEvents } from './queries.ts';
import { openForReading, type ReadableLog } from './reading.ts';
import { unpackEvents } from './rows.ts';
import { readTip } from './segments.ts';
import { verifyLog } from './verify.ts';

/** How long the head file may wait for the disk: a power cut within leaves the end of the log unguarded, not lost. */
const HEAD_SYNC_MS = 250;

const port = parentPort;
if (port === null) throw new Error('store/worker.ts runs as a worker thread only');

let directory = '';
let log: Log | null = null;
let reader: ReadableLog | null = null;
let headSync: NodeJS.Timeout | null = null;
let closing = false;
let damaged: readonly string[] = [];

port.on('message', (request: Request) => {
  void answer(request).then(reply => port.postMessage(reply));
});

async function answer(request: Request): Promise<Reply> {
  try {
    return { id: request.id, ok: true, answer: await handle(request) };
  } catch (error) {
    return { id: request.id, ok: false, failure: describe(error) };
  }
}

async function handle(request: Request): Promise<Asks[AskKind]['answer']> {
  switch (request.kind) {
    case 'open':
      return open(request.ask);
    case 'append': {
      const { firstId, sealed } = writable().append({ ...request.ask, events: unpackEvents(request.ask.events) });
      headSync ??= setTimeout(syncHead, HEAD_SYNC_MS);
      return { firstId, sealed, numbers: numbers() };
    }
    case 'maintain': {
      const more = writable().maintain(request.ask.nowMs);
      damaged = damagedLogs(directory);
      return { more, numbers: numbers() };
    }
    case 'ledger':
      return readLedger(readable());
    case 'query':
      return selectEvents(readable(), request.ask);
    case 'verify':
      return verify();
    case 'tip':
      return readTip(readable());
    case 'close':
      close();
      closing = true;
      return null;
    default:
      return unreachable(request);
  }
}

function open({ options, nowMs, setAside }: Asks['open']['ask']): Asks['open']['answer'] {
  close();
  directory = options.directory;
  try {
    const opened = openOrReplace(options, nowMs, setAside);
    log = opened.log;
    damaged = damagedLogs(directory);
    return { numbers: numbers(), notes: opened.notes };
  } catch (error) {
    try {
      reader = openForReading(directory);
    } catch {
      reader = null; // there is nothing to read either: the first error says why
    }
    throw error;
  }
}

async function verify(): Promise<Verification> {
  const steps = verifyLog(directory);
  try {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      await nextTurn();
      if (closing) throw new Error('the store is stopping');
    }
  } finally {
    steps.return({ ok: false, atId: null, segment: null, why: 'not finished' });
  }
}

function numbers(): Numbers {
  return { ...writable().numbers(), headTrouble: log?.headTrouble() ?? null, damaged };
}

function writable(): Log {
  if (log === null) throw new Error('it is not open for writing');
  return log;
}

function readable(): Log['db'] {
  const db = log?.db ?? reader?.db;
  if (db === undefined) throw new Error('it is not open');
  return db;
}

function syncHead(): void {
  headSync = null;
  log?.syncHead();
}

function close(): void {
  if (headSync !== null) clearTimeout(headSync);
  headSync = null;
  const [wasLog, wasReader] = [log, reader];
  log = null;
  reader = null;
  try {
    wasLog?.close();
  } catch {
    // what was acknowledged is on disk; a disk that refuses the last checkpoint keeps it in the write-ahead log
  }
  wasReader?.close();
}

/** What verifying threw already says what to do; the rest is what SQLite and the file system said. */
function describe(error: unknown): Failure {
  const failure = failureOf(error, directory);
  return error instanceof HoneyMeshError ? { ...failure, why: error.message, fix: error.fix ?? failure.fix } : failure;
}
