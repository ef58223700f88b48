import { closeSync, copyFileSync, mkdirSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HOUR_MS } from '@honeymesh/intel/time';
import type Database from 'better-sqlite3';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { verifyDirectory } from '#enforcer/store/verify.ts';
import { type Clock, manyEvents, NOON, startStore, tamper, temporaryDirectory, withoutGuards } from '#test/support/store.ts';

/** Segment 1 (ids 1 to 10) is retired; 2 (11 to 20) and 3 (21 to 30) are sealed; 4 (31 to 35) is open. */
async function aLog(): Promise<string> {
  const directory = temporaryDirectory();
  const clock: Clock = { ms: NOON };
  const store = await startStore({ directory, segmentEvents: 10, retentionMs: HOUR_MS, maintainMs: 5 }, clock);
  await store.commit({ events: manyEvents(10), changes: [] });
  clock.ms += 2 * HOUR_MS;
  await store.commit({ events: manyEvents(25, () => ({ at: clock.ms as never, detail: { seen: 1 } })), changes: [] });
  await vi.waitFor(() => expect(store.status().events).toBe(25));
  await store.stop();
  return directory;
}

describe('a log', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await aLog();
  });

  const guarded = (table: string, sql: string) => (db: Database.Database) => withoutGuards(db, table, () => db.exec(sql));
  const copyRow = (from: number, to: number): string =>
    `INSERT INTO segment_4 SELECT ${to}, at, kind, source, source_bits, port, protocol, tier, reasons, origin, summary, would_ban, target, detail, hash FROM segment_4 WHERE id = ${from}`;

  test('as it was written is whole, and says what retention took', async () => {
    expect(await verifyDirectory(directory)).toMatchObject({
      ok: true,
      events: 25,
      segments: 3,
      sealed: 2,
      firstId: 11,
      lastId: 35,
      retired: { segments: 1, firstId: 1, lastId: 10 },
    });
  });

  test.each<[string, (db: Database.Database) => void, { atId?: number; segment?: number; why: string }]>([
    [
      'a changed row',
      guarded('segment_3', "UPDATE segment_3 SET summary = 'nothing to see' WHERE id = 25"),
      { atId: 25, segment: 3, why: 'not the one that was written' },
    ],
    ['a null made zero', guarded('segment_4', 'UPDATE segment_4 SET would_ban = 0 WHERE id = 33'), { atId: 33, why: 'not the one' }],
    ['a removed row', guarded('segment_3', 'DELETE FROM segment_3 WHERE id = 25'), { atId: 25, why: 'missing' }],
    ['the removed first row of a segment', guarded('segment_3', 'DELETE FROM segment_3 WHERE id = 21'), { atId: 21, why: 'missing' }],
    [
      'rows that changed places',
      guarded(
        'segment_4',
        'UPDATE segment_4 SET id = -1 WHERE id = 32; UPDATE segment_4 SET id = 32 WHERE id = 33; UPDATE segment_4 SET id = 33 WHERE id = -1',
      ),
      { atId: 32, why: 'not the one' },
    ],
    ['an appended row without its link', guarded('segment_4', copyRow(35, 36)), { atId: 36, why: 'not the one' }],
    ['a row below the first', guarded('segment_4', copyRow(35, 3)), { segment: 4, why: 'never written into it' }],
    ['a cut tail', guarded('segment_4', 'DELETE FROM segment_4 WHERE id > 33'), { atId: 34, why: 'events 34 to 35 are missing' }],
    ['an emptied open segment', guarded('segment_4', 'DELETE FROM segment_4'), { atId: 31, why: 'events 31 to 35 are missing' }],
    ['a changed seal', guarded('seals', 'UPDATE seals SET sealed_at = sealed_at + 1 WHERE segment = 2'), { segment: 2, why: 'seal of segment 2 was changed' }],
    ['a removed seal', guarded('seals', 'DELETE FROM seals WHERE segment = 2'), { segment: 2, why: 'seal of segment 2 is missing' }],
    [
      'the removed last seal with its segment',
      db => {
        withoutGuards(db, 'seals', () => db.exec('DELETE FROM seals WHERE segment = 3'));
        db.exec('DROP TABLE segment_4');
      },
      { why: 'are missing' },
    ],
    ['a vanished segment', db => db.exec('DROP TABLE segment_2'), { segment: 2, why: 'no record says that it was retired' }],
    ['a changed record of retirement', guarded('retired', "UPDATE retired SET why = 'space'"), { segment: 1, why: 'was changed' }],
    ['a removed record of retirement', guarded('retired', 'DELETE FROM retired'), { segment: 1, why: 'no record says that it was retired' }],
    [
      'a forged record of retirement',
      db => {
        db.exec('INSERT INTO retired SELECT 2, retired_at, why, hash FROM retired');
        db.exec('DROP TABLE segment_2');
      },
      { segment: 2, why: 'was changed' },
    ],
    ['a segment that nobody began', db => db.exec('CREATE TABLE segment_9 AS SELECT * FROM segment_4'), { segment: 9, why: 'never begun' }],
    ['a retired segment that is back', db => db.exec('CREATE TABLE segment_1 AS SELECT * FROM segment_4'), { segment: 1, why: 'though it was retired' }],
    ['removed guards', db => db.exec('DROP TRIGGER segment_3_no_delete'), { why: 'segment_3_no_delete' }],
    [
      'an index that tells other things than the rows',
      db => {
        db.unsafeMode(true);
        db.pragma('writable_schema = ON');
        db.exec("UPDATE sqlite_schema SET sql = replace(sql, '(port)', '(reasons)') WHERE name = 'segment_3_port'");
      },
      { segment: 3, why: 'segment 3' },
    ],
    ['another program', db => db.pragma('application_id = 7'), { why: 'another program' }],
  ])('with %s is not whole', async (_what, change, expected) => {
    tamper(directory, change);
    const { why, ...where } = expected;
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false, ...where, why: expect.stringContaining(why) });
  });

  test('with a damaged page of the ledger, whose rows no chain covers, is not whole', async () => {
    const page = { root: 0, size: 0 };
    tamper(directory, db => {
      page.root = Number(db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'bans'").pluck().get());
      page.size = Number(db.pragma('page_size', { simple: true }));
      db.pragma('wal_checkpoint(TRUNCATE)');
    });
    const file = openSync(join(directory, 'events.db'), 'r+');
    writeSync(file, new Uint8Array(page.size).fill(0xee), 0, page.size, (page.root - 1) * page.size);
    closeSync(file);
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false, why: expect.stringContaining('damaged') });
  });

  test('without its head file cannot be told from one whose tail was cut', async () => {
    rmSync(join(directory, 'events.head'));
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false, why: expect.stringContaining('head file is missing') });
  });

  test('with one torn slot in its head file is judged by the other', async () => {
    truncateSync(join(directory, 'events.head'), 700);
    expect(await verifyDirectory(directory)).toMatchObject({ ok: true });
    tamper(directory, guarded('segment_4', 'DELETE FROM segment_4 WHERE id > 33'));
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false, atId: 34 });
  });

  test('with a forged head file is not whole', async () => {
    writeFileSync(join(directory, 'events.head'), 'honeymesh-head-1 2 '.padEnd(1024));
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false });
  });

  test('that was replaced by an older copy of itself is not whole', async () => {
    const older = join(directory, 'older.db');
    copyFileSync(join(directory, 'events.db'), older);
    const store = await startStore({ directory, segmentEvents: 10 });
    await store.commit({ events: manyEvents(1), changes: [] });
    await store.stop();
    copyFileSync(older, join(directory, 'events.db'));
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false, atId: 36, why: expect.stringContaining('events 36 to 36 are missing') });
  });

  test('that is gone is told from one that never was', async () => {
    rmSync(join(directory, 'events.db'));
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false, why: 'the log is gone: its head file tells of 35 events' });
    const empty = join(directory, 'empty');
    mkdirSync(empty);
    expect(await verifyDirectory(empty)).toMatchObject({ ok: true, events: 0 });
    await expect(verifyDirectory(join(directory, 'nowhere'))).rejects.toMatchObject({ code: 'HM_NOT_FOUND' });
  });

  test('that is cut in the middle of a page, or is no database at all, is said to be damaged', async () => {
    truncateSync(join(directory, 'events.db'), 9_000);
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false });
    writeFileSync(join(directory, 'events.db'), 'x'.repeat(5_000));
    expect(await verifyDirectory(directory)).toMatchObject({ ok: false, why: expect.stringContaining('damaged') });
  });
});

test('a log can be verified again and again while it is written, sealed and retired', async () => {
  const directory = temporaryDirectory();
  const clock: Clock = { ms: NOON };
  const store = await startStore({ directory, segmentEvents: 50, retentionMs: HOUR_MS, maintainMs: 5 }, clock);
  let writing = true;
  const writer = (async () => {
    while (writing) {
      clock.ms += HOUR_MS / 20;
      await store.commit({ events: manyEvents(20, () => ({ at: clock.ms as never })), changes: [] });
    }
  })();
  for (let round = 0; round < 15; round++) {
    expect(await verifyDirectory(directory)).toMatchObject({ ok: true });
    expect(await store.verify()).toMatchObject({ ok: true });
  }
  writing = false;
  await writer;
});
