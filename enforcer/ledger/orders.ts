/** What no order may ban, and what to do instead: the operator must not be able to lock out the host or themselves by a slip. */
import { bitsOf, contains, familyOf, isHostPrefix, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { AllowEntry, Ban } from '@honeymesh/intel/bans';
import { unreachable } from '@honeymesh/intel/parsed';
import { NEVER_BANNED, specialRange } from '@honeymesh/intel/special-ranges';
import { type AllowList, cutsOff } from './allow-list.ts';
import type { Bystanders } from './decisions.ts';

export interface Refusal {
  readonly why: string;
  readonly fix: string;
}

/** The widest ban by order. A registry's largest block to one holder is an IPv4 /8; in IPv6 a /16 (2630::/16). Wider is a slip of the pen. */
const WIDEST_BITS = { 4: 8, 6: 16 } as const;

const nameOf = (target: Prefix): string => (isHostPrefix(target) ? networkOf(target) : target);

/** Why a ban of `target` is refused, or null. */
export function banRefusal(target: Prefix, allowList: AllowList, bystanders: Bystanders): Refusal | null {
  if (bitsOf(target) === 0) {
    return { why: 'it is everybody', fix: 'to admit only allow-listed and proven sources set "mode: lockdown"; to ban a network name its prefix' };
  }
  const special = specialRange(target, NEVER_BANNED);
  if (special !== undefined) {
    const inside = contains(special.prefix, target);
    return {
      why: `it ${inside ? 'lies in' : 'contains'} ${special.prefix}, ${special.name}, which is never banned`,
      fix: inside ? 'none: nothing outside this machine or link has such an address' : `ban prefixes that leave ${special.prefix} out`,
    };
  }
  const widest = WIDEST_BITS[familyOf(target)];
  if (bitsOf(target) < widest) {
    return { why: `it is wider than a /${widest}, the widest ban there is`, fix: `ban it in prefixes of /${widest} or longer, or set "mode: lockdown"` };
  }
  const own = bystanders.own.find(address => contains(target, address));
  if (own !== undefined) {
    return isHostPrefix(target)
      ? { why: 'it is an address of this host', fix: 'none: a host does not ban itself' }
      : { why: `it contains ${own}, an address of this host`, fix: `ban prefixes that leave ${own} out` };
  }
  const cover = allowList.covering(target).at(-1);
  if (cover !== undefined) {
    const where = cover.target === target ? 'it is on the allow-list' : `it lies in ${nameOf(cover.target)}, which is on the allow-list`;
    return { why: `${where} because ${cover.why}`, fix: removalFix(cover) };
  }
  const cut = allowList.within(target).find(cutsOff);
  if (cut === undefined) return null;
  return { why: `it contains ${nameOf(cut.target)}, which is on the allow-list because ${cut.why}`, fix: `ban prefixes that leave ${nameOf(cut.target)} out` };
}

/** How an entry leaves the allow-list. */
function removalFix(entry: AllowEntry): string {
  switch (entry.cause) {
    case 'operator':
      return `"honeymesh allow remove ${nameOf(entry.target)}" first`;
    case 'config':
      return `take ${nameOf(entry.target)} out of "allow" in the configuration file`;
    case 'own':
      return 'none: it is an address of this host for as long as an interface has it';
    case 'gateway':
      return 'none: it is the gateway for as long as a default route names it';
    case 'dns':
      return `take ${nameOf(entry.target)} out of the name servers of this host (/etc/resolv.conf)`;
    case 'session':
      return 'end that session: its peer is allowed only while it is logged in';
    default:
      return unreachable(entry.cause);
  }
}

/** Why a lift of `target`, which has no ban of its own, is refused; null: nothing holds for it. */
export function liftRefusal(target: Prefix, cover: Ban | null, within: number): Refusal | null {
  if (cover !== null) {
    return {
      why: `it lies in the ban of ${cover.target}`,
      fix: `"honeymesh allow add ${nameOf(target)}" lets it through that ban, "honeymesh bans remove ${cover.target}" lifts the whole of it`,
    };
  }
  if (within === 0) return null;
  return {
    why: `there is no ban of exactly ${target}, but ${within === 1 ? 'one' : within} of what lies in it`,
    fix: '"honeymesh bans list" names them; lift them one by one, or allow the prefix',
  };
}

/** Why an entry may not enter the allow-list, or null. */
export function allowRefusal(target: Prefix): Refusal | null {
  if (bitsOf(target) > 0) return null;
  return { why: 'it is everybody', fix: 'to decide and record without dropping set "mode: observe", or "honeymesh pause 5m"' };
}

/** Why an entry stays on the allow-list; null: it is not on it. */
export function disallowRefusal(target: Prefix, allowList: AllowList): Refusal | null {
  const entry = allowList.get(target) ?? allowList.covering(target).at(-1);
  if (entry === undefined) return null;
  const where = entry.target === target ? 'it is allowed' : `it lies in ${nameOf(entry.target)}, which is allowed`;
  return { why: `${where} because ${entry.why}`, fix: removalFix(entry) };
}
