/** Events as the operator's rows, and rows as files: a JSON array, NDJSON, CSV. */
import type { StoredEvent } from '@honeymesh/intel/events';
import { techniquesOf } from '@honeymesh/intel/reasons';
import { rfc3339, unixMs } from '@honeymesh/intel/time';
import type { EventRow } from '../control/operations.ts';

/** The last instant that a Date can hold (ECMA-262, 21.4.1.1). */
const LATEST_MS = 8.64e15;

export function toEventRow(event: StoredEvent): EventRow {
  const at = unixMs(Math.min(Math.max(event.at, -LATEST_MS), LATEST_MS));
  return {
    id: event.id,
    at: rfc3339(at),
    kind: event.kind,
    source: event.source,
    port: event.port,
    protocol: event.protocol,
    tier: event.tier,
    reasons: event.reasons,
    techniques: techniquesOf(event.reasons),
    origin: event.origin,
    summary: event.summary,
    ...(event.wouldBan === undefined ? {} : { wouldBan: event.wouldBan }),
    ...(event.target === undefined ? {} : { target: event.target }),
    ...(event.detail === undefined ? {} : { detail: event.detail }),
  };
}

export type ExportFormat = 'json' | 'ndjson' | 'csv';

/** What is written before, for each page, and after. One export, one object: JSON has to know where the first row was. */
export interface EventExport {
  readonly head: string;
  rows(page: readonly EventRow[]): string;
  readonly foot: string;
}

export function createExport(format: ExportFormat): EventExport {
  switch (format) {
    case 'json':
      return jsonExport();
    case 'ndjson':
      return { head: '', rows: page => page.map(row => `${JSON.stringify(row)}\n`).join(''), foot: '' };
    case 'csv':
      return {
        head: csvLine(CSV_COLUMNS.map(column => column.name)),
        rows: page => page.map(row => csvLine(CSV_COLUMNS.map(column => column.of(row)))).join(''),
        foot: '',
      };
  }
}

function jsonExport(): EventExport {
  let started = false;
  return {
    head: '[',
    rows(page) {
      const text = page.map((row, at) => `${started || at > 0 ? ',' : ''}\n${JSON.stringify(row)}`).join('');
      started ||= page.length > 0;
      return text;
    },
    foot: '\n]\n',
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
  const harmless = /^\s*[=+\-@\t\r\n|%]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(harmless) || harmless !== harmless.trim() ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
