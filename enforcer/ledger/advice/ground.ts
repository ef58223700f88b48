/** What advice never touches, nor a prefix that holds one: this host and those on whom it stands, its members, whom the operator allowed or just let go. */
import { bitsOf, contains, familyOf, isHostPrefix, overlaps, type Prefix } from '@honeymesh/intel/address';
import { NEVER_BANNED, specialRange } from '@honeymesh/intel/special-ranges';
import type { AllowList } from '../allow-list.ts';
import type { Bystanders } from '../decisions.ts';
import type { AdvicePolicy, AdviceRefusal, MeshSurroundings } from './advice.ts';

export interface Ground {
  readonly policy: AdvicePolicy;
  readonly allowList: AllowList;
  readonly bystanders: Bystanders;
  readonly mesh: MeshSurroundings;
}

export interface Objection {
  readonly why: AdviceRefusal;
  readonly text: string;
}

/** Why no advice may ban `target`, or null. */
export function objection(target: Prefix, { policy, allowList, bystanders, mesh }: Ground): Objection | null {
  const widest = policy.widest[familyOf(target)];
  if (bitsOf(target) < widest) return { why: 'too-wide', text: `it is wider than a /${widest}` };
  const special = specialRange(target, NEVER_BANNED);
  if (special !== undefined) return { why: 'special', text: `it touches ${special.prefix}, ${special.name}` };
  const own = bystanders.own.find(address => contains(target, address));
  if (own !== undefined) return { why: 'own', text: `${own} is an address of this host` };
  const [allowed] = [...allowList.covering(target), ...allowList.within(target, 1)];
  if (allowed !== undefined) return { why: 'allowed', text: `${allowed.target} is on the allow-list: ${allowed.why}` };
  const hub = mesh.hubEndpoints.find(endpoint => overlaps(endpoint, target));
  if (hub !== undefined) return { why: 'hub', text: `the hub answers at ${hub}` };
  const member = mesh.answered(target);
  if (member !== null) return { why: 'member', text: `${member} is a member that answered lately` };
  const never = policy.never.find(prefix => overlaps(prefix, target));
  if (never !== undefined) return { why: 'never-shared', text: `it touches ${never}, which means something else on each network` };
  const link = isHostPrefix(target) ? undefined : bystanders.onLink.find(prefix => overlaps(prefix, target));
  return link === undefined ? null : { why: 'on-link', text: `it touches ${link}, a network of this host's own` };
}

/** Clients of this host in `target`: sources with accepted sessions. Whether the target is one source and that the client itself, or more than that. */
export function clientsIn(target: Prefix, bystanders: Bystanders): 'none' | 'it-is-one' | 'holds-some' {
  if (bystanders.within(target, 1).length === 0) return 'none';
  return familyOf(target) === 6 ? (bitsOf(target) >= 64 ? 'it-is-one' : 'holds-some') : isHostPrefix(target) ? 'it-is-one' : 'holds-some';
}
