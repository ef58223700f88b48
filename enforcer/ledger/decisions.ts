/** What goes into the book of bans and what comes out: values only, so that a simulator can run it on virtual time. */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { AllowEntry, Ban, Patience } from '@honeymesh/intel/bans';
import type { Mode } from '@honeymesh/intel/evidence';
import type { Sighting } from '@honeymesh/intel/sightings';
import type { UnixMs } from '@honeymesh/intel/time';
import type { AdviceEffect, AdvicePolicy, AdviceRefusal, ReceivedAdvice, ReceivedWithdrawal } from './advice/advice.ts';
import type { AdviceRecord } from './advice/records.ts';

export interface LedgerPolicy {
  readonly mode: Mode;
  /** First ban of a proven touch (E1) and of hostile content (E2); doubled at each repeat. */
  readonly touchMs: number;
  readonly contentMs: number;
  readonly longestMs: number;
  /** How long an offence is remembered, from the end of its ban. */
  readonly memoryMs: number;
  /** Rooms of the kernel's maps. `rules` counts allow rules and wider bans together. */
  readonly capacity: { readonly ipv4: number; readonly ipv6: number; readonly ipv6Exact: number; readonly rules: number };
  /** Share of the room kept for operator bans and handshake-proven ones, 0..1. */
  readonly reservedShare: number;
  /** Above this share of the room half as many neighbours become a prefix ban, ahead of need, 0..1. */
  readonly watermark: number;
  /** So many banned neighbours (E1 or more) within a /24 (IPv4) become one prefix ban, if nobody else is hit; 0: never. */
  readonly aggregateAt: number;
  /** IPv6: so many banned /64 of E1 evidence within a /56 (then /48) widen the ban; 0: never. */
  readonly widenAt: number;
  /** `longestMs`: from the first touch to the full ban, whatever the source does. With `instant` nobody is confined. In `listen` hostile content (E2) makes
   * the ban full at once, in `study` it does not. */
  readonly patience: { readonly kind: Patience; readonly longestMs: number };
  /** How far others are believed; absent: ADVICE_POLICY. */
  readonly advice?: AdvicePolicy;
}

/** Why a confined source is now fully banned: it touched a third port, its last session ended, it had as many sessions as `study` grants. */
export const COMPLETIONS = ['ports', 'session-end', 'sessions'] as const;
export type Completion = (typeof COMPLETIONS)[number];

/** What ended a confinement: the traps (`complete`), what the source said, somebody else's evidence, its time, an order. */
export type CompletedBy = Completion | 'content' | 'evidence' | 'time' | 'order';

/** Who would be hit by a prefix ban besides attackers: the host's own accepted sessions. Known to the caller, asked by the ledger. */
export interface Bystanders {
  /** Sources with sessions to real services now or lately, that lie in `prefix`; at most `limit` of them. */
  within(prefix: Prefix, limit: number): readonly Address[];
  /** Prefixes that lie on this host's links: a /64 there is a whole LAN. */
  readonly onLink: readonly Prefix[];
  /** Addresses of this host. */
  readonly own: readonly Address[];
}

export type LedgerInput =
  | { readonly kind: 'sighting'; readonly sighting: Sighting }
  /** The traps heard enough of a confined source: its ban becomes full. Nothing where it is not confined. */
  | { readonly kind: 'complete'; readonly source: Address; readonly why: Completion }
  | { readonly kind: 'order-ban'; readonly target: Prefix; readonly expiresAt: UnixMs | null; readonly note?: string }
  | { readonly kind: 'order-lift'; readonly target: Prefix }
  | { readonly kind: 'allow'; readonly entry: AllowEntry }
  | { readonly kind: 'disallow'; readonly target: Prefix }
  /** The whole set of what is allowed by itself (own, gateway, dns, session, config): replaces the former set. */
  | { readonly kind: 'auto-allow'; readonly entries: readonly AllowEntry[] }
  /** A ban that the kernel holds and the book does not know (found at reconciling): taken in as it is, but in full: nobody is left who would hear it out. */
  | { readonly kind: 'adopt'; readonly ban: Ban }
  /** What a peer says of a target, its signature checked. Known already, or older than what the same signer said last: nothing. */
  | { readonly kind: 'advice'; readonly advice: ReceivedAdvice }
  | { readonly kind: 'withdrawal'; readonly withdrawal: ReceivedWithdrawal }
  /** A signer broke its rate, or said two things under one number, and the proof was kept. */
  | { readonly kind: 'misconduct'; readonly signer: string }
  /** Its certificate was revoked: what it said holds no longer. */
  | { readonly kind: 'revoked'; readonly signer: string }
  | { readonly kind: 'tick' };

/**
 * `completed`: it was confined and is full now; whether it was prolonged or strengthened by that is secondary. `shortened`: a ban by advice of which a part was
 * taken back. Own evidence or an order in place of a ban by advice is `strengthened`, with an end of its own, which may come sooner: what advice still holds
 * then is banned anew.
 */
