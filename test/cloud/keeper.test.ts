/** That nothing of an emulator stays behind, however the tests end. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ROOT } from '#test/support/cloud/set-up.ts';

/** As emulators do: a child of the keeper, and one in a session of its own that no parent waits for. */
const COMMAND = ['sh', '-c', 'setsid sleep 300 & exec sleep 300'];

const marked = (mark: string): string[] =>
  readdirSync('/proc').filter(pid => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`HONEYMESH_EMULATOR=${mark}`);
    } catch {
      return false;
    }
  });

async function until(holds: () => boolean, withinMs = 10_000): Promise<void> {
  for (const started = Date.now(); !holds(); await delay(50)) if (Date.now() - started > withinMs) throw new Error('it did not come to be');
}

test('what was started goes when its keeper is told to, with what left its session', async () => {
  const mark = randomUUID();
  const keeper = spawn(process.execPath, ['--no-warnings', join(ROOT, 'test/support/cloud/keeper.ts'), ...COMMAND], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, HONEYMESH_EMULATOR: mark },
  });
  await until(() => marked(mark).length === 3);
  keeper.stdin.end();
  await until(() => marked(mark).length === 0);
  expect(marked(mark)).toEqual([]);
});

test('what was started goes when whoever started it is killed', async () => {
  const mark = randomUUID();
  const keeper = JSON.stringify(['--no-warnings', join(ROOT, 'test/support/cloud/keeper.ts'), ...COMMAND]);
  const script = `require('node:child_process').spawn(process.execPath, ${keeper}, { detached: true, stdio: ['pipe', 'ignore', 'ignore'], env: { ...process.env, HONEYMESH_EMULATOR: ${JSON.stringify(mark)} } }); setInterval(() => {}, 1000);`;
  const starter = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  await until(() => marked(mark).length === 3);
  starter.kill('SIGKILL');
  await until(() => marked(mark).length === 0);
  expect(marked(mark)).toEqual([]);
});
