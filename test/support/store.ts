/** Stores in directories that go away, events to fill them, and ways to tamper with them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import type { NewEvent } from '@honeymesh/intel/events';
import { unixMs } from '@honeymesh/intel/time';
import Database from 'better-sqlite3';
import { onTestFinished } from 'vitest';
import type { Store } from '#enforcer/store/port.ts';
import { createStore, type StoreOptions } from '#enforcer/store/store.ts';

export const STORE_WORKER = new URL('../../enforcer/store/worker.ts', import.meta.url);
/** Midday in the autumn of 2026. */
export const NOON = unixMs(Date.UTC(2026, 10, 24, 12));

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'honeymesh-store-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Clock {
  ms: number;
}

/** A started store that is stopped when the test ends. The clock stands still until the test moves it. */
export async function startStore(options: Partial<StoreOptions> & { readonly directory: string }, clock: Clock = { ms: NOON }): Promise<Store> {
  const store = createStore(
    { workerPath: STORE_WORKER, retentionMs: 86_400_000, retryMs: 20, longestRetryMs: 100, ...options },
    { now: () => unixMs(clock.ms) },
  );
  onTestFinished(() => store.stop());
  await store.start();
  return store;
}

export function anEvent(parts: Partial<NewEvent> = {}): NewEvent {
  return {
    at: NOON,
    kind: 'touch',
    source: '203.0.113.7' as Address,
    port: 22,
    protocol: 'tcp',
    tier: 'E1',
    reasons: ['trap-touch'],
    origin: 'trap',
    summary: 'touched port 22',
    ...parts,
  };
}

export const manyEvents = (count: number, parts: (at: number) => Partial<NewEvent> = () => ({})): readonly NewEvent[] =>
  Array.from({ length: count }, (_, at) => anEvent({ summary: `event ${at}`, ...parts(at) }));

export const aBan = (target: string, parts: Partial<Ban> = {}): Ban => ({
  target: target as Prefix,
  tier: 'E1',
  reasons: ['trap-touch'],
  origins: ['trap'],
  createdAt: NOON,
  expiresAt: unixMs(NOON + 3_600_000),
  offences: 1,
  ...parts,
});

/** Opens the log behind the store's back, with its guards down: what somebody with a shell would do. */
export function tamper(directory: string, change: (db: Database.Database) => void): void {
  const db = new Database(join(directory, 'events.db'));
  try {
    change(db);
  } finally {
    db.close();
  }
}

/** Drops the triggers of a table, changes it and puts them back. */
export function withoutGuards(db: Database.Database, table: string, change: () => void): void {
  const triggers = db
    .prepare<[string], { name: string; sql: string }>("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?")
    .all(table);
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  change();
  for (const { sql } of triggers) db.exec(sql);
}
