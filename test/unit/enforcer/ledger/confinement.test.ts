import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { Ledger, LedgerPolicy } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { allow, autoAllow, brief, complete, entry, later, lift, NOBODY, order, POLICY, see, sighting, T0, targets, tick } from '#test/support/ledger.ts';

const ATTACKER = '203.0.113.7';
const TARGET = '203.0.113.7/32' as Prefix;
const LISTEN: LedgerPolicy = { ...POLICY, patience: { kind: 'listen', longestMs: MINUTE_MS } };
const STUDY: LedgerPolicy = { ...POLICY, patience: { kind: 'study', longestMs: 10 * MINUTE_MS } };

const ledgerOf = (policy: Partial<LedgerPolicy> = {}): Ledger => createLedger({ ...LISTEN, ...policy }, NOBODY);
const isConfined = (ledger: Ledger, target: string = TARGET): boolean => ledger.bans().find(ban => ban.target === target)?.confined !== undefined;
const seeAs = (ledger: Ledger, more: Parameters<typeof sighting>[2], tier: 'E1' | 'E2' = 'E1', now = T0) =>
  ledger.handle({ kind: 'sighting', sighting: sighting(ATTACKER, tier, more) }, now).decisions;

describe('who touched a trap is confined first', () => {
  test('and the ban says from when and until when', () => {
    const ledger = ledgerOf();
    expect(see(ledger, ATTACKER)).toMatchObject([
      {
        kind: 'ban',
        change: 'new',
        ban: { target: TARGET, tier: 'E1', confined: { since: T0, fullAt: later(MINUTE_MS) }, expiresAt: later(4 * HOUR_MS), offences: 1 },
      },
    ]);
    expect(ledger.nextDeadline()).toBe(later(MINUTE_MS));
  });

  test('touches more, and moves nothing by it', () => {
    const ledger = ledgerOf();
    see(ledger, ATTACKER);
    expect(brief(see(ledger, ATTACKER, 'E1', later(59_000)))).toEqual(['record banned']);
    expect(ledger.banOn(TARGET, T0)).toMatchObject({ confined: { since: T0, fullAt: later(MINUTE_MS) }, expiresAt: later(4 * HOUR_MS) });
  });

  test('but not with the patience `instant`, in mode observe, or where it is allowed', () => {
    expect(see(ledgerOf({ patience: { kind: 'instant', longestMs: 0 } }), ATTACKER)).toMatchObject([{ change: 'new', ban: { target: TARGET } }]);
    expect(isConfined(ledgerOf({ patience: { kind: 'instant', longestMs: 0 } }))).toBe(false);
    expect(brief(see(ledgerOf({ mode: 'observe' }), ATTACKER))).toEqual(['record observe']);
    const ledger = ledgerOf();
    allow(ledger, '203.0.113.0/24');
    expect(brief(see(ledger, ATTACKER))).toEqual(['record allowed']);
    expect(ledger.bans()).toEqual([]);
  });

  test('and neither by what others tell, nor for guessing at the dashboard, nor by order', () => {
    for (const more of [{ origin: 'peer' }, { origin: 'hub' }, { kind: 'auth', reasons: ['dashboard-guessing'] }] as const) {
      const ledger = ledgerOf();
      expect(brief(seeAs(ledger, more))).toEqual([`new ${TARGET}`]);
      expect(isConfined(ledger)).toBe(false);
    }
    const ledger = ledgerOf();
    order(ledger, TARGET);
    expect(isConfined(ledger)).toBe(false);
  });

  test('as the /64 that it can roam in, with all that lives there', () => {
    const ledger = ledgerOf();
    see(ledger, '2001:db8:7:7::99');
    expect(isConfined(ledger, '2001:db8:7:7::/64')).toBe(true);
    expect(brief(see(ledger, '2001:db8:7:7::1'))).toEqual(['record banned']);
    expect(brief(complete(ledger, '2001:db8:7:7::1', 'session-end'))).toEqual(['completed 2001:db8:7:7::/64: session-end']);
  });

  test('but in full where a ban of its prefix is in force already', () => {
    const ledger = ledgerOf();
    order(ledger, '203.0.113.0/24', T0, later(HOUR_MS));
    expect(brief(see(ledger, ATTACKER))).toEqual([`new ${TARGET}`]);
    expect(isConfined(ledger)).toBe(false);
  });

  test('as long as the first ban is longer than that, its end is what it always was; a shorter ban follows the confinement', () => {
    const ledger = ledgerOf({ touchMs: 1_000 });
    see(ledger, ATTACKER);
    expect(ledger.banOn(TARGET, T0)?.expiresAt).toBe(later(MINUTE_MS + 1_000));
    expect(brief(tick(ledger, later(MINUTE_MS)))).toEqual([`completed ${TARGET}: time`]);
    expect(brief(tick(ledger, later(MINUTE_MS + 1_000)))).toEqual([`expire ${TARGET}`]);
  });
});

