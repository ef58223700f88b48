import { fc, test } from '@fast-check/vitest';
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Confinement } from '@honeymesh/intel/bans';
import type { Tier } from '@honeymesh/intel/evidence';
import { DAY_MS, HOUR_MS, MINUTE_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import type { LedgerInput, LedgerPolicy } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { type Act, createReckoning, later, NOBODY, POLICY, see, sighting, T0, tick } from '#test/support/ledger.ts';

const patiences = fc.constantFrom<LedgerPolicy['patience']>(
  { kind: 'instant', longestMs: 0 },
  { kind: 'listen', longestMs: MINUTE_MS },
  { kind: 'study', longestMs: 20 * MINUTE_MS },
  { kind: 'study', longestMs: 5 * HOUR_MS },
);

describe('the end of a confinement', () => {
  const acts = fc.constantFrom<Act>('touch', 'touch', 'content', 'told', 'complete', 'order', 'nothing', 'nothing');
  const gaps = fc.oneof(fc.nat(2 * MINUTE_MS), fc.nat(30 * MINUTE_MS), fc.nat(3 * DAY_MS), fc.constant(MINUTE_MS));
  test.prop([patiences, fc.array(fc.tuple(gaps, acts), { maxLength: 40 })], { numRuns: 1_000 })('is what a naive reckoning says', (patience, rows) => {
    const policy: LedgerPolicy = { ...POLICY, memoryMs: 5 * DAY_MS, longestMs: 4 * DAY_MS, patience };
    const ledger = createLedger(policy, NOBODY);
    const reckon = createReckoning(policy);
    const source = '198.51.100.7' as Address;
    const inputs: Readonly<Record<Act, LedgerInput>> = {
      touch: { kind: 'sighting', sighting: sighting(source, 'E1') },
      content: { kind: 'sighting', sighting: sighting(source, 'E2') },
      told: { kind: 'sighting', sighting: sighting(source, 'E2', { origin: 'peer' }) },
      complete: { kind: 'complete', source, why: 'session-end' },
      order: { kind: 'order-ban', target: `${source}/32` as Prefix, expiresAt: null },
      nothing: { kind: 'tick' },
    };
    let now = T0;
    let confined: Confinement | undefined;
    for (const [gap, act] of rows) {
      now = unixMs(now + gap);
      ledger.handle(inputs[act], now);
      const ban = ledger.banOn(source, now);
      const reckoned =
        ban === null ? null : { endsAt: ban.expiresAt ?? Number.POSITIVE_INFINITY, fullAt: ban.confined?.fullAt ?? null, offences: ban.offences };
      expect(reckoned).toEqual(reckon(act, now));
      // Whatever it does: it is fully banned at the time that was set at its first touch.
      if (ban?.confined !== undefined) {
        expect(now).toBeLessThan(ban.confined.fullAt);
        if (confined !== undefined && now < confined.fullAt) expect(ban.confined).toEqual(confined);
      }
      confined = ban?.confined;
    }
    const last = ledger.banOn(source, now);
    if (last?.confined !== undefined) {
      tick(ledger, last.confined.fullAt);
      expect(ledger.banOn(source, last.confined.fullAt)).toMatchObject({ target: `${source}/32` });
      expect(ledger.banOn(source, last.confined.fullAt)?.confined).toBeUndefined();
    }
  });
});

describe('the term of a ban', () => {
  test.prop([fc.array(fc.tuple(fc.nat(3 * DAY_MS), fc.constantFrom<Tier>('E0', 'E1', 'E2')), { maxLength: 40 })], { numRuns: 500 })(
    'is what a naive reckoning says',
    rows => {
      const ledger = createLedger({ ...POLICY, memoryMs: 5 * DAY_MS, longestMs: 4 * DAY_MS }, NOBODY);
      let now = T0;
      let endsAt = 0;
      let count = 0;
      for (const [gap, tier] of rows) {
        now = later(now - T0 + gap);
        see(ledger, '198.51.100.7', tier, now);
        if (tier !== 'E0') {
          if (endsAt <= now) count = endsAt + 5 * DAY_MS > now ? count + 1 : 1;
          endsAt = Math.max(endsAt, now + Math.min(4 * DAY_MS, (tier === 'E2' ? 24 : 4) * HOUR_MS * 2 ** (count - 1)));
        }
        const ban = ledger.banOn('198.51.100.7' as Address, now);
        expect(ban === null ? [] : [ban.expiresAt, ban.offences]).toEqual(endsAt > now ? [endsAt, count] : []);
      }
    },
  );
});

describe('at full size', () => {
  test('64k bans: a sighting, an eviction, a look-up and the expiry of all stay quick', () => {
    const ledger = createLedger({ ...POLICY, capacity: { ipv4: 65_536, ipv6: 65_536, ipv6Exact: 16_384, rules: 1_024 } }, NOBODY);
    const address = (at: number): string => `${11 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}.${at % 251}`;
    const started = performance.now();
    for (let at = 0; at < 75_000; at++) see(ledger, address(at), at % 3 === 0 ? 'E2' : 'E1', later(at));
    const filled = performance.now();
    expect(ledger.bans()).toHaveLength(65_536);
    for (let at = 0; at < 10_000; at++) ledger.banOn(address(at * 7) as Address, later(75_000));
    const asked = performance.now();
    tick(ledger, later(90 * DAY_MS));
    expect(ledger.bans()).toHaveLength(0);
    expect(ledger.nextDeadline()).toBeNull();
    // Generous: the machine is shared. A linear scan anywhere would take minutes.
    expect(filled - started).toBeLessThan(15_000);
    expect(asked - filled).toBeLessThan(1_000);
    expect(performance.now() - asked).toBeLessThan(5_000);
    console.log({
      perSightingUs: ((filled - started) / 75).toFixed(1),
      perLookupUs: ((asked - filled) / 10).toFixed(1),
      expiryMs: (performance.now() - asked).toFixed(0),
    });
  });
});
