/**
 * What this host has for the hub, on the disk until a receipt covers it. Each entry knows the number of the one before it that was meant for the hub; where
 * one leaves without a receipt, the next one takes over its predecessor, so that the hub never waits for what does not come.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expiryOf, openEnvelope } from '@honeymesh/intel/envelope';
import { isSettled, type Receipt } from '@honeymesh/intel/hub-messages';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import Database from 'better-sqlite3';
import type { HubHead } from './numbering.ts';
import type { OwnEnvelope } from './port.ts';

export interface OutboxEntry extends OwnEnvelope {
  readonly previous: number;
  readonly issuedAt: UnixMs;
}

export interface Outbox {
  /** In the order of their numbers; what is no intel of ours, or came before, changes nothing. On the disk when it returns (a crash of the machine may take the last second). */
  add(envelopes: readonly OwnEnvelope[], now: UnixMs): void;
  /** The oldest, by epoch and number. */
  oldest(most: number): readonly OutboxEntry[];
  /** Signed at `issuedAt` or later. */
  since(issuedAt: UnixMs, most: number): readonly OutboxEntry[];
  /** Lets go of what the receipt covers; how many that were. */
  settle(receipt: Receipt): number;
  /** Lets go of what has expired: nobody would take it. */
  prune(now: UnixMs): number;
  readonly waiting: number;
  head(): HubHead | null;
  keepHead(head: HubHead): void;
  close(): void;
}

export interface OutboxOptions {
  /** Made if it is not there, for this user only. */
  readonly directory: string;
  /** As whom this host signs: what an earlier key signed has no receipt any more. */
  readonly kid: string;
  /** Entries; beyond it the oldest go. At 1.4 kB each. */
  readonly most?: number;
}

export const OUTBOX_FILE = 'outbox.sqlite';
const MOST_ENTRIES = 50_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS entries (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, previous INTEGER NOT NULL,
    issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (epoch, seq)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS by_expiry ON entries (expires_at);
  CREATE INDEX IF NOT EXISTS by_issue ON entries (issued_at);
  CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY, last INTEGER NOT NULL, link INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;
/** Of so many epochs it is known what was taken already. */
const MOST_EPOCHS = 64;

interface Row {
  readonly epoch: number;
  readonly seq: number;
  readonly previous: number;
  readonly issued_at: number;
  readonly bytes: Buffer;
}

/** Throws what SQLite throws: no room, a damaged file. */
export function openOutbox({ directory, kid, most = MOST_ENTRIES }: OutboxOptions): Outbox {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const db = new Database(join(directory, OUTBOX_FILE));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = NORMAL'); // survives our own death at any moment
  db.pragma('busy_timeout = 2000');
  db.exec(SCHEMA);

  const insert = db.prepare('INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?)');
  /** The highest number that was taken, and what the next one names as the one before it. */
  const lastOf = db.prepare<[number], { last: number; link: number }>('SELECT last, link FROM epochs WHERE epoch = ?');
  const keepLast = db.prepare('INSERT INTO epochs VALUES (?, ?, ?) ON CONFLICT (epoch) DO UPDATE SET last = excluded.last, link = excluded.link');
  const previousOf = db.prepare<[number, number], { previous: number }>('SELECT previous FROM entries WHERE epoch = ? AND seq = ?');
  const first = db.prepare<[number], Row>('SELECT epoch, seq, previous, issued_at, bytes FROM entries ORDER BY epoch, seq LIMIT ?');
  const recent = db.prepare<[number, number], Row>(
    'SELECT epoch, seq, previous, issued_at, bytes FROM entries WHERE issued_at >= ? ORDER BY epoch DESC, seq DESC LIMIT ?',
  );
  const ofEpoch = db.prepare<[number], { seq: number }>('SELECT seq FROM entries WHERE epoch = ?');
  const remove = db.prepare('DELETE FROM entries WHERE epoch = ? AND seq = ?');
  const relink = db.prepare('UPDATE entries SET previous = ? WHERE epoch = ? AND previous = ?');
  const relinkNext = db.prepare('UPDATE epochs SET link = ? WHERE epoch = ? AND link = ?');
  const expired = db.prepare<[number], Row>('SELECT epoch, seq, previous, issued_at, bytes FROM entries WHERE expires_at <= ?');
  const counted = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM entries');
  const fact = db.prepare<[string], { value: string }>('SELECT value FROM facts WHERE name = ?');
  const keepFact = db.prepare('INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value');
  const forgetEpochs = db.prepare('DELETE FROM epochs WHERE epoch NOT IN (SELECT epoch FROM epochs ORDER BY epoch DESC LIMIT ?)');

  if (fact.get('kid')?.value !== kid) {
    db.transaction(() => {
      db.exec('DELETE FROM entries; DELETE FROM epochs;');
      keepFact.run('kid', kid);
    })();
  }
  let waiting = counted.get()?.count ?? 0;

  function drop({ epoch, seq }: Row): void {
    // Not as the row was read: its predecessor may have gone a moment ago.
    const previous = previousOf.get(epoch, seq)?.previous ?? 0;
    remove.run(epoch, seq);
    relink.run(previous, epoch, seq);
    relinkNext.run(previous, epoch, seq);
    waiting--;
  }

  const add = db.transaction((envelopes: readonly OwnEnvelope[], now: UnixMs) => {
    for (const { epoch, seq, bytes } of envelopes) {
      const opened = openEnvelope(bytes);
      if (!opened.ok || opened.value.type !== 'intel' || opened.value.kid !== kid) continue;
      if (opened.value.epoch !== epoch || opened.value.seq !== seq || expiryOf(opened.value) <= now) continue;
      const { last, link } = lastOf.get(epoch) ?? { last: 0, link: 0 };
      if (seq <= last) continue;
      insert.run(epoch, seq, link, opened.value.issuedAt, expiryOf(opened.value), bytes);
      keepLast.run(epoch, seq, seq);
      waiting++;
    }
    forgetEpochs.run(MOST_EPOCHS);
    if (waiting > most) for (const row of first.all(waiting - most)) drop(row);
  });

  const settle = db.transaction((receipt: Receipt) => {
    const settled = ofEpoch.all(receipt.epoch).filter(({ seq }) => isSettled(receipt, seq));
    for (const { seq } of settled) remove.run(receipt.epoch, seq);
    waiting -= settled.length;
    return settled.length;
  });

  const prune = db.transaction((now: UnixMs) => {
    const gone = expired.all(now);
    for (const row of gone) drop(row);
    return gone.length;
  });

  return {
    add: (envelopes, now) => add(envelopes, now),
    oldest: limit => first.all(limit).map(entryOf),
    since: (issuedAt, limit) => recent.all(issuedAt, limit).map(entryOf).reverse(),
    settle: receipt => settle(receipt),
    prune: now => prune(now),
    get waiting() {
      return waiting;
    },
    head() {
      const [epoch, number] = (fact.get('head')?.value ?? '').split(' ').map(Number);
      return Number.isSafeInteger(epoch) && Number.isSafeInteger(number) ? { epoch: epoch as number, number: number as number } : null;
    },
    keepHead: ({ epoch, number }) => void keepFact.run('head', `${epoch} ${number}`),
    close: () => void db.close(),
  };
}

const entryOf = ({ epoch, seq, previous, issued_at, bytes }: Row): OutboxEntry => ({
  epoch,
  seq,
  previous,
  issuedAt: unixMs(issued_at),
  bytes: Uint8Array.from(bytes),
});
