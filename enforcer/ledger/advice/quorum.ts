/**
 * Whose word counts, and what it amounts to. A vote is a site's (a host's where the mesh has one site); all that comes by the hub without a certificate of
 * ours is one more. Each word counts for a day from when it first held the target, and for nothing on the day after: whoever says the same for ever holds
 * nothing beyond that. That the next ones go on in turn would do the same, so advice that held a target for a day in all holds it again only where more
 * than a third of the mesh says so, none of whom did before: fewer may all be compromised.
 */
import { strongerTier } from '@honeymesh/intel/evidence';
import { mergeReasons } from '@honeymesh/intel/reasons';
import type { UnixMs } from '@honeymesh/intel/time';
import { type AdvicePolicy, HUB_ACCOUNT, type MeshSurroundings } from './advice.ts';
import type { Counted, TargetRecord, Vote } from './records.ts';

export interface Verdict {
  readonly end: UnixMs;
  readonly provisional: boolean;
  /** Those whose word counts, in the order in which it came. */
  readonly votes: readonly Vote[];
  readonly tier: Vote['tier'];
  readonly reasons: Vote['reasons'];
}

export interface Standing {
  readonly policy: AdvicePolicy;
  readonly mesh: Pick<MeshSurroundings, 'sites' | 'hosts'>;
  /** Whether this account has a vote (trust). */
  readonly trusted: (account: string) => boolean;
}

type Mesh = Standing['mesh'];

/** Whose voice it is: a site's, a host's, the hub's. */
function voiceOf({ account, site }: Pick<Vote, 'account' | 'site'>, mesh: Mesh): string {
  if (account === HUB_ACCOUNT) return 'hub';
  return mesh.sites > 1 && site !== null ? `site ${site}` : `host ${account}`;
}

const isSame = (one: Pick<Vote, 'account' | 'site'>, other: Pick<Vote, 'account' | 'site'>, mesh: Mesh): boolean =>
  one.account === other.account || voiceOf(one, mesh) === voiceOf(other, mesh);

/** From when on a voice counts for this target, `now` if it never did; null: it rests. `counted`: of all records that overlap the target. */
export function countsSince(
  vote: Pick<Vote, 'account' | 'site'>,
  counted: readonly Counted[],
  { policy, mesh }: Pick<Standing, 'policy' | 'mesh'>,
  now: UnixMs,
): UnixMs | null {
  let since: number | null = null;
  for (const entry of counted) {
    if (!isSame(vote, entry, mesh) || entry.since + policy.longestMs + policy.restMs <= now) continue;
    if (entry.since + policy.longestMs <= now) return null;
    since = Math.min(since ?? entry.since, entry.since);
  }
  return (since ?? now) as UnixMs;
}

/** How long advice has held a target by `now`, in pieces less than a day's rest apart. */
export function heldFor({ heldMs, heldSince, heldUntil }: TargetRecord, { restMs }: AdvicePolicy, now: UnixMs): number {
  if (heldSince !== null) return heldMs + Math.max(0, now - heldSince);
  return heldUntil + restMs <= now ? 0 : heldMs;
}

/**
 * How long an address of a target was held at the most, by any of the records that overlap it. One that begins to hold goes on from there: an address is not
 * held anew by a prefix that holds it.
 */
export const longestHeld = (overlapping: readonly TargetRecord[], policy: AdvicePolicy, now: UnixMs): number =>
  overlapping.reduce((most, record) => Math.max(most, heldFor(record, policy, now)), 0);

/** What is needed where advice held a target for long enough: more than a third of the mesh. */
const needAgain = ({ policy, mesh }: Standing): number => Math.max(policy.quorum, Math.floor((mesh.sites > 1 ? mesh.sites : mesh.hosts) / 3) + 1);

/** What these votes amount to, or null. `overlapping`: the records of all targets that overlap this one, its own too: an address is held by any of them. */
export function judge(votes: readonly Vote[], overlapping: readonly TargetRecord[], standing: Standing, now: UnixMs): Verdict | null {
  const { policy, mesh } = standing;
  const counted = overlapping.flatMap(record => record.counted);
  const heldMs = longestHeld(overlapping, policy, now);
  const voices = new Map<string, { end: number; provisionalEnd: number }>();
  const counting: Vote[] = [];
  for (const vote of votes) {
    if (vote.expiresAt <= now || !standing.trusted(vote.account)) continue;
    const since = countsSince(vote, counted, standing, now);
    if (since === null) continue;
    counting.push(vote);
    const end = Math.min(vote.expiresAt, since + policy.longestMs);
    const provisionalEnd = Math.min(end, since + policy.provisionalMs);
    const voice = voices.get(voiceOf(vote, mesh));
    voices.set(voiceOf(vote, mesh), { end: Math.max(end, voice?.end ?? 0), provisionalEnd: Math.max(provisionalEnd, voice?.provisionalEnd ?? 0) });
  }
  const ends = [...voices.values()].map(voice => voice.end).sort((one, other) => other - one);
  const leftMs = policy.longestMs - heldMs;
  const fullEnd = leftMs > 0 ? Math.min(ends[policy.quorum - 1] ?? 0, now + leftMs) : 0;
  const againEnd = leftMs > 0 ? 0 : (ends[needAgain(standing) - 1] ?? 0);
  const end = Math.max(fullEnd, againEnd);
  if (end > now) return verdict(end, false, counting);
  const provisionalEnd = Math.min(now + leftMs, Math.max(0, ...[...voices.values()].map(voice => voice.provisionalEnd)));
  return provisionalEnd > now ? verdict(provisionalEnd, true, counting) : null;
}

function verdict(end: number, provisional: boolean, votes: readonly Vote[]): Verdict {
  return {
    end: end as UnixMs,
    provisional,
    votes,
    tier: votes.reduce<Vote['tier']>((tier, vote) => strongerTier(tier, vote.tier) as Vote['tier'], 'E1'),
    reasons: votes.reduce<Vote['reasons']>((reasons, vote) => mergeReasons(reasons, vote.reasons), []),
  };
}
