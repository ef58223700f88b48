import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Address } from '@honeymesh/intel/address';
import { describe, expect, test } from 'vitest';
import type { EventRow } from '#enforcer/control/operations.ts';
import { exportOfStore, exportStream } from '#enforcer/store/exports/stream.ts';
import { EXPORT_FORMATS, type ExportFormat } from '#enforcer/store/exports.ts';
import { checkProof } from '#enforcer/store/proof.ts';
import { eventRow } from '#test/support/fake-operations.ts';
import { anEvent, manyEvents, NOON, startStore, tamper, temporaryDirectory, withoutGuards } from '#test/support/store.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const FORMATS = Object.keys(EXPORT_FORMATS) as ExportFormat[];
const now = () => NOON;

async function read(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function filled(directory: string, count = 2_500) {
  const store = await startStore({ directory, segmentEvents: 1_000 });
  await store.commit({ events: manyEvents(count), changes: [] });
  return store;
}

describe('an export of a store', () => {
  test.each(FORMATS)('as %s has a proof of exactly its bytes, which the log confirms', async format => {
    const directory = temporaryDirectory();
    const store = await filled(directory);
    const stream = exportOfStore({ format, host: 'h1' }, {}, { store, now });
    const whole = await read(stream.bytes);
    const proof = stream.proof();
    expect(proof).toMatchObject({ format, events: { count: 2_500, firstId: 1, lastId: 2_500 }, bytes: whole.length, log: { lastId: 2_500, firstId: 1 } });
    expect(proof?.sha256).toBe(createHash('sha256').update(whole).digest('hex'));
    expect(await store.verify()).toMatchObject({ ok: true, head: proof?.log.head });

    const path = join(directory, 'export');
    writeFileSync(path, whole);
    writeFileSync(`${path}.proof.json`, JSON.stringify(proof));
    expect(await checkProof(directory, `${path}.proof.json`, path)).toMatchObject({ log: true, file: true });
    writeFileSync(path, `${whole.toString().slice(0, -1)}x`);
    expect(await checkProof(directory, `${path}.proof.json`, path)).toMatchObject({ log: true, file: false });
  });

  test.each(['ecs', 'cef', 'list'] as const)('as %s ends with a record that proves all that stands before it', async format => {
    const store = await filled(temporaryDirectory(), 10);
    const whole = (await read(exportOfStore({ format, host: 'h1' }, {}, { store, now }).bytes)).toString();
    const last = whole.trimEnd().split('\n').at(-1) ?? '';
    const before = whole.slice(0, -(last.length + 1));
    const text =
      format === 'ecs' ? (JSON.parse(last).honeymesh.proof as string) : format === 'list' ? last.slice(2) : (/cs6=(.*) cs6Label/.exec(last)?.[1] ?? '');
    const proof = JSON.parse(text);
    expect(proof).toMatchObject({ honeymesh: 'export-proof', events: { count: 10 }, bytes: Buffer.byteLength(before) });
    expect(proof.sha256).toBe(createHash('sha256').update(before).digest('hex'));
  });

  test('is confirmed when its last event lies in a sealed segment by now, and cannot be told when that is gone', async () => {
    const directory = temporaryDirectory();
    const clock = { ms: NOON as number };
    const store = await startStore({ directory, segmentEvents: 100, retentionMs: 60_000, maintainMs: 10 }, clock);
    await store.commit({ events: manyEvents(50), changes: [] });
    const stream = exportOfStore({ format: 'ndjson', host: 'h1' }, {}, { store, now });
    await read(stream.bytes);
    await store.commit({ events: manyEvents(100, () => ({ summary: 'later' })), changes: [] });
    const path = join(directory, 'x.proof.json');
    writeFileSync(path, JSON.stringify(stream.proof()));
    expect(await checkProof(directory, path, null)).toMatchObject({ log: true });
    clock.ms += 120_000;
    await expect.poll(() => store.status().segments, { timeout: 5_000 }).toBe(1);
    expect(await checkProof(directory, path, null)).toMatchObject({ log: null });
    expect(await store.tip()).toMatchObject({ firstId: 101, lastId: 150 });
  });

  test('a log that was rewritten later does not confirm it', async () => {
    const directory = temporaryDirectory();
    const store = await filled(directory, 10);
    const stream = exportOfStore({ format: 'ndjson', host: 'h1' }, {}, { store, now });
    await read(stream.bytes);
    await store.commit({ events: [anEvent()], changes: [] });
    const path = join(directory, 'x.proof.json');
    writeFileSync(path, JSON.stringify(stream.proof()));
    expect(await checkProof(directory, path, null)).toMatchObject({ log: true, file: null });
    await store.stop();
    tamper(directory, db => withoutGuards(db, 'segment_1', () => db.prepare('UPDATE segment_1 SET hash = zeroblob(32) WHERE id = 10').run()));
    expect(await checkProof(directory, path, null)).toMatchObject({ log: false });
  });

  test('takes the filters of a list and holds what the log held when it began', async () => {
    const store = await startStore({ directory: temporaryDirectory() });
    const events = manyEvents(1_500, at => ({ source: `198.51.100.${at % 2}` as Address }));
    await store.commit({ events, changes: [] });
    const stream = exportOfStore({ format: 'ndjson', host: 'h1' }, { source: '198.51.100.1' as Address, afterId: 10 }, { store, now });
    let lines = '';
    for await (const piece of stream.bytes) {
      lines += piece;
      await store.commit({ events: [anEvent({ source: '198.51.100.1' as Address })], changes: [] });
    }
    const rows = lines
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as EventRow);
    expect(rows.map(row => row.id)).toEqual(Array.from({ length: 745 }, (_, at) => 12 + 2 * at));
  });

  test('masks guessed secrets where it is told to', async () => {
    const store = await startStore({ directory: temporaryDirectory() });
    await store.commit({ events: [anEvent({ kind: 'credentials', detail: { credentials: [{ user: 'root', secret: 'hunter2xyz' }] } })], changes: [] });
    for (const format of FORMATS) {
      const text = (await read(exportOfStore({ format, host: 'h1', mask: true }, {}, { store, now }).bytes)).toString();
      expect(text).not.toContain('hunter2xyz');
    }
  });
});

