/**
 * How many agree on a target: distinct hosts and distinct sites, counted over a row for each. The hub has no vote of its own and tells nobody to ban; what it
 * counts for is what cannot wait.
 */
import type { AdvisedTier } from '@honeymesh/intel/advisories';
import type { KeyId } from '@honeymesh/intel/envelope';
import type { UnixMs } from '@honeymesh/intel/time';

/** The latest of one host on one target. */
export interface Sighting {
  readonly kid: KeyId;
  readonly site: string;
  readonly tier: AdvisedTier;
  /** Its envelope: `itemId`. */
  readonly id: string;
  readonly votesFrom: UnixMs;
  readonly expiresAt: UnixMs;
}

/** What one host took back: of this target all up to and with an envelope. */
export interface TakenBack {
  readonly kid: KeyId;
  readonly upTo: string;
}

export interface TargetState {
  readonly sightings: readonly Sighting[];
  readonly takenBack: readonly TakenBack[];
  /** What was passed on as urgent already, while it holds. */
  readonly announced: { readonly firstE2: boolean; readonly quorum: boolean };
}

export type Urgency = 'first-e2' | 'quorum';

export interface Corroboration {
  readonly peers: number;
  readonly sites: number;
  readonly hasE2: boolean;
  readonly hasQuorum: boolean;
  /** News of this target that cannot wait for the digest. */
  readonly urgency: Urgency | null;
  /** Those that count, for whoever passes all of it on. */
  readonly standing: readonly Sighting[];
}

export function corroborate(state: TargetState, quorumSites: number, now: UnixMs): Corroboration {
  const upTo = new Map(state.takenBack.map(({ kid, upTo: id }) => [kid, id]));
  const standing = state.sightings.filter(one => one.expiresAt > now && one.id > (upTo.get(one.kid) ?? ''));
  const voting = standing.filter(one => one.votesFrom <= now);
  const sites = new Set(voting.map(one => one.site)).size;
  const hasE2 = voting.some(one => one.tier === 'E2');
  const hasQuorum = sites >= quorumSites;
  const urgency = hasQuorum && !state.announced.quorum ? 'quorum' : hasE2 && !state.announced.firstE2 ? 'first-e2' : null;
  return { peers: new Set(voting.map(one => one.kid)).size, sites, hasE2, hasQuorum, urgency, standing };
}
