import { fc, test } from '@fast-check/vitest';
import { type Address, bitsOf, contains, familyOf, type Prefix } from '@honeymesh/intel/address';
import type { AllowCause, AllowEntry, Ban } from '@honeymesh/intel/bans';
import type { Tier } from '@honeymesh/intel/evidence';
import type { Sighting } from '@honeymesh/intel/sightings';
import { DAY_MS, HOUR_MS, MINUTE_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import {
  COMPLETIONS,
  type Decision,
  type Ledger,
  type LedgerChange,
  type LedgerInput,
  type LedgerPolicy,
  type LedgerSnapshot,
  type Offence,
} from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { bystandersOf, entry, POLICY, sighting, T0 } from '#test/support/ledger.ts';

// A small world, so that bans meet, nest, fill their rooms and come back.
const OWN = '203.0.113.14';
const world = bystandersOf({ own: [OWN, '2001:db8:0:10f::1'], onLink: ['2001:db8:0:1ff::/64'], proven: ['203.0.112.3', '2001:db8:0:102::c', '203.0.115.9'] });
const TIGHT: LedgerPolicy = {
  ...POLICY,
  memoryMs: 2 * DAY_MS,
  longestMs: 3 * DAY_MS,
  capacity: { ipv4: 12, ipv6: 8, ipv6Exact: 3, rules: 9 },
  aggregateAt: 4,
  widenAt: 3,
};
const patiences = fc.constantFrom<LedgerPolicy['patience']>(
  { kind: 'instant', longestMs: 0 },
  { kind: 'listen', longestMs: MINUTE_MS },
  { kind: 'study', longestMs: 20 * MINUTE_MS },
  { kind: 'study', longestMs: 5 * HOUR_MS }, // longer than the first ban
);
/** One that never runs short, one that widens soon, one that never does and so must evict; each with every patience. */
const rooms = fc.constantFrom<LedgerPolicy>(
  TIGHT,
  { ...TIGHT, aggregateAt: 2, widenAt: 2, capacity: { ipv4: 8, ipv6: 8, ipv6Exact: 3, rules: 5 } },
  { ...TIGHT, aggregateAt: 0, widenAt: 0, capacity: { ipv4: 4, ipv6: 3, ipv6Exact: 2, rules: 4 } },
);
const policies = fc.tuple(rooms, patiences).map(([policy, patience]): LedgerPolicy => ({ ...policy, patience }));

const host = fc
  .tuple(fc.nat(5), fc.nat(5), fc.nat(2))
  .map(([net, at, kind]) => (kind === 0 ? `203.0.${112 + net}.${at * 2 + 4 * (net % 2)}` : `2001:db8:${kind - 1}:${(net >> 1) + 1}0${at}::${net}`) as Address);
const target = fc
  .oneof(
    host.map(at => `${at}/${familyOf(at) === 4 ? 32 : 128}`),
    fc.nat(5).map(net => `203.0.${112 + net}.0/24`),
    fc.nat(5).map(net => `2001:db8:0:${(net >> 1) + 1}0${net}::/64`),
    fc.constantFrom('203.0.112.0/22', '2001:db8:0:100::/56', '2001:db8::/48', '203.0.113.0/28', '0.0.0.0/0', '127.0.0.1/32', `${OWN}/32`),
  )
  .map(text => text as Prefix);
const cause = fc.constantFrom<AllowCause>('config', 'own', 'gateway', 'dns', 'session');
const gapMs = fc.oneof(
  { weight: 10, arbitrary: fc.nat(10 * MINUTE_MS) },
  fc.nat(10 * HOUR_MS),
  fc.constant(0),
  fc.constant(4 * HOUR_MS),
  fc.integer({ min: -6 * HOUR_MS, max: 0 }),
);

type Step = { readonly gapMs: number; readonly restart: boolean; readonly make: (now: UnixMs) => LedgerInput };
const tiers = fc.constantFrom<Tier>('E0', 'E1', 'E1', 'E1', 'E2');
/** Mostly what traps see; now and then what others tell. */
const tellers = fc.constantFrom<Partial<Sighting>>({}, {}, {}, {}, { origin: 'peer' }, { kind: 'auth' }, { kind: 'exploit', reasons: ['exploit'] });
const input: fc.Arbitrary<Step['make']> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.tuple(host, tiers, tellers).map(([source, tier, teller]) => () => ({ kind: 'sighting' as const, sighting: sighting(source, tier, teller) })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(target, fc.option(fc.integer({ min: -1, max: 20 * HOUR_MS }))).map(([at, ms]) => (now: UnixMs) => ({
      kind: 'order-ban' as const,
      target: at,
      expiresAt: ms === null ? null : unixMs(now + ms),
    })),
  },
  { weight: 2, arbitrary: target.map(at => () => ({ kind: 'order-lift' as const, target: at })) },
  { weight: 1, arbitrary: target.map(at => () => ({ kind: 'allow' as const, entry: entry(at) })) },
  { weight: 2, arbitrary: target.map(at => () => ({ kind: 'disallow' as const, target: at })) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.tuple(target, cause), { maxLength: 3 })
      .map(rows => () => ({ kind: 'auto-allow' as const, entries: rows.map(row => entry(...row)) })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(host, fc.constantFrom<Tier>('E0', 'E1', 'operator'), fc.nat(HOUR_MS)).map(([at, tier, ms]) => (now: UnixMs) => {
      const ban: Ban = {
        target: `${at}/${familyOf(at) === 4 ? 32 : 128}` as Prefix,
        tier,
        reasons: [],
        origins: ['trap'],
        createdAt: now,
        expiresAt: unixMs(now + ms),
        offences: 1,
      };
      return { kind: 'adopt' as const, ban };
    }),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(host, fc.constantFrom(...COMPLETIONS)).map(([source, why]) => () => ({ kind: 'complete' as const, source, why })),
  },
  { weight: 2, arbitrary: fc.constant(() => ({ kind: 'tick' as const })) },
);
const steps: fc.Arbitrary<readonly Step[]> = fc.array(fc.record({ gapMs, restart: fc.nat(4).map(chance => chance === 0), make: input }), {
  maxLength: 120,
  size: 'max',
});

