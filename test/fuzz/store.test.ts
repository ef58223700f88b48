/** A file that anyone may have changed: it is judged, set aside or read, and never believed or overwritten. */
import { closeSync, copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, test } from '@fast-check/vitest';
import type { StoredEvent } from '@honeymesh/intel/events';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { damagedLogs } from '#enforcer/store/damage.ts';
import { NewerLog } from '#enforcer/store/failures.ts';
import { readHead } from '#enforcer/store/head-file.ts';
import { readLedger } from '#enforcer/store/ledger-tables.ts';
import type { LogOptions } from '#enforcer/store/log.ts';
import { openOrReplace } from '#enforcer/store/opening.ts';
import { selectEvents } from '#enforcer/store/queries.ts';
import { openForReading } from '#enforcer/store/reading.ts';
import { eventOf, flatten, type RawRow } from '#enforcer/store/rows.ts';
import { verifyDirectory } from '#enforcer/store/verify.ts';
import { aBan, manyEvents, NOON } from '#test/support/store.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'honeymesh-store-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));
let directories = 0;
const newDirectory = (): string => {
  const directory = join(ROOT, String(directories++));
  mkdirSync(directory);
  return directory;
};
const optionsFor = (directory: string): LogOptions => ({ directory, retentionMs: 1e12, segmentEvents: 40, segmentMs: 1e12, maxBytes: 1e12 });

describe('a log with bytes changed anywhere in its file', () => {
  let original: string;
  let size: number;
  let events: readonly StoredEvent[];
  let bans: readonly string[];
  beforeAll(() => {
    original = newDirectory();
    const { log } = openOrReplace(optionsFor(original), NOON, null);
    const given = manyEvents(100, at => ({ detail: { at, filler: 'z'.repeat(at) }, port: at }));
    const changes = Array.from({ length: 100 }, (_, at) => ({ kind: 'put-ban', ban: aBan(`203.0.113.${at}/32`, { note: 'n'.repeat(50) }) }) as const);
    log.append({ token: 'fuzz', number: 1, events: given.map(each => flatten(each, NOON).parts), changes, nowMs: NOON });
    events = selectEvents(log.db, { ascending: true, limit: 10_000 });
    bans = readLedger(log.db).ledger.bans.map(ban => ban.target);
    log.close();
    size = statSync(join(original, 'events.db')).size;
  });

  function changedCopy(changes: readonly (readonly [number, number])[], cutTo: number | null): string {
    const directory = newDirectory();
    for (const file of ['events.db', 'events.head']) copyFileSync(join(original, file), join(directory, file));
    const bytes = readFileSync(join(original, 'events.db'));
    const fd = openSync(join(directory, 'events.db'), 'r+');
    for (const [at, flip] of changes) writeSync(fd, Buffer.from([(bytes[at % size] ?? 0) ^ flip]), 0, 1, at % size);
    closeSync(fd);
    if (cutTo !== null) truncateSync(join(directory, 'events.db'), cutTo % size);
    return directory;
  }

  const change = fc.tuple(fc.nat(1 << 22), fc.integer({ min: 1, max: 255 }));

  test.prop([fc.oneof(fc.tuple(fc.nat(99), fc.integer({ min: 1, max: 255 })), change)], { numRuns: 400 })(
    'one byte: verifying says so, or every event still reads as it was written',
    async one => {
      const directory = changedCopy([one], null);
      try {
        const found = await verifyDirectory(directory);
        if (found.ok) {
          const log = openForReading(directory);
          expect(selectEvents(log.db, { ascending: true, limit: 10_000 })).toEqual(events);
          log.close();
        } else expect(found.why).toBeTruthy();
      } catch (error) {
        if (!(error instanceof HoneyMeshError)) throw error;
        expect(error.fix).toBeTruthy();
      }
      rmSync(directory, { recursive: true });
    },
  );

  test.prop([fc.array(change, { minLength: 1, maxLength: 40 }), fc.option(fc.nat(1 << 22), { freq: 4 })], { numRuns: 150 })(
    'many bytes, or the end gone: the store opens with what can be read, writes, and keeps the old file',
    (changes, cutTo) => {
      const directory = changedCopy(changes, cutTo);
      const before = readFileSync(join(directory, 'events.db'));
      try {
        const { log, notes } = openOrReplace(optionsFor(directory), NOON, null);
        const [aside] = damagedLogs(directory);
        if (aside !== undefined) {
          expect(readFileSync(join(directory, aside))).toEqual(before);
          expect(notes[0]).toContain(aside);
          for (const ban of readLedger(log.db).ledger.bans) expect(ban.createdAt).toEqual(expect.any(Number));
          log.append({ token: 'fuzz', number: 2, events: manyEvents(1).map(each => flatten(each, NOON).parts), changes: [], nowMs: NOON });
          expect(selectEvents(log.db, {})).toHaveLength(1);
        } else expect(readLedger(log.db).ledger.bans.filter(ban => bans.includes(ban.target)).length).toBeGreaterThan(0);
        log.close();
      } catch (error) {
        if (!(error instanceof NewerLog)) throw error;
      }
      rmSync(directory, { recursive: true });
    },
  );
});

test.prop([fc.uint8Array({ maxLength: 1_200 })], { numRuns: 300 })('a head file of any bytes is no head, and never throws', bytes => {
  const directory = newDirectory();
  writeFileSync(join(directory, 'events.head'), bytes);
  expect(readHead(directory)).toBeNull();
  rmSync(directory, { recursive: true });
});

const anything = fc.oneof(fc.constant(null), fc.double(), fc.string(), fc.uint8Array({ maxLength: 20 }));
test.prop(
  [
    fc.record({
      id: anything,
      at: anything,
      kind: anything,
      source: anything,
      source_bits: anything,
      port: anything,
      protocol: anything,
      tier: anything,
      reasons: anything,
      origin: anything,
      summary: anything,
      would_ban: anything,
      target: anything,
      detail: anything,
    }),
  ],
  { numRuns: 2_000 },
)('a row of anything is an event or none, and never throws', row => {
  const event = eventOf(row as unknown as RawRow);
  if (event !== undefined) expect(event.kind).toEqual(expect.any(String));
});
