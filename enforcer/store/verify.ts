/**
 * Walks the whole log and says whether it is what was written: every row against the chain, every segment against its seal, the seals and
 * retirements against their own chains, the end against the head file. What it cannot show is a log that was rewritten from some event to the end
 * together with the head file: for that, keep the head that it prints somewhere else.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { HoneyMeshError } from '../errors.ts';
import { type ChainValue, GENESIS, hex, link, sameHash } from './chain.ts';
import { errorOf, failureOf } from './failures.ts';
import { type Head, readHead } from './head-file.ts';
import type { Verification } from './port.ts';
import { openForReading } from './reading.ts';
import { COLUMNS, TEXT_COLUMNS } from './rows.ts';
import { APPLICATION_ID, guardsOf, LOG_FILE, segmentName, versionOf } from './schema.ts';
import { contradiction, presentSegments, type Retirement, readRetired, readSeals, readTail, retirementValues, type Seal, sealValues } from './segments.ts';

type Fault = Extract<Verification, { ok: false }>;

/** Rows between two steps: a step stays in the order of 10 ms. */
const ROWS_A_STEP = 2_000;

/** Verifies the log in `directory`, with or without its daemon running, also where nothing can be written. Throws HoneyMeshError where there is
 * nothing to verify or it cannot be read; what is wrong with the log itself is the answer. */
export async function verifyDirectory(directory: string): Promise<Verification> {
  if (!existsSync(directory))
    throw new HoneyMeshError('HM_NOT_FOUND', `there is no directory ${directory}`, {
      fix: 'name the instance with --instance; "honeymesh run" makes its event log',
    });
  const steps = verifyLog(directory);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await new Promise(resolve => setImmediate(resolve));
  }
}

/** The same in steps, for a thread that has other things to do in between. Ending it early closes what it opened. */
export function* verifyLog(directory: string): Generator<void, Verification> {
  let log: ReturnType<typeof openForReading> | undefined;
  try {
    // The note first, then the log: the log may be ahead of the note, never behind it
    const head = readHead(directory);
    if (!existsSync(join(directory, LOG_FILE))) {
      if (head !== null && head.lastId > 0) return fault(null, null, `the log is gone: its head file tells of ${head.lastId} events`);
      return { ok: true, events: 0, segments: 0, sealed: 0, head: hex(GENESIS.events), firstId: 1, lastId: 0 };
    }
    log = openForReading(directory);
    log.db.exec('BEGIN'); // one snapshot: what the daemon appends or retires meanwhile does not move it
    return yield* walk(log.db, head);
  } catch (error) {
    const failure = failureOf(error, directory);
    if (failure.kind === 'damaged') return fault(null, null, `the file is damaged: ${error instanceof Error ? error.message : String(error)}`);
    throw errorOf(failure.kind === 'read-only' ? { ...failure, why: failure.why.replace('written', 'read'), fix: 'run it as root' } : failure);
  } finally {
    log?.close();
  }
}

function* walk(db: Database.Database, head: Head | null): Generator<void, Verification> {
  if (Number(db.pragma('application_id', { simple: true })) !== APPLICATION_ID) return fault(null, null, 'it is the database of another program');
  versionOf(db);
  const seals = readSeals(db);
  const retired = readRetired(db);
  const records = checkSeals(seals) ?? checkRetired(retired, seals) ?? checkPresence(presentSegments(db), seals.length, retired.length) ?? checkGuards(db);
  if (records !== null) return records;

  const open = seals.length + 1;
  const oldest = seals[retired.length - 1];
  let position: Position = { id: oldest?.last_id ?? 0, hash: oldest?.head ?? GENESIS.events };
  const firstId = position.id + 1;
  for (let segment = retired.length + 1; segment <= open; segment++) {
    const said = String(db.pragma(`integrity_check(${segmentName(segment)})`, { simple: true }));
    if (said !== 'ok') return fault(null, segment, `segment ${segment}: ${said.slice(0, 200)}`);
    yield;
    const walked = yield* walkSegment(db, segment, position, seals[segment - 1]);
    if ('ok' in walked) return walked;
    position = walked;
  }
  for (const table of otherTables(db)) {
    const said = String(db.pragma(`integrity_check("${table}")`, { simple: true }));
    if (said !== 'ok') return fault(null, null, `the file is damaged: table ${table}: ${said.slice(0, 200)}`);
  }
  const tail = readTail(db);
  const trouble = head === null ? noHead(position.id) : contradiction(db, tail, head);
  if (trouble !== null) return fault(head === null ? null : Math.min(head.lastId, position.id + 1), open, trouble);
  return {
    ok: true,
    events: position.id - firstId + 1,
    segments: open - retired.length,
    sealed: open - retired.length - 1,
    head: hex(position.hash),
    firstId,
    lastId: position.id,
    ...(retired.length === 0 ? {} : { retired: { segments: retired.length, firstId: 1, lastId: firstId - 1 } }),
  };
}

interface Position {
  readonly id: number;
  readonly hash: Uint8Array;
}