const endOf = (ban: Ban): number => ban.expiresAt ?? Number.POSITIVE_INFINITY;
const byTarget = <T extends { readonly target: Prefix }>(rows: Iterable<T>): readonly T[] =>
  [...rows].sort((one, other) => (one.target < other.target ? -1 : 1));
const roomOf = (at: Prefix): keyof LedgerPolicy['capacity'] =>
  at.endsWith('/32') && familyOf(at) === 4 ? 'ipv4' : at.endsWith('/128') ? 'ipv6Exact' : at.endsWith('/64') ? 'ipv6' : 'rules';

/** What a store would hold that follows the changes, and a kernel that follows the decisions. */
class Follower {
  readonly disk = { bans: new Map<Prefix, Ban>(), allowed: new Map<Prefix, AllowEntry>(), offences: new Map<Prefix, Offence>() };
  readonly banned = new Map<Prefix, Ban>();
  readonly passing = new Map<Prefix, AllowEntry>();

  follow(changes: readonly LedgerChange[], decisions: readonly Decision[]): void {
    const { bans, allowed, offences } = this.disk;
    for (const change of changes) {
      if (change.kind === 'put-ban') bans.set(change.ban.target, change.ban);
      else if (change.kind === 'remove-ban') bans.delete(change.target);
      else if (change.kind === 'put-allow') allowed.set(change.entry.target, change.entry);
      else if (change.kind === 'remove-allow') allowed.delete(change.target);
      else if (change.kind === 'put-offence') offences.set(change.offence.target, change.offence);
      else if (change.kind === 'remove-offence') offences.delete(change.target);
    }
    for (const decision of decisions) {
      if (decision.kind === 'ban' || decision.kind === 'aggregate') this.banned.set(decision.ban.target, decision.ban);
      if (decision.kind === 'aggregate') for (const ban of decision.replaces) this.banned.delete(ban.target);
      if (decision.kind === 'lift' || decision.kind === 'expire' || decision.kind === 'evict') this.banned.delete(decision.ban.target);
      if (decision.kind === 'allow') this.passing.set(decision.entry.target, decision.entry);
      if (decision.kind === 'disallow') this.passing.delete(decision.entry.target);
    }
  }

