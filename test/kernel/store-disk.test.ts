/** A disk that is full and one that cannot be written: real ones, in small file systems of their own (needs root). */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { verifyDirectory } from '#enforcer/store/verify.ts';
import { aBan, anEvent, manyEvents, startStore, temporaryDirectory } from '#test/support/store.ts';

function smallDisk(size: string): string {
  const mount = join(temporaryDirectory(), 'disk');
  mkdirSync(mount);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'honeymesh-test', mount]);
  onTestFinished(() => void execFileSync('umount', ['-l', mount]));
  return mount;
}

/** Leaves no free block. */
function fill(mount: string): void {
  try {
    writeFileSync(join(mount, 'filler'), Buffer.alloc(64 * 1024 ** 2));
  } catch {
    // as full as it gets
  }
}

describe('on a full disk', () => {
  test('commits are told so at once and wait; when there is room again they are written in order and the chain is whole', async () => {
    const mount = smallDisk('6m');
    const store = await startStore({ directory: mount, maxWaitingEvents: 3_000 });
    const detail = { filler: 'z'.repeat(500) };
    await store.commit({ events: manyEvents(100), changes: [{ kind: 'put-ban', ban: aBan('203.0.113.1/32') }] });
    fill(mount);
    let stored = 100;
    let round = 0;
    for (let fits = true; fits; round++) {
      const slowest = performance.now();
      fits = (await store.commit({ events: manyEvents(200, at => ({ summary: `round ${round} event ${at}`, detail })), changes: [] })).stored;
      if (fits) stored += 200;
      else expect(performance.now() - slowest).toBeLessThan(2_000);
    }
    expect(store.status()).toMatchObject({
      ok: false,
      events: stored,
      waiting: 200,
      lost: 0,
      why: expect.stringContaining('disk is full'),
      fix: expect.stringContaining('free space'),
    });

    // Reading goes on, and so does what enforcement hands over
    expect(await store.query({ limit: 1 })).toHaveLength(1);
    for (let more = 0; more < 20; more++) {
      const before = performance.now();
      const answer = await store.commit({
        events: manyEvents(200, at => ({ summary: `waiting ${more} ${at}`, detail })),
        changes: [{ kind: 'put-ban', ban: aBan(`203.0.113.${more}/32`) }],
      });
      expect(answer).toEqual({ stored: false, events: [] });
      expect(performance.now() - before).toBeLessThan(500);
    }
    expect(store.status()).toMatchObject({ ok: false, waiting: 3_200, lost: 1_000 });

    rmSync(join(mount, 'filler'));
    await expect.poll(() => store.status(), { timeout: 10_000 }).toMatchObject({ ok: true, waiting: 0, lost: 1_000 });
    await store.commit({ events: [anEvent({ summary: 'after' })], changes: [] });
    const all = await store.query({ afterId: stored, ascending: true, limit: 10_000 });
    expect(all.map(event => event.id)).toEqual(Array.from({ length: 3_202 }, (_, at) => stored + 1 + at));
    expect(all[0]?.summary).toBe(`round ${round - 1} event 0`);
    expect(all[200]?.summary).toBe('waiting 0 0');
    expect(all[3_199]?.summary).toBe('waiting 14 199');
    expect(all[3_200]?.summary).toContain('1000 events were lost here');
    expect(all[3_201]?.summary).toBe('after');
    expect((await store.loadLedger()).bans).toHaveLength(20);
    expect(await store.verify()).toMatchObject({ ok: true, lastId: stored + 3_202 });
  });

  test('a store that starts there starts all the same, and writes what waits when there is room', async () => {
    const mount = smallDisk('2m');
    fill(mount);
    const store = await startStore({ directory: mount });
    expect(store.status()).toMatchObject({ ok: false, why: expect.any(String), fix: expect.any(String) });
    expect(await store.loadLedger()).toEqual({ bans: [], allowed: [], offences: [] });
    expect(await store.commit({ events: manyEvents(3), changes: [] })).toEqual({ stored: false, events: [] });
    rmSync(join(mount, 'filler'));
    await expect.poll(() => store.status(), { timeout: 10_000 }).toMatchObject({ ok: true, events: 3, waiting: 0, lost: 0 });
    expect(await store.verify()).toMatchObject({ ok: true, events: 3 });
  });

  test('what was acknowledged before it is there after a restart on the full disk', async () => {
    const mount = smallDisk('4m');
    const first = await startStore({ directory: mount });
    await first.commit({ events: manyEvents(100), changes: [{ kind: 'put-ban', ban: aBan('203.0.113.1/32') }] });
    fill(mount);
    await first.stop();
    const second = await startStore({ directory: mount });
    expect((await second.loadLedger()).bans).toHaveLength(1);
    expect(await second.query({})).toHaveLength(100);
    expect(await verifyDirectory(mount)).toMatchObject({ ok: true, events: 100 });
  });
});

describe('in a directory that cannot be written', () => {
  const remount = (mount: string, how: 'ro' | 'rw'): void => void execFileSync('mount', ['-o', `remount,${how}`, mount]);

  test('the past and the ledger are read, commits wait, verifying works, and all is written when it can be', async () => {
    const mount = smallDisk('8m');
    const first = await startStore({ directory: mount });
    await first.commit({ events: manyEvents(50), changes: [{ kind: 'put-ban', ban: aBan('203.0.113.1/32') }] });
    await first.stop();
    remount(mount, 'ro');
    expect(await verifyDirectory(mount)).toMatchObject({ ok: true, events: 50 });
    const store = await startStore({ directory: mount });
    expect(store.status()).toMatchObject({ ok: false, why: expect.stringContaining('cannot be written'), fix: expect.stringContaining('writable') });
    expect((await store.loadLedger()).bans).toHaveLength(1);
    expect(await store.query({ limit: 10 })).toHaveLength(10);
    expect(await store.verify()).toMatchObject({ ok: true, events: 50 });
    expect(await store.commit({ events: manyEvents(2), changes: [] })).toEqual({ stored: false, events: [] });
    expect(existsSync(join(mount, 'events.db-wal'))).toBe(false);
    remount(mount, 'rw');
    await expect.poll(() => store.status(), { timeout: 10_000 }).toMatchObject({ ok: true, events: 52, waiting: 0 });
    expect(await store.verify()).toMatchObject({ ok: true, events: 52 });
  });

  test('a log that a killed daemon left with its write-ahead log is verified with it', async () => {
    const mount = smallDisk('8m');
    const store = await startStore({ directory: mount });
    await store.commit({ events: manyEvents(50), changes: [] });
    const copy = smallDisk('8m');
    for (const name of ['events.db', 'events.db-wal', 'events.head']) execFileSync('cp', [join(mount, name), copy]);
    remount(copy, 'ro');
    expect(await verifyDirectory(copy)).toMatchObject({ ok: true, events: 50 });
  });

  test('nothing at all starts empty and says so', async () => {
    const mount = smallDisk('1m');
    remount(mount, 'ro');
    const store = await startStore({ directory: join(mount, 'sub') });
    expect(store.status()).toMatchObject({ ok: false, why: expect.stringContaining('cannot be written') });
    expect(await store.loadLedger()).toEqual({ bans: [], allowed: [], offences: [] });
    await expect(store.query({})).rejects.toMatchObject({ code: 'HM_STORE_READ_ONLY' });
  });
});
