/** What the hub has of each epoch of a host, said together: numbers up to which nothing is missing, and what lies beyond. */
import { MOST_RECEIPT_RANGES, MOST_RECEIPT_REFUSALS, REPORT_REFUSALS, type Receipt } from '@honeymesh/intel/hub-messages';
import type { SpanRecord } from './admit.ts';

export type Range = readonly [from: number, to: number];

/** Ascending and apart; the lowest are kept: what lies beyond is sent again and comes back then. */
export function mergeRanges(ranges: readonly Range[], most: number = MOST_RECEIPT_RANGES): readonly Range[] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((one, other) => one[0] - other[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged.slice(0, most);
}

/** The numbers that a span settles: those that came and those that were not meant for the hub. */
export const settledBy = ({ taken, refused }: SpanRecord): readonly Range[] => [
  ...taken.map(({ previous, seq }): Range => [previous + 1, seq]),
  ...refused.filter(({ why }) => REPORT_REFUSALS[why].final).map(({ previous, seq }): Range => [previous + 1, seq]),
];

/** `settled`: of the whole epoch, merged. */
export function receiptOf(epoch: number, settled: readonly Range[], refused: SpanRecord['refused'], nowMs: number): Receipt {
  const [first, ...rest] = settled;
  const contiguous = first !== undefined && first[0] <= 1;
  return {
    v: 1,
    at: nowMs,
    epoch,
    upTo: contiguous ? first[1] : 0,
    ranges: contiguous ? rest : settled,
    refused: refused.slice(-MOST_RECEIPT_REFUSALS).map(({ seq, why }) => ({ seq, why })),
  };
}
