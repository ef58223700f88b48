/** Opens a log for reading: beside the daemon that writes it, after it, and where nothing can be written at all. */
import { constants, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { LOG_FILE } from './schema.ts';

export interface ReadableLog {
  readonly db: Database.Database;
  close(): void;
}

/** Throws what SQLite says; nothing is created beside the log but SQLite's own companions. */
export function openForReading(directory: string): ReadableLog {
  const path = join(directory, LOG_FILE);
  try {
    const db = open(path);
    return { db, close: () => db.close() };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!code.startsWith('SQLITE_CANTOPEN') && !code.startsWith('SQLITE_READONLY')) throw error;
    return openCopy(path);
  }
}

function open(path: string): Database.Database {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 2_000 });
  try {
    db.prepare('SELECT count(*) FROM sqlite_schema').get(); // opening is lazy: this is where a read-only directory shows
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** A file in WAL mode needs an index beside it, which a read-only directory refuses (sqlite.org/wal.html, "Read-Only Databases"). */
function openCopy(path: string): ReadableLog {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-log-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, LOG_FILE);
    copyFileSync(path, copy, constants.COPYFILE_FICLONE);
    if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`, constants.COPYFILE_FICLONE);
    const db = open(copy);
    return {
      db,
      close() {
        db.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
