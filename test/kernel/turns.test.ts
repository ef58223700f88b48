import { spawnSync } from 'node:child_process';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MODULE = fileURLToPath(new URL('../../enforcer/kernel/turns.ts', import.meta.url));
const NATIVE = fileURLToPath(new URL('../../enforcer/kernel/native.ts', import.meta.url));
const [major = 0, minor = 0] = release().split('.').map(Number);
const knowsTurns = major > 6 || (major === 6 && minor >= 12);

/** In a process of its own: what it sets stays. */
function inProcess(code: string, before: readonly string[] = []): unknown {
  const [program = '', ...args] = [...before, process.execPath, '--input-type=module', '-e', `import { takeShortTurns } from '${MODULE}';\n${code}`];
  const ran = spawnSync(program, args, { encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout);
}

test('a thread gets the turns that it asked for, where the kernel knows such', () => {
  const code = `import { addon } from '${NATIVE}';
    const usual = addon().setTurns(0);
    console.log(JSON.stringify([takeShortTurns(0.5), addon().setTurns(100_000), usual === addon().setTurns(0)]));`;
  expect(inProcess(code)).toEqual([knowsTurns, knowsTurns ? 100_000 : 0, true]);
});

test('it stays as nice as it was, and needs no privilege', () => {
  const code = "import { getPriority } from 'node:os';\nconsole.log(JSON.stringify([takeShortTurns(0.1), getPriority()]));";
  expect(inProcess(code, ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--', 'nice', '-n', '7'])).toEqual([knowsTurns, 7]);
});

test('turns of no length that the kernel has are as long as the nearest', () => {
  expect(inProcess('console.log(JSON.stringify(takeShortTurns(0.001)))')).toBe(false);
});
