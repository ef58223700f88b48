/** The comparison can fail: each wrong rule of flaws.ts is found, and the report shows the frame. */
import { expect, test } from 'vitest';
import { FLAWS } from '#test/support/oracle/flaws.ts';
import { runInNamespace } from '#test/support/oracle/in-namespace.ts';
import type { RandomOutcome } from '#test/support/oracle/run-random.ts';

test.each(Object.keys(FLAWS))('a wrong oracle is found out: %s', async flaw => {
  const ran = await runInNamespace('run-random.ts', ['30000', '1', flaw], 30_000);
  expect(ran.stderr).toBe('');
  const { difference } = JSON.parse(ran.stdout) as RandomOutcome;
  expect(difference).toMatch(/^seed \d+: (verdict|events|shuns|trackers) differ/);
  expect(difference).toMatch(/oracle: .+\n {2}kernel: .+\nscenario: \{.+\}\nframes:\n {2}0: \d+ bytes, .+\n {5}[0-9a-f]+/);
});
