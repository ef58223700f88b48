/**
 * What the file holds. Each segment of the log is a table of its own, so that retention drops a table and never deletes a row; triggers refuse
 * what an append-only log must not do. They stop accidents; the chain shows intent.
 */
import type Database from 'better-sqlite3';
import { NewerLog } from './failures.ts';

/** `HMsh`: tells our file from any other SQLite database. */
export const APPLICATION_ID = 0x484d7368;
export const LOG_FILE = 'events.db';

const LEDGER_TABLES = `
  CREATE TABLE bans (
    target TEXT PRIMARY KEY, tier TEXT NOT NULL, reasons INTEGER NOT NULL, origins TEXT NOT NULL, created_at INTEGER NOT NULL,
    expires_at INTEGER, offences INTEGER NOT NULL, note TEXT) STRICT;
  CREATE TABLE allowed (target TEXT PRIMARY KEY, cause TEXT NOT NULL, why TEXT NOT NULL, since INTEGER NOT NULL) STRICT;
  CREATE TABLE offences (target TEXT PRIMARY KEY, count INTEGER NOT NULL, last_ended_at INTEGER NOT NULL) STRICT;`;

const SEAL_TABLES = `
  CREATE TABLE seals (
    segment INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, events INTEGER NOT NULL, first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL, head BLOB NOT NULL, sealed_at INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
  CREATE TABLE retired (segment INTEGER PRIMARY KEY, retired_at INTEGER NOT NULL, why TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
  ${appendOnly('seals', 'segment', 1)}
  ${appendOnly('retired', 'segment', 1)}`;

// Which batch was written last, and as which ids: a batch that is sent again after a crash is recognised
const WRITER_TABLE =
  'CREATE TABLE writer (one INTEGER PRIMARY KEY CHECK (one = 1), token TEXT NOT NULL, batch INTEGER NOT NULL, first_id INTEGER NOT NULL) STRICT;';

/** From version n - 1 to n, in order. A released one is never changed. */
const MIGRATIONS: readonly ((db: Database.Database) => void)[] = [
  db => {
    db.exec(LEDGER_TABLES);
    db.exec(SEAL_TABLES);
    db.exec(WRITER_TABLE);
    db.exec(segmentTable(1, 1));
  },
  // A ban may be confined: since when, and when it is full. Neither: it is full.
  db => db.exec('ALTER TABLE bans ADD COLUMN confined_since INTEGER; ALTER TABLE bans ADD COLUMN full_at INTEGER;'),
  // Who advised a ban, and what is remembered of advice: a record a row, as JSON that the ledger reads.
  db => db.exec('ALTER TABLE bans ADD COLUMN advice TEXT; CREATE TABLE advice (key TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;'),
];
const SCHEMA_VERSION = MIGRATIONS.length;
/** From this version on there is a table of advice. */
export const ADVICE_VERSION = 3;

/** Brings an open file to SCHEMA_VERSION in one transaction; `onCreate` fills a new file within it. Throws NewerLog where it is beyond. */
export function migrate(db: Database.Database, onCreate: () => void): void {
  const version = versionOf(db);
  if (version === SCHEMA_VERSION) return;
  db.transaction(() => {
    for (const step of MIGRATIONS.slice(version)) step(db);
    if (version === 0) onCreate();
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
  }).immediate();
}

/** Throws NewerLog for a version that this program does not know. */
export function versionOf(db: Database.Database): number {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > SCHEMA_VERSION) throw new NewerLog(`the event log has schema version ${version}; this HoneyMesh knows versions up to ${SCHEMA_VERSION}`);
  return version;
}

export const segmentName = (segment: number): string => `segment_${segment}`;

/**
 * A segment whose first event is `firstId`. It has no index while it is open: in the order of arrival each row would dirty a page of the index of sources, and
 * cost more than everything else together; reading the whole of it takes 20 ms for 100,000 rows.
 */
export function segmentTable(segment: number, firstId: number): string {
  const table = segmentName(segment);
  return `
    CREATE TABLE ${table} (
      id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, source BLOB, source_bits INTEGER, port INTEGER, protocol TEXT, tier TEXT,
      reasons INTEGER NOT NULL, origin TEXT, summary TEXT NOT NULL, would_ban INTEGER, target TEXT, detail TEXT, hash BLOB NOT NULL) STRICT;
    ${appendOnly(table, 'id', firstId)}`;
}

/** After this the table takes nothing more. The indexes carry what an operator filters by; times are narrowed by the seals. */
export function closeSegment(segment: number): string {
  const table = segmentName(segment);
  return `
    CREATE INDEX IF NOT EXISTS ${table}_source ON ${table} (source) WHERE source IS NOT NULL;
    CREATE INDEX IF NOT EXISTS ${table}_port ON ${table} (port) WHERE port IS NOT NULL;
    CREATE INDEX IF NOT EXISTS ${table}_kind ON ${table} (kind);
    CREATE TRIGGER ${table}_sealed BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'this segment is sealed'); END;`;
}

/** The triggers that a table of the log has; verifying looks for each. */
export const guardsOf = (table: string): readonly string[] => [`${table}_no_update`, `${table}_no_delete`, `${table}_in_order`];

function appendOnly(table: string, key: string, first: number): string {
  return `
    CREATE TRIGGER ${table}_no_update BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, 'the log is append-only: nothing is changed'); END;
    CREATE TRIGGER ${table}_no_delete BEFORE DELETE ON ${table} BEGIN SELECT RAISE(ABORT, 'the log is append-only: nothing is deleted'); END;
    CREATE TRIGGER ${table}_in_order BEFORE INSERT ON ${table} WHEN NEW.${key} <> (SELECT coalesce(max(${key}) + 1, ${first}) FROM ${table})
      BEGIN SELECT RAISE(ABORT, 'the log is append-only: numbers go up by one'); END;`;
}
