import { fc, test } from '@fast-check/vitest';
import { type Address, bitsOf, contains, familyOf, overlaps, type Prefix } from '@honeymesh/intel/address';
import { DAY_MS, HOUR_MS, MINUTE_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { ADVICE_POLICY, type AdvicePolicy, type ReceivedAdvice } from '#enforcer/ledger/advice/advice.ts';
import type { Ledger, LedgerInput, LedgerPolicy } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { adviceOf, MESH, withdrawalOf } from '#test/support/advice.ts';
import { createHolds } from '#test/support/advice-holds.ts';
import { createAdviceReckoning } from '#test/support/advice-reckoning.ts';
import { allow, bystandersOf, createReckoning, entry, later, POLICY, sighting, T0 } from '#test/support/ledger.ts';

const SITES = 6;
const COSTLESS: AdvicePolicy = {
  ...ADVICE_POLICY,
  trust: { ...ADVICE_POLICY.trust, costs: { lifted: 0, erred: 0, 'hit-clients': 0, 'named-client': 0, misconduct: 0 } },
};

describe('one address, minute by minute', () => {
  const TARGET = '203.0.113.7/32' as Prefix;
  const signers = fc.constantFrom('a1', 'a2', 'b1', 'c1', 'd1', 'e1');
  const act = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ kind: fc.constant('say' as const), signer: signers, minutes: fc.oneof(fc.nat(30), fc.nat(5 * 60), fc.constant(24 * 60)) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('replay' as const), nth: fc.nat(200) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('take-back' as const), signer: signers }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('see' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('lift' as const) }) },
  );
  const script = fc.array(fc.tuple(fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, fc.nat(240), fc.constantFrom(0, 600, 1_440)), act), {
    minLength: 1,
    maxLength: 60,
    size: 'max',
  });

  test.prop([script], { numRuns: 150 })('is banned by advice exactly when the promises say so', steps => {
    const policy: LedgerPolicy = { ...POLICY, advice: COSTLESS };
    const ledger = createLedger(policy, bystandersOf({}), undefined, { ...MESH, sites: SITES });
    const expected = createAdviceReckoning(SITES);
    const own = createReckoning(policy);
    const said: ReceivedAdvice[] = [];
    let minute = 0;
    /** All acts of one minute, then what must hold in it. */
    function settle(): void {
      const now = later(minute * MINUTE_MS);
      ledger.handle({ kind: 'tick' }, now);
      const ownBan = own('nothing', now);
      const { held } = expected.minute(minute, ownBan !== null);
      const ban = ledger.banOn(TARGET, now);
      const found = ban === null ? 'no' : ban.advised === undefined ? `own until ${ban.expiresAt}` : ban.advised.provisional ? 'provisional' : 'full';
      expect(found, `in minute ${minute}`).toBe(ownBan === null ? held : `own until ${ownBan.endsAt}`);
    }
    for (const [gap, one] of steps) {
      for (const end = minute + gap; minute < end; minute++) settle();
      const now = later(minute * MINUTE_MS);
      ledger.handle({ kind: 'tick' }, now);
      expected.minute(minute, own('nothing', now) !== null);
      if (one.kind === 'say') {
        const advice = adviceOf(one.signer, TARGET, now, { sequence: said.length, expiresAt: unixMs(now + one.minutes * MINUTE_MS) });
        said.push(advice);
        ledger.handle({ kind: 'advice', advice }, now);
        expected.say(one.signer, advice.sequence, minute + one.minutes);
      } else if (one.kind === 'replay' && said.length > 0) {
        const advice = said[one.nth % said.length] as ReceivedAdvice;
        ledger.handle({ kind: 'advice', advice }, now);
        expected.say(advice.signer, advice.sequence, (advice.expiresAt - T0) / MINUTE_MS);
      } else if (one.kind === 'take-back') {
        const last = said.findLast(advice => advice.signer === one.signer);
        if (last === undefined) continue;
        ledger.handle({ kind: 'withdrawal', withdrawal: withdrawalOf(last, now) }, now);
        expected.takeBack(one.signer, last.sequence);
      } else if (one.kind === 'see') {
        ledger.handle({ kind: 'sighting', sighting: sighting('203.0.113.7') }, now);
        own('touch', now);
      } else if (one.kind === 'lift' && ledger.banOn(TARGET, now)?.advised !== undefined) {
        ledger.handle({ kind: 'order-lift', target: TARGET }, now);
        expected.lift();
      }
      settle();
    }
  });
});

