import type { Prefix } from '@honeymesh/intel/address';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { ADVICE_POLICY } from '#enforcer/ledger/advice/advice.ts';
import type { Ledger } from '#enforcer/ledger/decisions.ts';
import { adviceOf, advise, hear, meshLedger, takeBack } from '#test/support/advice.ts';
import { allow, autoAllow, brief, entry, later, lift, see, T0, targets } from '#test/support/ledger.ts';

const TARGET = '203.0.113.7/32' as Prefix;

describe('what advice never touches', () => {
  const host = {
    own: ['198.51.100.9'],
    onLink: ['2001:db8:0:1::/64', '198.51.100.0/26'],
    mesh: {
      hubEndpoints: ['192.0.2.77/32' as Prefix],
      answered: (prefix: Prefix) => (prefix === '192.0.2.9/32' || prefix === '192.0.2.0/28' ? 'west-3' : null),
    },
    advice: { never: ['10.0.0.0/8' as Prefix] },
  };
  test.each([
    ['198.51.100.9/32', 'own'],
    ['198.51.100.0/28', 'own'],
    ['198.51.100.32/28', 'on-link'],
    ['2001:db8:0:1::/64', 'on-link'],
    ['2001:db8::/48', 'on-link'],
    ['192.0.2.77/32', 'hub'],
    ['192.0.2.9/32', 'member'],
    ['192.0.2.0/28', 'member'],
    ['203.0.113.80/32', 'allowed'],
    ['203.0.113.0/24', 'allowed'],
    ['203.0.112.0/23', 'too-wide'],
    ['2001:db8::/47', 'too-wide'],
    ['127.0.0.1/32', 'special'],
    ['224.0.0.1/32', 'special'],
    ['10.1.2.3/32', 'never-shared'],
  ])('%s: %s', (target, why) => {
    const ledger = meshLedger(host);
    allow(ledger, '203.0.113.80/32');
    for (const signer of ['a1', 'b1', 'c1']) expect(brief(advise(ledger, signer, target, T0))).toEqual([`refused ${target}: ${why}`]);
    expect(targets(ledger)).toEqual([]);
  });

  test('evidence that can be spoofed, or an order, is worth nothing to others', () => {
    const ledger = meshLedger();
    for (const tier of ['E0', 'operator'] as const) expect(brief(advise(ledger, 'a1', TARGET, T0, { tier }))).toEqual([`refused ${TARGET}: not-proven`]);
  });

  test('who is allowed later leaves a ban by advice, and so does a prefix that holds them', () => {
    const ledger = meshLedger();
    for (const target of [TARGET, '203.0.113.0/24']) for (const signer of ['a1', 'b1']) advise(ledger, signer, target, T0);
    const decided = autoAllow(ledger, [entry(TARGET, 'dns')]).decisions;
    expect(brief(decided)).toEqual([`allow ${TARGET} (dns)`, `lift ${TARGET}: allowed`, 'lift 203.0.113.0/24: allowed']);
  });

  test('clients of this host stay, and who names a prefix full of them loses trust', () => {
    const ledger = meshLedger({ proven: ['203.0.113.50', '203.0.113.60'] });
    expect(brief(advise(ledger, 'a1', '203.0.113.50/32', T0))).toEqual(['refused 203.0.113.50/32: clients']);
    expect(ledger.standing('a1', T0)).toEqual({ trust: 0.99, accepted: 0, refused: 1 });
    expect(brief(advise(ledger, 'b1', '203.0.113.0/24', T0))).toEqual(['refused 203.0.113.0/24: clients']);
    expect(ledger.standing('b1', T0).trust).toBe(0.8);
  });
});

