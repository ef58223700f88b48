/** Whatever happens to a log, its chain stays whole; whatever is changed in it, verifying sees it. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, test } from '@fast-check/vitest';
import type { NewEvent } from '@honeymesh/intel/events';
import { EVENT_KINDS } from '@honeymesh/intel/events';
import { HOUR_MS } from '@honeymesh/intel/time';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { Batch, Log, LogOptions } from '#enforcer/store/log.ts';
import { openOrReplace } from '#enforcer/store/opening.ts';
import type { Verification } from '#enforcer/store/port.ts';
import { selectEvents } from '#enforcer/store/queries.ts';
import { COLUMNS, flatten, TEXT_COLUMNS } from '#enforcer/store/rows.ts';
import { verifyLog } from '#enforcer/store/verify.ts';
import { aBan, NOON, tamper, withoutGuards } from '#test/support/store.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'honeymesh-store-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));
let directories = 0;
function newDirectory(): string {
  const directory = join(ROOT, String(directories++));
  mkdirSync(directory);
  return directory;
}

const optionsFor = (directory: string): LogOptions => ({ directory, retentionMs: 3 * HOUR_MS, segmentEvents: 7, segmentMs: 2 * HOUR_MS, maxBytes: 1e9 });

function verified(directory: string): Verification {
  const steps = verifyLog(directory);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

const event = fc.record<NewEvent>({
  at: fc.integer({ min: NOON - HOUR_MS, max: NOON + 10 * HOUR_MS }) as fc.Arbitrary<never>,
  kind: fc.constantFrom(...EVENT_KINDS),
  source: fc.constantFrom(null, '203.0.113.7', '2001:db8::/64', '198.51.100.0/24') as fc.Arbitrary<never>,
  port: fc.option(fc.integer({ min: 0, max: 65_535 })),
  protocol: fc.constantFrom(null, 'tcp', 'udp'),
  tier: fc.constantFrom(null, 'E0', 'operator'),
  reasons: fc.constantFrom([], ['order'], ['syn-scan', 'exploit']),
  origin: fc.constantFrom(null, 'kernel', 'hub'),
  summary: fc.string({ unit: 'binary', maxLength: 40 }),
});

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('commit' as const), events: fc.array(event, { maxLength: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('later' as const), ms: fc.integer({ min: -HOUR_MS, max: 3 * HOUR_MS }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('maintain' as const), steps: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('repeat' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('reopen' as const, 'cut-off' as const) }) },
);

describe('any sequence of commits, retention and restarts', () => {
  test.prop([fc.array(step, { minLength: 1, maxLength: 25 })], { numRuns: 60 })(
    'keeps the chain whole, the ids gapless and the events as they were given',
    steps => {
      const directory = newDirectory();
      const options = optionsFor(directory);
      let log: Log = openOrReplace(options, NOON, null).log;
      let nowMs: number = NOON;
      let batch: Batch | null = null;
      let number = 0;
      const given: NewEvent[] = [];
      try {
        for (const one of steps) {
          if (one.kind === 'commit') {
            const flat = one.events.map(each => flatten(each, NOON));
            const changes = [{ kind: 'put-ban', ban: aBan(`203.0.113.${number % 256}/32`) } as const];
            batch = { token: 'property', number: ++number, events: flat.map(each => each.parts), changes, nowMs };
            expect(log.append(batch).firstId).toBe(given.length + 1);
            given.push(...flat.map(each => each.kept));
          } else if (one.kind === 'repeat' && batch !== null) {
            expect(log.append(batch).firstId).toBe(given.length - batch.events.length + 1); // sent again after a crash: nothing is written twice
          } else if (one.kind === 'later') nowMs += one.ms;
          else if (one.kind === 'maintain') for (let at = 0; at < one.steps; at++) log.maintain(nowMs);
          else if (one.kind === 'reopen') {
            log.close();
            const opened = openOrReplace(options, nowMs, null);
            expect(opened.notes).toEqual([]);
            log = opened.log;
          }
          const found = verified(directory);
          expect(found).toMatchObject({ ok: true, lastId: given.length });
          if (!found.ok) continue;
          const events = selectEvents(log.db, { ascending: true, limit: 10_000 });
          expect(events.map(each => each.id)).toEqual(Array.from({ length: found.events }, (_, at) => found.firstId + at));
          expect(events).toEqual(given.slice(found.firstId - 1).map((each, at) => ({ ...each, id: found.firstId + at })));
        }
      } finally {
        log.close();
        rmSync(directory, { recursive: true });
      }
    },
  );
});

describe('any single change', () => {
  let original: string;
  let rows: readonly { readonly table: string; readonly id: number }[];
  beforeAll(() => {
    original = newDirectory();
    const { log } = openOrReplace(optionsFor(original), NOON, null);
    const events = fc
      .sample(event, { numRuns: 30, seed: 7 })
      .map((each, at): NewEvent => ({ ...each, ...(at % 3 === 0 ? { detail: { n: at }, wouldBan: true, target: '203.0.113.0/24' as never } : {}) }));
    log.append({ token: 'property', number: 1, events: events.map(each => flatten(each, NOON).parts), changes: [], nowMs: NOON });
    rows = [1, 2, 3, 4, 5].flatMap(segment =>
      log.db
        .prepare<[], number>(`SELECT id FROM segment_${segment}`)
        .pluck()
        .all()
        .map(id => ({ table: `segment_${segment}`, id })),
    );
    log.close();
  });

  const column = fc.constantFrom(...COLUMNS, 'hash');
  test.prop([fc.nat(29), column, fc.nat(1_000), fc.integer({ min: 1, max: 255 })], { numRuns: 400 })(
    'of one byte in one stored row is seen',
    (at, name, offset, flip) => {
      const directory = newDirectory();
      for (const file of ['events.db', 'events.head']) copyFileSync(join(original, file), join(directory, file));
      const row = rows[at];
      if (row === undefined) throw new Error('thirty rows were written');
      let changed = false;
      tamper(directory, db => {
        const text = TEXT_COLUMNS.has(name);
        const before = db
          .prepare<[number], unknown>(`SELECT ${text ? `CAST(${name} AS BLOB)` : name} FROM ${row.table} WHERE id = ?`)
          .pluck()
          .get(row.id);
        const after = changedValue(before, offset, flip, text);
        if (after === undefined) return;
        withoutGuards(db, row.table, () => {
          changed = db.prepare(`UPDATE OR IGNORE ${row.table} SET ${name} = ${text ? 'CAST(? AS TEXT)' : '?'} WHERE id = ?`).run(after, row.id).changes === 1;
        });
      });
      expect(verified(directory).ok).toBe(!changed);
      rmSync(directory, { recursive: true });
    },
  );
});

/** The value with one byte or bit changed; undefined where there is nothing to change. */
function changedValue(before: unknown, offset: number, flip: number, text: boolean): unknown {
  if (before instanceof Uint8Array) {
    if (before.length === 0) return Buffer.from([flip]);
    const after = Buffer.from(before);
    const at = offset % after.length;
    after[at] = (after[at] ?? 0) ^ flip;
    return after;
  }
  if (typeof before === 'number') return before + (offset % 2 === 0 ? flip : -flip);
  return text ? Buffer.from([flip & 0x7f || 1]) : undefined;
}
