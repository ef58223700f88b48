import type { Prefix } from '@honeymesh/intel/address';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { allow, autoAllow, brief, entry, later, ledgerWith, lift, NOBODY, order, POLICY, see, sighting, T0, targets, tick } from '#test/support/ledger.ts';

const ATTACKER = '203.0.113.7';
const TARGET = '203.0.113.7/32' as Prefix;

describe('what evidence earns', () => {
  test('a spoofable sighting is recorded and bans nobody', () => {
    const ledger = ledgerWith();
    const outcome = ledger.handle({ kind: 'sighting', sighting: sighting(ATTACKER, 'E0') }, T0);
    expect(outcome.decisions).toMatchObject([{ kind: 'record', why: 'spoofable', wouldBan: false }]);
    expect(outcome.changes).toEqual([]);
    expect(ledger.bans()).toEqual([]);
  });

  test('a proven touch is banned for four hours, hostile content for a day', () => {
    const ledger = ledgerWith();
    expect(see(ledger, ATTACKER, 'E1')).toMatchObject([
      {
        kind: 'ban',
        change: 'new',
        ban: { target: TARGET, tier: 'E1', reasons: ['trap-touch'], origins: ['trap'], expiresAt: later(4 * HOUR_MS), offences: 1 },
      },
    ]);
    expect(see(ledger, '203.0.113.8', 'E2')).toMatchObject([{ ban: { tier: 'E2', expiresAt: later(24 * HOUR_MS) } }]);
  });

  test('content seen during a ban strengthens it', () => {
    const ledger = ledgerWith();
    see(ledger, ATTACKER, 'E1');
    expect(see(ledger, ATTACKER, 'E2', later(MINUTE_MS))).toMatchObject([
      {
        kind: 'ban',
        change: 'strengthened',
        ban: { tier: 'E2', reasons: ['trap-touch', 'brute-force'], createdAt: T0, expiresAt: later(MINUTE_MS + DAY_MS), offences: 1 },
      },
    ]);
  });

  test('a touch during a ban prolongs it and is no new offence', () => {
    const ledger = ledgerWith();
    see(ledger, ATTACKER, 'E1');
    expect(see(ledger, ATTACKER, 'E1', later(HOUR_MS))).toMatchObject([{ change: 'prolonged', ban: { expiresAt: later(5 * HOUR_MS), offences: 1 } }]);
  });

  test('a touch never shortens the ban that content earned', () => {
    const ledger = ledgerWith();
    see(ledger, ATTACKER, 'E2');
    see(ledger, ATTACKER, 'E1', later(HOUR_MS));
    expect(ledger.banOn(TARGET, later(HOUR_MS))).toMatchObject({ tier: 'E2', expiresAt: later(DAY_MS) });
    expect(brief(see(ledger, ATTACKER, 'E1', later(HOUR_MS)))).toEqual(['record banned']);
  });

  test('an order stands: what is seen then adds reasons, not an end', () => {
    const ledger = ledgerWith();
    order(ledger, TARGET);
    expect(see(ledger, ATTACKER, 'E2')).toMatchObject([
      { change: 'strengthened', ban: { tier: 'operator', expiresAt: null, reasons: ['brute-force', 'order'], origins: ['operator', 'trap'] } },
    ]);
  });
});

