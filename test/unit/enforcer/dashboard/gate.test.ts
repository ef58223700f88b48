import type { NewEvent } from '@honeymesh/intel/events';
import type { Sighting } from '@honeymesh/intel/sightings';
import { unixMs } from '@honeymesh/intel/time';
import { beforeEach, describe, expect, test } from 'vitest';
import { createGate, type Gate, isLoopback } from '#enforcer/dashboard/gate.ts';
import type { TokenNumber } from '#enforcer/dashboard/token-keeper.ts';
import { ledgerWith } from '#test/support/ledger.ts';

const RIGHT = 'a'.repeat(64);
const WRONG = 'b'.repeat(64);
let nowMs: number;
let events: NewEvent[];
let sightings: Sighting[];
let compared: number;
let gate: Gate;

beforeEach(() => {
  nowMs = Date.UTC(2026, 10, 24, 12);
  events = [];
  sightings = [];
  compared = 0;
  gate = createGate({
    tokens: {
      check(given) {
        compared++;
        return given === RIGHT ? (1 as TokenNumber) : null;
      },
    },
    port: () => 8443,
    record: event => events.push(event),
    sight: sighting => sightings.push(sighting),
    now: () => unixMs(nowMs),
  });
});

const guess = (source: string, times: number) => {
  for (let time = 0; time < times; time++) {
    gate.enter(source, WRONG);
    nowMs += 3_000; // as fast as a source may for long
  }
};

describe('guessing from outside', () => {
  test('is evidence at the fifth wrong token, and again at the tenth; fewer are not', () => {
    guess('203.0.113.7', 4);
    expect(sightings).toEqual([]);
    guess('203.0.113.7', 1);
    expect(sightings).toMatchObject([{ source: '203.0.113.7', kind: 'auth', tier: 'E1', origin: 'trap', reasons: ['dashboard-guessing'], port: 8443 }]);
    guess('203.0.113.7', 5);
    expect(sightings).toHaveLength(2);
    expect(gate.counts()).toMatchObject({ wrong: 10, evidence: 2 });
  });

  test('leads to a full ban in the ledger, which has the last word: who is allowed is not banned', () => {
    const at = unixMs(nowMs);
    const ledger = ledgerWith({ patience: { kind: 'listen', longestMs: 60_000 } });
    ledger.handle({ kind: 'allow', entry: { target: '203.0.113.8/32' as never, cause: 'operator', why: 'mine', since: at } }, at);
    guess('203.0.113.7', 5);
    guess('203.0.113.8', 5);
    for (const sighting of sightings) ledger.handle({ kind: 'sighting', sighting }, at);
    expect(ledger.bans()).toMatchObject([{ target: '203.0.113.7/32', tier: 'E1', reasons: ['dashboard-guessing'], origins: ['trap'] }]);
    expect(ledger.bans()[0]?.confined).toBeUndefined();
  });

  test('a wrong token now and then is none: a script with the former one, an hour apart', () => {
    for (let hour = 0; hour < 24; hour++) {
      gate.enter('203.0.113.7', WRONG);
      nowMs += 3_600_000;
    }
    expect(sightings).toEqual([]);
  });

  test('is no evidence from the host itself, and none without a token at all', () => {
    for (const source of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) guess(source, 20);
    for (let time = 0; time < 1_000; time++) expect(gate.enter('203.0.113.7', undefined)).toMatchObject({ in: false, why: 'no-token' });
    expect(sightings).toEqual([]);
    expect(events.filter(event => event.source === '203.0.113.7')).toEqual([]);
  });

  test('over IPv6 is counted by /64, of which a host has all addresses', () => {
    for (let host = 1; host <= 5; host++) gate.enter(`2001:db8:1:2::${host}`, WRONG);
    expect(sightings).toMatchObject([{ source: '2001:db8:1:2::5' }]);
  });

  test('an IPv4 address is the same one on a socket of both families', () => {
    guess('::ffff:203.0.113.7', 5);
    expect(sightings).toMatchObject([{ source: '203.0.113.7' }]);
  });
});

describe('the limit', () => {
  test('one source is refused after ten at once without being looked at, another one is not', () => {
    for (let time = 0; time < 10; time++) gate.enter('203.0.113.7', WRONG);
    const before = compared;
    expect(gate.enter('203.0.113.7', RIGHT)).toMatchObject({ in: false, why: 'too-many' });
    expect(compared).toBe(before);
    expect(gate.enter('203.0.113.9', RIGHT)).toEqual({ in: true, token: 1 });
    nowMs += 3_000;
    expect(gate.enter('203.0.113.7', RIGHT)).toEqual({ in: true, token: 1 });
  });

  test('right tokens use nothing up', () => {
    for (let time = 0; time < 10_000; time++) expect(gate.enter('203.0.113.7', RIGHT).in).toBe(true);
  });

  test('a flood from many sources fills neither the log nor the memory', () => {
    for (let host = 0; host < 20_000; host++) gate.enter(`10.${host >> 16}.${(host >> 8) & 255}.${host & 255}`, WRONG);
    expect(events.length).toBeLessThan(40);
    nowMs += 60_000;
    gate.enter('203.0.113.7', WRONG);
    expect(events.at(-1)?.summary).toMatch(/; \d+ before it were only counted$/);
  });

  test('what a source sends is in no event', () => {
    gate.enter('203.0.113.7', 'secret\r\nwords');
    expect(JSON.stringify(events)).not.toContain('secret');
  });
});

test('loopback is told in each of its forms', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) expect(isLoopback(address)).toBe(true);
  for (const address of ['', '128.0.0.1', '1127.0.0.1', '::ffff:10.0.0.1', '::11', 'fe80::1']) expect(isLoopback(address)).toBe(false);
});