function* walkSegment(db: Database.Database, segment: number, from: Position, seal: Seal | undefined): Generator<void, Position | Fault> {
  const columns = COLUMNS.map(name => (TEXT_COLUMNS.has(name) ? `CAST(${name} AS BLOB)` : name)).join(', ');
  const page = db.prepare<[number, number], ChainValue[]>(`SELECT ${columns}, hash FROM ${segmentName(segment)} WHERE id > ? ORDER BY id LIMIT ?`).raw();
  let { id, hash } = from;
  const low =
    db
      .prepare<[number], number>(`SELECT count(*) FROM ${segmentName(segment)} WHERE id <= ?`)
      .pluck()
      .get(id) ?? 0;
  if (low > 0) return fault(id, segment, `segment ${segment} holds ${low} events that were never written into it`);
  let firstAt = Number.POSITIVE_INFINITY;
  let lastAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const rows = page.all(id, ROWS_A_STEP);
    for (const row of rows) {
      const written = row.pop();
      if (row[0] !== id + 1) return fault(id + 1, segment, `event ${id + 1} is missing: event ${String(row[0])} follows event ${id}`);
      const expected = link(hash, row);
      if (!(written instanceof Uint8Array) || !sameHash(expected, written))
        return fault(id + 1, segment, `event ${id + 1} is not the one that was written, or what was before it is not`);
      id++;
      hash = expected;
      firstAt = Math.min(firstAt, Number(row[1]));
      lastAt = Math.max(lastAt, Number(row[1]));
    }
    if (rows.length < ROWS_A_STEP) break;
    yield;
  }
  if (seal === undefined) return { id, hash };
  if (seal.last_id !== id) return fault(Math.min(id, seal.last_id) + 1, segment, `segment ${segment} ends at event ${id}; its seal says ${seal.last_id}`);
  if (!sameHash(seal.head, hash)) return fault(id, segment, `the end of segment ${segment} is not what its seal says`);
  if (seal.first_at !== firstAt || seal.last_at !== lastAt) return fault(null, segment, `the seal of segment ${segment} gives other times than its events`);
  return { id, hash };
}

function checkSeals(seals: readonly Seal[]): Fault | null {
  let before: Uint8Array = GENESIS.seals;
  let lastId = 0;
  for (const [at, seal] of seals.entries()) {
    if (seal.segment !== at + 1) return fault(null, at + 1, `the seal of segment ${at + 1} is missing`);
    if (!sameHash(link(before, sealValues(seal)), seal.hash)) return fault(null, seal.segment, `the seal of segment ${seal.segment} was changed`);
    if (seal.first_id !== lastId + 1 || seal.events !== seal.last_id - seal.first_id + 1)
      return fault(seal.first_id, seal.segment, `the seal of segment ${seal.segment} does not follow the one before`);
    before = seal.hash;
    lastId = seal.last_id;
  }
  return null;
}

function checkRetired(retired: readonly Retirement[], seals: readonly Seal[]): Fault | null {
  let before: Uint8Array = GENESIS.retired;
  for (const [at, retirement] of retired.entries()) {
    const seal = seals[at];
    if (retirement.segment !== at + 1 || seal === undefined) return fault(null, at + 1, `the record that segment ${at + 1} was retired is missing`);
    if (!sameHash(link(before, retirementValues(retirement, seal.hash)), retirement.hash))
      return fault(null, at + 1, `the record that segment ${at + 1} was retired was changed`);
    before = retirement.hash;
  }
  return null;
}

function checkPresence(present: readonly number[], seals: number, retired: number): Fault | null {
  const there = new Set(present);
  for (let segment = retired + 1; segment <= seals + 1; segment++) {
    if (!there.delete(segment)) return fault(null, segment, `segment ${segment} is missing, and no record says that it was retired`);
  }
  const [foreign] = there;
  if (foreign === undefined) return null;
  return fault(null, foreign, foreign <= retired ? `segment ${foreign} is there though it was retired` : `segment ${foreign} was never begun`);
}

/** The triggers are part of what was written: without them anybody's slip changes the log. */
function checkGuards(db: Database.Database): Fault | null {
  const triggers = new Set(db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all());
  for (const table of ['seals', 'retired', ...presentSegments(db).map(segmentName)]) {
    const gone = guardsOf(table).find(name => !triggers.has(name));
    if (gone !== undefined) return fault(null, null, `the trigger ${gone}, which keeps the log append-only, was removed`);
  }
  return null;
}

/** Of the names in a file that may have been tampered with, those that can be asked for without quoting. */
const otherTables = (db: Database.Database): readonly string[] =>
  db
    .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'segment!_%' ESCAPE '!'")
    .pluck()
    .all()
    .filter(name => /^[a-z_]+$/.test(name));

const noHead = (lastId: number): string | null => (lastId === 0 ? null : 'the head file is missing: whether events were cut off at the end cannot be told');

const fault = (atId: number | null, segment: number | null, why: string): Fault => ({ ok: false, atId, segment, why });