describe('the ban is full', () => {
  test('when the traps heard enough; the term counts from then', () => {
    for (const why of ['ports', 'session-end', 'sessions'] as const) {
      const ledger = ledgerOf();
      see(ledger, ATTACKER);
      expect(complete(ledger, ATTACKER, why, later(5_000))).toMatchObject([
        { kind: 'ban', change: 'completed', why, because: null, ban: { target: TARGET, tier: 'E1', expiresAt: later(5_000 + 4 * HOUR_MS), offences: 1 } },
      ]);
      expect(isConfined(ledger)).toBe(false);
      expect(complete(ledger, ATTACKER, why, later(6_000))).toEqual([]);
      expect(ledger.nextDeadline()).toBe(later(5_000 + 4 * HOUR_MS));
    }
  });

  test('and not, where nobody is confined', () => {
    const ledger = ledgerOf();
    expect(complete(ledger, ATTACKER, 'ports')).toEqual([]);
    see(ledger, ATTACKER, 'E2');
    expect(complete(ledger, ATTACKER, 'ports')).toEqual([]);
    expect(ledger.handle({ kind: 'complete', source: ATTACKER as Address, why: 'ports' }, T0).changes).toEqual([]);
  });

  test('in `listen` at the first hostile words', () => {
    const ledger = ledgerOf();
    see(ledger, ATTACKER);
    expect(see(ledger, ATTACKER, 'E2', later(2_000))).toMatchObject([
      {
        change: 'completed',
        why: 'content',
        because: { tier: 'E2' },
        ban: { tier: 'E2', reasons: ['trap-touch', 'brute-force'], createdAt: T0, expiresAt: later(2_000 + DAY_MS), offences: 1 },
      },
    ]);
    expect(isConfined(ledger)).toBe(false);
  });

  test('in `listen` at once, where the touch before the hostile words was lost', () => {
    const ledger = ledgerOf();
    expect(brief(see(ledger, ATTACKER, 'E2'))).toEqual([`new ${TARGET}`]);
    expect(isConfined(ledger)).toBe(false);
  });

  test('in `study` not for words, which only add to what is known', () => {
    const ledger = createLedger(STUDY, NOBODY);
    see(ledger, ATTACKER);
    expect(see(ledger, ATTACKER, 'E2', later(2_000))).toMatchObject([
      { change: 'strengthened', ban: { tier: 'E2', confined: { since: T0, fullAt: later(10 * MINUTE_MS) }, reasons: ['trap-touch', 'brute-force'] } },
    ]);
    expect(brief(see(ledger, ATTACKER, 'E2', later(3_000)))).toEqual(['record banned']);
    expect(tick(ledger, later(10 * MINUTE_MS))).toMatchObject([
      { change: 'completed', why: 'time', ban: { tier: 'E2', expiresAt: later(10 * MINUTE_MS + DAY_MS), offences: 1 } },
    ]);
  });

  test('in `study` a source whose touch was lost is confined by its words', () => {
    const ledger = createLedger(STUDY, NOBODY);
    expect(brief(see(ledger, ATTACKER, 'E2'))).toEqual([`confined new ${TARGET}`]);
  });

  test('when its time is up, also if nobody looked then', () => {
    const ledger = ledgerOf();
    see(ledger, ATTACKER);
    expect(tick(ledger, later(MINUTE_MS - 1))).toEqual([]);
    expect(tick(ledger, later(2 * HOUR_MS))).toMatchObject([{ change: 'completed', why: 'time', ban: { expiresAt: later(MINUTE_MS + 4 * HOUR_MS) } }]);
  });

  test('when a machine was off for longer than all of it, the ban is over without a word', () => {
    const first = ledgerOf();
    see(first, ATTACKER);
    const second = createLedger(LISTEN, NOBODY, first.snapshot());
    expect(brief(tick(second, later(DAY_MS)))).toEqual([`expire ${TARGET}`]);
    expect(second.offence(TARGET)).toEqual({ target: TARGET, count: 1, lastEndedAt: later(MINUTE_MS + 4 * HOUR_MS) });
  });

  test('when others tell of the source what no trap here heard', () => {
    const ledger = createLedger(STUDY, NOBODY);
    see(ledger, ATTACKER);
    expect(brief(seeAs(ledger, { origin: 'peer' }, 'E1', later(1_000)))).toEqual([`completed ${TARGET}: evidence`]);
  });

  test('when an order says so, for as long as that says and no shorter', () => {
    const ledger = ledgerOf();
    see(ledger, ATTACKER);
    expect(order(ledger, TARGET, later(1_000), later(HOUR_MS))).toMatchObject([
      { change: 'completed', why: 'order', ban: { tier: 'operator', expiresAt: later(4 * HOUR_MS), origins: ['trap', 'operator'] } },
    ]);
    expect(isConfined(ledger)).toBe(false);
    const wide = ledgerOf();
    see(wide, ATTACKER);
    see(wide, '203.0.114.7');
    expect(brief(order(wide, '203.0.113.0/24', later(1_000)))).toEqual(['new 203.0.113.0/24', `completed ${TARGET}: order`]);
    expect(isConfined(wide, '203.0.114.7/32')).toBe(true);
  });

  test('when the kernel holds what the book does not know: the daemon was gone, and with it its patience', () => {
    const ban: Ban = {
      target: TARGET,
      tier: 'E1',
      reasons: ['trap-touch'],
      origins: ['trap'],
      createdAt: T0,
      expiresAt: later(3 * HOUR_MS),
      offences: 1,
      confined: { since: T0, fullAt: later(MINUTE_MS) },
    };
    const ledger = ledgerOf();
    expect(brief(ledger.handle({ kind: 'adopt', ban }, T0).decisions)).toEqual([`new ${TARGET}`]);
    const known = ledgerOf();
    see(known, ATTACKER);
    expect(brief(known.handle({ kind: 'adopt', ban }, T0).decisions)).toEqual([`completed ${TARGET}: time`]);
    expect(known.banOn(TARGET, T0)?.expiresAt).toBe(later(4 * HOUR_MS));
  });

  test('under a configuration without patience, at its first tick', () => {
    const first = createLedger(STUDY, NOBODY);
    see(first, ATTACKER);
    see(first, '203.0.113.8', 'E2');
    expect(first.bans().filter(ban => ban.confined === undefined)).toEqual([]);
    const instant = createLedger(POLICY, NOBODY, first.snapshot());
    expect(instant.nextDeadline()).toBe(T0);
    expect(brief(tick(instant, later(1_000)))).toEqual([`completed ${TARGET}: time`, 'completed 203.0.113.8/32: time']);
    expect(brief(tick(createLedger({ ...STUDY, mode: 'observe' }, NOBODY, first.snapshot()), later(1_000)))).toHaveLength(2);
    const listen = createLedger(LISTEN, NOBODY, first.snapshot());
    expect(brief(tick(listen, later(1_000)))).toEqual(['completed 203.0.113.8/32: time']);
    expect(brief(tick(listen, later(MINUTE_MS)))).toEqual([`completed ${TARGET}: time`]);
  });
});

