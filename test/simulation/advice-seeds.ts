/** The runs of simulator 2, seed by seed, shared out to files so that each core of the machine has one. A failure says how to see it again. */
import { describe, expect, test } from 'vitest';
import { CHECKERS } from '#test/support/advice-checkers.ts';
import { simulate } from '#test/support/advice-simulator.ts';
import { VILLAINIES } from '#test/support/advice-villains.ts';

const ONE = process.env.HONEYMESH_SEED;
/** In all parts together. */
const SEEDS = process.env.HONEYMESH_NIGHTLY === '1' ? 10_000 : 1_000;
const BLOCK = 20;

/** Part `part` (from 0) of `of`. HONEYMESH_SEED=n: the run of that seed alone, in the first part; HONEYMESH_NIGHTLY=1: ten times as many. */
export function runs({ part, of }: { readonly part: number; readonly of: number }): void {
  const mine = ONE === undefined ? Array.from({ length: SEEDS / of }, (_, at) => 1 + part + at * of) : part === 0 ? [Number(ONE)] : [];
  const sums = new Map<string, number>();
  const add = (what: string, count: number): void => void sums.set(what, (sums.get(what) ?? 0) + count);

  describe.runIf(mine.length > 0)('72 hours of advice, up to a third of it from an attacker', () => {
    for (let first = 0; first < mine.length; first += BLOCK) {
      const block = mine.slice(first, first + BLOCK);
      test(`keep all promises: seeds ${block[0]} to ${block.at(-1)}`, () => {
        const complaints = block.flatMap(seed => {
          const { world, complaint } = simulate(seed, CHECKERS);
          for (const [what, count] of [...Object.entries(world.counts), ...world.did]) add(what, count);
          return complaint === null ? [] : [`seed ${seed}, again by HONEYMESH_SEED=${seed} npx vitest run test/simulation/advice-seeds-1: ${complaint}`];
        });
        expect(complaints).toEqual([]);
      });
    }

    // Runs in which nothing happens keep all promises too.
    test.runIf(ONE === undefined)('the runs were no idle talk: everything happened', () => {
      for (const what of VILLAINIES) expect(sums.get(what) ?? 0, what).toBeGreaterThan(mine.length / 2);
      for (const [what, count] of sums) expect(count, what).toBeGreaterThan(mine.length / 2);
    });
  });
}
