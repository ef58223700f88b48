import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { cgroup2Mount, prepareFolders } from '#enforcer/launch/host.ts';

test("cgroup2's root is found among the mounts, a part of its tree is not taken for it", () => {
  const mounts = [
    '24 30 0:22 / /sys/fs/cgroup rw,relatime shared:4 - tmpfs tmpfs rw,mode=755',
    '25 30 0:23 /system.slice /mnt/part rw,relatime - cgroup2 cgroup2 rw',
    '26 24 0:24 / /sys/fs/cgroup/uni\\040fied rw,nosuid shared:5 - cgroup2 cgroup2 rw,nsdelegate',
  ];
  expect(cgroup2Mount(mounts.join('\n'))).toBe('/sys/fs/cgroup/uni fied');
  expect(cgroup2Mount(mounts.slice(0, 2).join('\n'))).toBeUndefined();
  expect(cgroup2Mount('')).toBeUndefined();
});

function pathsIn(state: string, run: string) {
  const top = mkdtempSync(join(tmpdir(), 'honeymesh-host-'));
  onTestFinished(() => rmSync(top, { recursive: true, force: true }));
  writeFileSync(join(top, 'file'), '');
  return { state: join(top, state), run: join(top, run), pins: join(top, 'pins'), socket: join(top, run, 'control.sock') };
}

test('the folders of an instance are made, and closed where an older version left them open', () => {
  const paths = pathsIn('lib/main', 'run/main');
  mkdirSync(paths.state, { recursive: true, mode: 0o755 });
  prepareFolders(paths);
  expect(statSync(paths.state).mode & 0o777).toBe(0o700);
  expect(statSync(paths.run).mode & 0o777).toBe(0o755);
});

test('a state folder that cannot be made does not keep the enforcer from starting; a run folder does, and is named', () => {
  const paths = pathsIn('file/main', 'run/main');
  prepareFolders(paths);
  expect(statSync(paths.run).isDirectory()).toBe(true);
  expect(() => prepareFolders(pathsIn('lib/main', 'file/main'))).toThrow(/the run directory .*file\/main cannot be made/);
});
