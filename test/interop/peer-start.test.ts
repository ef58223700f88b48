/** How test/interop/peer starts: from one file of all its sources, which is never older than any of them. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OUR_PEER } from '#test/support/mesh-peers.ts';

const top = join(import.meta.dirname, '../..');
const made = join(top, '.cache/mesh-peer/peer.mjs');
const source = join(top, 'test/support/mesh-peer/main.ts');

const said = (): readonly string[] => {
  const { stdout } = spawnSync(OUR_PEER, ['-name', 'a'], { input: '', encoding: 'utf8', timeout: 30_000 });
  return stdout
    .trim()
    .split('\n')
    .map(line => String((JSON.parse(line) as { ev: string }).ev));
};

test('the file is made where there is none, also of what only signers load, and where a source was put in place since, whatever its own date', async () => {
  rmSync(made, { force: true });
  expect(said()).toEqual(['join', 'ready', 'quit']);
  // Another node that started at the same time may be making it.
  await expect.poll(() => existsSync(made), { timeout: 10_000 }).toBe(true);
  const sources = readFileSync(join(top, '.cache/mesh-peer/sources'), 'utf8');
  expect(sources).toContain('test/support/mesh-peer/main.ts');
  expect(sources).toContain('enforcer/mesh/signed/signed-layer.ts');
  const before = statSync(made).mtimeMs;
  utimesSync(source, new Date(0), new Date(0));
  try {
    await expect
      .poll(
        () => {
          said();
          return statSync(made).mtimeMs;
        },
        { timeout: 10_000 },
      )
      .toBeGreaterThan(before);
  } finally {
    utimesSync(source, new Date(), new Date());
  }
}, 60_000);