// A third of twelve hosts, and of six sites.
const COMPROMISED = ['a1', 'a2', 'b1', 'b2'];
const HONEST = ['c1', 'd1', 'e2', 'f1'];
const OWN = '203.0.113.14' as Address;
const MEMBER = '203.0.113.200' as Address;
const HUB = '2001:db8:5::/64' as Prefix;
const world = bystandersOf({ own: [OWN], onLink: ['2001:db8:9::/64'], proven: ['203.0.114.3', '2001:db8:0:7::c'] });
const CAP = { ipv4: 600, ipv6: 300 };
const TIGHT: LedgerPolicy = {
  ...POLICY,
  memoryMs: 2 * DAY_MS,
  longestMs: 3 * DAY_MS,
  capacity: { ipv4: 10, ipv6: 6, ipv6Exact: 4, rules: 8 },
  aggregateAt: 3,
  widenAt: 2,
  advice: { ...ADVICE_POLICY, mostPerHour: CAP, targetsAtMost: 30 },
};
const mesh = { ...MESH, sites: SITES, hosts: 12, hubEndpoints: [HUB], answered: (prefix: Prefix) => (contains(prefix, MEMBER) ? MEMBER : null) };

const host = fc.tuple(fc.nat(2), fc.nat(6)).map(([net, at]) => (net === 2 ? `2001:db8:0:${at + 1}::${at + 1}` : `203.0.${113 + net}.${at * 2}`) as Address);
const target = fc
  .oneof(
    { weight: 4, arbitrary: host.map(at => (familyOf(at) === 4 ? `${at}/32` : `${at}/128`)) },
    { weight: 2, arbitrary: fc.nat(6).map(at => `2001:db8:0:${at + 1}::/64`) },
    { weight: 2, arbitrary: fc.constantFrom('203.0.113.0/29', '203.0.113.8/30', '203.0.114.0/31', '203.0.114.8/29') },
    fc.constantFrom('203.0.113.0/24', '203.0.113.0/28', '203.0.114.0/24', '2001:db8::/56', '2001:db8::/48', '2001:db8:5::/64', '2001:db8:9::/64'),
    fc.constantFrom(`${OWN}/32`, `${MEMBER}/32`, '203.0.114.3/32', '203.0.112.0/22', '127.0.0.1/32', '0.0.0.0/0'),
  )
  .map(text => text as Prefix);
const word = fc.record({
  kind: fc.constant('word' as const),
  target,
  expiresMs: fc.oneof(fc.integer({ min: -1, max: 5 * HOUR_MS }), fc.constant(60 * DAY_MS)),
  agoMs: fc.oneof(fc.constant(0), fc.integer({ min: -MINUTE_MS, max: 25 * HOUR_MS })),
  tier: fc.constantFrom('E1' as const, 'E2' as const, 'E0' as const),
  path: fc.constantFrom('mesh' as const, 'mesh' as const, 'hub' as const),
});
type Word = typeof word extends fc.Arbitrary<infer T> ? T : never;
const local = fc.oneof(
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('see' as const), source: host, tier: fc.constantFrom('E0' as const, 'E1' as const, 'E2' as const) }) },
  fc.record({ kind: fc.constant('order' as const), target, ms: fc.option(fc.nat(10 * HOUR_MS)) }),
  fc.record({ kind: fc.constant('lift' as const), target }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('allow' as const), target }) },
  fc.record({ kind: fc.constant('disallow' as const), target }),
  fc.constant({ kind: 'tick' as const }),
);
type Local = typeof local extends fc.Arbitrary<infer T> ? T : never;
const again = fc.record({ kind: fc.constantFrom('replay' as const, 'take-back' as const), nth: fc.nat(1_000), whole: fc.boolean(), asError: fc.boolean() });
type Again = typeof again extends fc.Arbitrary<infer T> ? T : never;
const gaps = fc.oneof({ weight: 8, arbitrary: fc.nat(20 * MINUTE_MS) }, fc.nat(5 * HOUR_MS), fc.constantFrom(0, DAY_MS, 10 * MINUTE_MS));