describe('no way out', () => {
  test('a clock that was set back behind the first touch ends the confinement, not the ban', () => {
    const ledger = ledgerOf();
    see(ledger, '203.0.113.8', 'E1', later(-MINUTE_MS + 1));
    see(ledger, ATTACKER);
    expect(brief(tick(ledger, later(-1)))).toEqual([`completed ${TARGET}: time`]);
    expect(ledger.banOn(TARGET, later(-1))?.expiresAt).toBe(later(4 * HOUR_MS));
    expect(isConfined(ledger, '203.0.113.8/32')).toBe(true);
    expect(brief(tick(ledger, later(1)))).toEqual(['completed 203.0.113.8/32: time']);
  });

  test('one confinement and its completion are one offence; the next touch is the second', () => {
    const ledger = ledgerOf();
    see(ledger, ATTACKER);
    complete(ledger, ATTACKER, 'session-end', later(3_000));
    tick(ledger, later(5 * HOUR_MS));
    expect(ledger.offence(TARGET)?.count).toBe(1);
    see(ledger, ATTACKER, 'E1', later(5 * HOUR_MS));
    expect(ledger.banOn(TARGET, later(5 * HOUR_MS))).toMatchObject({ offences: 2, expiresAt: later(13 * HOUR_MS), confined: { since: later(5 * HOUR_MS) } });
    lift(ledger, TARGET, later(5 * HOUR_MS));
    expect(ledger.offence(TARGET)?.count).toBe(1);
  });

  test('a lift and an entry of the allow-list end a confinement as they end a ban', () => {
    const ledger = ledgerOf();
    see(ledger, ATTACKER);
    expect(brief(lift(ledger, TARGET))).toEqual([`lift ${TARGET}: order`]);
    expect(ledger.nextDeadline()).toBeNull();
    see(ledger, ATTACKER);
    expect(brief(autoAllow(ledger, [entry('203.0.113.0/28', 'session')]).decisions)).toContain(`lift ${TARGET}: allowed`);
    expect(ledger.nextDeadline()).toBeNull();
    expect(complete(ledger, ATTACKER, 'session-end')).toEqual([]);
  });

  test('a full room gives up a confined ban as it would a full one of its tier', () => {
    const ledger = ledgerOf({ aggregateAt: 0, capacity: { ...POLICY.capacity, ipv4: 2 } });
    see(ledger, ATTACKER);
    see(ledger, '203.0.113.8', 'E2');
    expect(brief(see(ledger, '203.0.113.9', 'E2', later(1_000)))).toEqual([`evict ${TARGET} for 203.0.113.9/32`, 'new 203.0.113.9/32']);
    expect(ledger.nextDeadline()).toBe(later(DAY_MS));
    expect(brief(see(ledger, ATTACKER, 'E1', later(2_000)))).toEqual([`refuse ${TARGET}`]);
  });
});