describe('repeat offenders', () => {
  test('each repeat within the memory doubles the ban, up to the longest', () => {
    const ledger = ledgerWith();
    const lengths: number[] = [];
    let now = T0;
    for (let offence = 1; offence <= 9; offence++) {
      see(ledger, ATTACKER, 'E1', now);
      const ban = ledger.banOn(TARGET, now);
      lengths.push(((ban?.expiresAt ?? 0) - now) / HOUR_MS);
      now = later((ban?.expiresAt ?? 0) - T0 + HOUR_MS);
      tick(ledger, now);
    }
    expect(lengths).toEqual([4, 8, 16, 32, 64, 128, 256, 512, 720]);
  });

  test('an offence is forgotten when its memory is over, counted from the end of the ban', () => {
    const ledger = ledgerWith();
    see(ledger, ATTACKER, 'E1');
    tick(ledger, later(DAY_MS));
    expect(ledger.offence(TARGET)).toEqual({ target: TARGET, count: 1, lastEndedAt: later(4 * HOUR_MS) });
    expect(ledger.nextDeadline()).toBe(later(4 * HOUR_MS + 30 * DAY_MS));
    const { changes } = ledger.handle({ kind: 'tick' }, later(4 * HOUR_MS + 30 * DAY_MS));
    expect(changes).toEqual([{ kind: 'remove-offence', target: TARGET }]);
    expect(ledger.nextDeadline()).toBeNull();
  });

  test('a lift by order is a pardon: the offence does not count', () => {
    const ledger = ledgerWith();
    see(ledger, ATTACKER, 'E1');
    lift(ledger, TARGET);
    expect(ledger.offence(TARGET)).toBeNull();
    see(ledger, ATTACKER, 'E1');
    tick(ledger, later(5 * HOUR_MS));
    see(ledger, ATTACKER, 'E1', later(5 * HOUR_MS));
    expect(ledger.banOn(TARGET, later(5 * HOUR_MS))?.offences).toBe(2);
    expect(ledger.offence(TARGET)).toBeNull(); // while the ban is in force it keeps the count
    lift(ledger, TARGET, later(6 * HOUR_MS));
    expect(ledger.offence(TARGET)?.count).toBe(1);
  });

  test('the memory of offences is bounded: who ended longest ago is forgotten', () => {
    const ledger = ledgerWith({ capacity: { ipv4: 2, ipv6: 1, ipv6Exact: 1, rules: 1 }, aggregateAt: 0 });
    for (let host = 1; host <= 9; host++) {
      see(ledger, `203.0.113.${host}`, 'E1', later(host * DAY_MS));
      tick(ledger, later(host * DAY_MS + 5 * HOUR_MS));
    }
    expect(ledger.snapshot().offences.map(offence => offence.target)).toEqual([5, 6, 7, 8, 9].map(host => `203.0.113.${host}/32`));
  });
});

describe('who is not banned', () => {
  test('an allow-listed source is recorded and never scored, whatever it does', () => {
    const ledger = ledgerWith();
    allow(ledger, '203.0.113.0/24');
    for (const tier of ['E0', 'E1', 'E2'] as const) expect(see(ledger, ATTACKER, tier)).toMatchObject([{ kind: 'record', why: 'allowed', wouldBan: false }]);
    expect(ledger.snapshot()).toMatchObject({ bans: [], offences: [] });
  });

  test('in mode observe it is decided and recorded what would be banned', () => {
    const ledger = ledgerWith({ mode: 'observe' });
    expect(see(ledger, ATTACKER, 'E2')).toMatchObject([{ kind: 'record', why: 'observe', wouldBan: true }]);
    // The kernel would shun for a scan or a flood; a single touch has no consequence in any mode.
    for (const [kind, wouldBan] of [
      ['touch', false],
      ['scan', true],
      ['flood', true],
    ] as const) {
      const { decisions } = ledger.handle({ kind: 'sighting', sighting: sighting(ATTACKER, 'E0', { kind }) }, T0);
      expect(decisions).toMatchObject([{ kind: 'record', why: 'spoofable', wouldBan }]);
    }
    expect(ledger.bans()).toEqual([]);
  });

  test('this host, loopback and link-local neighbours are not banned by evidence', () => {
    const ledger = ledgerWith({}, { own: ['192.0.2.1'] });
    expect(brief(see(ledger, '192.0.2.1', 'E2'))).toEqual(['record allowed']);
    expect(brief(see(ledger, '127.0.0.1', 'E2'))).toEqual(['refuse 127.0.0.1/32']);
    expect(brief(see(ledger, 'fe80::5', 'E2'))).toEqual(['refuse fe80::5/128']);
    expect(brief(see(ledger, '203.0.113.0/24', 'E2'))).toEqual(['refuse 203.0.113.0/24']);
    expect(ledger.bans()).toEqual([]);
  });
});

describe('which IPv6 target', () => {
  const SOURCE = '2001:db8:7:7::99';
  test.each<[string, object, string]>([
    ['the /64 that the source can roam in', {}, '2001:db8:7:7::/64'],
    ['the address alone where the /64 is on our link', { onLink: ['2001:db8:7:7::/64'] }, `${SOURCE}/128`],
    ['the address alone where a part of the /64 is on our link', { onLink: ['2001:db8:7:7:8000::/65'] }, `${SOURCE}/128`],
    ['the address alone where we live in the /64', { own: ['2001:db8:7:7::1'] }, `${SOURCE}/128`],
    ['the address alone where a customer lives in the /64', { proven: ['2001:db8:7:7::c'] }, `${SOURCE}/128`],
    ['the /64 where the attacker itself is the only customer', { proven: [SOURCE] }, '2001:db8:7:7::/64'],
  ])('%s', (_, neighbourhood, target) => {
    const ledger = ledgerWith({}, neighbourhood);
    expect(brief(see(ledger, SOURCE))).toEqual([`new ${target}`]);
  });

  test('the address alone where an address of the /64 is allowed', () => {
    const ledger = ledgerWith();
    allow(ledger, '2001:db8:7:7::a/128');
    expect(brief(see(ledger, SOURCE))).toEqual([`new ${SOURCE}/128`]);
    expect(ledger.banOn('2001:db8:7:7::a/128' as Prefix, T0)).toBeNull();
  });

  test('a /64 without an address of its own is banned whole or not at all', () => {
    expect(brief(see(ledgerWith(), '2001:db8:7:7::/64'))).toEqual(['new 2001:db8:7:7::/64']);
    expect(brief(see(ledgerWith({}, { own: ['2001:db8:7:7::1'] }), '2001:db8:7:7::/64'))).toEqual(['refuse 2001:db8:7:7::/64']);
    expect(brief(see(ledgerWith(), '::5'))).toEqual(['new ::5/128']);
  });
});

