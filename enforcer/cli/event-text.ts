/** Events for people: a table, or one line each. */
import type { EventRow } from '../control/operations.ts';
import { printable, type Terminal, table } from './terminal.ts';

const portText = ({ port, protocol }: EventRow): string => (port === null ? (protocol ?? '') : `${port}${protocol === null ? '' : `/${protocol}`}`);

export function eventsText(rows: readonly EventRow[], terminal: Terminal): string {
  return table(
    rows,
    [
      { title: 'ID', of: row => String(row.id), right: true },
      { title: 'AT', of: row => row.at },
      { title: 'KIND', of: row => `${row.kind}${row.wouldBan === true ? ' (would ban)' : ''}` },
      { title: 'SOURCE', of: row => row.source ?? '' },
      { title: 'PORT', of: portText },
      { title: 'TIER', of: row => row.tier ?? '' },
      { title: 'REASONS', of: row => row.reasons.join(',') },
      { title: 'SUMMARY', of: row => row.summary },
    ],
    terminal,
  );
}

/** One event on one line, for `tail`. */
export const eventLine = (row: EventRow): string =>
  printable([row.at, row.kind, row.source ?? '-', portText(row) || '-', row.tier ?? '-', row.summary].join('  '));
