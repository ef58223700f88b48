import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KernelEvent } from '#enforcer/kernel/port.ts';
import { readRings } from '#enforcer/kernel/ring.ts';
import { syn } from '#test/support/frames/frames.ts';
import { createKernelTester, type KernelTester } from '#test/support/kernel-tester.ts';

const OWN = '198.51.100.1';
const source = (at: number): string => `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`;

describe('events', () => {
  let tester: KernelTester;
  beforeEach(() => {
    tester = createKernelTester({ config: { eventsPerSecond: 0, newSourcesPerSecond: 1_000_000 } });
    tester.kernel.setOwnAddresses([OWN as Address]);
    tester.events();
  });
  afterEach(() => tester.close());

  /** The tester's own reader would take the events first. */
  const alone = (): void => tester.deafen();

  const heardBy = async (count: number, act: () => void, signal = new AbortController()): Promise<{ batches: number[]; events: KernelEvent[] }> => {
    const batches: number[] = [];
    const events: KernelEvent[] = [];
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(() => reject(new Error(`only ${events.length} of ${count} events came`)), 5_000);
      tester.kernel.readEvents(batch => {
        batches.push(batch.length);
        events.push(...batch);
        if (events.length < count) return;
        clearTimeout(deadline);
        resolve();
      }, signal.signal);
      act();
    });
    signal.abort();
    return { batches, events };
  };

  test('a touch is told with source, port and time', async () => {
    alone();
    const { events } = await heardBy(1, () => tester.run(syn('203.0.113.7', OWN, 2323)));
    expect(events).toEqual([
      expect.objectContaining({
        kind: 'touch',
        source: '203.0.113.7',
        port: 2323,
        protocol: 'tcp',
        fastPorts: 1,
        slowPorts: 1,
        proven: false,
        verdict: 'pass',
      }),
    ]);
    expect(Math.abs((events[0]?.at ?? 0) - Date.now())).toBeLessThan(1_000);
  });

  test('thousands of events come in order, in few batches of bounded size', async () => {
    alone();
    const count = 5_000;
    const { batches, events } = await heardBy(count, () => {
      for (let at = 0; at < count; at++) tester.run(syn(source(at), OWN, 2323));
    });
    expect(events.map(event => event.source)).toEqual(Array.from({ length: count }, (_, at) => source(at)));
    expect(Math.max(...batches)).toBeLessThanOrEqual(1_024);
    expect(batches.length).toBeLessThan(20);
  });

  test('what concerns bans comes first, however much noise waits', async () => {
    alone();
    tester.kernel.putBans([{ target: '203.0.113.7/32' as Prefix, tier: 'E1', reasons: ['trap-touch'], expiresAt: null }]);
    const { events } = await heardBy(2_001, () => {
      for (let at = 0; at < 2_000; at++) tester.run(syn(source(at), OWN, 2323));
      tester.run(syn('203.0.113.7', OWN, 22));
    });
    expect(events[0]).toMatchObject({ kind: 'ban-hit', source: '203.0.113.7', reasons: ['trap-touch'] });
  });

  test('a ring that nobody reads loses events, counts them, and is read on afterwards', async () => {
    alone();
    const room = (1024 * 1024) / 72; // 64 bytes and the ring's own 8
    for (let at = 0; at < room + 500; at++) tester.run(syn(source(at), OWN, 2323));
    expect(tester.kernel.stats().counters['events-lost']).toBeGreaterThan(400);
    const { events } = await heardBy(Math.floor(room) - 1, () => {});
    expect(events[0]?.source).toBe(source(0));
  });

  test('a handler that throws is an uncaught exception, and the next batch comes all the same', async () => {
    alone();
    const stop = new AbortController();
    const caught: unknown[] = [];
    const listeners = process.rawListeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', error => caught.push(error));
    let calls = 0;
    try {
      await new Promise<void>(resolve => {
        tester.kernel.readEvents(() => {
          if (calls++ === 0) {
            setImmediate(() => tester.run(syn('203.0.113.8', OWN, 2323)));
            throw new Error('from the handler');
          }
          resolve();
        }, stop.signal);
        tester.run(syn('203.0.113.7', OWN, 2323));
      });
    } finally {
      stop.abort();
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener as (error: Error) => void);
    }
    expect(caught).toEqual([expect.objectContaining({ message: 'from the handler' })]);
  });

  test('a handler may stop the reading from inside a batch', async () => {
    alone();
    const stop = new AbortController();
    let calls = 0;
    tester.kernel.readEvents(() => {
      calls++;
      stop.abort();
    }, stop.signal);
    for (let at = 0; at < 3_000; at++) tester.run(syn(source(at), OWN, 2323));
    await new Promise(resolve => setTimeout(resolve, 50));
    expect(calls).toBe(1);
  });

  test('stopping twice is one stop, and draining a stopped reader finds nothing', () => {
    alone();
    tester.run(syn('203.0.113.7', OWN, 2323));
    const reader = readRings([tester.maps.events_lo.fd], () => expect.unreachable());
    reader.stop();
    reader.stop();
    expect(reader.drain()).toBe(0);
  });
});

test('a reader that was stopped does not keep its process alive, nor does one whose worker is gone', () => {
  const script = fileURLToPath(new URL('../support/kernel-ring-exit.ts', import.meta.url));
  const ran = spawnSync(process.execPath, [script], { encoding: 'utf8', timeout: 20_000 });
  expect([ran.status, ran.stdout.trim().split('\n'), ran.stderr]).toEqual([0, ['worker gone', 'stopped'], '']);
});
