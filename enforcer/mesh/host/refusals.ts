/** What was refused at the door, counted by reason: whoever throws rubbish at us must not fill our log. */
import type { MeshWord } from '../port.ts';

export interface Refusals {
  /** `from`: an address or a name; null where there is none. */
  add(why: string, from: string | null): void;
  /** What came since it was last asked; null: nothing. */
  take(): Extract<MeshWord, { kind: 'refused' }> | null;
  readonly total: number;
}

/** All our reasons together are fewer; it is a bound all the same. */
export const MOST_REASONS = 96;
const OTHERS = 'other';

export function createRefusals(): Refusals {
  let counts = new Map<string, number>();
  let sample: string | null = null;
  let total = 0;
  return {
    get total() {
      return total;
    },
    add(why, from) {
      total++;
      sample ??= from;
      const reason = counts.has(why) || counts.size < MOST_REASONS ? why : OTHERS;
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    },
    take() {
      if (counts.size === 0) return null;
      const word = { kind: 'refused', counts: Object.fromEntries(counts), sample } as const;
      counts = new Map();
      sample = null;
      return word;
    },
  };
}
