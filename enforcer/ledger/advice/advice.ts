/** What others advise and take back, as plain values: the ledger does not know how they travelled. Their signatures were checked before. */
import type { Prefix } from '@honeymesh/intel/address';
import type { AdvicePath } from '@honeymesh/intel/bans';
import type { Tier } from '@honeymesh/intel/evidence';
import type { Reason } from '@honeymesh/intel/reasons';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';

/** Who speaks, on which way. */
export interface Speaker {
  /** Key id of who signed it. */
  readonly signer: string;
  /** Whether its certificate is one of this host's own registrar. Without it nobody has a vote of its own: the hub's way has one for all of these, the mesh none. */
  readonly certified: boolean;
  /** As the certificate says; null without one. */
  readonly site: string | null;
  readonly path: AdvicePath;
}

/** One target of one envelope: named by (signer, epoch, sequence, target) on every way. */
export interface ReceivedAdvice extends Speaker {
  readonly epoch: number;
  readonly sequence: number;
  readonly issuedAt: UnixMs;
  /** Absolute. Holds no longer than `longestMs` from issuedAt, whatever it says. */
  readonly expiresAt: UnixMs;
  readonly target: Prefix;
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
}

/** Takes back what the same signer said of `target` up to and with its envelope (epoch, sequence); null: all that this envelope said. */
export interface ReceivedWithdrawal extends Speaker {
  readonly epoch: number;
  readonly sequence: number;
  readonly issuedAt: UnixMs;
  readonly target: Prefix | null;
  /** The signer says that it was wrong, not only that it is over: that costs trust, little. */
  readonly asError: boolean;
}

/** What the mesh knows and the ledger asks. */
export interface MeshSurroundings {
  /** Sites of certified members, this host's included; and those members. What is not known is 1. */
  readonly sites: number;
  readonly hosts: number;
  /** Where the hub answers: what is banned could not be heard any more. */
  readonly hubEndpoints: readonly Prefix[];
  /** A member that answered a probe of ours in the last 10 min and lies in `prefix`, or null. */
  answered(prefix: Prefix): string | null;
}

/** No mesh: nothing is known of others. */
export const ALONE: MeshSurroundings = { sites: 1, hosts: 1, hubEndpoints: [], answered: () => null };

export interface AdvicePolicy {
  /** So many sites (hosts, where the mesh has one site) must say it for a ban that is more than provisional. */
  readonly quorum: number;
  readonly provisionalMs: number;
  /** No advice holds longer from when it was signed, no target longer on the same signers' word, who then count for nothing on it for `restMs`. */
  readonly longestMs: number;
  readonly restMs: number;
  /** How long a lifted target is immune. */
  readonly immuneMs: number;
  /** How far ahead of ours the clock of an honest peer may be. */
  readonly skewMs: number;
  /** The widest prefixes that are taken, in bits. */
  readonly widest: { readonly 4: number; readonly 6: number };
  /** What one signer may name in any hour, counted when it arrives: IPv4 addresses, IPv6 /64s. */
  readonly mostPerHour: { readonly ipv4: number; readonly ipv6: number };
  /** Never taken from others, as it is never told to them: it means something else on each network (share.never). */
  readonly never: readonly Prefix[];
  /** Targets that are remembered. */
  readonly targetsAtMost: number;
  readonly trust: TrustPolicy;
}

/** Trust is 1 for who was never wrong and 0 at the least. */
export interface TrustPolicy {
  /** Below this nobody has a vote. */
  readonly votesFrom: number;
  readonly recoversPerDay: number;
  readonly costs: Readonly<Record<Wrong, number>>;
}

/**
 * How a signer can be wrong: the operator lifted what it advised; it said itself that it erred; its prefix holds clients of ours, or its one source is one
 * (which may well be both client and attacker); it broke its rate or told two stories under one number.
 */
export const WRONGS = ['lifted', 'erred', 'hit-clients', 'named-client', 'misconduct'] as const;
export type Wrong = (typeof WRONGS)[number];

export const ADVICE_POLICY: AdvicePolicy = {
  quorum: 2,
  provisionalMs: 10 * MINUTE_MS,
  longestMs: DAY_MS,
  restMs: DAY_MS,
  immuneMs: DAY_MS,
  skewMs: 30 * SECOND_MS,
  widest: { 4: 24, 6: 48 },
  mostPerHour: { ipv4: 4_096, ipv6: 65_536 }, // sixteen /24, one /48
  never: [],
  targetsAtMost: 65_536,
  trust: { votesFrom: 0.5, recoversPerDay: 0.1, costs: { lifted: 0.2, erred: 0.05, 'hit-clients': 0.2, 'named-client': 0.01, misconduct: 0.5 } },
};

/** Why advice is not taken: a closed list, each with its sentence in `refusals`. */
export const ADVICE_REFUSALS = [
  'unsigned',
  'not-proven',
  'expired',
  'ahead-of-time',
  'too-wide',
  'special',
  'never-shared',
  'own',
  'on-link',
  'allowed',
  'hub',
  'member',
  'immune',
  'withdrawn',
  'spent',
  'distrusted',
  'clients',
  'too-many',
  'no-room',
] as const;
export type AdviceRefusal = (typeof ADVICE_REFUSALS)[number];

/** What taken advice does: the target is banned by it, for minutes only, not (yet), or was banned by this host before. */
export type AdviceEffect = 'banned' | 'provisional' | 'counted' | 'own-ban';

/** Refusals of one signer that are told one by one in SLOT_MS; the others are counted, or whoever floods us would fill our log. */
export const MOST_TOLD = 32;
/** The hour of the cap is watched in slots of this length. */
export const SLOT_MS = HOUR_MS / 12;

/** Whoever has no certificate of ours shares one account and one voice. */
export const HUB_ACCOUNT = 'hub';
export const accountOf = ({ signer, certified }: Speaker): string => (certified ? signer : HUB_ACCOUNT);

/** Whether what was said as (epoch, sequence) is older than `other`. */
export const isBefore = (one: Numbered, other: Numbered): boolean => one.epoch < other.epoch || (one.epoch === other.epoch && one.sequence < other.sequence);

export interface Numbered {
  readonly epoch: number;
  readonly sequence: number;
}
