/** The kernel's program against the oracle of docs/packet-path.md, frame by frame, on random states and frames. */
import { expect, test } from 'vitest';
import { VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { runInNamespace } from '#test/support/oracle/in-namespace.ts';
import type { RandomOutcome } from '#test/support/oracle/run-random.ts';

const nightly = process.env.HONEYMESH_NIGHTLY === '1';
const FRAMES = nightly ? 10_000_000 : 300_000;
const LIMIT_MS = nightly ? 20 * 55_000 : 55_000;
/** HONEYMESH_SEED plays a reported difference again; each night has seeds of its own. */
const SEED = Number(process.env.HONEYMESH_SEED ?? (nightly ? (Date.now() >> 8) & 0x3fff_ffff : 20_261_124));
test('kernel and oracle agree on every frame, event, shun and tracked port', async () => {
  const ran = await runInNamespace('run-random.ts', [String(FRAMES), String(SEED)], LIMIT_MS);
  expect(ran.stderr).toBe('');
  const outcome = JSON.parse(ran.stdout) as RandomOutcome;
  expect(outcome.difference).toBeNull();
  expect(outcome.frames).toBeGreaterThanOrEqual(FRAMES);
  // A generator that no longer reaches a rule would agree on it for ever.
  for (const verdict of VERDICTS.filter(name => name !== 'drop-egress')) expect(outcome.verdicts[verdict] ?? 0, verdict).toBeGreaterThan(100);
});
