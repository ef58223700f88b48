/**
 * Many banned neighbours become one ban of their prefix: IPv4 /32 to /24, IPv6 /64 to /56, /56 to /48; only where each was proven
 * (E1 or more), and nobody else would be hit. An operator's ban neither counts nor is replaced, nor does a confined one before it
 * is full: who is in it is still being heard.
 *
 * The prefix ban lasts as long as the longest of its members, but not longer than twice what the middle one has left: one repeat
 * offender with 30 days to go must not hold its neighbours for 30 days. Members that end later stay beside it, so nobody's ban
 * gets shorter. It is as strong as the weakest of its members.
 */
import { bitsOf, contains, familyOf, overlaps, type Prefix, widen } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { strongerTier } from '@honeymesh/intel/evidence';
import { mergeReasons } from '@honeymesh/intel/reasons';
import { NEVER_BANNED, specialRange } from '@honeymesh/intel/special-ranges';
import type { UnixMs } from '@honeymesh/intel/time';
import type { AllowList } from './allow-list.ts';
import type { Book } from './book.ts';
import type { Bystanders, LedgerPolicy } from './decisions.ts';
import type { Offences } from './offences.ts';
import { isAutomatic, isStrong, roomOf, weightOf } from './rooms.ts';
import { endOf, mergedOrigins, offenceNumber } from './terms.ts';

export interface WideningDeps {
  readonly policy: LedgerPolicy;
  readonly book: Book;
  readonly allowList: AllowList;
  readonly offences: Offences;
  readonly bystanders: Bystanders;
}

interface Step {
  readonly to: number;
  readonly at: number;
}

function stepOf(target: Prefix, policy: LedgerPolicy): Step | undefined {
  const bits = bitsOf(target);
  if (familyOf(target) === 4) return bits === 32 ? { to: 24, at: policy.aggregateAt } : undefined;
  return bits === 64 ? { to: 56, at: policy.widenAt } : bits === 56 ? { to: 48, at: policy.widenAt } : undefined;
}

/** The prefix ban that `ban` (in the book or about to be) completes, or undefined. Above the watermark half as many neighbours are enough. */
export function widened(ban: Ban, { policy, book, allowList, offences, bystanders }: WideningDeps, now: UnixMs): Ban | undefined {
  const step = stepOf(ban.target, policy);
  if (step === undefined || step.at === 0 || !counts(ban)) return undefined;
  const room = roomOf(ban.target);
  const pressed = book.count(room) >= policy.capacity[room] * policy.watermark;
  const enough = Math.max(2, pressed ? Math.ceil(step.at / 2) : step.at);
  const target = widen(ban.target, step.to);
  const inside = book.within(target);
  const members = [ban, ...inside.filter(held => held.target !== ban.target && bitsOf(held.target) === bitsOf(ban.target) && counts(held))];
  if (members.length < enough || book.covering(target).some(cover => cover.advised === undefined)) return undefined;
  if (hitsOthers(target, members, allowList, bystanders)) return undefined;
  const expiresAt = sharedEnd(members, policy, now);
  if (members.filter(member => endOf(member) <= expiresAt).length < 2) return undefined; // it would replace nothing
  const replaced = replacedBy(target, expiresAt, book);
  const freed = book.countWeak('rules') + replaced.filter(held => roomOf(held.target) === 'rules' && isStrong(weightOf(held))).length;
  if (book.count('rules') + allowList.size - freed >= policy.capacity.rules) return undefined;
  return {
    target,
    tier: members.every(member => strongerTier('E2', member.tier) === member.tier) ? 'E2' : 'E1',
    reasons: members.reduce<Ban['reasons']>((reasons, member) => mergeReasons(reasons, member.reasons), []),
    origins: members.reduce<Ban['origins']>((origins, member) => mergedOrigins(origins, member.origins), []),
    createdAt: now,
    expiresAt,
    offences: offenceNumber(offences, target, now),
    note: `${members.length} banned neighbours in ${target}`,
  };
}

/** What a prefix ban takes the place of: the full automatic bans in it that do not outlast it. */
export function replacedBy(target: Prefix, expiresAt: UnixMs | null, book: Book): readonly Ban[] {
  const end = expiresAt ?? Number.POSITIVE_INFINITY;
  return book.within(target).filter(held => held.target !== target && isAutomatic(held.tier) && held.confined === undefined && endOf(held) <= end);
}

const counts = (ban: Ban): boolean => isAutomatic(ban.tier) && isStrong(weightOf(ban)) && ban.confined === undefined;

function sharedEnd(members: readonly Ban[], policy: LedgerPolicy, now: UnixMs): UnixMs {
  const ends = members.map(endOf).sort((one, other) => one - other);
  const middle = ends[ends.length >> 1] ?? now;
  const latest = ends.at(-1) ?? now;
  return Math.min(latest, now + 2 * (middle - now), now + policy.longestMs) as UnixMs;
}

/** The collateral check: this host, its links, whoever is allowed, and sources with sessions to real services. */
function hitsOthers(target: Prefix, members: readonly Ban[], allowList: AllowList, bystanders: Bystanders): boolean {
  if (specialRange(target, NEVER_BANNED) !== undefined) return true;
  if (bystanders.own.some(address => contains(target, address))) return true;
  if (bystanders.onLink.some(link => overlaps(link, target))) return true;
  if (allowList.within(target, 1).length > 0 || allowList.covering(target).length > 0) return true;
  // A member that was a customer before it attacked is no bystander any more.
  return bystanders.within(target, members.length + 1).some(address => !members.some(member => contains(member.target, address)));
}
