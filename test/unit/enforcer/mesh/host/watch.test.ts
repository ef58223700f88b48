import { setTimeout as sleep } from 'node:timers/promises';
import { DAY_MS, MINUTE_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { createComplaints } from '#enforcer/mesh/host/complaints.ts';
import { createKeeping } from '#enforcer/mesh/host/keeping.ts';
import { createRefusals, MOST_REASONS } from '#enforcer/mesh/host/refusals.ts';
import { createWatch, type WatchFacts } from '#enforcer/mesh/host/watch.ts';
import type { MeshWord } from '#enforcer/mesh/port.ts';
import { NOON, real, trust } from '#test/support/hm1.ts';

const { certificate } = trust(real).host('alba');

function watching() {
  const words: MeshWord[] = [];
  const complaints = createComplaints(word => words.push(word));
  const watch = createWatch(complaints);
  const facts = { now: NOON, certificate, encrypted: 0, members: 3, goneAddress: null };
  return {
    watch,
    words,
    tick(more: Partial<WatchFacts> = {}): readonly string[] {
      const before = words.length;
      watch.tick({ ...facts, ...more });
      return words.slice(before).map(word => ('key' in word ? `${word.kind} ${word.key}` : word.kind));
    },
  };
}

const at = (ms: number): UnixMs => unixMs(NOON + ms);

describe('the watch', () => {
  test('is silent while all is well', () => {
    expect(watching().tick()).toEqual([]);
  });

  test('complains when a quarter of a certificate is left, when it has ended, and no more when it was renewed', () => {
    const { tick, words } = watching();
    // It began a day before noon and lives 90 days.
    expect(tick({ now: at(66 * DAY_MS) })).toEqual([]);
    expect(tick({ now: at(67 * DAY_MS) })).toEqual(['complaint certificate']);
    expect(tick({ now: at(67 * DAY_MS) })).toEqual([]);
    expect(tick({ now: at(89 * DAY_MS) })).toEqual(['complaint certificate']);
    expect(words.at(-1)).toMatchObject({ why: expect.stringContaining('ended at 2027-02-21'), fix: expect.stringContaining('registrar') });
    expect(tick({ now: at(89 * DAY_MS), certificate: { ...certificate, notAfter: at(170 * DAY_MS) } })).toEqual(['recovered certificate']);
    expect(tick({ now: at(-2 * DAY_MS) })).toEqual(['complaint certificate']);
    expect(words.at(-1)).toMatchObject({ fix: expect.stringContaining('timedatectl') });
  });

  test('suspects our clock when two peers are ahead of it, not one, and forgets it', () => {
    const { watch, tick, words } = watching();
    for (let count = 0; count < 5; count++) watch.fromTheFuture('bruna', NOON);
    expect(tick()).toEqual([]);
    watch.fromTheFuture('carla', NOON);
    expect(tick()).toEqual(['complaint clock']);
    expect(words.at(-1)).toMatchObject({ why: expect.stringContaining('bruna, carla') });
    expect(tick({ now: at(11 * MINUTE_MS) })).toEqual(['recovered clock']);
  });

  test('counts what one key encrypts in all of the mesh', () => {
    const { tick, words } = watching();
    expect(tick({ encrypted: 2 ** 31 / 64 - 1, members: 64 })).toEqual([]);
    expect(tick({ encrypted: 2 ** 31 / 64, members: 64 })).toEqual(['complaint key-budget']);
    expect(words.at(-1)).toMatchObject({ fix: expect.stringContaining('rotate-key') });
    expect(tick({ encrypted: 0, members: 64 })).toEqual(['recovered key-budget']);
  });

  test('tells when the address that peers know is gone', () => {
    const { tick } = watching();
    expect(tick({ goneAddress: '198.51.100.7' })).toEqual(['complaint address']);
    expect(tick()).toEqual(['recovered address']);
  });

  test('names whom UDP does not reach, until they answer', () => {
    const { watch, tick, words } = watching();
    for (const name of ['a', 'b', 'c', 'd']) watch.udpBlocked(name, NOON);
    expect(words.at(-1)).toMatchObject({ key: 'udp-blocked', why: expect.stringContaining('a, b, c and 1 more') });
    for (const name of ['a', 'b', 'c']) watch.udpWorks(name);
    expect(tick()).toEqual(['complaint udp-blocked']);
    watch.udpWorks('d');
    expect(tick()).toEqual(['recovered udp-blocked']);
  });
});

test('refusals are counted by reason, of which there are only so many, and told once', () => {
  const refusals = createRefusals();
  expect(refusals.take()).toBeNull();
  refusals.add('replayed', '203.0.113.7:7946');
  for (let count = 0; count < 2 * MOST_REASONS; count++) refusals.add(`reason ${count}`, null);
  const word = refusals.take();
  expect(Object.keys(word?.counts ?? {})).toHaveLength(MOST_REASONS + 1);
  expect(word).toMatchObject({ sample: '203.0.113.7:7946', counts: { replayed: 1, other: MOST_REASONS + 1 } });
  expect([refusals.take(), refusals.total]).toEqual([null, 2 * MOST_REASONS + 1]);
});

describe('what is to be kept', () => {
  test('is written once for many changes, at the earliest time that was asked for, and at the end', async () => {
    const written: string[] = [];
    const write = { trust: async () => void written.push('trust'), keys: async () => void written.push('keys') };
    const keeping = createKeeping({ write, complaints: createComplaints(() => undefined) });
    for (let count = 0; count < 5; count++) keeping.soon('trust', 60_000);
    keeping.soon('keys', 60_000);
    keeping.soon('keys', 10);
    await sleep(60);
    expect(written).toEqual(['keys']);
    await keeping.flush();
    expect(written).toEqual(['keys', 'trust']);
  });

  test('and cannot be written is a complaint until it can', async () => {
    const words: MeshWord[] = [];
    let full = true;
    const write = {
      trust: async () => {
        if (full) throw new Error('no space left on device');
      },
    };
    const keeping = createKeeping({ write, complaints: createComplaints(word => words.push(word)) });
    keeping.soon('trust', 0);
    await sleep(30);
    expect(words).toMatchObject([{ kind: 'complaint', key: 'state', why: expect.stringContaining('no space left') }]);
    full = false;
    keeping.soon('trust', 0);
    await sleep(30);
    expect(words.at(-1)).toEqual({ kind: 'recovered', key: 'state' });
    await keeping.flush();
  });
});
