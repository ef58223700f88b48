/** Which map of the kernel holds a ban, and how much of it a tier may fill. */
import { bitsOf, familyOf, isHostPrefix, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { type Tier, tierNumber } from '@honeymesh/intel/evidence';
import type { LedgerPolicy } from './decisions.ts';

export const ROOMS = ['ipv4', 'ipv6', 'ipv6Exact', 'rules'] as const;
export type Room = (typeof ROOMS)[number];

export function roomOf(target: Prefix): Room {
  if (familyOf(target) === 4) return isHostPrefix(target) ? 'ipv4' : 'rules';
  if (isHostPrefix(target)) return 'ipv6Exact';
  return bitsOf(target) === 64 ? 'ipv6' : 'rules';
}

/** How much a ban weighs where room is short: on the word of others alone it weighs like what can be spoofed, and never displaces what this host saw. */
export const weightOf = (ban: Ban): Tier => (ban.advised === undefined ? ban.tier : 'E0');

/** Proven by a handshake or ordered: what the reserved share is kept for. */
export const isStrong = (tier: Tier): boolean => tierNumber(tier) >= tierNumber('E1');

/** Earned by evidence, so it may be evicted and aggregated; an operator's ban is neither. */
export const isAutomatic = (tier: Tier): boolean => tier !== 'operator';

/** How many bans of a room may be weak ones, so that the reserved share stays free for proof and orders. */
export const weakLimit = (policy: LedgerPolicy, room: Room): number => policy.capacity[room] - Math.ceil(policy.capacity[room] * policy.reservedShare);
