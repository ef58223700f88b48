/** Measuring on a machine that is never quiet: contestants in turn, many short rounds, medians. */

/** Fewer than five rounds are no median. */
export const ROUNDS_AT_LEAST = 5;

export interface Contestant<Name extends string = string> {
  readonly name: Name;
  /** One measurement, in the bench's unit. Not measured: what it needs before and after. */
  measure(): number | Promise<number>;
}

export interface Measured {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
  /** In the order in which they were taken. */
  readonly all: readonly number[];
}

export interface RoundsOptions {
  /** At least 5; 5 where absent. */
  readonly rounds?: number;
  /** Rounds before those that count: caches, branch predictors, lazy set-up. 1 where absent. */
  readonly warmUps?: number;
  readonly onRound?: (done: number, of: number) => void;
}

/**
 * Lets all contestants run once a round, so that what slows the machine down for a while slows all of them; each round begins with another one, so that
 * none always runs in the wake of the same.
 */
export async function inTurn<Name extends string>(contestants: readonly Contestant<Name>[], options: RoundsOptions = {}): Promise<Record<Name, Measured>> {
  const { rounds = ROUNDS_AT_LEAST, warmUps = 1, onRound } = options;
  if (rounds < ROUNDS_AT_LEAST) throw new RangeError(`${rounds} rounds are too few for a median, take at least ${ROUNDS_AT_LEAST}`);
  const taken = new Map<Name, number[]>(contestants.map(({ name }) => [name, []]));
  for (let round = -warmUps; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(turn + round + warmUps) % contestants.length];
      if (contestant === undefined) continue;
      const value = await contestant.measure();
      if (round >= 0) taken.get(contestant.name)?.push(value);
    }
    if (round >= 0) onRound?.(round + 1, rounds);
  }
  return Object.fromEntries([...taken].map(([name, values]) => [name, summed(values)])) as Record<Name, Measured>;
}

/** Of values that were taken by hand. */
export function summed(all: readonly number[]): Measured {
  return { median: quantile(all, 0.5), lowest: Math.min(...all), highest: Math.max(...all), all };
}

/** The value below which the share `at` (0 to 1) of the values lies, interpolated; NaN of none. `quantile(values, 0.99)` is the p99. */
export function quantile(values: readonly number[], at: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const place = (sorted.length - 1) * at;
  const [below, above] = [sorted[Math.floor(place)] ?? Number.NaN, sorted[Math.ceil(place)] ?? Number.NaN];
  return below + (above - below) * (place - Math.floor(place));
}