describe('back-pressure', () => {
  const endless = (asked: number[]) => ({
    tip: () => Promise.resolve({ head: '0'.repeat(64), lastId: Number.MAX_SAFE_INTEGER - 1, firstId: 1 }),
    page({ afterId, limit }: { afterId: number; limit: number }) {
      asked.push(afterId);
      return Promise.resolve(Array.from({ length: limit }, (_, at) => eventRow(afterId + at + 1)));
    },
    now,
  });

  test('nothing is asked of the log before somebody reads, and no page ahead of a reader that stands', async () => {
    const asked: number[] = [];
    const readable = exportStream({ format: 'ndjson', host: 'h1' }, endless(asked)).readable();
    expect(asked).toHaveLength(0);
    readable.read(0);
    await sleep(100);
    const ahead = asked.length;
    expect(ahead).toBeLessThanOrEqual(3);
    await sleep(100);
    expect(asked).toHaveLength(ahead);
    readable.destroy();
  });

  test('a reader that leaves ends the export', async () => {
    const asked: number[] = [];
    for await (const _piece of exportStream({ format: 'ndjson', host: 'h1' }, endless(asked)).bytes) if (asked.length === 5) break;
    await sleep(20);
    expect(asked).toHaveLength(5);
  });

  test('50,000 events with long details keep nothing in memory but what is being written', { timeout: 60_000 }, async () => {
    const detail = { text: 'x'.repeat(1_000) };
    const source = endless([]);
    const stream = exportStream(
      { format: 'stix', host: 'h1' },
      { ...source, page: async ids => (ids.afterId >= 50_000 ? [] : (await source.page(ids)).map(row => ({ ...row, detail }))) },
    );
    const kept: number[] = [];
    let bytes = 0;
    for await (const piece of stream.bytes) {
      bytes += piece.length;
      if (bytes / 6e6 < kept.length) continue;
      collect();
      kept.push(process.memoryUsage().heapUsed + process.memoryUsage().external);
    }
    expect(bytes).toBeGreaterThan(25e6);
    expect(kept.length).toBeGreaterThan(4);
    expect(Math.max(...kept) - (kept[0] ?? 0)).toBeLessThan(15e6);
  });
});
