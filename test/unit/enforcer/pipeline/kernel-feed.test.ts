import type { Address } from '@honeymesh/intel/address';
import { expect, test } from 'vitest';
import type { KernelEvent, KernelEventKind } from '#enforcer/kernel/port.ts';
import { createKernelFeed } from '#enforcer/pipeline/kernel-feed.ts';
import { createRig } from '#test/support/pipeline.ts';

function rigWithFeed() {
  const rig = createRig();
  const event = (kind: KernelEventKind, more: Partial<KernelEvent> = {}): KernelEvent => ({
    at: rig.now(),
    kind,
    source: '203.0.113.7' as Address,
    reasons: [],
    port: 22,
    protocol: 'tcp',
    fastPorts: 1,
    slowPorts: 1,
    proven: false,
    verdict: 'pass',
    rate: 0,
    shunMs: 0,
    ...more,
  });
  return { ...rig, event, feed: createKernelFeed(rig) };
}

test('a scan is recorded with its reasons and what the kernel did; nobody is banned for it', async () => {
  const rig = rigWithFeed();
  rig.feed.take([rig.event('scan', { reasons: ['syn-scan'], fastPorts: 3, verdict: 'drop-scan', shunMs: 60_000 })]);
  await rig.pipeline.settled();
  expect(rig.store.events).toMatchObject([
    { kind: 'scan', tier: 'E0', origin: 'kernel', reasons: ['syn-scan'], port: 22, protocol: 'tcp', detail: { shunMs: 60_000 } },
  ]);
  expect(rig.store.events[0]?.summary).toContain('shunned for 1m');
  expect(rig.ledger.bans()).toEqual([]);
});

test('a suspect is moved to where a flood cannot evict it', () => {
  const rig = rigWithFeed();
  rig.kernel.track('203.0.113.7' as Address, [{ port: 22, probe: 'syn', at: rig.now() }]);
  rig.feed.take([rig.event('suspect')]);
  expect(rig.kernel.view('203.0.113.7' as Address).watched).toBe(true);
});

test('the first dropped packet of a ban is remembered for explain', () => {
  const rig = rigWithFeed();
  rig.feed.take([rig.event('ban-hit', { verdict: 'drop-ban' })]);
  expect(rig.feed.firstDropOf('203.0.113.7' as Address)).toBe(rig.now());
  expect(rig.feed.firstDropOf('203.0.113.8' as Address)).toBeNull();
});

test('a flood of spoofed touches fills no disk: the rest is told in one event', async () => {
  const rig = rigWithFeed();
  for (let at = 0; at < 10_000; at++) rig.feed.take([rig.event('touch', { source: `198.18.${at >> 8}.${at & 255}` as Address })]);
  rig.feed.tick();
  await rig.pipeline.settled();
  expect(rig.store.events).toHaveLength(1_001);
  expect(rig.store.events.at(-1)).toMatchObject({ kind: 'touch', source: null, detail: { touch: 9_000 } });
});

test('an alarm is shown while it lasts and ends by itself', () => {
  const rig = rigWithFeed();
  rig.feed.take([rig.event('guard'), rig.event('map-full')]);
  expect(rig.degraded.current()).toHaveLength(2);
  rig.pass(61_000);
  rig.feed.tick();
  expect(rig.degraded.current()).toEqual([]);
});
