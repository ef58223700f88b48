/** What to do with a log that is not what was written: it is set aside as it lies, never written to, and the ledger is read out of it. */
import { closeSync, existsSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { rfc3339, type UnixMs } from '@honeymesh/intel/time';
import Database from 'better-sqlite3';
import type { LedgerSnapshot } from '../ledger/decisions.ts';
import { DamagedLog, failureOf } from './failures.ts';
import { headPath, readHead } from './head-file.ts';
import { NOTHING, readLedger } from './ledger-tables.ts';
import { ADVICE_VERSION, APPLICATION_ID, LOG_FILE, segmentName, versionOf } from './schema.ts';
import { contradiction, readTail } from './segments.ts';

/** So many damaged logs are kept; more would fill the disk, and a disk that damages five is no place for a sixth. */
const MOST_DAMAGED = 5;
/** https://www.sqlite.org/fileformat2.html, 1.3.3: 1 legacy, 2 WAL. */
const WRITE_VERSION_AT = 18;

export type Examined = { readonly state: 'new' | 'good' | 'good-without-head' } | { readonly state: 'damaged'; readonly why: string };

/** Looks at a log without writing to it. Bounded: it reads the ledger, the seals and the open segment; "events verify" reads everything.
 * Throws for what is not damage: a newer version, a file system that refuses. */
export function examine(directory: string): Examined {
  const path = join(directory, LOG_FILE);
  const head = readHead(directory);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const vanished = head !== null && head.lastId > 0 ? `events 1 to ${head.lastId} are missing: the file is ${existsSync(path) ? 'empty' : 'gone'}` : null;
  if (size === 0 && !hasWal(path)) return vanished === null ? { state: 'new' } : { state: 'damaged', why: vanished };
  if (size > 0 && !mayBeWritten(path)) return { state: 'damaged', why: 'its header says that only a newer SQLite may write it' };
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: 2_000 });
    const tables = Number(db.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck().get());
    const application = Number(db.pragma('application_id', { simple: true }));
    if (tables === 0 && application === 0) return vanished === null ? { state: 'new' } : { state: 'damaged', why: vanished };
    if (application !== APPLICATION_ID) return { state: 'damaged', why: 'it is the database of another program' };
    const version = versionOf(db);
    const tail = readTail(db);
    for (const table of [
      'bans',
      'allowed',
      'offences',
      ...(version >= ADVICE_VERSION ? ['advice'] : []),
      'writer',
      'seals',
      'retired',
      segmentName(tail.segment),
    ]) {
      const said = db.pragma(`quick_check(${table})`, { simple: true });
      if (said !== 'ok') return { state: 'damaged', why: `${table}: ${String(said).slice(0, 200)}` };
    }
    if (head === null) return { state: tail.lastId === 0 ? 'good' : 'good-without-head' };
    const trouble = contradiction(db, tail, head);
    return trouble === null ? { state: 'good' } : { state: 'damaged', why: trouble };
  } catch (error) {
    if (failureOf(error, directory).kind !== 'damaged') throw error;
    return { state: 'damaged', why: error instanceof Error ? error.message : String(error) };
  } finally {
    db?.close();
  }
}

/** SQLite opens a file whose "file format write version" it does not know for reading only, and says so at the first write: too late for us. */
function mayBeWritten(path: string): boolean {
  const version = Buffer.alloc(1);
  const file = openSync(path, 'r');
  try {
    return readSync(file, version, 0, 1, WRITE_VERSION_AT) === 0 || version[0] === 1 || version[0] === 2;
  } finally {
    closeSync(file);
  }
}

/** Renames the log, its write-ahead log and its head out of the way; returns the new name. Overwrites nothing. */
export function setAside(directory: string, now: UnixMs): string {
  if (damagedLogs(directory).length >= MOST_DAMAGED) {
    throw new DamagedLog(`${MOST_DAMAGED} damaged logs lie there already and none more is set aside: move them away and look for errors of the disk`);
  }
  const stamp = rfc3339(now).replaceAll(/[-:]|\.\d+/g, '');
  let name = `${LOG_FILE}.damaged-${stamp}`;
  for (let more = 2; existsSync(join(directory, name)) || existsSync(join(directory, `${name}-head`)); more++) name = `${LOG_FILE}.damaged-${stamp}-${more}`;
  const move = (from: string, to: string): void => {
    if (existsSync(from)) renameSync(from, to);
  };
  // The write-ahead log first: a crash in between must not leave it for the new file
  move(join(directory, `${LOG_FILE}-wal`), join(directory, `${name}-wal`));
  rmSync(join(directory, `${LOG_FILE}-shm`), { force: true });
  move(join(directory, LOG_FILE), join(directory, name));
  move(headPath(directory), join(directory, `${name}-head`));
  return name;
}

/** Names of the logs that were set aside in `directory`, oldest first. */
export function damagedLogs(directory: string): readonly string[] {
  try {
    const found = readdirSync(directory).filter(name => name.startsWith(`${LOG_FILE}.damaged-`));
    return [...new Set(found.map(name => name.replace(/-(wal|shm|head)$/, '')))].sort();
  } catch {
    return [];
  }
}

/** What can still be read of the ledger in a log that was set aside. Never throws. */
export function salvage(directory: string, name: string): { readonly ledger: LedgerSnapshot; readonly unreadable: number } {
  const path = join(directory, name);
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: 0 });
    // SQLite reads a file that is shorter than its header says only to whom it trusts with the schema (btree.c, lockBtree)
    db.unsafeMode(true);
    db.pragma('writable_schema = ON');
    if (Number(db.pragma('application_id', { simple: true })) !== APPLICATION_ID) return { ledger: NOTHING, unreadable: 0 };
    return readLedger(db, { damaged: true });
  } catch {
    return { ledger: NOTHING, unreadable: 1 };
  } finally {
    db?.close();
    rmSync(`${path}-shm`, { force: true });
  }
}

/** The log's file, empty and private, before SQLite opens it: its companions take over the mode. */
export function createPrivately(directory: string): void {
  closeSync(openSync(join(directory, LOG_FILE), 'a', 0o600));
}

const hasWal = (path: string): boolean => (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
