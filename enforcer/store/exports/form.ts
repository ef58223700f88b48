/** What every export format is made of, and the proof that ties an export to the log. */
import type { EventRow } from '../../control/operations.ts';
import type { LogTip } from '../port.ts';

/**
 * Ties an export to the log that it was made from. `honeymesh events verify --proof` compares it: the chain's value at event `log.lastId` is `log.head`, which
 * stands for every event up to it, and the first `bytes` bytes of the export hash to `sha256`.
 */
export interface ExportProof {
  readonly honeymesh: 'export-proof';
  readonly version: 1;
  readonly host: string;
  readonly format: string;
  readonly exportedAt: string;
  /** Of the log when the export began: what came later is not in it. `firstId` is the oldest event that retention has left. */
  readonly log: LogTip;
  /** What was asked, in the words of "honeymesh events export". */
  readonly filters: Readonly<Record<string, unknown>>;
  readonly masked: boolean;
  readonly events: { readonly count: number; readonly firstId: number | null; readonly lastId: number | null };
  /** Bytes of the export that `sha256` (hex) covers: all of a file; within a format that carries its own proof, all that stands before it. */
  readonly bytes: number;
  readonly sha256: string;
}

/** What is written before, for each page, and after. One export, one object: some have to know what was before. */
export interface EventExport {
  readonly head: string;
  rows(page: readonly EventRow[]): string;
  /** The proof as a record of the format's own, for formats that have room for one. */
  proof(proof: ExportProof): string;
  readonly foot: string;
}

/** Who exports, and when: some formats name their observer, a list leaves out what is over. */
export interface ExportSurroundings {
  readonly host: string;
  readonly version: string;
  readonly nowMs: number;
}

/** The kinds of event that tell what somebody did to this host; the others are about this host itself. */
export const ATTACKS: ReadonlySet<string> = new Set(['scan', 'flood', 'touch', 'credentials', 'command', 'exploit', 'payload', 'auth']);

/** 0 to 10. What somebody said in a trap weighs more than what a spoofed packet may be. */
export function severityOf(row: EventRow): number {
  switch (row.kind) {
    case 'exploit':
      return 9;
    case 'command':
      return 8;
    case 'credentials':
    case 'payload':
      return 7;
    case 'ban':
    case 'flood':
    case 'degraded':
      return 6;
    case 'touch':
    case 'auth':
      return 5;
    case 'scan':
      return 4;
    default:
      return 2;
  }
}

/** Address or prefix; host prefixes as their address. */
export function placeOf(text: string): { readonly text: string; readonly address: boolean; readonly family: 4 | 6 } {
  const family = text.includes(':') ? 6 : 4;
  const bare = text.replace(family === 4 ? /\/32$/ : /\/128$/, '');
  return { text: bare, address: !bare.includes('/'), family };
}
