import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { beforeAll, describe, expect, test } from 'vitest';
import type { EventQuery, Store } from '#enforcer/store/port.ts';
import { createStore } from '#enforcer/store/store.ts';
import { anEvent, NOON, STORE_WORKER } from '#test/support/store.ts';

const SOURCES = ['203.0.113.7', '203.0.113.9', '198.51.100.1', '2001:db8::7', '2001:db8:1::1', '203.0.113.0/24', '203.0.113.7/32', null] as const;

describe('a question', () => {
  let store: Store;
  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'honeymesh-store-'));
    store = createStore({ directory, workerPath: STORE_WORKER, retentionMs: 1e12, segmentEvents: 7 }, { now: () => NOON });
    await store.start();
    const events = Array.from({ length: 40 }, (_, at) =>
      anEvent({
        at: unixMs(NOON + at * 1_000),
        source: SOURCES[at % SOURCES.length] as never,
        port: at % 3 === 0 ? null : at % 5,
        kind: at % 4 === 0 ? 'scan' : 'touch',
      }),
    );
    await store.commit({ events, changes: [] });
    return async () => {
      await store.stop();
      rmSync(directory, { recursive: true });
    };
  });

  const ids = async (query: EventQuery): Promise<readonly number[]> => (await store.query({ ascending: true, ...query })).map(event => event.id);
  const every = (step: number, from: number): readonly number[] =>
    Array.from({ length: 40 }, (_, at) => at + 1).filter(id => (id - from) % step === 0 && id >= from);

  test('without conditions gives the newest first, a hundred at most', async () => {
    const all = await store.query({});
    expect(all.map(event => event.id)).toEqual(Array.from({ length: 40 }, (_, at) => 40 - at));
    expect((await store.query({ limit: 3 })).map(event => event.id)).toEqual([40, 39, 38]);
    expect(await store.query({ limit: 0 })).toEqual([]);
    expect(await store.query({ limit: -5 })).toEqual([]);
  });

  test('about an address finds exactly it, also where it stands as a prefix of its own', async () => {
    expect(await ids({ source: '203.0.113.7' as Address })).toEqual([...every(8, 1), ...every(8, 7)].sort((one, other) => one - other));
    expect(await ids({ source: '203.0.113.8' as Address })).toEqual([]);
    expect(await ids({ source: '2001:db8::7' as Address })).toEqual(every(8, 4));
  });

  test('about a prefix finds every source inside it and no wider one', async () => {
    const inside = [...every(8, 1), ...every(8, 2), ...every(8, 6), ...every(8, 7)].sort((one, other) => one - other);
    expect(await ids({ source: '203.0.113.0/24' as Prefix })).toEqual(inside);
    expect(await ids({ source: '203.0.113.0/29' as Prefix })).toEqual([...every(8, 1), ...every(8, 7)].sort((one, other) => one - other));
    expect(await ids({ source: '203.0.113.7/32' as Prefix })).toEqual([...every(8, 1), ...every(8, 7)].sort((one, other) => one - other));
    expect(await ids({ source: '2001:db8::/32' as Prefix })).toEqual([...every(8, 4), ...every(8, 5)].sort((one, other) => one - other));
    expect(await ids({ source: '2001:db8::/48' as Prefix })).toEqual(every(8, 4));
  });

  test('about all of one family finds nothing of the other', async () => {
    expect(await ids({ source: '::/0' as Prefix })).toEqual([...every(8, 4), ...every(8, 5)].sort((one, other) => one - other));
    expect((await ids({ source: '0.0.0.0/0' as Prefix })).length).toBe(25);
  });

  test('about ports, kinds, times and ids narrows with each', async () => {
    expect(await ids({ port: 4 })).toEqual([5, 15, 20, 30, 35]);
    expect(await ids({ kinds: ['scan'] })).toEqual(every(4, 1));
    expect(await ids({ kinds: [] })).toEqual([]);
    expect(await ids({ kinds: ['scan', 'touch'], port: 4, afterId: 15, beforeId: 35 })).toEqual([20, 30]);
    expect(await ids({ since: unixMs(NOON + 10_000), until: unixMs(NOON + 12_000) })).toEqual([11, 12, 13]);
    expect(await ids({ since: unixMs(NOON + 10_000), until: unixMs(NOON + 9_000) })).toEqual([]);
    expect(await ids({ source: '203.0.113.0/24' as Prefix, kinds: ['scan'], since: unixMs(NOON + 20_000) })).toEqual([25, 33]);
  });

  test('in pages visits each event once, in either order', async () => {
    for (const ascending of [true, false]) {
      const seen: number[] = [];
      for (let page: readonly number[] = [0]; page.length > 0; seen.push(...page)) {
        const last = seen.at(-1);
        const from = last === undefined ? {} : ascending ? { afterId: last } : { beforeId: last };
        page = await ids({ ...from, ascending, kinds: ['touch'], limit: 6 });
      }
      expect(seen).toEqual(await ids({ kinds: ['touch'], ascending }));
    }
  });
});