describe('time and restarts', () => {
  test('a ban ends exactly at its time, and the next deadline says when', () => {
    const ledger = ledgerWith();
    see(ledger, ATTACKER, 'E1');
    see(ledger, '203.0.113.8', 'E2');
    expect(ledger.nextDeadline()).toBe(later(4 * HOUR_MS));
    expect(tick(ledger, later(4 * HOUR_MS - 1))).toEqual([]);
    expect(ledger.banOn(TARGET, later(4 * HOUR_MS - 1))).not.toBeNull();
    expect(ledger.banOn(TARGET, later(4 * HOUR_MS))).toBeNull();
    expect(brief(tick(ledger, later(4 * HOUR_MS)))).toEqual([`expire ${TARGET}`]);
    expect(ledger.nextDeadline()).toBe(later(24 * HOUR_MS));
  });

  test('a clock that goes back neither drops nor shortens a ban', () => {
    const ledger = ledgerWith();
    see(ledger, ATTACKER, 'E1');
    tick(ledger, later(-10 * DAY_MS));
    see(ledger, ATTACKER, 'E1', later(-10 * DAY_MS));
    expect(ledger.banOn(TARGET, later(-10 * DAY_MS))?.expiresAt).toBe(later(4 * HOUR_MS));
    see(ledger, '203.0.113.8', 'E1', later(-10 * DAY_MS));
    expect(ledger.nextDeadline()).toBe(later(-10 * DAY_MS + 4 * HOUR_MS));
  });

  test('a ledger from a snapshot decides like the one it came from', () => {
    const first = ledgerWith();
    see(first, ATTACKER, 'E2');
    see(first, '203.0.113.8', 'E1');
    order(first, '198.51.100.0/24');
    allow(first, '192.0.2.0/24');
    tick(first, later(5 * HOUR_MS));
    autoAllow(first, [entry('192.0.2.1/32', 'gateway')]);
    const second = createLedger(POLICY, NOBODY, first.snapshot());
    autoAllow(second, [entry('192.0.2.1/32', 'gateway')]);
    expect(second.snapshot()).toEqual(first.snapshot());
    expect(second.allowed()).toEqual(first.allowed());
    for (const [source, tier] of [
      [ATTACKER, 'E1'],
      ['203.0.113.8', 'E1'],
      ['198.51.100.9', 'E2'],
      ['192.0.2.5', 'E2'],
      ['192.0.2.1', 'E1'],
    ] as const) {
      expect(see(second, source, tier, later(6 * HOUR_MS))).toEqual(see(first, source, tier, later(6 * HOUR_MS)));
    }
    expect(second.nextDeadline()).toBe(first.nextDeadline());
  });

  test('bans that ended while nobody watched are ended by the first input after the restart', () => {
    const first = ledgerWith();
    see(first, ATTACKER, 'E1');
    const second = createLedger(POLICY, NOBODY, first.snapshot());
    expect(brief(see(second, '203.0.113.8', 'E1', later(DAY_MS)))).toEqual([`expire ${TARGET}`, 'new 203.0.113.8/32']);
  });

  test('rooms that became smaller keep what is strongest and ends last', () => {
    const first = ledgerWith({ aggregateAt: 0 });
    order(first, '203.0.113.1/32');
    see(first, '203.0.113.2', 'E2');
    see(first, '203.0.113.3', 'E1');
    see(first, '203.0.113.4', 'E1', later(HOUR_MS));
    const second = createLedger({ ...POLICY, aggregateAt: 0, capacity: { ...POLICY.capacity, ipv4: 3 } }, NOBODY, first.snapshot());
    tick(second, later(HOUR_MS));
    expect(targets(second)).toEqual(['203.0.113.1/32', '203.0.113.2/32', '203.0.113.4/32']);
  });
});
