/**
 * A session's receipt: what was said in it, bounded, as it came. Made in the trap process, checked by the daemon, kept in the log's detail, shown by
 * `honeymesh explain`. Texts of the source hold one character (U+0000 to U+00FF) for each byte and are escaped where they are shown.
 */
import type { Finding } from '@honeymesh/intel/findings';

/** How a session came to its end; `done`: the protocol's own end (QUIT). */
export const SESSION_ENDS = ['done', 'deadline', 'peer', 'too-much', 'full', 'banned', 'stopped'] as const;
export type SessionEnd = (typeof SESSION_ENDS)[number];

export interface Credential {
  readonly user: string;
  /** A guess of the attacker's: masked where it is shown, if that is asked for. */
  readonly secret: string;
  /** Absent: clear text; else how it was hidden, such as `md5-challenge`. */
  readonly scheme?: string;
}

export interface Fingerprint {
  /** Such as `ja4`, `hassh`, `user-agent`. */
  readonly name: string;
  readonly value: string;
}

export const TRANSCRIPT_KINDS = ['credentials', 'command', 'request', 'payload', 'fingerprint', 'malformed'] as const;

export interface TranscriptLine {
  /** Milliseconds since accept(). */
  readonly atMs: number;
  /** The kind of the observation that it tells of. */
  readonly kind: (typeof TRANSCRIPT_KINDS)[number];
  readonly text: string;
}

export interface Receipt {
  /** The first bytes that the source sent, base64; at most LONGEST_HEAD of them. */
  readonly head: string;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly durationMs: number;
  readonly end: SessionEnd;
  readonly findings: readonly Finding[];
  readonly credentials: readonly Credential[];
  readonly fingerprints: readonly Fingerprint[];
  readonly transcript: readonly TranscriptLine[];
  /** What did not fit into the lists above. */
  readonly omitted: number;
}

export const LONGEST_HEAD = 256; // bytes of what a source said first
export const MOST_FINDINGS = 16;
export const MOST_CREDENTIALS = 32;
export const MOST_FINGERPRINTS = 8;
export const MOST_LINES = 64;
/** Characters of one text of a receipt, as of one name in it. */
export const LONGEST_TEXT = 512;
export const LONGEST_NAME = 64;
/** All texts of a receipt together, as `jsonBytes` counts them: with what frames them the receipt fits into an event's detail (LONGEST_DETAIL). */
export const MOST_TEXT_BYTES = 8_192;

/** Bytes that a text of U+0000 to U+00FF takes in JSON (never less than it takes), or infinity where it has other characters. */
export function jsonBytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20) bytes += 5;
    else if (code === QUOTE || code === BACKSLASH || code >= 0x7f) bytes += 1;
    if (code > 0xff) return Number.POSITIVE_INFINITY;
  }
  return bytes;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
