/** Which segments there are: the seals' record, what was retired, and the open one at the end. */
import type Database from 'better-sqlite3';
import { type ChainValue, GENESIS, hex } from './chain.ts';
import { DamagedLog } from './failures.ts';
import type { Head } from './head-file.ts';
import type { LogTip } from './port.ts';
import { segmentName } from './schema.ts';

export interface Seal {
  readonly segment: number;
  readonly first_id: number;
  readonly last_id: number;
  readonly events: number;
  /** Earliest and latest `at` inside: clocks step back, ids do not. */
  readonly first_at: number;
  readonly last_at: number;
  readonly head: Uint8Array;
  readonly sealed_at: number;
  readonly hash: Uint8Array;
}

export interface Retirement {
  readonly segment: number;
  readonly retired_at: number;
  readonly why: string;
  readonly hash: Uint8Array;
}

export const sealValues = (seal: Omit<Seal, 'hash'>): readonly ChainValue[] => [
  seal.segment,
  seal.first_id,
  seal.last_id,
  seal.events,
  seal.first_at,
  seal.last_at,
  seal.head,
  seal.sealed_at,
];
/** The seal's own link is in: a retirement speaks of exactly this seal. */
export const retirementValues = (retirement: Omit<Retirement, 'hash'>, seal: Uint8Array): readonly ChainValue[] => [
  retirement.segment,
  retirement.retired_at,
  retirement.why,
  seal,
];

export const readSeals = (db: Database.Database): readonly Seal[] => db.prepare<[], Seal>('SELECT * FROM seals ORDER BY segment').all();
export const readRetired = (db: Database.Database): readonly Retirement[] => db.prepare<[], Retirement>('SELECT * FROM retired ORDER BY segment').all();

/** Numbers of the segment tables that exist, ascending. */
export function presentSegments(db: Database.Database): readonly number[] {
  const names = db.prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'segment_*'").all();
  return names.map(({ name }) => Number(name.slice('segment_'.length))).sort((one, other) => one - other);
}

/** The end of the log: where the next event goes and what it is chained to. */
export interface Tail {
  readonly segment: number;
  readonly firstId: number;
  readonly lastId: number;
  readonly hash: Uint8Array;
  readonly firstAt: number | null;
  readonly lastAt: number | null;
  readonly seals: number;
  readonly sealsHash: Uint8Array;
  readonly retired: number;
  readonly retiredHash: Uint8Array;
  /** Id of the oldest event that is still there, or would be. */
  readonly oldestId: number;
}

export function readTail(db: Database.Database): Tail {
  const seal = db.prepare<[], Seal>('SELECT * FROM seals ORDER BY segment DESC LIMIT 1').get();
  const retirement = db.prepare<[], Retirement>('SELECT * FROM retired ORDER BY segment DESC LIMIT 1').get();
  const retiredSeal = retirement === undefined ? undefined : db.prepare<[number], Seal>('SELECT * FROM seals WHERE segment = ?').get(retirement.segment);
  const segment = (seal?.segment ?? 0) + 1;
  const table = segmentName(segment);
  if (db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table) === undefined)
    throw new DamagedLog(`its open segment ${segment} is missing`);
  const last = db.prepare<[], { id: number; hash: Uint8Array }>(`SELECT id, hash FROM ${table} ORDER BY id DESC LIMIT 1`).get();
  const times = db.prepare<[], { first: number | null; last: number | null }>(`SELECT min(at) AS first, max(at) AS last FROM ${table}`).get();
  const firstId = (seal?.last_id ?? 0) + 1;
  return {
    segment,
    firstId,
    lastId: last?.id ?? firstId - 1,
    hash: last?.hash ?? seal?.head ?? GENESIS.events,
    firstAt: times?.first ?? null,
    lastAt: times?.last ?? null,
    seals: seal?.segment ?? 0,
    sealsHash: seal?.hash ?? GENESIS.seals,
    retired: retirement?.segment ?? 0,
    retiredHash: retirement?.hash ?? GENESIS.retired,
    oldestId: (retiredSeal?.last_id ?? 0) + 1,
  };
}

/** Where the log ends, in three look-ups. */
export function readTip(db: Database.Database): LogTip {
  const seal = db.prepare<[], Seal>('SELECT * FROM seals ORDER BY segment DESC LIMIT 1').get();
  const last = db.prepare<[], { id: number; hash: Uint8Array }>(`SELECT id, hash FROM ${segmentName((seal?.segment ?? 0) + 1)} ORDER BY id DESC LIMIT 1`).get();
  const retired = db.prepare<[], number | null>('SELECT max(last_id) FROM seals WHERE segment IN (SELECT segment FROM retired)').pluck().get();
  return { head: hex(last?.hash ?? seal?.head ?? GENESIS.events), lastId: last?.id ?? seal?.last_id ?? 0, firstId: (retired ?? 0) + 1 };
}

/** The chain's value at this event, hex; null where the log does not hold it (not yet, or not any more). */
export function chainAt(db: Database.Database, id: number): string | null {
  if (id === 0) return hex(GENESIS.events);
  const seal = db.prepare<[number], Seal>('SELECT * FROM seals WHERE last_id >= ? ORDER BY segment LIMIT 1').get(id);
  if (seal?.last_id === id) return hex(seal.head); // also of a segment that is gone: its seal stays
  const open = db.prepare<[], number | null>('SELECT max(segment) FROM seals').pluck().get() ?? 0;
  return hashAt(db, segmentName(seal?.segment ?? open + 1), 'id', id);
}

export const headOf = (tail: Tail): Head => ({
  lastId: tail.lastId,
  hash: hex(tail.hash),
  seals: tail.seals,
  sealsHash: hex(tail.sealsHash),
  retired: tail.retired,
  retiredHash: hex(tail.retiredHash),
});

/** What contradicts the head file in the file's end, as a sentence; null where they agree. The log may be ahead of the note, never behind it. */
export function contradiction(db: Database.Database, tail: Tail, head: Head): string | null {
  if (head.lastId > tail.lastId) return `events ${tail.lastId + 1} to ${head.lastId} are missing from its end`;
  if (head.seals > tail.seals) return `the seals of segments ${tail.seals + 1} to ${head.seals} are missing`;
  if (head.retired > tail.retired) return `the record that segments ${tail.retired + 1} to ${head.retired} were retired is missing`;
  if (head.seals > 0 && hashAt(db, 'seals', 'segment', head.seals) !== head.sealsHash)
    return `the seal of segment ${head.seals} is not the one that was written`;
  if (head.retired > 0 && hashAt(db, 'retired', 'segment', head.retired) !== head.retiredHash)
    return 'the record of retired segments is not the one that was written';
  if (head.lastId === 0) return null;
  const seal = db.prepare<[number], Seal>('SELECT * FROM seals WHERE last_id >= ? ORDER BY segment LIMIT 1').get(head.lastId);
  if (seal !== undefined && seal.segment <= tail.retired)
    return seal.last_id === head.lastId && hex(seal.head) !== head.hash ? `event ${head.lastId} is not the one that was written` : null;
  const found = hashAt(db, segmentName(seal?.segment ?? tail.segment), 'id', head.lastId);
  return found === head.hash ? null : `event ${head.lastId} is not the one that was written`;
}

function hashAt(db: Database.Database, table: string, key: string, number: number): string | null {
  if (db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table) === undefined) return null;
  const row = db.prepare<[number], { hash: Uint8Array }>(`SELECT hash FROM ${table} WHERE ${key} = ?`).get(number);
  return row === undefined ? null : hex(row.hash);
}
