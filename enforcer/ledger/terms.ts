/** How long a ban lasts, and what becomes of one when more is seen. Nothing here ever shortens a ban. */
import type { Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { type Origin, strongerTier, type Tier, tierNumber } from '@honeymesh/intel/evidence';
import { mergeReasons } from '@honeymesh/intel/reasons';
import type { Sighting } from '@honeymesh/intel/sightings';
import type { UnixMs } from '@honeymesh/intel/time';
import type { LedgerPolicy } from './decisions.ts';
import type { Offences } from './offences.ts';

export interface Merged {
  readonly ban: Ban;
  readonly change: 'prolonged' | 'strengthened';
}

/** The end of a ban as a number that compares: Infinity for one without end. */
export const endOf = (ban: Ban): number => ban.expiresAt ?? Number.POSITIVE_INFINITY;

/** What this tier earns at the nth offence: doubled at each, at most the longest. */
export function termMs(policy: LedgerPolicy, tier: Tier, offences: number): number {
  const firstMs = tierNumber(tier) >= tierNumber('E2') ? policy.contentMs : policy.touchMs;
  return Math.min(policy.longestMs, firstMs * 2 ** (offences - 1));
}

/**
 * The number of the offence that begins now. A ban that was replaced by a wider one goes on in it: until that ends, what is seen
 * (of connections that were open) is the same offence still.
 */
export function offenceNumber(offences: Offences, target: Prefix, now: UnixMs): number {
  const before = offences.get(target);
  if (before === undefined) return 1;
  return before.lastEndedAt > now ? before.count : before.count + 1;
}

/** Evidence of a sighting is E2 at the most: only an order makes an operator's ban. */
const evidenceOf = (sighting: Sighting): Tier => (sighting.tier === 'operator' ? 'E2' : sighting.tier);

export function firstBan(target: Prefix, sighting: Sighting, offences: number, policy: LedgerPolicy, now: UnixMs): Ban {
  const tier = evidenceOf(sighting);
  return {
    target,
    tier,
    reasons: mergeReasons(sighting.reasons, []),
    origins: [sighting.origin],
    createdAt: now,
    expiresAt: (now + termMs(policy, tier, offences)) as UnixMs,
    offences,
  };
}

/** More was seen while the ban is in force: the same offence, a later end, perhaps stronger evidence. Null: nothing that is not known. */
export function mergedSighting(held: Ban, sighting: Sighting, policy: LedgerPolicy, now: UnixMs): Merged | null {
  const more = firstBan(held.target, sighting, held.offences, policy, now);
  return merged(held, more);
}

/** Two accounts of the same target made one: the later end, the stronger tier, all reasons and origins. */
export function merged(held: Ban, more: Ban): Merged | null {
  const tier = strongerTier(held.tier, more.tier);
  const reasons = mergeReasons(held.reasons, more.reasons);
  const origins = mergedOrigins(held.origins, more.origins);
  const later = endOf(more) > endOf(held);
  const stronger = tier !== held.tier || reasons.length > held.reasons.length || origins.length > held.origins.length;
  const offences = Math.max(held.offences, more.offences);
  const note = more.note ?? held.note;
  if (!later && !stronger && offences === held.offences && note === held.note) return null;
  const ban: Ban = { ...held, tier, reasons, origins, offences, expiresAt: later ? more.expiresAt : held.expiresAt, ...(note === undefined ? {} : { note }) };
  return { ban, change: stronger ? 'strengthened' : 'prolonged' };
}

export function mergedOrigins(one: readonly Origin[], other: readonly Origin[]): readonly Origin[] {
  return [...new Set([...one, ...other])];
}
