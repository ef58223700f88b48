import { HOUR_MS } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import { lookAtRooms, lookAtStore } from '#enforcer/health/complaints.ts';
import { createDegradedBoard } from '#enforcer/health/degraded.ts';
import { later, ledgerWith, order, T0, tick } from '#test/support/ledger.ts';

test('a room for bans that is full is said while it is, and each of them by its name', () => {
  const degraded = createDegradedBoard(() => {});
  const ledger = ledgerWith({ capacity: { ipv4: 2, ipv6: 1, ipv6Exact: 2, rules: 3 }, aggregateAt: 0 });
  const said = (): string => {
    lookAtRooms(ledger, degraded);
    return degraded
      .current()
      .map(({ why, fix }) => `${why}; ${fix}`)
      .join();
  };
  order(ledger, '203.0.113.1/32', T0, later(HOUR_MS));
  expect(said()).toBe('');
  order(ledger, '203.0.113.2/32', T0, later(HOUR_MS));
  expect(said()).toMatch(/the room for 2 bans of IPv4 addresses is full.*raise bans\.capacity/);
  order(ledger, '2001:db8::/64', T0, later(2 * HOUR_MS));
  expect(said()).toMatch(/2 bans of IPv4 addresses is full.*1 bans of IPv6 \/64 is full/);
  tick(ledger, later(HOUR_MS));
  expect(said()).toMatch(/^the room for 1 bans of IPv6 \/64/);
  tick(ledger, later(2 * HOUR_MS));
  expect(said()).toBe('');
});

test('a log that cannot be written is said with what mends it, and no longer than that', () => {
  const degraded = createDegradedBoard(() => {});
  const numbers = { events: 0, lastId: 0, bytes: 0, segments: 0, waiting: 0, lost: 0 };
  lookAtStore({ status: () => ({ ...numbers, ok: false, why: 'the disk is full', fix: 'free space' }) }, '/var/lib/honeymesh/main', degraded);
  expect(degraded.current()).toEqual([{ part: 'store', why: 'the disk is full', fix: 'free space' }]);
  lookAtStore({ status: () => ({ ...numbers, ok: true }) }, '/var/lib/honeymesh/main', degraded);
  expect(degraded.current()).toEqual([]);
});
