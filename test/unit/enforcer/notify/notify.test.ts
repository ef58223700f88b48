import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from '@honeymesh/intel/address';
import type { StoredEvent } from '@honeymesh/intel/events';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { NotifyConfig } from '#enforcer/config/notify-fields.ts';
import { createDegradedBoard } from '#enforcer/health/degraded.ts';
import { createNotifier, type Notifier } from '#enforcer/notify/notify.ts';
import { createOutbox } from '#enforcer/notify/outbox.ts';
import type { Channel, Delivery, Digest } from '#enforcer/notify/port.ts';
import { anEvent } from '#test/support/store.ts';

interface Received {
  readonly id: string;
  readonly total: number;
  readonly kinds: Record<string, number>;
  readonly events: readonly { readonly summary: string }[];
}

/** A webhook on loopback that answers with what `status` says. */
async function hook(status: () => number = () => 200): Promise<{ readonly url: string; readonly got: Received[] }> {
  const got: Received[] = [];
  const server = createServer((request, answer) => {
    let body = '';
    request.on('data', piece => {
      body += piece;
    });
    request.on('end', () => {
      const code = status();
      if (code < 300) got.push(JSON.parse(body) as Received);
      answer.writeHead(code).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/s3cr3t`, got };
}

function notifying(config: Partial<NotifyConfig>): {
  readonly notifier: Notifier;
  readonly degraded: ReturnType<typeof createDegradedBoard>;
  hear(count: number, event?: object): void;
} {
  const degraded = createDegradedBoard(() => {});
  let ids = 0;
  const notifier = createNotifier(
    { config: { kinds: ['ban', 'credentials'], gatherMs: 20, everyMs: 300, ...config }, host: 'h1', instance: 'main', retryMs: 10, longestRetryMs: 40 },
    { degraded, now: () => unixMs(Date.now()), random: () => 0.5, newId: () => `msg_${++ids}` },
  );
  onTestFinished(() => notifier.stop());
  let id = 0;
  return {
    notifier,
    degraded,
    hear(count, event = {}) {
      for (let nth = 0; nth < count; nth++) notifier.hear({ ...anEvent({ kind: 'ban', ...event }), id: ++id } as StoredEvent);
    },
  };
}

const secret = 'sixteen characters';

describe('a storm', () => {
  test('of 100,000 events is one message, which tells its size and how it began', async () => {
    const { url, got } = await hook();
    const { hear } = notifying({ webhook: { url, secret } });
    for (let nth = 0; nth < 100; nth++) hear(1_000, { source: `198.51.100.${nth}` as Address, summary: `event ${nth}` });
    await expect.poll(() => got.length).toBe(1);
    expect(got[0]).toMatchObject({ total: 100_000, kinds: { ban: 100_000 } });
    expect(got[0]?.events).toHaveLength(20);
  });

  test('that goes on is one message in each `every`, and no event is left out of the count', async () => {
    const { url, got } = await hook();
    const { hear } = notifying({ webhook: { url, secret } });
    for (let nth = 0; nth < 40; nth++) {
      hear(10);
      await sleep(20);
    }
    await expect.poll(() => got.reduce((sum, one) => sum + one.total, 0), { timeout: 3_000 }).toBe(400);
    expect(got.length).toBeGreaterThanOrEqual(2);
    expect(got.length).toBeLessThanOrEqual(5);
  });
});

test('only the kinds of the configuration are told, with guessed passwords masked and without details', async () => {
  const { url, got } = await hook();
  const { hear } = notifying({ webhook: { url, secret } });
  hear(1, { kind: 'scan' });
  hear(1, { kind: 'credentials', summary: 'tried root with hunter2xyz', detail: { credentials: [{ user: 'root', secret: 'hunter2xyz' }] } });
  await expect.poll(() => got.length).toBe(1);
  expect(got[0]?.total).toBe(1);
  expect(JSON.stringify(got)).not.toContain('hunter2xyz');
  expect(got[0]?.events[0]).not.toHaveProperty('detail');
});

describe('a channel that fails', () => {
  test('is tried again until it takes the message; meanwhile it is degraded, then no more', async () => {
    let down = true;
    const { url, got } = await hook(() => (down ? 503 : 200));
    const { notifier, degraded, hear } = notifying({ webhook: { url, secret }, everyMs: 1 });
    hear(3);
    await expect.poll(() => degraded.current().map(({ part }) => part)).toEqual(['notify']);
    expect(JSON.stringify(degraded.current())).not.toContain('s3cr3t');
    expect(notifier.report()).toMatchObject([{ channel: 'webhook', state: 'failing', waiting: 1, why: expect.stringContaining('HTTP 503') }]);
    for (let nth = 0; nth < 50; nth++) {
      hear(1);
      await sleep(2);
    }
    await sleep(60);
    expect(notifier.report()[0]?.waiting).toBe(2); // the one that is tried, and one of all that came since
    down = false;
    await expect.poll(() => got.reduce((sum, one) => sum + one.total, 0)).toBe(53);
    expect(got).toHaveLength(2);
    expect(degraded.current()).toEqual([]);
    expect(notifier.report()).toMatchObject([{ state: 'ok', waiting: 0, sent: 2, givenUp: 0 }]);
  });

  test('does not hold up another one', async () => {
    const [bad, good] = [await hook(() => 500), await hook()];
    const { hear } = notifying({ webhook: { url: good.url, secret }, slack: { url: bad.url } });
    hear(1);
    await expect.poll(() => good.got.length).toBe(1);
  });

  test('for good gives the message up and says how many events were in it', async () => {
    const { url } = await hook(() => 404);
    const { notifier, hear } = notifying({ webhook: { url, secret } });
    hear(7);
    await expect.poll(() => notifier.report()).toMatchObject([{ state: 'failing', waiting: 0, givenUp: 1, lostEvents: 7 }]);
  });
});

test('the last events before a stop are told, and a channel that fails does not hold it up', async () => {
  const good = await hook();
  const one = notifying({ webhook: { url: good.url, secret }, gatherMs: 60_000 });
  one.hear(2);
  await one.notifier.stop();
  expect(good.got).toMatchObject([{ total: 2 }]);
  const bad = await hook(() => 503);
  const other = notifying({ webhook: { url: bad.url, secret } });
  other.hear(1);
  await expect.poll(() => other.notifier.report()[0]?.state).toBe('failing');
  const startedMs = performance.now();
  await other.notifier.stop();
  expect(performance.now() - startedMs).toBeLessThan(500);
});

test('a test goes out at once and tells of each channel whether it arrived', async () => {
  const [good, bad] = [await hook(), await hook(() => 403)];
  const { notifier } = notifying({ webhook: { url: good.url, secret }, slack: { url: bad.url } });
  expect(await notifier.test()).toMatchObject([
    { channel: 'webhook', ok: true, why: null },
    { channel: 'slack', ok: false, why: expect.stringContaining('HTTP 403') },
  ]);
  expect(good.got).toMatchObject([{ test: true, type: 'honeymesh.test' }]);
  expect(await notifier.test('webhook')).toHaveLength(1);
});

test('without configuration nobody is told, and nothing is kept', async () => {
  const notifier = createNotifier(
    { config: undefined, host: 'h1', instance: 'main' },
    { degraded: createDegradedBoard(() => {}), now: () => unixMs(0), random: () => 0, newId: () => 'x' },
  );
  notifier.hear({ ...anEvent({ kind: 'ban' }), id: 1 });
  expect(notifier.report()).toEqual([]);
  expect(await notifier.test()).toEqual([]);
});

describe('the outbox', () => {
  const digest = (total: number): Digest => ({
    id: `msg_${total}`,
    test: false,
    host: 'h',
    instance: 'main',
    from: 'a',
    to: 'b',
    total,
    kinds: {},
    sources: [],
    events: [],
    severity: 0,
  });
  const failing: Delivery = { ok: false, why: 'no', fix: '', final: false };

  function box(deliver: Channel['deliver'], more: { giveUpMs?: number; now?: () => number } = {}) {
    const outbox = createOutbox(
      { retryMs: 4, longestRetryMs: 16, giveUpMs: more.giveUpMs ?? 1e9 },
      { channel: { name: 'slack', deliver }, now: () => unixMs(more.now?.() ?? 0), random: () => 0.5, onState: () => {} },
    );
    onTestFinished(() => outbox.stop(0));
    return outbox;
  }

  test('tries the same message again under the same id, with waits that double up to the longest', async () => {
    const at: number[] = [];
    const ids = new Set<string>();
    const outbox = box(one => {
      at.push(performance.now());
      ids.add(one.id);
      return Promise.resolve(at.length < 6 ? failing : { ok: true });
    });
    outbox.put(digest(1));
    await expect.poll(() => outbox.report().sent).toBe(1);
    const waits = at.slice(1).map((one, nth) => one - (at[nth] ?? 0));
    for (const [nth, least] of [4, 8, 16, 16, 16].entries()) expect(waits[nth]).toBeGreaterThanOrEqual(least - 1.5);
    expect(ids.size).toBe(1);
  });

  test('gives up after its time', async () => {
    let ms = 0;
    const outbox = box(() => Promise.resolve(failing), { giveUpMs: 100, now: () => (ms += 30) });
    outbox.put(digest(5));
    await expect.poll(() => outbox.report()).toMatchObject({ givenUp: 1, lostEvents: 5, waiting: 0 });
  });

  test('takes the next message, also one that comes in the moment in which the one before is done', async () => {
    for (let turns = 0; turns < 40; turns++) {
      const outbox = box(() => Promise.resolve({ ok: true }));
      outbox.put(digest(1));
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      outbox.put(digest(2));
      await sleep(1);
      expect(outbox.report(), `after ${turns} turns`).toMatchObject({ waiting: 0 });
    }
  });

  test('stops at once, also in the middle of a wait', async () => {
    const outbox = box((_one, signal) => new Promise(resolve => signal.addEventListener('abort', () => resolve(failing))));
    outbox.put(digest(1));
    const startedMs = performance.now();
    await outbox.stop(20);
    expect(performance.now() - startedMs).toBeLessThan(500);
    outbox.put(digest(2));
    expect(outbox.report().waiting).toBe(0);
  });
});
