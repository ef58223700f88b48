import { closeSync, copyFileSync, existsSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { beforeEach, describe, expect, test } from 'vitest';
import { verifyDirectory } from '#enforcer/store/verify.ts';
import { aBan, anEvent, manyEvents, startStore, tamper, temporaryDirectory, withoutGuards } from '#test/support/store.ts';

const BANS = Array.from({ length: 300 }, (_, at) => aBan(`203.0.${at >> 8}.${at & 255}/32`, { note: 'n'.repeat(100) }));

describe('a log that is not what was written', () => {
  let directory: string;
  const file = (name: string): string => join(directory, name);
  const aside = (): readonly string[] => readdirSync(directory).filter(name => name.includes('damaged'));

  beforeEach(async () => {
    directory = temporaryDirectory();
    const store = await startStore({ directory, segmentEvents: 50 });
    await store.commit({ events: [], changes: BANS.map(ban => ({ kind: 'put-ban', ban })) });
    await store.commit({ events: manyEvents(120), changes: [] });
    await store.stop();
  });

  async function expectReplaced(bans: number | 'some'): Promise<void> {
    const before = readFileSync(file('events.db'));
    const store = await startStore({ directory });
    const status = store.status();
    expect(status).toMatchObject({ ok: false, why: expect.stringContaining('damaged-'), fix: expect.stringContaining('mv ') });
    const [name] = aside();
    expect(readFileSync(file(name ?? ''))).toEqual(before);
    const ledger = await store.loadLedger();
    if (bans === 'some') expect(ledger.bans.length).toBeGreaterThan(0);
    else expect(ledger.bans.length).toBeGreaterThanOrEqual(bans);
    for (const ban of ledger.bans) expect(BANS).toContainEqual(ban);
    const { stored } = await store.commit({ events: [anEvent()], changes: [] });
    expect(stored).toBe(true);
    const [told] = await store.query({ kinds: ['degraded'], ascending: true });
    expect(told).toMatchObject({ id: 1, summary: expect.stringContaining('set aside'), detail: { part: 'store' } });
    expect(await store.verify()).toMatchObject({ ok: true, events: 2 });
    await store.stop();

    // Moved away as the fix says: nothing more to complain of
    for (const left of aside()) rmSync(file(left));
    const later = await startStore({ directory });
    expect(later.status()).toMatchObject({ ok: true, events: 2 });
  }

  test('full of random bytes is set aside and a new one begun', async () => {
    writeFileSync(file('events.db'), Buffer.from(Array.from({ length: 20_000 }, (_, at) => (at * 7919) % 251)));
    await expectReplaced(0);
  });

  test('with a broken header is set aside', async () => {
    const fd = openSync(file('events.db'), 'r+');
    writeSync(fd, 'not a database at all', 0);
    closeSync(fd);
    await expectReplaced(0);
  });

  test('cut off before its end is set aside, and what can be read of its ledger is taken over', async () => {
    truncateSync(file('events.db'), Math.floor((statSync(file('events.db')).size / 4096) * 0.85) * 4096 + 100);
    await expectReplaced('some');
  });

  test('with a broken page in its ledger is set aside, and the bans on both sides of it are taken over', async () => {
    let page = 0;
    tamper(directory, db => {
      page = Number(db.prepare("SELECT pageno FROM dbstat WHERE name = 'bans' AND pagetype = 'leaf' LIMIT 1 OFFSET 3").pluck().get());
    });
    const fd = openSync(file('events.db'), 'r+');
    writeSync(fd, Buffer.alloc(4096, 0xa5), 0, 4096, (page - 1) * 4096);
    closeSync(fd);
    await expectReplaced(240);
  });

  test('without its last events is set aside with its ledger taken over', async () => {
    tamper(directory, db => withoutGuards(db, 'segment_3', () => db.exec('DELETE FROM segment_3 WHERE id > 110')));
    await expectReplaced(300);
  });

  test('that only a newer SQLite may write, by its header, is set aside with its ledger taken over', async () => {
    const log = openSync(file('events.db'), 'r+');
    writeSync(log, Uint8Array.of(3), 0, 1, 18);
    closeSync(log);
    await expectReplaced(300);
  });

  test('of another program is set aside', async () => {
    rmSync(file('events.db'));
    const other = new Database(file('events.db'));
    other.exec('CREATE TABLE diary (page TEXT)');
    other.pragma('application_id = 1');
    other.close();
    await expectReplaced(0);
  });

  test('emptied by somebody is set aside', async () => {
    truncateSync(file('events.db'), 0);
    await expectReplaced(0);
  });

  test('and whose write-ahead log holds the damage is set aside with that', async () => {
    const store = await startStore({ directory, segmentEvents: 50 });
    await store.commit({ events: manyEvents(10), changes: [] });
    copyFileSync(file('events.db'), file('copy'));
    copyFileSync(file('events.db-wal'), file('copy-wal'));
    copyFileSync(file('events.head'), file('copy-head'));
    await store.stop();
    const wal = readFileSync(file('copy-wal'));
    wal.fill(0x77, 32, 4_000);
    for (const [from, to] of [
      ['copy', 'events.db'],
      ['copy-head', 'events.head'],
    ] as const)
      copyFileSync(file(from), file(to));
    writeFileSync(file('events.db-wal'), wal);
    const again = await startStore({ directory });
    const [name] = aside();
    expect(readFileSync(file(`${name}-wal`))).toEqual(wal);
    expect(existsSync(file(`${name}-head`))).toBe(true);
    expect((await again.loadLedger()).bans).toHaveLength(300);
  });

  test('is set aside while it is in use, too: what was being written goes into the new one', async () => {
    const store = await startStore({ directory, segmentEvents: 50 });
    tamper(directory, db => withoutGuards(db, 'segment_3', () => db.exec('DELETE FROM segment_3 WHERE id > 110')));
    const { stored, events } = await store.commit({ events: [anEvent()], changes: [{ kind: 'put-ban', ban: aBan('198.51.100.9/32') }] });
    expect({ stored, ids: events.map(event => event.id) }).toEqual({ stored: true, ids: [1] });
    expect((await store.loadLedger()).bans).toHaveLength(301);
    expect(store.status()).toMatchObject({ ok: false, why: expect.stringContaining('set aside') });
  });

  test('is set aside five times, not for ever', async () => {
    for (let round = 0; round < 6; round++) {
      writeFileSync(file('events.db'), `round ${round} `.repeat(1_000));
      const store = await startStore({ directory });
      if (round < 5) expect(store.status().why).toContain('set aside');
      else expect(store.status()).toMatchObject({ ok: false, why: expect.stringContaining('5 damaged logs'), fix: expect.any(String) });
      await store.stop();
    }
    expect(readFileSync(file('events.db'), 'utf8')).toContain('round 5');
    expect(aside().filter(name => !name.endsWith('-head'))).toHaveLength(5);
  });

  test('in a sealed segment stays where it is: verifying tells, writing goes on', async () => {
    tamper(directory, db => withoutGuards(db, 'segment_1', () => db.exec("UPDATE segment_1 SET summary = 'x' WHERE id = 3")));
    const store = await startStore({ directory });
    expect(store.status()).toMatchObject({ ok: true, lastId: 120 });
    expect((await store.commit({ events: manyEvents(1), changes: [] })).stored).toBe(true);
    expect(await store.verify()).toMatchObject({ ok: false, atId: 3, segment: 1 });
  });

  test('written by a newer version is refused and left alone', async () => {
    tamper(directory, db => db.pragma('user_version = 99'));
    const before = readFileSync(file('events.db'));
    await expect(startStore({ directory })).rejects.toMatchObject({
      code: 'HM_STORE_NEWER',
      message: expect.stringContaining('version 99'),
      fix: expect.any(String),
    });
    await expect(verifyDirectory(directory)).rejects.toMatchObject({ code: 'HM_STORE_NEWER' });
    expect(readFileSync(file('events.db'))).toEqual(before);
    expect(aside()).toEqual([]);
  });

  test('for want of its head file goes on, and the log itself says that its end is not known to be whole', async () => {
    rmSync(file('events.head'));
    const store = await startStore({ directory });
    await store.commit({ events: manyEvents(1), changes: [] });
    expect((await store.query({ kinds: ['degraded'] }))[0]?.summary).toContain('head file of the event log was missing');
    expect(await store.verify()).toMatchObject({ ok: true, lastId: 122 });
  });
});
