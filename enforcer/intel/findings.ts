/** What detect makes of an attacker's words: which rule spoke, for which reason, and the words themselves. Shared by traps, ledger, log and receipts. */
import type { EventKind } from './events.ts';
import type { Reason } from './reasons.ts';

/** The kinds of event that hostile content is told as, strongest first: an event of a session has the strongest that was seen. */
export const CONTENT_KINDS = ['exploit', 'command', 'credentials', 'payload'] as const satisfies readonly EventKind[];
export type ContentKind = (typeof CONTENT_KINDS)[number];

/** Characters of a quote: one for each byte (U+0000 to U+00FF), escaped where it is shown. */
export const LONGEST_QUOTE = 200;
export const LONGEST_RULE = 48;

export interface Finding {
  /** Such as `log4shell`: lower-case letters, digits, dashes; at most LONGEST_RULE. Stable, so that logs of years compare. */
  readonly rule: string;
  readonly reason: Reason;
  readonly kind: ContentKind;
  /** The part of what was said that the rule saw. */
  readonly quote: string;
}
