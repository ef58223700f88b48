/**
 * Which numbers of one sender's epoch were taken: a set of ranges, not a window, for live intel may be a day old when a partition heals. A sender
 * that leaves gaps on purpose has its oldest ones closed: what was in there will be refused, which is its own loss.
 */

/** First and last, both in it. */
export type Range = readonly [from: number, to: number];

export interface SeenNumbers {
  has(seq: number): boolean;
  /** False: it was in there already. */
  add(seq: number): boolean;
  /** Ascending, apart from each other. */
  ranges(): readonly Range[];
}

export const MOST_RANGES = 256;

export function createSeen(mostRanges: number = MOST_RANGES): SeenNumbers {
  const ranges: [number, number][] = [];

  /** The index of the first range that ends at `seq` or beyond. */
  function placeOf(seq: number): number {
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ranges[middle]?.[1] ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  const has = (seq: number): boolean => (ranges[placeOf(seq)]?.[0] ?? Number.POSITIVE_INFINITY) <= seq;

  return {
    has,
    add(seq) {
      if (has(seq)) return false;
      const at = placeOf(seq);
      const before = ranges[at - 1];
      const after = ranges[at];
      const follows = before !== undefined && before[1] === seq - 1;
      const precedes = after !== undefined && after[0] === seq + 1;
      if (follows && precedes) {
        before[1] = after[1];
        ranges.splice(at, 1);
      } else if (follows) {
        before[1] = seq;
      } else if (precedes) {
        after[0] = seq;
      } else {
        ranges.splice(at, 0, [seq, seq]);
        const [first, second] = ranges;
        if (ranges.length > mostRanges && first !== undefined && second !== undefined) {
          second[0] = first[0];
          ranges.shift();
        }
      }
      return true;
    },
    ranges: () => ranges,
  };
}
