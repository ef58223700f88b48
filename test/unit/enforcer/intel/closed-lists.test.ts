import { MODES, modeNumber, ORIGINS, strongerTier, TIERS, tierNumber, tierOf } from '@honeymesh/intel/evidence';
import { mergeReasons, REASONS, reasonMask, reasonsOf, techniquesOf } from '@honeymesh/intel/reasons';
import { describe, expect, test } from 'vitest';

describe('reasons', () => {
  test('have bits that count up, and names that occur once: both are for good', () => {
    expect(REASONS.map(reason => reason.bit)).toEqual(REASONS.map((_, at) => at));
    expect(new Set(REASONS.map(reason => reason.name)).size).toBe(REASONS.length);
    expect(
      REASONS.slice(0, 18)
        .map(reason => reason.name)
        .join(' '),
    ).toBe(
      'syn-scan slow-scan flag-scan udp-scan flood malformed trap-touch brute-force credential-stuffing default-credentials exploit vulnerability-scan obfuscated command tool-transfer dashboard-guessing actor order',
    );
  });

  test('survive the way through a mask, in bit order; bits of a later version are left out', () => {
    expect(reasonMask(['order', 'syn-scan'])).toBe(2 ** 17 + 1);
    expect(reasonsOf(reasonMask(['order', 'syn-scan', 'order']))).toEqual(['syn-scan', 'order']);
    for (const { name, bit } of REASONS) expect(reasonsOf(2 ** bit)).toEqual([name]);
    expect(reasonsOf(0xffffffff)).toHaveLength(REASONS.length);
  });

  test('merge, and tell their ATT&CK techniques sorted and once', () => {
    expect(mergeReasons(['exploit'], ['trap-touch', 'exploit'])).toEqual(['trap-touch', 'exploit']);
    expect(techniquesOf(['brute-force', 'syn-scan', 'default-credentials'])).toEqual(['T1046', 'T1078.001', 'T1110', 'T1110.001', 'T1110.003', 'T1595.001']);
    expect(techniquesOf(['order'])).toEqual([]);
  });
});

describe('tiers, origins, modes', () => {
  test('have the numbers of the kernel maps', () => {
    expect(TIERS.map(tierNumber)).toEqual([0, 1, 2, 3]);
    expect(TIERS.map(tier => tierOf(tierNumber(tier)))).toEqual(TIERS);
    expect(tierOf(4)).toBeUndefined();
    expect(ORIGINS).toEqual(['kernel', 'trap', 'peer', 'hub', 'operator']);
    expect(MODES.map(modeNumber)).toEqual([0, 1, 2]);
  });

  test('an order outweighs content, content a touch, a touch a scan', () => {
    expect(TIERS.reduce(strongerTier)).toBe('operator');
    expect(strongerTier('E2', 'E1')).toBe('E2');
    expect(strongerTier('E0', 'E1')).toBe('E1');
  });
});