function localInput(one: Local, now: UnixMs): LedgerInput {
  switch (one.kind) {
    case 'see':
      return { kind: 'sighting', sighting: sighting(one.source, one.tier) };
    case 'order':
      return { kind: 'order-ban', target: one.target, expiresAt: one.ms === null ? null : unixMs(now + one.ms) };
    case 'lift':
      return { kind: 'order-lift', target: one.target };
    case 'allow':
      return { kind: 'allow', entry: entry(one.target) };
    case 'disallow':
      return { kind: 'disallow', target: one.target };
    case 'tick':
      return one;
  }
}

function saidAs(one: Word, signer: string, now: UnixMs, sequence: number): ReceivedAdvice {
  const { tier, path, agoMs, expiresMs } = one;
  const certified = path === 'mesh' || sequence % 3 > 0;
  return adviceOf(signer, one.target, now, { tier, path, certified, sequence, issuedAt: unixMs(now - agoMs), expiresAt: unixMs(now + expiresMs) });
}

function againInput({ kind, nth, whole, asError }: Again, said: readonly ReceivedAdvice[], now: UnixMs): LedgerInput | null {
  const advice = said[nth % Math.max(1, said.length)];
  if (advice === undefined) return null;
  if (kind === 'replay') return { kind: 'advice', advice };
  return { kind: 'withdrawal', withdrawal: withdrawalOf(advice, now, { asError, ...(whole ? { target: null } : {}) }) };
}

/** No ban by advice touches this host, its members, the hub, whom it allows, its networks or its clients, and none is wide. */
function checkUntouched(ledger: Ledger): void {
  const allowed = ledger.allowed();
  for (const ban of ledger.bans().filter(held => held.advised !== undefined)) {
    expect(
      allowed.filter(held => overlaps(held.target, ban.target)),
      `${ban.target} touches the allow-list`,
    ).toEqual([]);
    for (const spared of [OWN, MEMBER, '203.0.114.3', '2001:db8:0:7::c'] as Address[])
      expect(contains(ban.target, spared), `${ban.target} holds ${spared}`).toBe(false);
    expect(overlaps(ban.target, HUB)).toBe(false);
    expect(bitsOf(ban.target)).toBeGreaterThanOrEqual(familyOf(ban.target) === 4 ? 24 : 48);
    expect(ban.tier).toMatch(/^E[12]$/);
  }
}

/** Own bans, as far as they are this host's alone: who warned of them is told, and changes nothing. */
const ownBans = (ledger: Ledger): unknown =>
  ledger
    .bans()
    .filter(ban => ban.advised === undefined)
    .map(({ target: at, tier, expiresAt, offences, createdAt }) => ({ at, tier, expiresAt, offences, createdAt }))
    .sort((one, other) => (one.at < other.at ? -1 : 1));

/** What a signer named in any hour. */
function mostNamed(accepted: readonly { readonly at: number; readonly target: Prefix }[], family: 4 | 6): number {
  const named = accepted.filter(one => familyOf(one.target) === family);
  const size = ({ target: at }: { readonly target: Prefix }): number => 2 ** Math.max(0, (family === 4 ? 32 : 64) - bitsOf(at));
  return Math.max(0, ...named.map(last => named.filter(one => one.at <= last.at && one.at > last.at - HOUR_MS).reduce((sum, one) => sum + size(one), 0)));
}