describe('a ban of the neighbourhood', () => {
  const neighbours = (ledger: Ledger, hosts: readonly number[]) => hosts.map(host => brief(see(ledger, `203.0.113.${host}`, 'E2')));

  test('is not made for confined bans, nor are they taken into it', () => {
    const ledger = ledgerOf();
    for (const host of [1, 2, 3, 4, 5]) see(ledger, `203.0.113.${host}`);
    expect(targets(ledger)).toHaveLength(5);
    neighbours(ledger, [11, 12, 13]);
    expect(brief(see(ledger, '203.0.113.14', 'E2'))).toEqual(['aggregate 203.0.113.0/24 for 203.0.113.11/32 203.0.113.12/32 203.0.113.13/32']);
    expect(targets(ledger)).toEqual(['203.0.113.0/24', ...[1, 2, 3, 4, 5].map(host => `203.0.113.${host}/32`)]);
  });

  test('is made by the one that becomes full', () => {
    const ledger = ledgerOf();
    for (const host of [1, 2, 3, 4]) see(ledger, `203.0.113.${host}`);
    for (const host of [1, 2, 3]) complete(ledger, `203.0.113.${host}`, 'session-end', later(1_000));
    expect(brief(complete(ledger, '203.0.113.4', 'session-end', later(1_000)))).toEqual([
      'completed 203.0.113.4/32: session-end',
      'aggregate 203.0.113.0/24 for 203.0.113.1/32 203.0.113.2/32 203.0.113.3/32 203.0.113.4/32',
    ]);
    expect(targets(ledger)).toEqual(['203.0.113.0/24']);
  });

  test('is made by those whose time is up together, once', () => {
    const ledger = ledgerOf();
    for (const host of [1, 2, 3, 4, 5]) see(ledger, `203.0.113.${host}`);
    expect(brief(tick(ledger, later(MINUTE_MS))).slice(5)).toEqual([
      'aggregate 203.0.113.0/24 for 203.0.113.1/32 203.0.113.2/32 203.0.113.3/32 203.0.113.4/32 203.0.113.5/32',
    ]);
    expect(targets(ledger)).toEqual(['203.0.113.0/24']);
  });
});
