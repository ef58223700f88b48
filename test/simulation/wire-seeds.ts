/** The stories of simulator 1, seed by seed, shared out to files so that each core of the machine has one. A failure says how to see it again. */
import { describe, expect, test } from 'vitest';
import { CHECKERS, type Checker } from './wire-checkers.ts';
import { HAPPENINGS, tell } from './wire-run.ts';

const ONE = process.env.HONEYMESH_SEED;
/** In all parts together. */
const SEEDS = process.env.HONEYMESH_NIGHTLY === '1' ? 10_000 : 1_000;
const BLOCK = 10;

/** Part `part` (from 0) of `of`. HONEYMESH_SEED=n: the story of that seed alone, in the first part; HONEYMESH_NIGHTLY=1: ten times as many. */
export function stories({ part, of }: { readonly part: number; readonly of: number }): void {
  const mine = ONE === undefined ? Array.from({ length: SEEDS / of }, (_, at) => 1 + part + at * of) : part === 0 ? [Number(ONE)] : [];
  const looked = new Map<Checker, number>();
  const happened = new Map<string, number>();
  const counts = new Map<string, number>();
  const add = (sums: Map<string, number>, what: string, count: number): void => void sums.set(what, (sums.get(what) ?? 0) + count);

  describe.runIf(mine.length > 0)('whatever happens to a mesh, and whoever lies', () => {
    for (let first = 0; first < mine.length; first += BLOCK) {
      const block = mine.slice(first, first + BLOCK);
      test(`all is well in the end: seeds ${block[0]} to ${block.at(-1)}`, () => {
        const complaints = block.flatMap(seed => {
          const told = tell({ seed });
          for (const [checker, times] of told.checkers.looked) add(looked, checker, times);
          for (const [what, times] of told.happened) add(happened, what, times);
          for (const [what, times] of Object.entries(told.hm1?.truth.counts ?? {})) add(counts, what, times);
          if (told.violations.length === 0) return [];
          const story = told.violations.map(({ checker, text }) => `\n  ${checker}: ${text}`).join('');
          return [
            `seed ${seed} (${told.kind}, ${told.world.nodes.length} nodes), again by HONEYMESH_SEED=${seed} npx vitest run test/simulation/wire-seeds-1${story}`,
          ];
        });
        expect(complaints).toEqual([]);
      });
    }

    test.runIf(ONE === undefined)('the runs were no idle talk: everything happened, and every checker looked', () => {
      for (const what of HAPPENINGS) expect(happened.get(what) ?? 0, what).toBeGreaterThan(20);
      for (const checker of CHECKERS) expect(looked.get(checker) ?? 0, checker).toBeGreaterThan(20);
      for (const [what, count] of counts) expect(count, what).toBeGreaterThan(20);
    });
  });
}