describe('how much', () => {
  test('one peer may name so many addresses in any hour, counted as they arrive, and a prefix counts all of its own', () => {
    const ledger = meshLedger({ advice: { mostPerHour: { ipv4: 300, ipv6: 257 } } });
    const backDated = { issuedAt: later(-20 * HOUR_MS), expiresAt: later(2 * HOUR_MS) };
    expect(brief(advise(ledger, 'a1', '198.51.100.0/24', T0, backDated))).toEqual(['provisional 198.51.100.0/24', 'new 198.51.100.0/24']);
    for (let at = 0; at < 44; at++) advise(ledger, 'a1', `203.0.113.${at}/32`, T0);
    expect(brief(advise(ledger, 'a1', '203.0.113.200/32', T0, backDated))).toEqual(['refused 203.0.113.200/32: too-many']);
    expect(brief(advise(ledger, 'a1', '2001:db8::/56', T0))[0]).toBe('provisional 2001:db8::/56');
    expect(brief(advise(ledger, 'a1', '2001:db8:1::7/128', T0))[0]).toBe('provisional 2001:db8:1::7/128');
    expect(brief(advise(ledger, 'a1', '2001:db8:2::/64', T0))).toEqual(['refused 2001:db8:2::/64: too-many']);
    expect(brief(advise(ledger, 'b1', '203.0.113.200/32', T0))[0]).toBe('provisional 203.0.113.200/32');
    expect(brief(advise(ledger, 'a1', '203.0.113.200/32', later(HOUR_MS + 5 * MINUTE_MS))).at(-1)).toBe('new 203.0.113.200/32');
  });

  test('a flood of refused advice fills no log: the rest is counted', () => {
    const ledger = meshLedger();
    let told = 0;
    for (let at = 0; at < 500; at++) told += advise(ledger, 'a1', '127.0.0.1/32', T0).length;
    expect(told).toBe(32);
    expect(ledger.standing('a1', T0).refused).toBe(500);
    expect(advise(ledger, 'a1', '127.0.0.1/32', later(5 * MINUTE_MS))).toMatchObject([{ kind: 'advice-refused', untold: 468 }]);
  });

  test('bans by advice never take the room of own ones, and make way for them', () => {
    const ledger = meshLedger({ policy: { capacity: { ipv4: 5, ipv6: 5, ipv6Exact: 5, rules: 5 }, aggregateAt: 0 } });
    for (let at = 1; at <= 6; at++) for (const signer of ['a1', 'b1']) advise(ledger, signer, `203.0.113.${at}/32`, later(at), { tier: 'E2' });
    expect(targets(ledger)).toHaveLength(4); // a fifth is reserved for proof
    see(ledger, '198.51.100.1');
    expect(targets(ledger)).toHaveLength(5);
    const evicted = brief(see(ledger, '198.51.100.2'));
    expect(evicted[0]).toMatch(/^evict 203/);
    for (let at = 3; at <= 5; at++) see(ledger, `198.51.100.${at}`);
    expect(targets(ledger)).toEqual([1, 2, 3, 4, 5].map(at => `198.51.100.${at}/32`));
    expect(brief(advise(ledger, 'c1', '203.0.113.200/32', T0))).toEqual(['counted 203.0.113.200/32']);
  });

  test('whoever names most gives way where no more targets can be remembered', () => {
    const ledger = meshLedger({ advice: { targetsAtMost: 4 } });
    for (let at = 1; at <= 4; at++) advise(ledger, 'a1', `203.0.113.${at}/32`, T0);
    expect(brief(advise(ledger, 'a1', '203.0.113.9/32', later(11 * MINUTE_MS))).at(-1)).toBe('refused 203.0.113.9/32: no-room');
    expect(brief(advise(ledger, 'b1', '203.0.113.9/32', later(11 * MINUTE_MS)))).toEqual(['provisional 203.0.113.9/32', 'new 203.0.113.9/32']);
  });
});

describe('trust', () => {
  const wrongOnce = (ledger: Ledger, at: number): void => {
    const target = `203.0.113.${at}/32`;
    for (const signer of ['a1', 'b1']) advise(ledger, signer, target, T0);
    lift(ledger, target);
  };

  test('falls with each ban by advice that the operator lifts, until the signer has no vote; what it holds falls with it', () => {
    const ledger = meshLedger();
    for (const signer of ['a1', 'b1']) advise(ledger, signer, '198.51.100.1/32', T0);
    wrongOnce(ledger, 1);
    wrongOnce(ledger, 2);
    expect(ledger.standing('a1', T0).trust).toBeCloseTo(0.6);
    for (const signer of ['a1', 'b1']) advise(ledger, signer, '203.0.113.3/32', T0);
    expect(brief(lift(ledger, '203.0.113.3/32'))).toEqual([
      'lift 203.0.113.3/32: order',
      'shortened 198.51.100.1/32', // b1 still says so, for minutes
      'lift 198.51.100.1/32: withdrawn',
    ]);
    expect(brief(advise(ledger, 'a1', '203.0.113.9/32', T0))).toEqual(['refused 203.0.113.9/32: distrusted']);
  });

  test('comes back slowly', () => {
    const ledger = meshLedger();
    for (const at of [1, 2, 3]) wrongOnce(ledger, at);
    expect(ledger.standing('a1', later(12 * HOUR_MS)).trust).toBeCloseTo(0.45);
    expect(brief(advise(ledger, 'a1', '203.0.113.9/32', later(DAY_MS + 1)))[0]).toBe('provisional 203.0.113.9/32');
    expect(ledger.standing('a1', later(30 * DAY_MS)).trust).toBe(1);
  });

  test('an own error that the signer takes back costs little, misconduct half', () => {
    const ledger = meshLedger();
    const wrong = adviceOf('a1', TARGET, T0);
    hear(ledger, wrong);
    takeBack(ledger, wrong, T0, { asError: true });
    expect(ledger.standing('a1', T0).trust).toBe(0.95);
    ledger.handle({ kind: 'misconduct', signer: 'a1' }, T0);
    expect(ledger.standing('a1', T0).trust).toBeCloseTo(0.45);
    expect(ADVICE_POLICY.trust.votesFrom).toBe(0.5);
  });

  test('whose certificate is revoked has said nothing', () => {
    const ledger = meshLedger();
    for (const signer of ['a1', 'b1']) advise(ledger, signer, TARGET, T0);
    expect(brief(ledger.handle({ kind: 'revoked', signer: 'a1' }, later(HOUR_MS)).decisions)).toEqual([`lift ${TARGET}: withdrawn`]);
  });
});
