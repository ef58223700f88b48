/** Rows as they are (a JSON array, NDJSON, CSV), and the list of banned targets that firewalls read. */
import { safeJson } from '@honeymesh/intel/escape';
import type { EventRow } from '../../control/operations.ts';
import { type EventExport, type ExportSurroundings, placeOf } from './form.ts';

/** Targets that were written lately and are not written again: an export of any length stays within this. */
const REMEMBERED = 50_000;

export function jsonExport(): EventExport {
  let started = false;
  return {
    head: '[',
    rows(page) {
      const text = page.map((row, at) => `${started || at > 0 ? ',' : ''}\n${safeJson(JSON.stringify(row))}`).join('');
      started ||= page.length > 0;
      return text;
    },
    proof: () => '',
    foot: '\n]\n',
  };
}

export const ndjsonExport = (): EventExport => ({
  head: '',
  rows: page => page.map(row => `${safeJson(JSON.stringify(row))}\n`).join(''),
  proof: () => '',
  foot: '',
});

export const csvExport = (): EventExport => ({
  head: csvLine(CSV_COLUMNS.map(column => column.name)),
  rows: page => page.map(row => csvLine(CSV_COLUMNS.map(column => column.of(row)))).join(''),
  proof: () => '',
  foot: '',
});

/** Targets of bans, one a line: those that are over are left out, of doubles that lie close together all but the first. */
export function listExport({ nowMs }: ExportSurroundings): EventExport {
  const written = createRecent(REMEMBERED);
  const lineOf = (row: EventRow): string => {
    if (row.kind !== 'ban' || row.target === undefined || row.wouldBan === true) return '';
    const expiresAt = row.detail?.expiresAt;
    if (typeof expiresAt === 'number' && expiresAt <= nowMs) return '';
    return written.add(row.target) ? `${placeOf(row.target).text}\n` : '';
  };
  return {
    head: '',
    rows: page => page.map(lineOf).join(''),
    proof: proof => `# ${safeJson(JSON.stringify(proof))}\n`,
    foot: '',
  };
}

/** A set of bounded size: the older half goes when the newer one is full. */
export function createRecent(most: number): { add(text: string): boolean } {
  let newer = new Set<string>();
  let older = new Set<string>();
  return {
    add(text) {
      if (newer.has(text) || older.has(text)) return false;
      if (newer.size >= most / 2) [older, newer] = [newer, new Set()];
      newer.add(text);
      return true;
    },
  };
}

type Cell = string | number | boolean | null;

const CSV_COLUMNS: readonly { readonly name: string; readonly of: (row: EventRow) => Cell }[] = [
  { name: 'id', of: row => row.id },
  { name: 'at', of: row => row.at },
  { name: 'kind', of: row => row.kind },
  { name: 'source', of: row => row.source },
  { name: 'port', of: row => row.port },
  { name: 'protocol', of: row => row.protocol },
  { name: 'tier', of: row => row.tier },
  { name: 'reasons', of: row => row.reasons.join(' ') },
  { name: 'techniques', of: row => row.techniques.join(' ') },
  { name: 'origin', of: row => row.origin },
  { name: 'summary', of: row => row.summary },
  { name: 'wouldBan', of: row => row.wouldBan ?? null },
  { name: 'target', of: row => row.target ?? null },
  { name: 'detail', of: row => (row.detail === undefined ? null : JSON.stringify(row.detail)) },
];

/** RFC 4180: CRLF, quotes doubled. */
const csvLine = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(',')}\r\n`;

/** A text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, "CSV Injection"): an attacker chooses user names. */
function csvCell(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell !== 'string') return String(cell);
  const harmless = /^\s*[=+\-@\t\r\n|%＝＋－＠]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(harmless) || harmless !== harmless.trim() ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