  check(ledger: Ledger): void {
    const snapshot = ledger.snapshot();
    const { bans, allowed, offences } = this.disk;
    expect({ bans: byTarget(bans.values()), allowed: byTarget(allowed.values()), offences: byTarget(offences.values()) }).toEqual({
      bans: byTarget(snapshot.bans),
      allowed: byTarget(snapshot.allowed),
      offences: byTarget(snapshot.offences),
    });
    expect(byTarget(this.banned.values())).toEqual(byTarget(ledger.bans()));
    expect([...this.passing.keys()].sort()).toEqual(
      ledger
        .allowed()
        .map(held => held.target)
        .sort(),
    );
  }
}

/** Every ban that was in force is in force still, for at least as long, unless a decision says why not. */
function checkNothingLost(before: readonly Ban[], ledger: Ledger, made: LedgerInput, decisions: readonly Decision[], now: UnixMs): void {
  const held = new Map(ledger.bans().map(ban => [ban.target, ban]));
  for (const ban of before) {
    const still = held.get(ban.target);
    if (still !== undefined && endOf(still) >= endOf(ban)) continue;
    const reasons = decisions.filter(decision => {
      // A confined ban may have become full on its way out.
      const isIt = (one: Ban): boolean => one === ban || (ban.confined !== undefined && one.target === ban.target && one.confined === undefined);
      if (decision.kind === 'aggregate') return decision.replaces.some(isIt) && endOf(decision.ban) >= endOf(ban) && ban.tier !== 'operator';
      if (decision.kind === 'evict') return isIt(decision.ban) && ban.tier !== 'operator';
      if (decision.kind === 'expire') return isIt(decision.ban) && endOf(decision.ban) <= now && endOf(decision.ban) >= endOf(ban);
      return (
        decision.kind === 'lift' &&
        isIt(decision.ban) &&
        made.kind === (decision.why === 'order' ? 'order-lift' : made.kind === 'allow' ? 'allow' : 'auto-allow')
      );
    });
    expect(reasons, `why ${ban.target} is gone or shorter`).toHaveLength(1);
  }
}

