import type { Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { Decision, Ledger } from '#enforcer/ledger/decisions.ts';
import { allow, autoAllow, brief, entry, later, ledgerWith, order, POLICY, see, T0, targets, tick } from '#test/support/ledger.ts';

const SMALL = { capacity: { ipv4: 4, ipv6: 3, ipv6Exact: 2, rules: 3 }, aggregateAt: 0, widenAt: 0 };
const adopted = (target: string, more: Partial<Ban> = {}): Ban => ({
  target: target as Prefix,
  tier: 'E1',
  reasons: ['trap-touch'],
  origins: ['trap'],
  createdAt: T0,
  expiresAt: later(HOUR_MS),
  offences: 1,
  ...more,
});
const adopt = (ledger: Ledger, ban: Ban): readonly Decision[] => ledger.handle({ kind: 'adopt', ban }, T0).decisions;

describe('a full room', () => {
  test('gives up the weakest tier first, then what ends soonest', () => {
    const ledger = ledgerWith(SMALL);
    see(ledger, '203.0.113.1', 'E2');
    see(ledger, '203.0.113.2', 'E1', later(MINUTE_MS));
    see(ledger, '203.0.113.3', 'E1');
    order(ledger, '203.0.113.4/32', T0, later(HOUR_MS));
    expect(brief(see(ledger, '203.0.113.5', 'E2', later(MINUTE_MS)))).toEqual(['evict 203.0.113.3/32 for 203.0.113.5/32', 'new 203.0.113.5/32']);
    expect(brief(see(ledger, '203.0.113.6', 'E2', later(MINUTE_MS)))).toEqual(['evict 203.0.113.2/32 for 203.0.113.6/32', 'new 203.0.113.6/32']);
    expect(brief(see(ledger, '203.0.113.7', 'E2', later(MINUTE_MS)))).toEqual(['evict 203.0.113.1/32 for 203.0.113.7/32', 'new 203.0.113.7/32']);
  });

  test('what is over makes way before anybody is evicted', () => {
    const ledger = ledgerWith(SMALL);
    for (const host of [1, 2, 3]) see(ledger, `203.0.113.${host}`, 'E2');
    see(ledger, '203.0.113.4', 'E1');
    expect(brief(see(ledger, '203.0.113.5', 'E1', later(4 * HOUR_MS)))).toEqual(['expire 203.0.113.4/32', 'new 203.0.113.5/32']);
  });

  test('does not give up proof of content for a touch', () => {
    const ledger = ledgerWith(SMALL);
    for (const host of [1, 2, 3, 4]) see(ledger, `203.0.113.${host}`, 'E2');
    expect(see(ledger, '203.0.113.5', 'E1')).toMatchObject([
      { kind: 'refuse', target: '203.0.113.5/32', why: expect.stringContaining('full'), fix: expect.stringContaining('bans.capacity') },
    ]);
    expect(targets(ledger)).toHaveLength(4);
  });

  test('never gives up an order for evidence, and refuses one order too many', () => {
    const ledger = ledgerWith(SMALL);
    for (const host of [1, 2, 3, 4]) order(ledger, `203.0.113.${host}/32`, T0, later(HOUR_MS));
    const before = ledger.snapshot();
    expect(brief(see(ledger, '203.0.113.5', 'E2'))).toEqual(['refuse 203.0.113.5/32']);
    expect(order(ledger, '203.0.113.6/32')).toMatchObject([{ kind: 'refuse', why: expect.stringContaining('full'), fix: expect.stringContaining('lift') }]);
    expect(ledger.dryRun('203.0.113.6/32' as Prefix, T0).refused?.why).toContain('full');
    expect(ledger.snapshot()).toEqual(before);
    expect(brief(see(ledger, '203.0.113.1', 'E2'))).toEqual(['strengthened 203.0.113.1/32']);
  });

  test('of one kind leaves the other kinds alone', () => {
    const ledger = ledgerWith({ ...SMALL }, { onLink: ['2001:db8:1::/64'] });
    for (const host of [1, 2, 3, 4]) order(ledger, `203.0.113.${host}/32`);
    expect(brief(see(ledger, '2001:db8:2::1'))).toEqual(['new 2001:db8:2::/64']);
    for (const host of [1, 2]) see(ledger, `2001:db8:1::${host}`, 'E1', later(host));
    expect(brief(see(ledger, '2001:db8:1::3', 'E1', later(3)))).toEqual(['evict 2001:db8:1::1/128 for 2001:db8:1::3/128', 'new 2001:db8:1::3/128']);
  });

  test('of rules is shared by prefix bans and the allow-list, and says so', () => {
    const ledger = ledgerWith(SMALL);
    order(ledger, '203.0.113.0/24');
    autoAllow(ledger, [entry('192.0.2.1/32', 'gateway')]);
    allow(ledger, '198.51.100.0/24');
    expect(order(ledger, '10.0.0.0/8')).toMatchObject([{ kind: 'refuse', why: expect.stringContaining('allow entries and bans of prefixes') }]);
    expect(brief(allow(ledger, '198.51.100.7/32'))).toEqual(['refuse 198.51.100.7/32']);
    expect(brief(allow(ledger, '203.0.113.0/24'))).toEqual(['allow 203.0.113.0/24 (operator)', 'lift 203.0.113.0/24: allowed']);
  });

  test('the reserved share is kept for proof and orders', () => {
    const ledger = ledgerWith({ ...SMALL, capacity: { ...SMALL.capacity, ipv4: 5 } });
    for (const host of [1, 2, 3, 4]) adopt(ledger, adopted(`203.0.113.${host}/32`, { tier: 'E0', expiresAt: later(host * HOUR_MS) }));
    expect(brief(adopt(ledger, adopted('203.0.113.5/32', { tier: 'E0' })))).toEqual(['evict 203.0.113.1/32 for 203.0.113.5/32', 'new 203.0.113.5/32']);
    expect(brief(see(ledger, '203.0.113.6', 'E1'))).toEqual(['new 203.0.113.6/32']);
    expect(brief(see(ledger, '203.0.113.7', 'E1'))).toEqual(['evict 203.0.113.5/32 for 203.0.113.7/32', 'new 203.0.113.7/32']);
  });
});

describe('what the kernel held and the book did not know', () => {
  test('is taken in as it is', () => {
    const ledger = ledgerWith();
    expect(brief(adopt(ledger, adopted('203.0.113.7/32')))).toEqual(['new 203.0.113.7/32']);
    expect(ledger.bans()).toEqual([adopted('203.0.113.7/32')]);
  });

  test('is decided away where it may not stand, so that it leaves the kernel', () => {
    const ledger = ledgerWith(SMALL, { own: ['192.0.2.1'] });
    allow(ledger, '198.51.100.0/24');
    expect(brief(adopt(ledger, adopted('198.51.100.7/32')))).toEqual(['lift 198.51.100.7/32: allowed']);
    expect(brief(adopt(ledger, adopted('192.0.2.1/32')))).toEqual(['lift 192.0.2.1/32: allowed']);
    expect(brief(adopt(ledger, adopted('203.0.113.7/32', { expiresAt: T0 })))).toEqual(['expire 203.0.113.7/32']);
    for (const host of [1, 2, 3, 4]) order(ledger, `203.0.113.${host}/32`);
    expect(brief(adopt(ledger, adopted('203.0.113.7/32')))).toEqual(['evict 203.0.113.7/32 for 203.0.113.7/32']);
    expect(brief(adopt(ledger, adopted('203.0.113.1/32', { expiresAt: T0 })))).toEqual(['strengthened 203.0.113.1/32']);
  });
});

describe('prefix bans', () => {
  const fill = (ledger: Ledger, hosts: readonly number[], now = T0): readonly (readonly string[])[] =>
    hosts.map(host => brief(see(ledger, `203.0.113.${host}`, 'E1', now)));

  test('enough proven neighbours of one /24 become one ban, and leave with it', () => {
    const ledger = ledgerWith();
    fill(ledger, [1, 2, 3]);
    expect(see(ledger, '203.0.113.4', 'E1')).toMatchObject([
      {
        kind: 'aggregate',
        because: { source: '203.0.113.4' },
        ban: { target: '203.0.113.0/24', tier: 'E1', reasons: ['trap-touch'], origins: ['trap'], expiresAt: later(4 * HOUR_MS), offences: 1 },
        replaces: [{ target: '203.0.113.1/32' }, { target: '203.0.113.2/32' }, { target: '203.0.113.3/32' }],
      },
    ]);
    expect(targets(ledger)).toEqual(['203.0.113.0/24']);
    expect(ledger.banOn('203.0.113.99' as Prefix, T0)?.target).toBe('203.0.113.0/24');
  });

  test('a member that earned more than its neighbours keeps its own ban beside theirs', () => {
    const ledger = ledgerWith();
    fill(ledger, [1, 2, 3]);
    expect(see(ledger, '203.0.113.4', 'E2')).toMatchObject([
      {
        kind: 'aggregate',
        because: null,
        ban: { target: '203.0.113.0/24', tier: 'E1', reasons: ['trap-touch', 'brute-force'], expiresAt: later(8 * HOUR_MS) },
      },
      { kind: 'ban', because: { source: '203.0.113.4' }, ban: { target: '203.0.113.4/32', tier: 'E2', expiresAt: later(24 * HOUR_MS) } },
    ]);
    expect(targets(ledger)).toEqual(['203.0.113.0/24', '203.0.113.4/32']);
  });

  test('one offender with weeks to go does not hold its neighbours for weeks, and keeps its own ban', () => {
    const ledger = ledgerWith();
    adopt(ledger, adopted('203.0.113.1/32', { expiresAt: later(30 * DAY_MS) }));
    fill(ledger, [2, 3]);
    expect(fill(ledger, [4])[0]).toEqual(['aggregate 203.0.113.0/24 for 203.0.113.2/32 203.0.113.3/32']);
    expect(ledger.banOn('203.0.113.99' as Prefix, T0)?.expiresAt).toBe(later(8 * HOUR_MS));
    expect(targets(ledger)).toEqual(['203.0.113.0/24', '203.0.113.1/32']);
  });

  test('after the prefix ban its members are known as repeat offenders, and what trickled in meanwhile was no repeat', () => {
    const ledger = ledgerWith();
    fill(ledger, [1, 2, 3, 4]);
    fill(ledger, [1], later(HOUR_MS));
    expect(ledger.banOn('203.0.113.1/32' as Prefix, later(HOUR_MS))).toMatchObject({ target: '203.0.113.1/32', offences: 1, expiresAt: later(5 * HOUR_MS) });
    expect(brief(tick(ledger, later(4 * HOUR_MS)))).toEqual(['expire 203.0.113.0/24']);
    fill(ledger, [2], later(5 * HOUR_MS));
    expect(ledger.banOn('203.0.113.2/32' as Prefix, later(5 * HOUR_MS))).toMatchObject({ offences: 2 });
  });

  test.each<[string, object, (ledger: Ledger) => unknown]>([
    ['a customer lives there', { proven: ['203.0.113.200'] }, () => undefined],
    ['this host lives there', { own: ['203.0.113.200'] }, () => undefined],
    ['it is our own link', { onLink: ['203.0.113.0/25'] }, () => undefined],
    ['an address in it is allowed', {}, ledger => allow(ledger, '203.0.113.200/32')],
    ['the operator banned it', {}, ledger => order(ledger, '203.0.113.0/24', T0, later(HOUR_MS))],
    ['no rule is left', {}, ledger => Array.from({ length: 20 }, (_, at) => allow(ledger, `198.51.100.${at}/32`))],
  ])('a /24 is not banned where %s', (_, neighbourhood, arrange) => {
    const ledger = ledgerWith({}, neighbourhood);
    arrange(ledger);
    fill(ledger, [1, 2, 3, 4, 5, 6]);
    expect(ledger.bans().filter(ban => ban.target.endsWith('/32'))).toHaveLength(6);
  });

  test('a customer that attacks itself is no bystander', () => {
    const ledger = ledgerWith({}, { proven: ['203.0.113.2', '203.0.113.4'] });
    expect(fill(ledger, [1, 2, 3, 4]).at(-1)).toEqual(['aggregate 203.0.113.0/24 for 203.0.113.1/32 203.0.113.2/32 203.0.113.3/32']);
  });

  test('orders neither count nor are swallowed', () => {
    const ledger = ledgerWith();
    for (const host of [1, 2, 3]) order(ledger, `203.0.113.${host}/32`, T0, later(HOUR_MS));
    expect(fill(ledger, [4, 5, 6]).flat()).toEqual(['new 203.0.113.4/32', 'new 203.0.113.5/32', 'new 203.0.113.6/32']);
    fill(ledger, [7]);
    expect(targets(ledger)).toEqual(['203.0.113.0/24', '203.0.113.1/32', '203.0.113.2/32', '203.0.113.3/32']);
  });

  test('spoofable sightings never make one', () => {
    const ledger = ledgerWith({ aggregateAt: 2, widenAt: 2 });
    for (let host = 0; host < 256; host++) see(ledger, `203.0.113.${host}`, 'E0');
    for (let net = 0; net < 256; net++) see(ledger, `2001:db8:0:${net.toString(16)}::1`, 'E0');
    expect(ledger.bans()).toEqual([]);
  });

  test('0 switches them off', () => {
    const ledger = ledgerWith({ aggregateAt: 0, widenAt: 0 });
    for (let host = 0; host < 100; host++) see(ledger, `203.0.113.${host}`);
    for (let net = 0; net < 100; net++) see(ledger, `2001:db8:0:${net.toString(16)}::1`);
    expect(ledger.bans()).toHaveLength(200);
  });

  test('IPv6 goes from /64 to /56, and from /56 to /48', () => {
    const ledger = ledgerWith();
    const seen: string[] = [];
    for (const customer of [1, 2, 3]) for (const net of [1, 2, 3]) seen.push(...brief(see(ledger, `2001:db8:7:${customer}0${net}::1`)));
    expect(seen).toEqual([
      'new 2001:db8:7:101::/64',
      'new 2001:db8:7:102::/64',
      'aggregate 2001:db8:7:100::/56 for 2001:db8:7:101::/64 2001:db8:7:102::/64',
      'new 2001:db8:7:201::/64',
      'new 2001:db8:7:202::/64',
      'aggregate 2001:db8:7:200::/56 for 2001:db8:7:201::/64 2001:db8:7:202::/64',
      'new 2001:db8:7:301::/64',
      'new 2001:db8:7:302::/64',
      'aggregate 2001:db8:7::/48 for 2001:db8:7:100::/56 2001:db8:7:200::/56 2001:db8:7:301::/64 2001:db8:7:302::/64',
    ]);
    expect(targets(ledger)).toEqual(['2001:db8:7::/48']);
  });

  test('a /56 that outlasts its /48 stays beside it, even where rules are short', () => {
    const ledger = ledgerWith({ capacity: { ...POLICY.capacity, rules: 3 } });
    for (const customer of [1, 2]) for (const net of [1, 2, 3]) see(ledger, `2001:db8:7:${customer}0${net}::1`);
    for (const net of [1, 2]) see(ledger, `2001:db8:7:30${net}::1`, 'E2');
    expect(brief(see(ledger, '2001:db8:7:303::1', 'E2'))).toEqual([
      'aggregate 2001:db8:7::/48 for 2001:db8:7:100::/56 2001:db8:7:200::/56',
      'aggregate 2001:db8:7:300::/56 for 2001:db8:7:301::/64 2001:db8:7:302::/64',
    ]);
    expect(ledger.bans()).toMatchObject([
      { target: '2001:db8:7::/48', expiresAt: later(8 * HOUR_MS) },
      { target: '2001:db8:7:300::/56', expiresAt: later(24 * HOUR_MS), tier: 'E2' },
    ]);
  });

  test('above the watermark half as many neighbours are enough', () => {
    const ledger = ledgerWith({ capacity: { ...POLICY.capacity, ipv4: 10 }, aggregateAt: 6 });
    fill(ledger, [1, 2]);
    for (let host = 1; host <= 6; host++) see(ledger, `198.51.${host}.1`);
    expect(fill(ledger, [3]).at(-1)).toEqual(['aggregate 203.0.113.0/24 for 203.0.113.1/32 203.0.113.2/32']);
  });

  test('before a full room gives up a ban it makes the neighbours of that one prefix', () => {
    const customers = ['203.0.113.200'];
    const ledger = ledgerWith({ capacity: { ...POLICY.capacity, ipv4: 5 } }, { proven: customers });
    fill(ledger, [1, 2, 3]);
    see(ledger, '198.51.100.1', 'E1', later(1));
    see(ledger, '198.51.101.1', 'E1', later(1));
    customers.length = 0; // they left, and nothing has been decided about that /24 since
    expect(brief(see(ledger, '198.51.102.1', 'E1', later(2)))).toEqual([
      'aggregate 203.0.113.0/24 for 203.0.113.1/32 203.0.113.2/32 203.0.113.3/32',
      'new 198.51.102.1/32',
    ]);
  });
});
