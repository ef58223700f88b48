/** A log as the first version of its schema wrote it: the statements of that version, word for word, so that no later change of the code changes them. */
import { hash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const guards = (table: string, key: string): string => `
  CREATE TRIGGER ${table}_no_update BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, 'the log is append-only: nothing is changed'); END;
  CREATE TRIGGER ${table}_no_delete BEFORE DELETE ON ${table} BEGIN SELECT RAISE(ABORT, 'the log is append-only: nothing is deleted'); END;
  CREATE TRIGGER ${table}_in_order BEFORE INSERT ON ${table} WHEN NEW.${key} <> (SELECT coalesce(max(${key}) + 1, 1) FROM ${table})
    BEGIN SELECT RAISE(ABORT, 'the log is append-only: numbers go up by one'); END;`;

const VERSION_1 = `
  CREATE TABLE bans (
    target TEXT PRIMARY KEY, tier TEXT NOT NULL, reasons INTEGER NOT NULL, origins TEXT NOT NULL, created_at INTEGER NOT NULL,
    expires_at INTEGER, offences INTEGER NOT NULL, note TEXT) STRICT;
  CREATE TABLE allowed (target TEXT PRIMARY KEY, cause TEXT NOT NULL, why TEXT NOT NULL, since INTEGER NOT NULL) STRICT;
  CREATE TABLE offences (target TEXT PRIMARY KEY, count INTEGER NOT NULL, last_ended_at INTEGER NOT NULL) STRICT;
  CREATE TABLE seals (
    segment INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, events INTEGER NOT NULL, first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL, head BLOB NOT NULL, sealed_at INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
  CREATE TABLE retired (segment INTEGER PRIMARY KEY, retired_at INTEGER NOT NULL, why TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
  ${guards('seals', 'segment')}
  ${guards('retired', 'segment')}
  CREATE TABLE writer (one INTEGER PRIMARY KEY CHECK (one = 1), token TEXT NOT NULL, batch INTEGER NOT NULL, first_id INTEGER NOT NULL) STRICT;
  CREATE TABLE segment_1 (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, source BLOB, source_bits INTEGER, port INTEGER, protocol TEXT, tier TEXT,
    reasons INTEGER NOT NULL, origin TEXT, summary TEXT NOT NULL, would_ban INTEGER, target TEXT, detail TEXT, hash BLOB NOT NULL) STRICT;
  CREATE INDEX segment_1_source ON segment_1 (source) WHERE source IS NOT NULL;
  CREATE INDEX segment_1_port ON segment_1 (port) WHERE port IS NOT NULL;
  CREATE INDEX segment_1_kind ON segment_1 (kind);
  ${guards('segment_1', 'id')}`;

type Value = null | number | string | Uint8Array;

/** The chain's encoding, written a second time. */
function linked(before: Uint8Array, values: readonly Value[]): Buffer {
  const pieces: Uint8Array[] = [before];
  for (const value of values) {
    if (value === null) pieces.push(Buffer.of(0));
    else if (typeof value === 'number') {
      const bytes = Buffer.alloc(9, 1);
      bytes.writeDoubleBE(value, 1);
      pieces.push(bytes);
    } else {
      const bytes = Buffer.from(value as string);
      const head = Buffer.alloc(5, 2);
      head.writeUInt32BE(bytes.length, 1);
      pieces.push(head, bytes);
    }
  }
  return hash('sha256', Buffer.concat(pieces), 'buffer');
}

/** Writes events.db and events.head of that version: so many touches, each of an own source, and a ban of each. Returns the head of the chain. */
export function writeVersion1(directory: string, count: number, atMs: number): string {
  const db = new Database(join(directory, 'events.db'));
  db.pragma('auto_vacuum = INCREMENTAL');
  db.pragma('journal_mode = WAL');
  db.exec(VERSION_1);
  let head: Uint8Array = hash('sha256', 'HoneyMesh events 1', 'buffer');
  const event = db.prepare(`INSERT INTO segment_1 VALUES (${'?, '.repeat(14)}?)`);
  const ban = db.prepare("INSERT INTO bans VALUES (?, 'E1', 64, 'trap', ?, ?, 1, NULL)");
  for (let id = 1; id <= count; id++) {
    const source = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, id]);
    const row: Value[] = [id, atMs, 'touch', source, null, 22, 'tcp', 'E1', 64, 'trap', `touched the trap, naïvely, ${id}`, null, null, '{"connections":2}'];
    head = linked(head, row);
    event.run(...row, head);
    ban.run(`203.0.113.${id}/32`, atMs, atMs + 3_600_000);
  }
  db.pragma('application_id = 1213035368'); // HMsh
  db.pragma('user_version = 1');
  db.close();
  const genesis = (name: string): string => hash('sha256', `HoneyMesh ${name} 1`, 'hex');
  const body = ['honeymesh-head-1', count, Buffer.from(head).toString('hex'), 0, genesis('seals'), 0, genesis('retired')].join(' ');
  const slot = `${body} ${hash('sha256', body, 'hex').slice(0, 16)}`.padEnd(511).concat('\n');
  writeFileSync(join(directory, 'events.head'), slot + slot);
  return Buffer.from(head).toString('hex');
}
