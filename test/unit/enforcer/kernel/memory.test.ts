import { type Address, type Prefix, prefixOf } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import { createMemoryKernel } from '#enforcer/kernel/memory.ts';
import type { KernelEvent } from '#enforcer/kernel/port.ts';
import { describeKernel, SMALL_ROOM } from '#test/support/kernel-behaviour.ts';

describeKernel('the double', () => {
  let at = 1_795_500_000_000;
  const kernel = createMemoryKernel({ capacity: SMALL_ROOM }, { now: () => unixMs(at) });
  return {
    kernel,
    now: () => unixMs(at),
    pass(ms) {
      at += ms;
    },
    shun: kernel.shun,
    track: kernel.track,
    close: kernel.close,
  };
});

const NOW = unixMs(1_795_500_000_000);
const TARGET = '203.0.113.7/32' as Prefix;

test('the double counts drops where a packet would have been dropped', () => {
  const kernel = createMemoryKernel({}, { now: () => NOW });
  kernel.putBans([{ target: TARGET, tier: 'E1', reasons: [], expiresAt: null }]);
  kernel.setRules([{ action: 'deny', target: '10.0.0.0/8' as Prefix, tier: 'E1', reasons: [], expiresAt: null }]);
  kernel.drop(TARGET, 3);
  kernel.drop('10.0.0.0/8' as Prefix);
  kernel.putBans([{ target: TARGET, tier: 'E2', reasons: [], expiresAt: null }]);
  expect(kernel.listBans()[0]).toMatchObject({ droppedPackets: 3, tier: 'E2' });
  expect(kernel.listRules()[0]?.droppedPackets).toBe(1);
});

test('the double can refuse every write, as a map that is gone', () => {
  const kernel = createMemoryKernel({}, { now: () => NOW });
  kernel.refuseWrites(true);
  expect(kernel.putBans([{ target: TARGET, tier: 'E1', reasons: [], expiresAt: null }])).toEqual([{ target: TARGET, enforced: false, why: 'refused' }]);
  expect(kernel.setRules([{ action: 'allow', target: TARGET, tier: 'operator', reasons: [], expiresAt: null }])[0]?.enforced).toBe(false);
});

test('the double hands events to every reader until its signal', () => {
  const kernel = createMemoryKernel({}, { now: () => NOW });
  const stop = new AbortController();
  const heard: KernelEvent[] = [];
  kernel.readEvents(events => heard.push(...events), stop.signal);
  const source = '203.0.113.7' as Address;
  const event: KernelEvent = {
    at: NOW,
    kind: 'touch',
    source,
    reasons: [],
    port: 22,
    protocol: 'tcp',
    fastPorts: 1,
    slowPorts: 1,
    proven: false,
    verdict: 'pass',
    rate: 0,
    shunMs: 0,
  };
  kernel.emit(event);
  stop.abort();
  kernel.emit(event);
  expect(heard).toEqual([event]);
  expect(prefixOf(source, 32)).toBe(TARGET);
});
