/** What this host tells others: its own full bans on proven evidence, and that they were wrong. Advice of others is not passed on as ours. */
import { bitsOf, familyOf, networkOf, overlaps, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import type { Origin } from '@honeymesh/intel/evidence';
import type { Reason } from '@honeymesh/intel/reasons';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Decision } from '../decisions.ts';
import { ADVICE_POLICY } from './advice.ts';

export interface Sharable {
  readonly yes: boolean;
  readonly why: string;
}

/** Whether a ban may be told to others; `never`: prefixes whose bans stay here (share.never). */
export function sharable(ban: Ban, never: readonly Prefix[]): Sharable {
  const inside = never.find(prefix => overlaps(prefix, ban.target));
  if (inside !== undefined) return { yes: false, why: `${inside} is in share.never: it means something else on each network` };
  if (ban.confined !== undefined) return { yes: false, why: 'it is confined to the traps still: it can be shared once the ban is full' };
  if (ban.advised !== undefined || !ban.origins.some(isOwn))
    return { yes: false, why: ban.tier === 'operator' ? ORDERED : 'others advised it: this host saw nothing of it itself' };
  if (ban.tier === 'E0') return { yes: false, why: 'its evidence can be spoofed' };
  if (ban.tier === 'operator') return { yes: false, why: ORDERED };
  const widest = ADVICE_POLICY.widest[familyOf(ban.target)];
  if (bitsOf(ban.target) < widest) return { yes: false, why: `it is wider than a /${widest}, the widest that is shared` };
  return { yes: true, why: `tier ${ban.tier}, ${networkOf(ban.target)} is no range of share.never` };
}

const isOwn = (origin: Origin): boolean => origin === 'trap' || origin === 'kernel';

const ORDERED = "it is by order, which holds on the operator's own host";

export type Shared =
  | { readonly kind: 'advise'; readonly target: Prefix; readonly tier: 'E1' | 'E2'; readonly reasons: readonly Reason[]; readonly expiresAt: UnixMs }
  /** Of the target and of what lies in it, as far as this host said something of that. `asError`: the operator lifted it. */
  | { readonly kind: 'withdraw'; readonly target: Prefix; readonly asError: boolean };

/** What others are told of a decision, or null. Target, reasons, tier and end, nothing else. */
export function sharedBy(decision: Decision, never: readonly Prefix[]): Shared | null {
  if (decision.kind === 'lift') {
    const { target, advised, origins } = decision.ban;
    if (advised !== undefined || !origins.some(isOwn) || never.some(prefix => overlaps(prefix, target))) return null;
    return { kind: 'withdraw', target, asError: decision.why === 'order' };
  }
  if (decision.kind !== 'ban' && decision.kind !== 'aggregate') return null;
  const { ban } = decision;
  if (!sharable(ban, never).yes || ban.expiresAt === null || (ban.tier !== 'E1' && ban.tier !== 'E2')) return null;
  return { kind: 'advise', target: ban.target, tier: ban.tier, reasons: ban.reasons, expiresAt: ban.expiresAt };
}