/** Nobody leaves a full ban for a confined one, and nobody stays confined for longer, or for another reason, than was said at the first touch. */
function checkConfinement(before: readonly Ban[], ledger: Ledger, policy: LedgerPolicy, made: LedgerInput, decisions: readonly Decision[], now: UnixMs): void {
  const was = new Map(before.map(ban => [ban.target, ban]));
  const { kind, longestMs } = policy.patience;
  for (const ban of ledger.bans()) {
    const { confined } = ban;
    const held = was.get(ban.target);
    const left = decisions.some(
      decision => (decision.kind === 'lift' || decision.kind === 'expire' || decision.kind === 'evict') && decision.ban.target === ban.target,
    );
    if (confined === undefined) continue;
    expect(kind, 'whoever is confined is listened to').not.toBe('instant');
    expect(confined.fullAt - confined.since).toBe(longestMs);
    expect(confined.since).toBeLessThanOrEqual(now);
    expect(confined.fullAt).toBeGreaterThan(now);
    expect(endOf(ban)).toBeGreaterThan(confined.fullAt);
    expect(kind === 'listen' ? ['E1'] : ['E1', 'E2']).toContain(ban.tier);
    expect(ban.origins).toEqual(['trap']);
    if (held !== undefined && !left)
      expect(confined, `${ban.target} was ${held.confined === undefined ? 'in full' : 'confined'} before`).toEqual(held.confined);
    else expect(made.kind === 'sighting' && made.sighting.origin === 'trap' && confined.since === now, 'only a trap confines').toBe(true);
  }
  for (const decision of decisions) {
    if (decision.kind !== 'ban') continue;
    expect(decision.why !== undefined, 'a completion says why').toBe(decision.change === 'completed');
    if (decision.change !== 'completed') continue;
    expect(was.get(decision.ban.target)?.confined, 'only who was confined is completed').toBeDefined();
    expect(decision.ban.confined).toBeUndefined();
    if (decision.why === 'time' && made.kind !== 'adopt') {
      const { since, fullAt } = was.get(decision.ban.target)?.confined ?? { since: now, fullAt: now };
      expect(fullAt <= now || since > now, 'time is up').toBe(true);
    }
  }
  if (made.kind === 'complete') expect(ledger.bans().filter(ban => contains(ban.target, made.source) && ban.confined !== undefined)).toEqual([]);
  if (made.kind === 'order-ban' && !decisions.some(decision => decision.kind === 'refuse' && decision.because === null))
    expect(ledger.bans().filter(ban => contains(made.target, ban.target) && ban.confined !== undefined)).toEqual([]);
}

function checkBook(ledger: Ledger, policy: LedgerPolicy, now: UnixMs): void {
  const bans = ledger.bans();
  const allowed = ledger.allowed();
  for (const ban of bans) {
    expect(
      allowed.some(held => contains(held.target, ban.target)),
      `${ban.target} is banned though allowed`,
    ).toBe(false);
    expect(
      world.own.some(own => contains(ban.target, own)),
      `${ban.target} holds this host`,
    ).toBe(false);
    expect(endOf(ban)).toBeGreaterThan(now);
    if (ban.tier !== 'operator') expect(endOf(ban)).toBeLessThanOrEqual(Math.max(now, ban.createdAt) + 20 * DAY_MS);
  }
  for (const [room, capacity] of Object.entries(policy.capacity)) {
    const used = bans.filter(ban => roomOf(ban.target) === room).length + (room === 'rules' ? allowed.length : 0);
    expect(used, room).toBeLessThanOrEqual(capacity);
  }
  const ends = [
    ...bans.map(endOf),
    ...ledger.snapshot().offences.map(offence => offence.lastEndedAt + TIGHT.memoryMs),
    ...bans.map(ban => ban.confined?.fullAt ?? Number.POSITIVE_INFINITY),
  ].filter(Number.isFinite);
  expect(ledger.nextDeadline()).toBe(ends.length === 0 ? null : Math.min(...ends));
}

const narrowest = <T extends { readonly target: Prefix }>(rows: readonly T[], at: Address | Prefix): T | null =>
  rows.filter(row => contains(row.target, at)).sort((one, other) => bitsOf(other.target) - bitsOf(one.target))[0] ?? null;

