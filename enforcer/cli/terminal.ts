/** Where a command writes. What comes from outside is made printable first: an attacker's bytes must not steer a terminal. */
import { safeJson } from '@honeymesh/intel/escape';

export interface Terminal {
  write(text: string): void;
  writeError(text: string): void;
  readonly stdin: NodeJS.ReadableStream;
  /** A person types and reads: Ctrl-C means "take it off". */
  readonly interactive: boolean;
  readonly colours: boolean;
}

// C0 and C1 controls, zero-width and bidirectional marks, line separators: all that moves a cursor, hides or reorders text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to take out
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** One line of text for a terminal. */
export const printable = (text: string): string => text.replace(UNPRINTABLE, escaped);

/** JSON that is safe in a terminal: what JSON.stringify leaves as it is but a terminal acts on is escaped too. */
export const json = (value: unknown, indent = 2): string => safeJson(JSON.stringify(value, null, indent));

export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string;
  readonly right?: true;
}

const WIDEST = 60;

/** A table with a head. Every column but the last is cut at 60 characters. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], { colours }: { readonly colours: boolean }): string {
  const cells = rows.map(row => columns.map(({ of }, at) => cut(printable(of(row)), at === columns.length - 1 ? Number.POSITIVE_INFINITY : WIDEST)));
  const widths = columns.map(({ title }, at) => cells.reduce((width, row) => Math.max(width, row[at]?.length ?? 0), title.length));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => (columns[at]?.right === true ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  const head = line(columns.map(column => column.title));
  return `${[colours ? `\u001b[1m${head}\u001b[0m` : head, ...cells.map(line)].join('\n')}\n`;
}

/** Lines of `name  value` with the values in one column. */
export function pairs(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = rows.reduce((widest, [name]) => Math.max(widest, name.length), 0);
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}\n`).join('');
}

const cut = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 3)}...`);
