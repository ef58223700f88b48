/** Questions to the log, answered within bounds: the segments that can hold an answer, newest or oldest first, until the limit; sealed ones by index. */

import { type Address, addressBytes, familyOf, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { StoredEvent } from '@honeymesh/intel/events';
import type Database from 'better-sqlite3';
import { DamagedLog } from './failures.ts';
import type { EventQuery } from './port.ts';
import { eventOf, type RawRow, wideBits } from './rows.ts';
import { segmentName } from './schema.ts';
import { presentSegments } from './segments.ts';

export const MOST_EVENTS = 10_000;
const USUAL_EVENTS = 100;
/** As many as there are kinds, with room for doubles: a list is a WHERE clause. */
const MOST_KINDS = 64;

const EARLIEST = Number.MIN_SAFE_INTEGER;
const LATEST = Number.MAX_SAFE_INTEGER;

interface Condition {
  readonly sql: string;
  readonly values: readonly (number | string | Uint8Array)[];
}

/** Throws DamagedLog for a row that this program never wrote, and what SQLite says. */
export function selectEvents(db: Database.Database, query: EventQuery): StoredEvent[] {
  const limit = Math.min(Math.max(Math.trunc(query.limit ?? USUAL_EVENTS), 0), MOST_EVENTS);
  const order = query.ascending === true ? 'ASC' : 'DESC';
  const conditions = conditionsOf(query);
  const where = conditions.map(condition => condition.sql).join(' AND ');
  const values = conditions.flatMap(condition => condition.values);
  const events: StoredEvent[] = [];
  for (const segment of candidates(db, query, order)) {
    if (events.length >= limit) break;
    const statement = db.prepare<unknown[], RawRow>(`SELECT * FROM ${segmentName(segment)} WHERE ${where} ORDER BY id ${order} LIMIT ?`);
    for (const row of statement.iterate(...values, limit - events.length)) {
      const event = eventOf(row);
      if (event === undefined) throw new DamagedLog(`event ${row.id} holds what was never written`);
      events.push(event);
    }
  }
  return events;
}

/** Segments whose ids and times touch the question's. The open one has no seal yet and may always hold an answer. */
function candidates(db: Database.Database, query: EventQuery, order: 'ASC' | 'DESC'): readonly number[] {
  const present = presentSegments(db);
  const sealed = db
    .prepare<number[], { segment: number }>('SELECT segment FROM seals WHERE last_id > ? AND first_id < ? AND last_at >= ? AND first_at <= ?')
    .all(query.afterId ?? 0, query.beforeId ?? LATEST, query.since ?? EARLIEST, query.until ?? LATEST);
  const lastSealed = db.prepare<[], number | null>('SELECT max(segment) FROM seals').pluck().get() ?? 0;
  const touched = new Set(sealed.map(row => row.segment));
  const found = present.filter(segment => segment > lastSealed || touched.has(segment));
  return order === 'ASC' ? found : found.reverse();
}

function conditionsOf(query: EventQuery): readonly Condition[] {
  const conditions: Condition[] = [{ sql: 'id > ?', values: [query.afterId ?? 0] }];
  const add = (sql: string, ...values: (number | string | Uint8Array)[]): unknown => conditions.push({ sql, values });
  if (query.beforeId !== undefined) add('id < ?', query.beforeId);
  if (query.since !== undefined) add('at >= ?', query.since);
  if (query.until !== undefined) add('at <= ?', query.until);
  if (query.port !== undefined) add('port = ?', query.port);
  const kinds = query.kinds?.slice(0, MOST_KINDS);
  if (kinds !== undefined) add(`kind IN (${kinds.map(() => '?').join(', ')})`, ...kinds);
  if (query.source !== undefined) conditions.push(...sourceConditions(query.source));
  return conditions;
}

function sourceConditions(source: Address | Prefix): readonly Condition[] {
  if (!source.includes('/')) return [{ sql: 'source = ? AND (source_bits IS NULL OR source_bits = 128)', values: [addressBytes(source as Address)] }];
  const prefix = source as Prefix;
  const first = addressBytes(networkOf(prefix));
  const bits = wideBits(prefix);
  const last = first.map((byte, at) => byte | (0xff >> Math.min(8, Math.max(0, bits - at * 8))));
  const inside: Condition = { sql: 'source BETWEEN ? AND ? AND (source_bits IS NULL OR source_bits >= ?)', values: [first, last, bits] };
  if (familyOf(prefix) === 4) return [inside];
  // ::/0 holds no IPv4 though the 16-byte form of IPv4 lies in it
  return [inside, { sql: 'NOT (source BETWEEN ? AND ?)', values: [addressBytes('0.0.0.0' as Address), addressBytes('255.255.255.255' as Address)] }];
}