describe('whatever happens, in whatever order, with whatever clock', () => {
  test.prop([policies, steps, fc.array(host, { minLength: 1, maxLength: 4 })], { numRuns: 600 })('the book keeps its promises', (policy, script, asked) => {
    let now = T0;
    const ledger = createLedger(policy, world);
    const follower = new Follower();
    for (const step of script) {
      now = unixMs(now + step.gapMs);
      const made = step.make(now);
      const before = ledger.bans();
      const { decisions, changes } = ledger.handle(made, now);
      follower.follow(changes, decisions);
      follower.check(ledger);
      checkNothingLost(before, ledger, made, decisions, now);
      checkConfinement(before, ledger, policy, made, decisions, now);
      checkBook(ledger, policy, now);
      if (made.kind === 'sighting' && made.sighting.tier === 'E0') {
        const ofTime = decisions.some(decision => decision.kind === 'ban' && decision.why === 'time');
        expect(decisions.filter(decision => decision.kind === 'record')).toMatchObject([{ wouldBan: false }]);
        if (!ofTime) expect(decisions.filter(decision => decision.kind !== 'expire' && decision.kind !== 'record')).toEqual([]);
        if (!ofTime) expect(changes.filter(change => change.kind === 'put-ban')).toEqual([]);
      }
      if (made.kind === 'sighting') expect(decisions.filter(decision => 'because' in decision && decision.because !== null).length).toBeLessThanOrEqual(1);
      for (const at of asked) {
        expect(ledger.banOn(at, now)).toEqual(narrowest(ledger.bans(), at));
        expect(ledger.allowOn(at)).toEqual(narrowest(ledger.allowed(), at));
      }
    }
  });

  test.prop([policies, steps], { numRuns: 300 })('a ledger that restarts at any time decides like one that never did', (tight, script) => {
    // Rules to spare: where allow entries do not all fit, a restart gives the weightiest of them the room.
    const policy = { ...tight, capacity: { ...tight.capacity, rules: 100 } };
    let now = T0;
    const steady = createLedger(policy, world);
    let restarted = createLedger(policy, world);
    let automatic: readonly AllowEntry[] = [];
    for (const step of script) {
      if (step.restart) {
        // A store returns rows in an order of its own.
        const { bans, allowed, offences } = restarted.snapshot();
        restarted = createLedger(policy, world, { bans: byTarget(bans), allowed: byTarget(allowed), offences: byTarget(offences) });
        restarted.handle({ kind: 'auto-allow', entries: automatic }, now);
      }
      now = unixMs(now + step.gapMs);
      const made = step.make(now);
      if (made.kind === 'auto-allow') automatic = made.entries;
      const one = steady.handle(made, now);
      const other = restarted.handle(made, now);
      if (made.kind !== 'auto-allow') expect(other.decisions).toEqual(one.decisions);
      expect(sorted(restarted.snapshot())).toEqual(sorted(steady.snapshot()));
      expect(restarted.nextDeadline()).toBe(steady.nextDeadline());
    }
  });
});

describe('another patience', () => {
  test.prop([policies, patiences, steps], { numRuns: 200 })('takes over what the one before it began, and shortens nothing', (policy, patience, script) => {
    let now = T0;
    const first = createLedger(policy, world);
    for (const step of script) {
      now = unixMs(now + step.gapMs);
      first.handle(step.make(now), now);
    }
    const snapshot = first.snapshot();
    const second = createLedger({ ...policy, patience }, world, snapshot);
    const { decisions, changes } = second.handle({ kind: 'tick' }, now);
    checkNothingLost(snapshot.bans, second, { kind: 'tick' }, decisions, now);
    for (const { target, tier, confined } of second.bans()) {
      if (confined === undefined) continue;
      expect(patience.kind).not.toBe('instant');
      if (patience.kind === 'listen') expect(tier).toBe('E1');
      expect(Math.min(confined.fullAt, confined.since + patience.longestMs)).toBeGreaterThan(now);
      expect(snapshot.bans.find(ban => ban.target === target)?.confined).toEqual(confined);
    }
    const follower = new Follower();
    for (const ban of snapshot.bans) follower.disk.bans.set(ban.target, ban);
    for (const offence of snapshot.offences) follower.disk.offences.set(offence.target, offence);
    follower.follow(changes, decisions);
    expect(byTarget(follower.disk.bans.values())).toEqual(byTarget(second.bans()));
  });
});

const sorted = ({ bans, allowed, offences }: LedgerSnapshot): LedgerSnapshot => ({
  bans: byTarget(bans),
  allowed: byTarget(allowed),
  offences: byTarget(offences),
});
