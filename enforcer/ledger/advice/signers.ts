/** What one signer is worth: trust that each error lowers and time mends slowly, and how much it may name in an hour. */
import { bitsOf, familyOf, type Prefix } from '@honeymesh/intel/address';
import { DAY_MS, HOUR_MS, type UnixMs } from '@honeymesh/intel/time';
import { type AdvicePolicy, SLOT_MS, type TrustPolicy, type Wrong } from './advice.ts';
import type { SignerRecord } from './records.ts';

/** Slots that an hour can touch: twelve whole ones and the one in which it ends. */
const SLOTS = HOUR_MS / SLOT_MS + 1;

export const stranger = (account: string, now: UnixMs): SignerRecord => ({ kind: 'signer', account, trust: 1, trustAt: now, named: [] });

/** A clock that went back mends nothing. */
export function trustOf({ trust, trustAt }: SignerRecord, { recoversPerDay }: TrustPolicy, now: UnixMs): number {
  return Math.min(1, trust + (recoversPerDay * Math.max(0, now - trustAt)) / DAY_MS);
}

export function blamed(record: SignerRecord, wrong: Wrong, policy: TrustPolicy, now: UnixMs): SignerRecord {
  const trust = Math.max(0, trustOf(record, policy, now) - policy.costs[wrong]);
  return { ...record, trust, trustAt: Math.max(record.trustAt, now) as UnixMs };
}

/** From then on nothing needs to be remembered of it. */
export function forgottenAt({ trust, trustAt, named }: SignerRecord, { recoversPerDay }: TrustPolicy): number {
  const mendedAt = trust >= 1 ? trustAt : recoversPerDay > 0 ? trustAt + Math.ceil(((1 - trust) / recoversPerDay) * DAY_MS) : Number.POSITIVE_INFINITY;
  const lastSlot = named.at(-1)?.[0];
  return Math.max(mendedAt, lastSlot === undefined ? 0 : (lastSlot + SLOTS) * SLOT_MS);
}

/** How much a target counts: an IPv4 prefix its addresses, an IPv6 prefix its /64s. */
export const sizeOf = (target: Prefix): number => 2 ** Math.max(0, (familyOf(target) === 4 ? 32 : 64) - bitsOf(target));

/** The signer with `target` named by now; null: it would be more than one may name in an hour. Slots that overlap the hour count whole, so that no hour holds more. */
export function naming(record: SignerRecord, target: Prefix, { mostPerHour }: AdvicePolicy, now: UnixMs): SignerRecord | null {
  const slot = Math.floor(now / SLOT_MS);
  // What was named after `now` was named before the clock was set back.
  const lately = record.named.filter(([at]) => at > slot - SLOTS);
  const size = sizeOf(target);
  const isV4 = familyOf(target) === 4;
  const sum = lately.reduce((total, [, ipv4, ipv6]) => total + (isV4 ? ipv4 : ipv6), size);
  if (sum > (isV4 ? mostPerHour.ipv4 : mostPerHour.ipv6)) return null;
  const [, ipv4, ipv6] = lately.find(([at]) => at === slot) ?? [slot, 0, 0];
  const counted: SignerRecord['named'][number] = [slot, ipv4 + (isV4 ? size : 0), ipv6 + (isV4 ? 0 : size)];
  return { ...record, named: [...lately.filter(([at]) => at !== slot), counted].sort((one, other) => one[0] - other[0]) };
}
