import type { NewEvent } from '@honeymesh/intel/events';
import { unixMs } from '@honeymesh/intel/time';
import { beforeEach, expect, test } from 'vitest';
import { createAdmission } from '#enforcer/mesh/registrar/admission.ts';
import { type AuthEvents, createAuthEvents } from '#enforcer/mesh/registrar/auth-events.ts';
import { NOON } from '#test/support/hm1.ts';

let told: NewEvent[];
let now: number;
let auth: AuthEvents;
beforeEach(() => {
  [told, now] = [[], NOON];
  auth = createAuthEvents({ port: () => 7947 }, { record: event => void told.push(event), now: () => unixMs(now) });
});

test('a refusal is an event with its source, its reason and no more', () => {
  auth.refused('join', '203.0.113.7', 'used-token');
  expect(told).toEqual([
    {
      at: NOON,
      kind: 'auth',
      source: '203.0.113.7',
      port: 7947,
      protocol: 'tcp',
      tier: null,
      reasons: [],
      origin: null,
      summary: 'the registrar refused to join the mesh: used-token',
      detail: { route: 'join', why: 'used-token' },
    },
  ]);
});

test('a flood of refusals fills no log, is counted, and the count is told with the next one', () => {
  for (let at = 0; at < 10_000; at++) auth.refused('renew', '203.0.113.7', 'malformed');
  expect(told).toHaveLength(32);
  now += 10_000;
  auth.refused('keys', '203.0.113.7', 'revoked');
  expect(told.at(-1)?.summary).toBe("the registrar refused the group's keys: revoked; 9968 refusals before it were only counted");
  expect(auth.refusals).toBe(10_001);
});

test('sources in the forms that a socket gives are one address; what is none is left out', () => {
  auth.done('::ffff:203.0.113.7', 'a');
  auth.done('fe80::1%eth0', 'b');
  auth.done('nonsense', 'c');
  auth.done(null, 'd');
  expect(told.map(event => event.source)).toEqual(['203.0.113.7', 'fe80::1', null, null]);
  expect(told.map(event => event.port)).toEqual([7947, 7947, 7947, null]);
});

test('one source cannot use up what is for all, be it with a whole IPv6 network', () => {
  const admission = createAdmission();
  let admitted = 0;
  for (let at = 0; at < 10_000; at++) if (admission.admit(`2001:db8::${at.toString(16)}`, 0)) admitted++;
  expect(admitted).toBe(16);
  expect(admission.admit('2001:db8:0:1::1', 0)).toBe(true);
  expect(admission.admit('203.0.113.7', 0)).toBe(true);
});

test('all sources together are bounded, and so is what is remembered of them', () => {
  const admission = createAdmission({ total: { burst: 64, everyMs: 50 }, each: { burst: 16, everyMs: 1_000 }, mostSources: 8 });
  let admitted = 0;
  for (let at = 0; at < 1_000; at++) if (admission.admit(`10.0.${at >> 8}.${at & 255}`, 0)) admitted++;
  expect(admitted).toBe(64);
  expect(admission.admit('203.0.113.7', 100)).toBe(true);
});