export type BanChange = 'new' | 'prolonged' | 'strengthened' | 'completed' | 'shortened';

export type Decision =
  /** `why`: there with the change `completed`. */
  | { readonly kind: 'ban'; readonly ban: Ban; readonly change: BanChange; readonly because: Sighting | null; readonly why?: CompletedBy }
  /** One prefix instead of many addresses; `replaces` are lifted with it. */
  | { readonly kind: 'aggregate'; readonly ban: Ban; readonly replaces: readonly Ban[]; readonly because: Sighting | null }
  /** `withdrawn`: advice held it, and does not any more. */
  | { readonly kind: 'lift'; readonly ban: Ban; readonly why: 'order' | 'allowed' | 'withdrawn' }
  | { readonly kind: 'expire'; readonly ban: Ban }
  | { readonly kind: 'evict'; readonly ban: Ban; readonly for: Prefix }
  | { readonly kind: 'allow'; readonly entry: AllowEntry }
  | { readonly kind: 'disallow'; readonly entry: AllowEntry }
  /** Seen and recorded, nothing else: E0, allow-listed, mode observe, or banned already for at least as long. */
  | { readonly kind: 'record'; readonly sighting: Sighting; readonly why: 'spoofable' | 'allowed' | 'observe' | 'banned'; readonly wouldBan: boolean }
  /** Advice was taken; the ban that it led to is a decision of its own. `wouldBan`: mode observe. */
  | { readonly kind: 'advice-accepted'; readonly advice: ReceivedAdvice; readonly effect: AdviceEffect; readonly wouldBan: boolean }
  /** `untold`: so many more of this signer were refused before and not told one by one. */
  | { readonly kind: 'advice-refused'; readonly advice: ReceivedAdvice; readonly why: AdviceRefusal; readonly text: string; readonly untold: number }
  /** `targets`: of which the signer had said something. Whatever was lifted by it are decisions of their own. */
  | { readonly kind: 'withdrawal'; readonly withdrawal: ReceivedWithdrawal; readonly targets: readonly Prefix[] }
  | { readonly kind: 'refuse'; readonly target: Prefix; readonly why: string; readonly fix: string; readonly because: Sighting | null };

/** What a ban of `target` would do, without doing it: `bans add --dry-run`. */
export interface DryRun {
  readonly target: Prefix;
  readonly refused: { readonly why: string; readonly fix: string } | null;
  /** Allow entries inside: they keep passing. */
  readonly allowedWithin: readonly AllowEntry[];
  readonly bystanders: readonly Address[];
  readonly bansWithin: readonly Ban[];
  readonly coveredBy: Ban | null;
  readonly addresses: string; // how many addresses the target holds, as a decimal number
}

/** What survives a restart: kept by the store, in the transaction of the events that tell of it. */
export interface LedgerSnapshot {
  readonly bans: readonly Ban[];
  /** Orders only; what is allowed by itself is found again at each start. */
  readonly allowed: readonly AllowEntry[];
  readonly offences: readonly Offence[];
  /** What is remembered of others' advice; absent: nothing. */
  readonly advice?: readonly AdviceRecord[];
}

export interface Offence {
  readonly target: Prefix;
  readonly count: number;
  readonly lastEndedAt: UnixMs;
}

export type LedgerChange =
  | { readonly kind: 'put-ban'; readonly ban: Ban }
  | { readonly kind: 'remove-ban'; readonly target: Prefix }
  | { readonly kind: 'put-allow'; readonly entry: AllowEntry }
  | { readonly kind: 'remove-allow'; readonly target: Prefix }
  | { readonly kind: 'put-offence'; readonly offence: Offence }
  | { readonly kind: 'remove-offence'; readonly target: Prefix }
  | { readonly kind: 'put-advice'; readonly record: AdviceRecord }
  | { readonly kind: 'remove-advice'; readonly key: string };

export interface LedgerOutcome {
  readonly decisions: readonly Decision[];
  readonly changes: readonly LedgerChange[];
}

export interface SignerStanding {
  readonly trust: number;
  readonly accepted: number;
  readonly refused: number;
}

export interface Ledger {
  handle(input: LedgerInput, now: UnixMs): LedgerOutcome;
  /** When `tick` has something to do next, or null. */
  nextDeadline(): UnixMs | null;
  dryRun(target: Prefix, now: UnixMs): DryRun;
  /** The ban that holds for `target`: its own, or the narrowest that covers it. */
  banOn(target: Prefix | Address, now: UnixMs): Ban | null;
  allowOn(target: Prefix | Address): AllowEntry | null;
  bans(): readonly Ban[];
  /** Rooms that are full, in words: what is new there comes in only where something weaker makes way. */
  fullRooms(): readonly { readonly why: string; readonly fix: string }[];
  allowed(): readonly AllowEntry[];
  offence(target: Prefix): Offence | null;
  /** How a signer stands: trust from 0 to 1, and what of its advice was taken and refused since the start. */
  standing(signer: string, now: UnixMs): SignerStanding;
  snapshot(): LedgerSnapshot;
}
