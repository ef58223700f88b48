/** A ban: what is dropped, since when, until when, and on which evidence. */
import type { Prefix } from './address.ts';
import type { Origin, Tier } from './evidence.ts';
import type { Reason } from './reasons.ts';
import type { UnixMs } from './time.ts';

export interface Ban {
  /** A host prefix (/32, /128), an IPv6 /64, or a wider prefix. */
  readonly target: Prefix;
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
  /** Who said so, first one first, each once. */
  readonly origins: readonly Origin[];
  readonly createdAt: UnixMs;
  /** null: no end (an operator's order). */
  readonly expiresAt: UnixMs | null;
  /** How often this target was banned within the memory of repeat offenders, this ban included. */
  readonly offences: number;
  /** Held to the traps for now; absent: a full ban. */
  readonly confined?: Confinement;
  /** The operator's words, or the sentence that a rule gave. */
  readonly note?: string;
}

/** What the source sends reaches traps and nothing else, so that it can be heard out; a full ban follows at `fullAt` at the latest. */
export interface Confinement {
  readonly since: UnixMs;
  readonly fullAt: UnixMs;
}

/** How long a source that touched a trap is listened to before its full ban: not at all, one talk, or several. */
export const PATIENCES = ['instant', 'listen', 'study'] as const;
export type Patience = (typeof PATIENCES)[number];

/** Why an address or prefix is on the allow-list. `while-it-lasts` entries follow an open admin session. */
export const ALLOW_CAUSES = ['config', 'operator', 'own', 'gateway', 'dns', 'session'] as const;
export type AllowCause = (typeof ALLOW_CAUSES)[number];

export interface AllowEntry {
  readonly target: Prefix;
  readonly cause: AllowCause;
  readonly why: string;
  readonly since: UnixMs;
}
