import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockOwner, lockPath, processState, takeLock } from '#enforcer/launch/lock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a second one is told who has it; after the release it is free', () => {
  const lock = takeLock(folder, 'main');
  expect(lockOwner(folder)?.pid).toBe(process.pid);
  expect(() => takeLock(folder, 'main')).toThrow(
    expect.objectContaining({ code: 'HM_ALREADY_RUNNING', message: expect.stringContaining(String(process.pid)) }),
  );
  lock.release();
  expect(lockOwner(folder)).toBeUndefined();
  takeLock(folder, 'main').release();
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  ['of a process that is gone', '4194300 1\n'],
  ['of a process id that was used again', `${process.pid} 1\n`],
  ['that was cut short', `${process.pid}`],
  ['that is empty', ''],
])('a lock %s is taken over', (_, content) => {
  writeFileSync(lockPath(folder), content);
  expect(lockOwner(folder)).toBeUndefined();
  takeLock(folder, 'main');
  expect(lockOwner(folder)?.pid).toBe(process.pid);
  expect(readFileSync(lockPath(folder), 'utf8')).toMatch(new RegExp(`^${process.pid} \\d+\\n$`));
});

test('a zombie does not hold a lock', async () => {
  // The shell's child ends when the shell has become the long sleep, which never reaps it.
  const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const pid = Number(await new Promise<string>(resolve => parent.stdout.once('data', chunk => resolve(String(chunk)))));
    for (let tries = 0; tries < 100 && processState(pid) !== undefined; tries++) await new Promise(resolve => setTimeout(resolve, 20));
    expect(readFileSync(`/proc/${pid}/stat`, 'latin1')).toContain(') Z ');
    const startTicks = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[19];
    writeFileSync(lockPath(folder), `${pid} ${startTicks}\n`);
    expect(lockOwner(folder)).toBeUndefined();
  } finally {
    parent.kill('SIGKILL');
  }
});
