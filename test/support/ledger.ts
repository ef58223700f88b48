/** What ledger tests share: a policy with round numbers, sightings, a host whose neighbours the test names. */

import { type Address, contains, type Prefix } from '@honeymesh/intel/address';
import type { AllowCause, AllowEntry } from '@honeymesh/intel/bans';
import type { Tier } from '@honeymesh/intel/evidence';
import type { Reason } from '@honeymesh/intel/reasons';
import type { Sighting } from '@honeymesh/intel/sightings';
import { DAY_MS, HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { Bystanders, Completion, Decision, Ledger, LedgerOutcome, LedgerPolicy } from '#enforcer/ledger/decisions.ts';
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
  patience: { kind: 'instant', longestMs: 0 },
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

export const complete = (ledger: Ledger, source: string, why: Completion, now: UnixMs = T0): readonly Decision[] =>
  ledger.handle({ kind: 'complete', source: source as Address, why }, now).decisions;

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
        return `${decision.ban.confined === undefined ? '' : 'confined '}${decision.change} ${decision.ban.target}${decision.why === undefined ? '' : `: ${decision.why}`}`;
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
      case 'advice-accepted':
        return `${decision.effect}${decision.wouldBan ? ' (would be)' : ''} ${decision.advice.target}`;
      case 'advice-refused':
        return `refused ${decision.advice.target}: ${decision.why}`;
      case 'withdrawal':
        return `withdrawn ${decision.targets.join(' ')}`;
      default:
        return `${decision.kind} ${decision.entry.target} (${decision.entry.cause})`;
    }
  });
}

/** What a source does, or the traps say of it, in the naive reckoning below. */
export type Act = 'touch' | 'content' | 'told' | 'complete' | 'order' | 'nothing';

export interface Reckoned {
  readonly endsAt: number;
  /** null: a full ban. */
  readonly fullAt: number | null;
  readonly offences: number;
}

/**
 * One source's ban, reckoned from the promises alone: a touch confines and starts a clock, hostile content ends that (`listen`) or not (`study`), evidence that
 * others told, the traps' word, an order and the clock end it, the term counts from then. Shares no code with the ledger. Time only goes forward.
 */
export function createReckoning({ patience, touchMs, contentMs, longestMs, memoryMs }: LedgerPolicy): (act: Act, now: number) => Reckoned | null {
  let ban: { endsAt: number; fullAt: number | null; offences: number; tier: 'E1' | 'E2' | 'operator' } | null = null;
  let before = { offences: 0, endedAt: Number.NEGATIVE_INFINITY };
  const term = (content: boolean, offences: number): number => Math.min(longestMs, (content ? contentMs : touchMs) * 2 ** (offences - 1));
  return (act, now) => {
    if (ban !== null && ban.fullAt !== null && now >= ban.fullAt) {
      ban.endsAt = Math.max(ban.endsAt, ban.fullAt + term(ban.tier === 'E2', ban.offences));
      ban.fullAt = null;
    }
    if (ban !== null && ban.endsAt <= now) {
      before = { offences: ban.offences, endedAt: ban.endsAt };
      ban = null;
    }
    const seen = act === 'touch' || act === 'content' || act === 'told';
    const isContent = act === 'content' || act === 'told';
    if (ban === null && (seen || act === 'order')) {
      const offences = before.endedAt + memoryMs > now ? before.offences + 1 : 1;
      const listens = act === 'touch' ? patience.kind !== 'instant' : act === 'content' && patience.kind === 'study';
      const fullAt = listens ? now + patience.longestMs : null;
      const earned = term(isContent, offences);
      const endsAt = fullAt === null || earned > patience.longestMs ? now + earned : fullAt + earned;
      ban =
        act === 'order'
          ? { endsAt: Number.POSITIVE_INFINITY, fullAt: null, offences, tier: 'operator' }
          : { endsAt, fullAt, offences, tier: isContent ? 'E2' : 'E1' };
    } else if (ban !== null && seen && ban.fullAt === null) {
      if (isContent && ban.tier === 'E1') ban.tier = 'E2';
      ban.endsAt = Math.max(ban.endsAt, now + term(isContent, ban.offences));
    } else if (ban !== null && act === 'content' && patience.kind === 'study') {
      if (ban.tier === 'E1') ban.endsAt = Math.max(ban.endsAt, now + term(true, ban.offences));
      ban.tier = 'E2';
    } else if (ban !== null && isContent) {
      ban.tier = 'E2';
      ban.endsAt = Math.max(ban.endsAt, now + term(true, ban.offences));
      ban.fullAt = null;
    } else if (ban !== null && act === 'complete' && ban.fullAt !== null) {
      ban.endsAt = Math.max(ban.endsAt, now + term(ban.tier === 'E2', ban.offences));
      ban.fullAt = null;
    } else if (ban !== null && act === 'order') {
      ban = { ...ban, endsAt: Number.POSITIVE_INFINITY, fullAt: null, tier: 'operator' };
    }
    return ban === null ? null : { endsAt: ban.endsAt, fullAt: ban.fullAt, offences: ban.offences };
  };
}
