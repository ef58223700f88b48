import { fc, test } from '@fast-check/vitest';
import { type Address, bitsOf, contains, hostPrefix, type Prefix, prefixOf } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import type { KernelRule } from '#enforcer/kernel/port.ts';
import { hintWords, resolveRules, ruleOn } from '#enforcer/kernel/rules.ts';

const NOW = unixMs(1_000_000);

const rule = (action: 'allow' | 'deny', target: string, expiresAt: number | null = null): KernelRule => ({
  action,
  target: target as Prefix,
  tier: action === 'allow' ? 'operator' : 'E1',
  reasons: [],
  expiresAt: expiresAt === null ? null : unixMs(expiresAt),
});
const stored = (rules: readonly KernelRule[]) =>
  Object.fromEntries(resolveRules(rules, NOW).map(({ target, action, expiresAt }) => [target, [action, expiresAt]]));

describe('nested rules', () => {
  test('an ALLOW inside a DENY stays as it is: the longest match is the ALLOW', () => {
    expect(stored([rule('deny', '10.0.0.0/8'), rule('allow', '10.1.0.0/16')])).toEqual({ '10.0.0.0/8': ['deny', null], '10.1.0.0/16': ['allow', null] });
  });

  test('a DENY inside an ALLOW inside a DENY is allowed', () => {
    expect(stored([rule('deny', '10.0.0.0/8'), rule('allow', '10.1.0.0/16'), rule('deny', '10.1.2.0/24')])).toMatchObject({ '10.1.2.0/24': ['allow', null] });
  });

  test('a DENY lasts as long as the longest DENY around it', () => {
    expect(stored([rule('deny', '10.0.0.0/8', 9_000_000), rule('deny', '10.1.0.0/16', 2_000_000)])['10.1.0.0/16']).toEqual(['deny', 9_000_000]);
    expect(stored([rule('deny', '10.0.0.0/8'), rule('deny', '10.1.0.0/16', 2_000_000)])['10.1.0.0/16']).toEqual(['deny', null]);
    expect(stored([rule('deny', '10.0.0.0/8', 2_000_000), rule('deny', '10.1.0.0/16')])['10.1.0.0/16']).toEqual(['deny', null]);
  });

  test('a DENY that is stored as ALLOW ends with the ALLOW, not with itself', () => {
    expect(stored([rule('allow', '10.0.0.0/8', 2_000_000), rule('deny', '10.1.0.0/16')])['10.1.0.0/16']).toEqual(['allow', 2_000_000]);
  });

  test('both for one prefix: ALLOW', () => {
    expect(stored([rule('allow', '10.0.0.0/8'), rule('deny', '10.0.0.0/8')])).toEqual({ '10.0.0.0/8': ['allow', null] });
    expect(stored([rule('deny', '10.0.0.0/8'), rule('allow', '10.0.0.0/8')])).toEqual({ '10.0.0.0/8': ['allow', null] });
  });

  test('what is over covers nothing', () => {
    expect(stored([rule('allow', '10.0.0.0/8', 1_000_000), rule('deny', '10.1.0.0/16')])).toEqual({ '10.1.0.0/16': ['deny', null] });
  });

  test('families do not cover each other', () => {
    expect(stored([rule('allow', '0.0.0.0/0'), rule('deny', '2001:db8::/32')])).toMatchObject({ '2001:db8::/32': ['deny', null] });
  });
});

/** Prefixes of few addresses, so that they nest often. */
const aPrefix = fc
  .tuple(fc.nat(15), fc.constantFrom(0, 6, 7, 8, 9, 16, 17, 24, 31, 32))
  .map(([at, bits]) => prefixOf(`${(at & 3) + 8}.${at >> 2}.${at}.${at}` as Address, bits));
const aRule = fc
  .record({ action: fc.constantFrom('allow' as const, 'deny' as const), target: aPrefix, minutes: fc.option(fc.integer({ min: -3, max: 9 })) })
  .map(({ action, target, minutes }): KernelRule => rule(action, target, minutes === null ? null : NOW + minutes * 60_000));

test.prop([fc.array(aRule, { maxLength: 24 }), fc.nat(15)])('the longest match says what all rules together say, now and whenever one ends', (rules, at) => {
  const host = hostPrefix(`${(at & 3) + 8}.${at >> 2}.${at}.${at}` as Address);
  const resolved = resolveRules(rules, NOW);
  for (const now of [NOW, ...resolved.flatMap(({ expiresAt }) => (expiresAt === null ? [] : [unixMs(expiresAt - 1)]))]) {
    const covering = rules.filter(({ target, expiresAt }) => contains(target, host) && (expiresAt === null || expiresAt > now));
    const found = ruleOn(host, resolved, now);
    // While an ALLOW lasts nothing inside it is denied; when it ends, the next sweep resolves again.
    if (covering.some(({ action }) => action === 'allow')) expect(found?.action).toBe('allow');
    else if (now === NOW) expect(found?.action ?? null).toBe(covering.length > 0 ? 'deny' : null);
    if (covering.length === 0 && found !== null) expect(bitsOf(found.target)).toBe(-1);
  }
});

test.prop([fc.array(aPrefix, { maxLength: 20 }), fc.nat(15)])('an address whose /16 has no hint bit is in no rule', (targets, at) => {
  const address = `${(at & 3) + 8}.${at >> 2}.${at}.${at}` as Address;
  const words = hintWords(targets);
  const first = ((at & 3) + 8) * 256 + (at >> 2);
  const hinted = ((words[first >> 6] ?? 0n) >> BigInt(first & 63)) & 1n;
  expect(hinted === 1n || !targets.some(target => contains(target, address))).toBe(true);
});

test('the hint of a /32 is one bit, of a /8 256 bits, of everything all of them', () => {
  const bits = (...targets: string[]): number => hintWords(targets as Prefix[]).reduce((sum, word) => sum + word.toString(2).replaceAll('0', '').length, 0);
  expect([bits('203.0.113.7/32'), bits('10.0.0.0/8'), bits('0.0.0.0/0'), bits('2001:db8::/32')]).toEqual([1, 256, 65_536, 0]);
});
