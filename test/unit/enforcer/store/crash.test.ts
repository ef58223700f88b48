import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { verifyDirectory } from '#enforcer/store/verify.ts';
import { aBan, manyEvents, startStore, temporaryDirectory } from '#test/support/store.ts';

const nightly = process.env['HONEYMESH_NIGHTLY'] === '1';

describe('a worker that dies', () => {
  function crashing(directory: string, when: string): URL {
    const file = join(directory, 'crashes');
    writeFileSync(file, when);
    process.env['HONEYMESH_TEST_CRASHES'] = file; // a worker gets a copy when it starts
    return new URL('../../../support/store-crashing-worker.ts', import.meta.url);
  }

  test.each(['before 1', 'after 1'])('%s commit is started again and the commit is there once', async when => {
    const directory = temporaryDirectory();
    const store = await startStore({ directory, workerPath: crashing(directory, when) });
    const both = await Promise.all([
      store.commit({ events: manyEvents(3), changes: [{ kind: 'put-ban', ban: aBan('203.0.113.7/32') }] }),
      store.commit({ events: manyEvents(2), changes: [] }),
    ]);
    expect(both.map(({ stored, events }) => [stored, events.map(event => event.id)])).toEqual([
      [true, [1, 2, 3]],
      [true, [4, 5]],
    ]);
    expect(await store.query({})).toHaveLength(5);
    expect((await store.loadLedger()).bans).toHaveLength(1);
    expect(store.status()).toMatchObject({ ok: true, events: 5, lost: 0 });
    expect(await store.verify()).toMatchObject({ ok: true, events: 5 });
    expect(readFileSync(join(directory, 'crashes'), 'utf8')).toMatch(/ 0$/);
  });

  test('of the same batch twice gives that batch up, says so, and goes on with the next', async () => {
    const directory = temporaryDirectory();
    const store = await startStore({ directory, workerPath: crashing(directory, 'before 2') });
    expect(await store.commit({ events: manyEvents(3), changes: [] })).toEqual({ stored: false, events: [] });
    expect(store.status()).toMatchObject({ ok: false, lost: 3, why: expect.any(String), fix: expect.any(String) });
    await expect.poll(() => store.status().ok).toBe(true);
    expect((await store.commit({ events: manyEvents(1), changes: [] })).stored).toBe(true);
    expect((await store.query({ kinds: ['degraded'] }))[0]).toMatchObject({ detail: { lost: 3 } });
  });

  test('and cannot be started at all leaves commits waiting and reads refused, at once', async () => {
    const store = await startStore({ directory: temporaryDirectory(), workerPath: new URL('file:///nowhere/worker.ts') });
    expect(await store.commit({ events: manyEvents(3), changes: [] })).toEqual({ stored: false, events: [] });
    expect(store.status()).toMatchObject({ ok: false, waiting: 3 });
    await expect(store.query({})).rejects.toMatchObject({ name: 'HoneyMeshError' });
    expect(await store.loadLedger()).toEqual({ bans: [], allowed: [], offences: [] });
  });
});

describe('after kill -9', () => {
  test('at random moments the chain is whole and everything acknowledged is there', { timeout: nightly ? 600_000 : 60_000 }, async () => {
    const directory = temporaryDirectory();
    const acknowledged: { id: number; target: string }[] = [];
    for (let round = 0; round < (nightly ? 100 : 8); round++) {
      const child = spawn(process.execPath, [fileURLToPath(new URL('../../../support/store-child.ts', import.meta.url)), directory, String(round + 1)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await killAfterFirstLine(child, 10 + ((round * 97) % 180), line => {
        const [id, target] = line.split(' ');
        acknowledged.push({ id: Number(id), target: target ?? '' });
      });
      const verified = await verifyDirectory(directory);
      expect(verified).toMatchObject({ ok: true });
      if (verified.ok) expect(verified.lastId).toBeGreaterThanOrEqual(acknowledged.at(-1)?.id ?? 0);
    }
    const store = await startStore({ directory, retentionMs: 1e12 });
    const ledger = new Set<string>((await store.loadLedger()).bans.map(ban => ban.target));
    for (const { target } of acknowledged) expect(ledger).toContain(target);
    const oldest = (await store.query({ ascending: true, limit: 1 }))[0]?.id ?? 0;
    for (const { id, target } of acknowledged.filter(one => one.id >= oldest).slice(-200)) {
      expect((await store.query({ afterId: id - 1, beforeId: id + 1 }))[0]).toMatchObject({ id, target });
    }
    expect(acknowledged.length).toBeGreaterThan(8);
  });
});

/** Kills the child so long after it said its first word; resolves when it is gone and all it said was heard. */
async function killAfterFirstLine(child: ChildProcess, ms: number, onLine: (line: string) => void): Promise<void> {
  const ended = new Promise(resolve => child.once('close', resolve));
  if (child.stdout === null) throw new Error('no standard output');
  const lines = createInterface({ input: child.stdout });
  lines.on('line', onLine);
  lines.once('line', () => setTimeout(() => child.kill('SIGKILL'), ms));
  await ended;
}
