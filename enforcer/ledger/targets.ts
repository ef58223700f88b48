/** What a sighting bans: an IPv4 address, or the IPv6 /64 that its source can roam in, unless others live there. */
import { type Address, bitsOf, contains, familyOf, hostPrefix, networkOf, overlaps, type Prefix, prefixOf } from '@honeymesh/intel/address';
import { NEVER_BANNED, specialRange } from '@honeymesh/intel/special-ranges';
import type { AllowList } from './allow-list.ts';
import type { Bystanders } from './decisions.ts';
import type { Refusal } from './orders.ts';

export type SightedTarget = { readonly ok: true; readonly target: Prefix } | { readonly ok: false; readonly refusal: Refusal };

/** `source` is not allowed and not this host's own: the caller looked. */
export function sightedTarget(source: Address | Prefix, allowList: AllowList, bystanders: Bystanders): SightedTarget {
  const seen = source.includes('/') ? (source as Prefix) : hostPrefix(source as Address);
  const special = specialRange(seen, NEVER_BANNED);
  if (special !== undefined) {
    return refused(
      `it lies in ${special.prefix}, ${special.name}, which is never banned`,
      `look for the machine behind it: "honeymesh explain ${networkOf(seen)}" shows what it did`,
    );
  }
  if (familyOf(seen) === 4) return bitsOf(seen) === 32 ? { ok: true, target: seen } : refused(...NOT_ONE_SOURCE);
  if (bitsOf(seen) < 64) return refused(...NOT_ONE_SOURCE);
  const whole = prefixOf(networkOf(seen), 64);
  if (!isShared(whole, seen, allowList, bystanders)) return { ok: true, target: whole };
  return bitsOf(seen) === 128
    ? { ok: true, target: seen }
    : refused('others live in this /64, and which address did it was not seen', 'none is needed: its next proven touch names the address');
}

const NOT_ONE_SOURCE = ['what was seen names more than one source', 'none is needed: a touch that names its source is judged'] as const;

function refused(why: string, fix: string): SightedTarget {
  return { ok: false, refusal: { why, fix } };
}

/** Whether a ban of the /64 would hit a neighbour on the link, an allowed or proven source, this host, or what no ban may touch. */
function isShared(whole: Prefix, seen: Prefix, allowList: AllowList, bystanders: Bystanders): boolean {
  if (specialRange(whole, NEVER_BANNED) !== undefined) return true; // ::/64 holds the loopback address
  if (bystanders.onLink.some(link => overlaps(link, whole))) return true;
  if (bystanders.own.some(address => contains(whole, address))) return true;
  if (allowList.within(whole, 1).length > 0) return true;
  return bystanders.within(whole, 2).some(address => !contains(seen, address));
}
