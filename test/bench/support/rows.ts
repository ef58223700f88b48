/**
 * What a bench says: rows of the shape that docs/benchmarks.md promises, as a table on the terminal and as JSON in a file. Every bench ends with
 * `report(rows, ...)`; a goal that is missed is a row that says so, not a failure of the bench.
 */
import { writeFileSync } from 'node:fs';
import { type Column, table } from '#enforcer/cli/terminal.ts';

/** One line of a bench. Numbers are medians, in `unit`. */
export interface BenchRow {
  readonly what: string;
  readonly unit: string;
  readonly ours: number | null;
  /** Null where there is no peer, or it is not installed: `peerName` says which. */
  readonly peer: number | null;
  readonly peerName: string | null;
  /** ours / peer. */
  readonly ratio: number | null;
  /** Such as `<= 1 x peer`, `< 5 ms`. Null: a figure without a goal. */
  readonly goal: string | null;
  readonly met: boolean | null;
  readonly note?: string;
}

/** How `ours` must stand to the peer, or to a figure in the row's unit. The bound itself is good enough, but for `below`. */
export type Goal = { readonly atMost: number } | { readonly atLeast: number } | { readonly below: number };

export interface Comparison {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  /** Of ours / peer. */
  readonly goal?: Goal;
  readonly note?: string;
}

/** A row beside a peer that was measured in the same run. */
export function compared({ what, unit, ours, peer, peerName, goal, note }: Comparison): BenchRow {
  const ratio = peer === 0 ? null : ours / peer;
  return {
    what,
    unit,
    ours,
    peer,
    peerName,
    ratio,
    goal: goal === undefined ? null : `${wordsOf(goal)} x peer`,
    met: goal === undefined || ratio === null ? null : holds(ratio, goal),
    ...(note === undefined ? {} : { note }),
  };
}

export interface Absence {
  readonly what: string;
  readonly unit: string;
  /** Null where without the peer's tools ours could not be measured either. */
  readonly ours: number | null;
  readonly peerName: string;
  /** Such as `not installed`, or what it said when it was started. */
  readonly why: string;
}

/** A row whose peer could not be measured: never left out, and nothing is claimed. */
export function withoutPeer({ what, unit, ours, peerName, why }: Absence): BenchRow {
  return { what, unit, ours, peer: null, peerName, ratio: null, goal: null, met: null, note: `${peerName}: ${why}` };
}

export interface Figure {
  readonly what: string;
  readonly unit: string;
  /** Null where it could not be measured here; the note says why. */
  readonly ours: number | null;
  /** Of ours, in `unit`. */
  readonly goal?: Goal;
  readonly note?: string;
}

/** A row that stands for itself, with a goal in its own unit or none. */
export function figure({ what, unit, ours, goal, note }: Figure): BenchRow {
  return {
    what,
    unit,
    ours,
    peer: null,
    peerName: null,
    ratio: null,
    goal: goal === undefined ? null : `${wordsOf(goal)} ${unit}`,
    met: goal === undefined || ours === null ? null : holds(ours, goal),
    ...(note === undefined ? {} : { note }),
  };
}

function holds(value: number, goal: Goal): boolean {
  if ('atMost' in goal) return value <= goal.atMost;
  return 'atLeast' in goal ? value >= goal.atLeast : value < goal.below;
}

function wordsOf(goal: Goal): string {
  if ('atMost' in goal) return `<= ${goal.atMost}`;
  return 'atLeast' in goal ? `>= ${goal.atLeast}` : `< ${goal.below}`;
}

export interface ReportOptions {
  readonly title: string;
  /** Where the rows go as a JSON array, beside the terminal. */
  readonly jsonPath: string | null;
  readonly write?: (text: string) => void;
}

/** Prints the table with the notes below, and writes the file. Notes that several rows share are printed once. */
export function report(rows: readonly BenchRow[], { title, jsonPath, write = text => process.stdout.write(text) }: ReportOptions): void {
  write(`${title}\n\n${table(rows, COLUMNS, { colours: process.stdout.isTTY === true })}\n`);
  for (const note of new Set(rows.flatMap(row => row.note ?? []))) write(`- ${note}\n`);
  const judged = rows.filter(row => row.met !== null);
  const missed = judged.filter(row => row.met === false);
  const names = missed.map(({ what, peerName }) => (peerName === null ? what : `${what} (beside ${peerName})`)).join('; ');
  write(`${judged.length - missed.length} of ${judged.length} goals met${names === '' ? '' : `; missed: ${names}`}\n`);
  if (jsonPath !== null) writeFileSync(jsonPath, `${JSON.stringify(rows, null, 2)}\n`);
}

const COLUMNS: readonly Column<BenchRow>[] = [
  { title: 'what', of: row => row.what },
  { title: 'unit', of: row => row.unit },
  { title: 'ours', of: row => shown(row.ours), right: true },
  { title: 'peer', of: row => shown(row.peer), right: true },
  { title: 'peer is', of: row => row.peerName ?? '-' },
  { title: 'ratio', of: row => (row.ratio === null ? '-' : row.ratio.toFixed(2)), right: true },
  { title: 'goal', of: row => row.goal ?? '-' },
  { title: 'met', of: row => (row.met === null ? '-' : row.met ? 'yes' : 'NO') },
];

/** Three significant digits, none invented: 15.2, 1,580, 0.042. */
export function shown(value: number | null): string {
  if (value === null) return '-';
  if (value === 0) return '0';
  return Number(value.toPrecision(3)).toLocaleString('en', { maximumSignificantDigits: 3 });
}
