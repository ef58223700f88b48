/** The log opened for writing: appends in batches, seals, retires, gives space back. Synchronous; runs in the worker. No clock: times come in. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { LedgerChange } from '../ledger/decisions.ts';
import { type ChainValue, link } from './chain.ts';
import { DamagedLog } from './failures.ts';
import { type HeadFile, openHeadFile, readHead } from './head-file.ts';
import { ledgerWriter } from './ledger-tables.ts';
import { COLUMNS, type EventParts, rowOf } from './rows.ts';
import { closeSegment, LOG_FILE, migrate, segmentName, segmentTable } from './schema.ts';
import { contradiction, headOf, readTail, retirementValues, type Seal, sealValues, type Tail } from './segments.ts';

export interface LogOptions {
  readonly directory: string;
  readonly retentionMs: number;
  /** Events after which a segment is sealed. */
  readonly segmentEvents: number;
  /** Age of its first event after which a segment is sealed. */
  readonly segmentMs: number;
  /** Above this size the oldest sealed segments go before their time. */
  readonly maxBytes: number;
}

export interface Batch {
  /** Names the store that sends; a batch number counts within it. */
  readonly token: string;
  readonly number: number;
  readonly events: readonly EventParts[];
  readonly changes: readonly LedgerChange[];
  readonly nowMs: number;
}

export interface LogNumbers {
  readonly events: number;
  readonly lastId: number;
  readonly bytes: number;
  readonly segments: number;
}

export interface Log {
  readonly db: Database.Database;
  /** One transaction, on disk when this returns; a batch that is there already is left as it is. Returns the id of its first event. */
  append(batch: Batch): { readonly firstId: number; readonly sealed: boolean };
  /** One bounded step of sealing by age, retention or vacuum. True: there is more to do. */
  maintain(nowMs: number): boolean;
  numbers(): LogNumbers;
  /** Puts the head file on disk. */
  syncHead(): void;
  /** Why the head file cannot be written; null while it can. */
  headTrouble(): string | null;
  close(): void;
}

/** A checkpoint keeps the write-ahead log about this small; it is cut back to it after a burst. */
const WAL_BYTES = 16 * 1024 * 1024;
/** A page that is written again before the checkpoint is copied once. */
const WAL_PAGES = WAL_BYTES / 4_096;
const VACUUM_PAGES = 512;
/** Free pages that are not worth a vacuum: new events take them soon. */
const SPARE_PAGES = 256;

/** Opens a file that was examined before (damage.ts), or creates one with `inherited` in its ledger. Throws what SQLite or the file system says. */
export function openLog(options: LogOptions, inherited: readonly LedgerChange[] = []): Log {
  const db = new Database(join(options.directory, LOG_FILE), { timeout: 2_000 });
  try {
    // Takes only in a new file, before its first table; in an old one it would write, and an old one may turn out damaged
    if (Number(db.pragma('schema_version', { simple: true })) === 0) db.pragma('auto_vacuum = INCREMENTAL');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL'); // acknowledged means on disk, power cut included
    db.pragma(`journal_size_limit = ${WAL_BYTES}`);
    db.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
    db.pragma('trusted_schema = OFF');
    db.pragma('temp_store = MEMORY');
    migrate(db, () => {
      const ledger = ledgerWriter(db);
      for (const change of inherited) ledger.apply(change);
    });
    const tail = readTail(db);
    const head = readHead(options.directory);
    const trouble = head === null ? null : contradiction(db, tail, head);
    if (trouble !== null) throw new DamagedLog(trouble);
    return writeLog(db, tail, openHeadFile(options.directory, headOf(tail)), options);
  } catch (error) {
    db.close();
    throw error;
  }
}

