/**
 * Confinement: a source that touched a trap is held to the traps and heard out; then its ban is full, whatever it does meanwhile. A confined ban drops what
 * the source sends to real services like a full one, so nothing here shortens or weakens a ban, and nothing but evidence, the traps' word, time or an order
 * changes one.
 */
import type { Ban } from '@honeymesh/intel/bans';
import type { EventKind } from '@honeymesh/intel/events';
import { CONTENT_KINDS } from '@honeymesh/intel/findings';
import type { Sighting } from '@honeymesh/intel/sightings';
import type { UnixMs } from '@honeymesh/intel/time';
import type { CompletedBy, LedgerPolicy } from './decisions.ts';
import { endOf, type Merged, mergedSighting, termMs } from './terms.ts';

const CONTENT: ReadonlySet<EventKind> = new Set(CONTENT_KINDS);

/** What a trap heard, as against what others tell or what happened elsewhere (guessing at the dashboard). */
const isTalk = ({ origin, kind }: Sighting): boolean => origin === 'trap' && (kind === 'touch' || CONTENT.has(kind));

const listens = ({ mode, patience }: LedgerPolicy): boolean => mode !== 'observe' && patience.kind !== 'instant' && patience.longestMs > 0;

/** Whether the source of a first sighting is heard out before its full ban. Content without a ban: the touch before it was lost. */
export function isHeardOut(sighting: Sighting, policy: LedgerPolicy): boolean {
  if (!listens(policy) || !isTalk(sighting)) return false;
  return sighting.tier === 'E1' ? sighting.kind === 'touch' : policy.patience.kind === 'study';
}

/** The new ban, confined from now on. Its end comes after the confinement's, so that in the kernel too it is full before it is over. */
export function confinedBan(ban: Ban, { patience }: LedgerPolicy, now: UnixMs): Ban {
  const fullAt = (now + patience.longestMs) as UnixMs;
  const earnedMs = endOf(ban) - now;
  return { ...ban, expiresAt: earnedMs > patience.longestMs ? ban.expiresAt : ((fullAt + earnedMs) as UnixMs), confined: { since: now, fullAt } };
}

/** The same ban, full. */
export function unconfined({ confined: _, ...ban }: Ban): Ban {
  return ban;
}

/** The same ban, full from `startsAt` on for the term that it earned. */
export function fullBan(held: Ban, policy: LedgerPolicy, startsAt: number): Ban {
  const ban = unconfined(held);
  if (ban.expiresAt === null) return ban;
  return { ...ban, expiresAt: Math.max(endOf(held), startsAt + termMs(policy, ban.tier, ban.offences)) as UnixMs };
}

export type Heard = { readonly confined: Merged } | { readonly full: Ban; readonly why: CompletedBy };

/** What a sighting makes of a confined ban; null: nothing that is not known. More talk never moves the day of the full ban. */
export function heard(held: Ban, sighting: Sighting, policy: LedgerPolicy, now: UnixMs): Heard | null {
  const talk = isTalk(sighting);
  if (talk && sighting.tier === 'E1') return null;
  const more = mergedSighting(held, sighting, policy, now);
  if (talk && policy.patience.kind === 'study' && listens(policy)) return more?.change === 'strengthened' ? { confined: more } : null;
  return { full: fullBan(more?.ban ?? held, policy, now), why: talk ? 'content' : 'evidence' };
}

/** When the ban is full at the latest. Under a policy that would not have confined it, or not for so long, that is sooner than it says itself. */
export function dueAt({ confined, tier }: Ban, policy: LedgerPolicy): number {
  if (confined === undefined) return Number.POSITIVE_INFINITY;
  if (!listens(policy) || (policy.patience.kind === 'listen' && tier !== 'E1')) return confined.since;
  return Math.min(confined.fullAt, confined.since + policy.patience.longestMs);
}
