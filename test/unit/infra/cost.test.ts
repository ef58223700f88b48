import { describe, expect, test } from 'vitest';
import { ASSUMED, monthly, naive, total, worstOfOneHost } from '#infra/cost.ts';

const of = (more: Partial<typeof ASSUMED> | Record<string, number> = {}): number => total(monthly({ ...ASSUMED, ...more }));

describe('what a hub costs', () => {
  test('1,000 hosts: about 65 to 75 dollars a month, a seventeenth of telling everybody everything', () => {
    expect(of()).toBeGreaterThan(60);
    expect(of()).toBeLessThan(75);
    expect(naive(ASSUMED) / of()).toBeGreaterThan(15);
  });

  test('a small fleet pays for the key and the metrics, little more', () => {
    expect(of({ hosts: 10 })).toBeLessThan(10);
  });

  test('is dearer in every part with more hosts, and never negative', () => {
    const few = monthly(ASSUMED);
    const many = monthly({ ...ASSUMED, hosts: 2_000 });
    for (const [at, line] of few.entries()) {
      expect(line.dollars, line.what).toBeGreaterThan(0);
      expect(many[at]?.dollars, line.what).toBeGreaterThanOrEqual(line.dollars);
    }
  });

  test('a digest every five minutes saves most of the bill', () => {
    expect(of() - of({ digestMinutes: 5 })).toBeGreaterThan(35);
  });

  test('an advisory over 5 kB is two messages', () => {
    expect(of({ advisoryKb: 6 }) - of()).toBeCloseTo(48.2, 0);
  });

  test('what one stolen host can do is bounded, the dearest first, and the governor bounds it further', () => {
    const [dearest, ...others] = worstOfOneHost(ASSUMED, 1_200, 10_000);
    expect(dearest?.dollarsADay).toBeLessThan(100);
    for (const other of others) expect(other.dollarsADay).toBeLessThanOrEqual(dearest?.dollarsADay ?? 0);
    expect(worstOfOneHost(ASSUMED, 1_200, 100)[0]?.dollarsADay).toBeLessThan(20);
  });
});