function writeLog(db: Database.Database, opened: Tail, headFile: HeadFile, options: LogOptions): Log {
  const ledger = ledgerWriter(db);
  const insertSeal = db.prepare('INSERT INTO seals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const insertRetired = db.prepare('INSERT INTO retired VALUES (?, ?, ?, ?)');
  const oldestSeal = db.prepare<[number], Seal>('SELECT * FROM seals WHERE segment = ?');
  const lastWritten = db.prepare<[], { token: string; batch: number; first_id: number }>('SELECT token, batch, first_id FROM writer');
  const setWritten = db.prepare('INSERT OR REPLACE INTO writer (one, token, batch, first_id) VALUES (1, ?, ?, ?)');
  const dataVersion = db.prepare<[], number>('PRAGMA data_version').pluck();
  const freePages = db.prepare<[], number>('PRAGMA freelist_count').pluck();
  const allPages = db.prepare<[], number>('PRAGMA page_count').pluck();
  const pageBytes = Number(db.pragma('page_size', { simple: true }));
  const walPath = `${db.name}-wal`;

  let tail = opened;
  let insert = insertInto(tail.segment);
  let seen = dataVersion.get();
  let headTrouble: string | null = null;

  function insertInto(segment: number): Database.Statement<ChainValue[]> {
    return db.prepare(`INSERT INTO ${segmentName(segment)} (${COLUMNS.join(', ')}, hash) VALUES (${'?, '.repeat(COLUMNS.length)}?)`);
  }

  /** Within a transaction; the tail after it. */
  function seal(before: Tail, nowMs: number): Tail {
    const firstAt = before.firstAt ?? nowMs;
    const lastAt = before.lastAt ?? nowMs;
    const record = {
      segment: before.segment,
      first_id: before.firstId,
      last_id: before.lastId,
      events: before.lastId - before.firstId + 1,
      first_at: firstAt,
      last_at: lastAt,
      head: before.hash,
      sealed_at: nowMs,
    };
    const sealsHash = link(before.sealsHash, sealValues(record));
    insertSeal.run(...sealValues(record), sealsHash);
    db.exec(closeSegment(before.segment));
    const segment = before.segment + 1;
    db.exec(segmentTable(segment, before.lastId + 1));
    insert = insertInto(segment);
    return { ...before, segment, firstId: before.lastId + 1, firstAt: null, lastAt: null, seals: before.segment, sealsHash };
  }

  /** Runs `change` as one transaction and takes its tail over only if it was committed. */
  function commit(change: () => Tail): void {
    const before = tail;
    try {
      tail = db.transaction(change).immediate();
    } catch (error) {
      insert = insertInto(before.segment); // a seal that was rolled back took its statement along
      throw error;
    }
  }

  function note(force: boolean): void {
    try {
      headFile.write(headOf(tail));
      if (force) headFile.sync();
      headTrouble = null;
    } catch (error) {
      headTrouble = error instanceof Error ? error.message : String(error);
    }
  }

  /** Somebody else wrote into the file: what we chained to must still be its end. */
  function lookAgain(): void {
    const version = dataVersion.get();
    if (version === seen) return;
    const found = readTail(db);
    const trouble = contradiction(db, found, headOf(tail)) ?? (found.lastId !== tail.lastId ? 'somebody else appended to it' : null);
    if (trouble !== null) throw new DamagedLog(trouble);
    seen = version;
  }

  function append(batch: Batch): { readonly firstId: number; readonly sealed: boolean } {
    lookAgain();
    let firstId = tail.lastId + 1;
    const sealsBefore = tail.seals;
    commit(() => {
      const written = lastWritten.get();
      if (written !== undefined && written.token === batch.token && written.batch >= batch.number) {
        firstId = written.first_id;
        return tail;
      }
      let next = tail;
      let { lastId, hash, firstAt, lastAt } = tail;
      for (const parts of batch.events) {
        const row = rowOf(++lastId, parts);
        hash = link(hash, row);
        insert.run(...row, hash);
        firstAt = firstAt === null ? parts.at : Math.min(firstAt, parts.at);
        lastAt = lastAt === null ? parts.at : Math.max(lastAt, parts.at);
        if (lastId - next.firstId + 1 < options.segmentEvents) continue;
        next = seal({ ...next, lastId, hash, firstAt, lastAt }, batch.nowMs);
        firstAt = lastAt = null;
      }
      for (const change of batch.changes) ledger.apply(change);
      setWritten.run(batch.token, batch.number, firstId);
      return { ...next, lastId, hash, firstAt, lastAt };
    });
    const sealed = tail.seals !== sealsBefore;
    note(sealed);
    return { firstId, sealed };
  }

  function retire(nowMs: number): boolean {
    const seal = tail.retired + 1 < tail.segment ? oldestSeal.get(tail.retired + 1) : undefined;
    if (seal === undefined) return false;
    const used = ((allPages.get() ?? 0) - (freePages.get() ?? 0)) * pageBytes;
    const why = seal.last_at < nowMs - options.retentionMs ? 'age' : used > options.maxBytes ? 'space' : null;
    if (why === null) return false;
    const record = { segment: seal.segment, retired_at: nowMs, why };
    commit(() => {
      const retiredHash = link(tail.retiredHash, retirementValues(record, seal.hash));
      insertRetired.run(seal.segment, nowMs, why, retiredHash);
      db.exec(`DROP TABLE IF EXISTS ${segmentName(seal.segment)}`);
      return { ...tail, retired: seal.segment, retiredHash, oldestId: seal.last_id + 1 };
    });
    note(true);
    return true;
  }

  function vacuum(): boolean {
    const free = freePages.get() ?? 0;
    if (free <= SPARE_PAGES) return false;
    db.pragma(`incremental_vacuum(${Math.min(VACUUM_PAGES, free - SPARE_PAGES)})`);
    return (freePages.get() ?? 0) > SPARE_PAGES;
  }

  return {
    db,
    append,
    maintain(nowMs) {
      lookAgain();
      const filled = tail.lastId - tail.firstId + 1;
      if (filled > 0 && tail.firstAt !== null && nowMs - tail.firstAt >= options.segmentMs) {
        commit(() => seal(tail, nowMs));
        note(true);
        return true;
      }
      return retire(nowMs) || vacuum();
    },
    numbers: () => ({
      events: tail.lastId - tail.oldestId + 1,
      lastId: tail.lastId,
      bytes: (allPages.get() ?? 0) * pageBytes + sizeOf(walPath),
      segments: tail.segment - tail.retired,
    }),
    syncHead() {
      try {
        headFile.sync();
      } catch (error) {
        headTrouble = error instanceof Error ? error.message : String(error);
      }
    },
    headTrouble: () => headTrouble,
    close() {
      note(true);
      headFile.close();
      db.close();
    },
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
