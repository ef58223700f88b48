import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const BIN = fileURLToPath(new URL('../../../../enforcer/bin/honeymesh', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-bin-'));
  command('id', 'echo 1000');
  command('sudo', 'for word; do printf "%s\\n" "$word"; done');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function command(name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const env = { PATH: `${folder}:${process.env.PATH}`, ...environment };
  return new Promise(resolve => execFile(BIN, args, { env }, (_error, out) => resolve(out.trimEnd().split('\n'))));
}

test('who is not root runs the enforcer through sudo, which loses nothing that was said in the environment', async () => {
  const environment = { HONEYMESH_INSTANCE: 'edge', HONEYMESH_CONFIG: '/etc/my file.yaml', SSH_CONNECTION: '192.0.2.7 5 192.0.2.1 22' };
  expect(await run(['run', '--mode', 'observe'], environment)).toEqual([
    '--',
    'env',
    'SSH_CONNECTION=192.0.2.7 5 192.0.2.1 22',
    'HONEYMESH_CONFIG=/etc/my file.yaml',
    'HONEYMESH_INSTANCE=edge',
    BIN,
    'run',
    '--mode',
    'observe',
  ]);
});

test('options may stand before the command', async () => {
  expect((await run(['--instance', 'edge', 'run'])).slice(-3)).toEqual(['--instance', 'edge', 'run']);
});

test('other commands are run as who one is', async () => {
  expect(await run(['--version'])).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
});
