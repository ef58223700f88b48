/** What ledger tests share: a policy with round numbers, sightings, a host whose neighbours the test names. */

import { type Address, contains, type Prefix } from '@honeymesh/intel/address';
import type { AllowCause, AllowEntry } from '@honeymesh/intel/bans';
import type { Tier } from '@honeymesh/intel/evidence';
import type { Reason } from '@honeymesh/intel/reasons';
import type { Sighting } from '@honeymesh/intel/sightings';
import { DAY_MS, HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { Bystanders, Decision, Ledger, LedgerOutcome, LedgerPolicy } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';

export const T0 = unixMs(1_790_000_000_000);
export const later = (ms: number): UnixMs => unixMs(T0 + ms);

export const POLICY: LedgerPolicy = {
  mode: 'enforce',
  touchMs: 4 * HOUR_MS,
  contentMs: 24 * HOUR_MS,
  longestMs: 30 * DAY_MS,
  memoryMs: 30 * DAY_MS,
  capacity: { ipv4: 1_000, ipv6: 1_000, ipv6Exact: 100, rules: 20 },
  reservedShare: 0.2,
  watermark: 0.8,
  aggregateAt: 4,
  widenAt: 3,
};

export interface Neighbourhood {
  readonly proven?: readonly string[];
  readonly onLink?: readonly string[];
  readonly own?: readonly string[];
}

export function bystandersOf({ proven = [], onLink = [], own = [] }: Neighbourhood): Bystanders {
  return {
    within: (prefix, limit) => (proven as Address[]).filter(address => contains(prefix, address)).slice(0, limit),
    onLink: onLink as Prefix[],
    own: own as Address[],
  };
}

export const NOBODY = bystandersOf({});

export function ledgerWith(policy: Partial<LedgerPolicy> = {}, neighbourhood: Neighbourhood = {}): Ledger {
  return createLedger({ ...POLICY, ...policy }, bystandersOf(neighbourhood));
}

export function sighting(source: string, tier: Tier = 'E1', more: Partial<Sighting> = {}): Sighting {
  const reasons: readonly Reason[] = tier === 'E0' ? ['syn-scan'] : tier === 'E1' ? ['trap-touch'] : ['brute-force'];
  return {
    at: T0,
    source: source as Address,
    kind: tier === 'E0' ? 'scan' : tier === 'E1' ? 'touch' : 'credentials',
    tier,
    reasons,
    origin: tier === 'E0' ? 'kernel' : 'trap',
    port: 22,
    protocol: 'tcp',
    summary: 'seen by a test',
    ...more,
  };
}

export const see = (ledger: Ledger, source: string, tier: Tier = 'E1', now: UnixMs = T0): readonly Decision[] =>
  ledger.handle({ kind: 'sighting', sighting: sighting(source, tier) }, now).decisions;

export const order = (ledger: Ledger, target: string, now: UnixMs = T0, expiresAt: UnixMs | null = null): readonly Decision[] =>
  ledger.handle({ kind: 'order-ban', target: target as Prefix, expiresAt }, now).decisions;

export const lift = (ledger: Ledger, target: string, now: UnixMs = T0): readonly Decision[] =>
  ledger.handle({ kind: 'order-lift', target: target as Prefix }, now).decisions;

export const entry = (target: string, cause: AllowCause = 'operator', why = `a test says ${cause}`): AllowEntry => ({
  target: target as Prefix,
  cause,
  why,
  since: T0,
});

export const allow = (ledger: Ledger, target: string, now: UnixMs = T0): readonly Decision[] =>
  ledger.handle({ kind: 'allow', entry: entry(target) }, now).decisions;

export const autoAllow = (ledger: Ledger, entries: readonly AllowEntry[], now: UnixMs = T0): LedgerOutcome =>
  ledger.handle({ kind: 'auto-allow', entries }, now);

export const tick = (ledger: Ledger, now: UnixMs): readonly Decision[] => ledger.handle({ kind: 'tick' }, now).decisions;

export const targets = (ledger: Ledger): readonly string[] =>
  ledger
    .bans()
    .map(ban => ban.target)
    .sort();

/** Decisions in short: `ban 203.0.113.7/32`. */
export function brief(decisions: readonly Decision[]): readonly string[] {
  return decisions.map(decision => {
    switch (decision.kind) {
      case 'ban':
        return `${decision.change} ${decision.ban.target}`;
      case 'aggregate':
        return `aggregate ${decision.ban.target} for ${decision.replaces.map(ban => ban.target).join(' ')}`;
      case 'evict':
        return `evict ${decision.ban.target} for ${decision.for}`;
      case 'lift':
        return `lift ${decision.ban.target}: ${decision.why}`;
      case 'expire':
        return `expire ${decision.ban.target}`;
      case 'record':
        return `record ${decision.why}`;
      case 'refuse':
        return `refuse ${decision.target}`;
      default:
        return `${decision.kind} ${decision.entry.target} (${decision.entry.cause})`;
    }
  });
}
