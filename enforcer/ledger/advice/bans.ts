/** A ban by advice, and what becomes of it when own evidence follows. It counts as no offence: this host saw none. */
import type { Prefix } from '@honeymesh/intel/address';
import type { Adviser, Ban } from '@honeymesh/intel/bans';
import type { Origin } from '@honeymesh/intel/evidence';
import { mergeReasons } from '@honeymesh/intel/reasons';
import type { UnixMs } from '@honeymesh/intel/time';
import type { BanChange } from '../decisions.ts';
import { endOf, mergedOrigins } from '../terms.ts';
import type { Verdict } from './quorum.ts';

/** Advisers that a ban names. */
const MOST_NAMED = 16;

/** The ban that this verdict makes; `held`: the ban by advice that is there. */
export function advisedBan(target: Prefix, { end, provisional, votes, tier, reasons }: Verdict, held: Ban | undefined, now: UnixMs): Ban {
  const advisers = votes.slice(0, MOST_NAMED).map(({ signer, site, path, issuedAt }): Adviser => ({ signer, site, path, at: issuedAt }));
  return {
    target,
    tier,
    reasons,
    origins: [...new Set(votes.map((vote): Origin => (vote.path === 'hub' ? 'hub' : 'peer')))],
    createdAt: held?.createdAt ?? now,
    expiresAt: end,
    offences: 0,
    advised: { since: held?.advised?.since ?? now, provisional },
    advisers,
  };
}

/** What is new in a ban by advice, or null. */
export function changeBetween(held: Ban, ban: Ban): Exclude<BanChange, 'new' | 'completed'> | null {
  if (endOf(ban) < endOf(held)) return 'shortened';
  const signersOf = ({ advisers = [] }: Ban): string => advisers.map(adviser => adviser.signer).join(' ');
  const said = (one: Ban): string => [one.tier, ...one.reasons, ...one.origins, one.advised?.provisional, signersOf(one)].join(' ');
  if (said(held) !== said(ban)) return 'strengthened';
  return endOf(ban) > endOf(held) ? 'prolonged' : null;
}

/** An own ban in the place of one by advice: its own end and tier; who warned of it is kept. */
export function inPlaceOf({ origins, reasons, advisers }: Ban, own: Ban): Ban {
  return { ...own, origins: mergedOrigins(origins, own.origins), reasons: mergeReasons(reasons, own.reasons), ...(advisers === undefined ? {} : { advisers }) };
}
