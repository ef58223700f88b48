/**
 * How far a member distrusts itself (Lifeguard's local health): 0 is healthy. Who fails to hear acks that others hear gives its peers more time
 * instead of accusing them.
 */
export interface Awareness {
  /** 0 to the maximum multiplier - 1. */
  readonly score: number;
  add(delta: number): void;
  /** A timeout that grows with the score, ms. */
  scaled(timeoutMs: number): number;
}

export function createAwareness(maxMultiplier: number): Awareness {
  let score = 0;
  return {
    get score() {
      return score;
    },
    add(delta) {
      score = Math.min(Math.max(0, score + delta), Math.max(0, maxMultiplier - 1));
    },
    scaled: timeoutMs => timeoutMs * (score + 1),
  };
}
