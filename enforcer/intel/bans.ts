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
  /** Holds on the word of others alone; absent: on own evidence or by order. */
  readonly advised?: Advised;
  /** Who advised it, first one first; stays when own evidence follows. */
  readonly advisers?: readonly Adviser[];
  /** The operator's words, or the sentence that a rule gave. */
  readonly note?: string;
}

/** What the source sends reaches traps and nothing else, so that it can be heard out; a full ban follows at `fullAt` at the latest. */
export interface Confinement {
  readonly since: UnixMs;
  readonly fullAt: UnixMs;
}

/** A ban by advice: since when, and whether so few say so that it is only for minutes. */
export interface Advised {
  readonly since: UnixMs;
  readonly provisional: boolean;
}

/** Ways on which advice comes in. */
export const ADVICE_PATHS = ['mesh', 'hub'] as const;
export type AdvicePath = (typeof ADVICE_PATHS)[number];

/** One who advised a ban. */
export interface Adviser {
  /** Key id of who signed it. */
  readonly signer: string;
  /** As the signer's certificate says; null without one. */
  readonly site: string | null;
  readonly path: AdvicePath;
  /** When it was signed. */
  readonly at: UnixMs;
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
