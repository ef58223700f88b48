import { expect, test } from 'vitest';
import { createMemoryTables } from '#test/support/hub/memory-tables.ts';
import { CASES } from '#test/support/hub/tables-contract.ts';

test.each(CASES)('in memory: $name', async ({ run, gives }) => {
  let clock = 1_795_521_600_000;
  const now = (): number => clock;
  const pass = (ms: number): void => {
    clock += ms;
  };
  expect(await run({ tables: createMemoryTables({ now }), partition: 'p', now, pass })).toEqual(gives);
});
