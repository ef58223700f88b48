import type { Prefix } from '@honeymesh/intel/address';
import type { AllowCause } from '@honeymesh/intel/bans';
import { NEVER_BANNED, NOT_SHARED_BY_DEFAULT } from '@honeymesh/intel/special-ranges';
import { HOUR_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { Decision, Ledger } from '#enforcer/ledger/decisions.ts';
import { allow, autoAllow, brief, entry, later, ledgerWith, lift, order, see, T0, targets } from '#test/support/ledger.ts';

const refusal = (decisions: readonly Decision[]): { why: string; fix: string } => {
  const found = decisions.find(decision => decision.kind === 'refuse');
  return found?.kind === 'refuse' ? { why: found.why, fix: found.fix } : { why: '', fix: '' };
};
const disallow = (ledger: Ledger, target: string): readonly Decision[] => ledger.handle({ kind: 'disallow', target: target as Prefix }, T0).decisions;

describe('bans by order', () => {
  test("have no end unless one is given, and carry the operator's words", () => {
    const ledger = ledgerWith();
    const { decisions } = ledger.handle({ kind: 'order-ban', target: '203.0.113.0/24' as Prefix, expiresAt: null, note: 'noise' }, T0);
    expect(decisions).toMatchObject([
      { kind: 'ban', change: 'new', because: null, ban: { tier: 'operator', reasons: ['order'], origins: ['operator'], expiresAt: null, note: 'noise' } },
    ]);
    expect(order(ledger, '203.0.113.9/32', T0, later(HOUR_MS))).toMatchObject([{ ban: { expiresAt: later(HOUR_MS) } }]);
  });

  test('take over an automatic ban and never shorten one', () => {
    const ledger = ledgerWith();
    see(ledger, '203.0.113.7', 'E2');
    expect(order(ledger, '203.0.113.7/32', T0, later(HOUR_MS))).toMatchObject([
      { change: 'strengthened', ban: { tier: 'operator', expiresAt: later(24 * HOUR_MS), reasons: ['brute-force', 'order'], origins: ['trap', 'operator'] } },
    ]);
    order(ledger, '203.0.113.7/32');
    order(ledger, '203.0.113.7/32', T0, later(HOUR_MS));
    expect(ledger.banOn('203.0.113.7/32' as Prefix, T0)?.expiresAt).toBeNull();
  });

  test.each(NEVER_BANNED.map(range => [range.prefix, range.name] as const))('%s is refused: %s', (prefix, name) => {
    const ledger = ledgerWith();
    const { why, fix } = refusal(order(ledger, prefix));
    expect(why).toContain(name);
    expect(fix).not.toBe('');
    expect(ledger.bans()).toEqual([]);
  });

  test.each(['0.0.0.0/0', '::/0', '0.0.0.0/1', '128.0.0.0/1', '16.0.0.0/7', '2000::/3', '2000::/15', '::/16', '127.0.0.1/32', 'ff02::1/128'])(
    '%s is refused with a way out',
    target => {
      const { why, fix } = refusal(order(ledgerWith(), target));
      expect(why).not.toBe('');
      expect(fix).not.toBe('');
    },
  );

  test.each(NOT_SHARED_BY_DEFAULT.filter(range => range.prefix !== '240.0.0.0/4' && range.prefix !== 'fc00::/7').map(range => [range.prefix]))(
    '%s can be banned: an attacker on the LAN is real',
    prefix => {
      expect(brief(order(ledgerWith(), prefix))).toEqual([`new ${prefix}`]);
    },
  );

  test('an end in the past is refused', () => {
    expect(refusal(order(ledgerWith(), '203.0.113.7/32', T0, T0)).why).toContain('past');
  });

  test('neither an address of this host nor what contains one is banned', () => {
    const ledger = ledgerWith({}, { own: ['192.0.2.1', '2001:db8::1'] });
    expect(refusal(order(ledger, '192.0.2.1/32')).why).toContain('address of this host');
    expect(refusal(order(ledger, '192.0.2.0/24'))).toMatchObject({
      why: expect.stringContaining('contains 192.0.2.1'),
      fix: expect.stringContaining('leave 192.0.2.1 out'),
    });
    expect(refusal(order(ledger, '2001:db8::/64')).why).toContain('2001:db8::1');
    expect(brief(order(ledger, '192.0.2.2/32'))).toEqual(['new 192.0.2.2/32']);
  });

  test.each<[AllowCause, string]>([
    ['operator', 'honeymesh allow remove 192.0.2.0/24'],
    ['config', '"allow" in the configuration file'],
    ['gateway', 'default route'],
    ['dns', 'name servers'],
    ['session', 'end that session'],
    ['own', 'interface'],
  ])('what is allowed (%s) is refused, whole or in part, with the reason and the way out', (cause, way) => {
    const ledger = ledgerWith();
    ledger.handle({ kind: 'allow', entry: entry('192.0.2.0/24', cause, 'the reason') }, T0);
    for (const target of ['192.0.2.0/24', '192.0.2.7/32']) {
      const { why, fix } = refusal(order(ledger, target));
      expect(why).toContain('on the allow-list because the reason');
      expect(fix).toContain(way);
    }
  });

  test('a ban may contain what the operator allows: that keeps passing; not what would cut us off', () => {
    const ledger = ledgerWith();
    allow(ledger, '198.51.100.7/32');
    autoAllow(ledger, [entry('203.0.113.1/32', 'gateway', 'it is the gateway'), entry('198.51.100.9/32', 'config')]);
    expect(brief(order(ledger, '198.51.100.0/24'))).toEqual(['new 198.51.100.0/24']);
    expect(ledger.allowOn('198.51.100.7/32' as Prefix)).not.toBeNull();
    expect(refusal(order(ledger, '203.0.113.0/24'))).toEqual({
      why: 'it contains 203.0.113.1, which is on the allow-list because it is the gateway',
      fix: 'ban prefixes that leave 203.0.113.1 out',
    });
  });
});

describe('lifts by order', () => {
  test('take out exactly their target', () => {
    const ledger = ledgerWith();
    order(ledger, '203.0.113.0/24');
    order(ledger, '203.0.113.7/32');
    expect(brief(lift(ledger, '203.0.113.0/24'))).toEqual(['lift 203.0.113.0/24: order']);
    expect(targets(ledger)).toEqual(['203.0.113.7/32']);
  });

  test('of an address inside a prefix ban say what covers it and both ways out', () => {
    const ledger = ledgerWith();
    order(ledger, '203.0.113.0/24');
    expect(refusal(lift(ledger, '203.0.113.7/32'))).toEqual({
      why: 'it lies in the ban of 203.0.113.0/24',
      fix: '"honeymesh allow add 203.0.113.7" lets it through that ban, "honeymesh bans remove 203.0.113.0/24" lifts the whole of it',
    });
  });

  test('of a prefix that holds only bans of its parts do nothing and say so; of what is not banned are no decision', () => {
    const ledger = ledgerWith();
    order(ledger, '203.0.113.7/32');
    expect(refusal(lift(ledger, '203.0.113.0/24')).why).toContain('no ban of exactly 203.0.113.0/24');
    expect(lift(ledger, '198.51.100.1/32')).toEqual([]);
  });
});

describe('the allow-list', () => {
  test('an entry lifts the bans that lie in it and leaves the one that covers it', () => {
    const ledger = ledgerWith();
    order(ledger, '203.0.113.0/24');
    see(ledger, '203.0.113.70', 'E2');
    order(ledger, '203.0.113.71/32');
    expect(brief(allow(ledger, '203.0.113.64/28'))).toEqual(['allow 203.0.113.64/28 (operator)', 'lift 203.0.113.71/32: allowed']);
    expect(targets(ledger)).toEqual(['203.0.113.0/24']);
  });

  test('an address seen inside a prefix ban by order is known to be banned', () => {
    const ledger = ledgerWith();
    order(ledger, '203.0.113.0/24');
    expect(brief(see(ledger, '203.0.113.70', 'E2'))).toEqual(['record banned']);
    order(ledger, '198.51.100.0/24', T0, later(HOUR_MS));
    expect(brief(see(ledger, '198.51.100.70', 'E1'))).toEqual(['new 198.51.100.70/32']);
    expect(ledger.banOn('198.51.100.0/24' as Prefix, T0)?.expiresAt).toBe(later(HOUR_MS));
  });

  test('everybody cannot be allowed', () => {
    expect(refusal(allow(ledgerWith(), '0.0.0.0/0'))).toMatchObject({ why: 'it is everybody', fix: expect.stringContaining('observe') });
  });

  test('what the configuration or the host holds cannot be taken off, and says where it comes from', () => {
    const ledger = ledgerWith();
    autoAllow(ledger, [entry('192.0.2.0/24', 'config', 'allow of /etc/honeymesh/config.yaml'), entry('192.0.2.1/32', 'gateway')]);
    expect(refusal(disallow(ledger, '192.0.2.0/24'))).toEqual({
      why: 'it is allowed because allow of /etc/honeymesh/config.yaml',
      fix: 'take 192.0.2.0/24 out of "allow" in the configuration file',
    });
    expect(refusal(disallow(ledger, '192.0.2.1/32')).fix).toContain('default route');
    expect(refusal(disallow(ledger, '192.0.2.9/32')).why).toContain('it lies in 192.0.2.0/24, which is allowed');
    expect(disallow(ledger, '198.51.100.1/32')).toEqual([]);
    expect(ledger.allowed()).toHaveLength(2);
  });

  test('an order that the host allows by itself too goes, and what still holds is said again', () => {
    const ledger = ledgerWith();
    allow(ledger, '192.0.2.1/32');
    autoAllow(ledger, [entry('192.0.2.1/32', 'gateway')]);
    expect(brief(disallow(ledger, '192.0.2.1/32'))).toEqual(['disallow 192.0.2.1/32 (operator)', 'allow 192.0.2.1/32 (gateway)']);
    allow(ledger, '192.0.2.1/32');
    expect(brief(autoAllow(ledger, []).decisions)).toEqual(['disallow 192.0.2.1/32 (gateway)', 'allow 192.0.2.1/32 (operator)']);
    expect(ledger.snapshot().allowed).toHaveLength(1);
  });

  test('what is allowed by itself is replaced as a whole, told as differences, and never kept on disk', () => {
    const ledger = ledgerWith();
    see(ledger, '198.51.100.7', 'E2');
    expect(brief(autoAllow(ledger, [entry('192.0.2.1/32', 'gateway'), entry('192.0.2.2/32', 'dns')]).decisions)).toEqual([
      'allow 192.0.2.1/32 (gateway)',
      'allow 192.0.2.2/32 (dns)',
    ]);
    expect(autoAllow(ledger, [{ ...entry('192.0.2.2/32', 'dns'), since: later(1) }, entry('192.0.2.1/32', 'gateway')])).toEqual({ decisions: [], changes: [] });
    const { decisions, changes } = autoAllow(ledger, [entry('192.0.2.1/32', 'gateway'), entry('198.51.100.7/32', 'session')]);
    expect(brief(decisions)).toEqual(['disallow 192.0.2.2/32 (dns)', 'allow 198.51.100.7/32 (session)', 'lift 198.51.100.7/32: allowed']);
    expect(changes).toEqual([{ kind: 'remove-ban', target: '198.51.100.7/32' }]);
    expect(ledger.snapshot().allowed).toEqual([]);
  });

  test('of two causes the one that would cut us off is shown', () => {
    const ledger = ledgerWith();
    autoAllow(ledger, [entry('192.0.2.1/32', 'config'), entry('192.0.2.1/32', 'gateway')]);
    allow(ledger, '192.0.2.1/32');
    expect(ledger.allowed()).toMatchObject([{ cause: 'gateway' }]);
  });
});

describe('a dry run', () => {
  test('says what an order would hit and changes nothing', () => {
    const ledger = ledgerWith({}, { proven: ['203.0.113.5', '198.51.100.1'] });
    see(ledger, '203.0.113.7', 'E1');
    allow(ledger, '203.0.113.9/32');
    order(ledger, '203.0.0.0/16');
    const before = ledger.snapshot();
    expect(ledger.dryRun('203.0.113.0/24' as Prefix, T0)).toMatchObject({
      target: '203.0.113.0/24',
      refused: null,
      allowedWithin: [{ target: '203.0.113.9/32' }],
      bystanders: ['203.0.113.5'],
      bansWithin: [{ target: '203.0.113.7/32' }],
      coveredBy: { target: '203.0.0.0/16' },
      addresses: '256',
    });
    expect(ledger.dryRun('2001:db8::/32' as Prefix, T0).addresses).toBe((2n ** 96n).toString());
    expect(ledger.dryRun('127.0.0.0/8' as Prefix, T0).refused?.why).toContain('loopback');
    expect(ledger.snapshot()).toEqual(before);
  });
});