describe('whatever peers say, in whatever order', () => {
  const step = fc.tuple(
    gaps,
    fc.oneof(
      { weight: 8, arbitrary: fc.tuple(fc.constantFrom(...COMPROMISED, ...HONEST), word) },
      { weight: 8, arbitrary: fc.tuple(fc.constant(null), local) },
      { weight: 2, arbitrary: fc.tuple(fc.constant(null), again) },
    ),
  );
  const script = fc.array(step, { maxLength: 200, size: 'max' });

  test.prop([script], { numRuns: 250 })(
    'nobody is touched who may not be, own bans are as they were without them, and no hour holds more than the cap',
    steps => {
      const ledger = createLedger(TIGHT, world, undefined, mesh);
      const alone = createLedger(TIGHT, world, undefined, mesh);
      const said: ReceivedAdvice[] = [];
      const accepted = new Map<string, { at: number; target: Prefix }[]>();
      let now = T0;
      for (const [gap, [signer, one]] of steps) {
        now = unixMs(now + gap);
        if (signer !== null && one.kind === 'word') said.push(saidAs(one, signer, now, said.length));
        const input =
          one.kind === 'word'
            ? { kind: 'advice' as const, advice: said.at(-1) as ReceivedAdvice }
            : one.kind === 'replay' || one.kind === 'take-back'
              ? againInput(one, said, now)
              : localInput(one as Local, now);
        if (input === null) continue;
        for (const decision of ledger.handle(input, now).decisions)
          if (decision.kind === 'advice-accepted') {
            const { signer: by, certified } = decision.advice;
            const account = certified ? by : 'hub';
            accepted.set(account, [...(accepted.get(account) ?? []), { at: now, target: decision.advice.target }]);
          }
        alone.handle(input.kind === 'advice' || input.kind === 'withdrawal' ? { kind: 'tick' } : input, now);
        checkUntouched(ledger);
        expect(ownBans(ledger)).toEqual(ownBans(alone));
        expect(ledger.snapshot().offences).toEqual(alone.snapshot().offences);
      }
      for (const named of accepted.values()) {
        expect(mostNamed(named, 4)).toBeLessThanOrEqual(CAP.ipv4);
        expect(mostNamed(named, 6)).toBeLessThanOrEqual(CAP.ipv6);
      }
    },
  );

  const hostile = fc.array(
    fc.tuple(
      gaps,
      fc.oneof(
        { weight: 9, arbitrary: fc.tuple(fc.constantFrom(...COMPROMISED), word) },
        { weight: 2, arbitrary: fc.tuple(fc.constant(null), again) },
        fc.tuple(fc.constant(null), local),
      ),
    ),
    { maxLength: 300, size: 'max' },
  );
  test.prop([hostile, fc.array(host, { minLength: 3, maxLength: 6 })], { numRuns: 200 })(
    'a third that is compromised holds nobody beyond a day without a day of rest, by whatever prefixes',
    (steps, asked) => {
      const ledger = createLedger({ ...TIGHT, advice: { ...COSTLESS, targetsAtMost: 1_000 }, capacity: POLICY.capacity }, world, undefined, mesh);
      const holds = createHolds();
      const said: ReceivedAdvice[] = [];
      let now = T0;
      for (const [gap, [signer, one]] of steps) {
        now = unixMs(now + gap);
        if (signer !== null && one.kind === 'word') said.push(saidAs(one, signer, now, said.length));
        const input =
          one.kind === 'word'
            ? { kind: 'advice' as const, advice: said.at(-1) as ReceivedAdvice }
            : one.kind === 'replay' || one.kind === 'take-back'
              ? againInput(one, said, now)
              : localInput(one as Local, now);
        if (input !== null) holds.follow(ledger.handle(input, now).decisions, now);
      }
      holds.follow(ledger.handle({ kind: 'tick' }, unixMs(now + 10 * DAY_MS)).decisions, unixMs(now + 10 * DAY_MS));
      for (const at of asked) expect(holds.longestMs(at), `${at} was held`).toBeLessThanOrEqual(DAY_MS);
    },
  );
});

test('an entry of the allow-list made between two words of the same peers stands', () => {
  const ledger = createLedger(TIGHT, world, undefined, mesh);
  for (const signer of ['a1', 'b1']) ledger.handle({ kind: 'advice', advice: adviceOf(signer, '203.0.113.0/28', T0) }, T0);
  allow(ledger, '203.0.113.2/32');
  for (const signer of ['a1', 'b1', 'c1']) ledger.handle({ kind: 'advice', advice: adviceOf(signer, '203.0.113.0/28', later(1)) }, later(1));
  checkUntouched(ledger);
  expect(ledger.bans()).toEqual([]);
});
