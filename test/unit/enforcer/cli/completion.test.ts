import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliLab, openCliLab } from '#test/support/cli.ts';

let lab: CliLab;
let script = '';
beforeAll(async () => {
  lab = openCliLab();
  script = (await lab.run('completion bash')).out;
});
afterAll(() => lab.close());

/** What bash itself offers behind these words; the last one is being written. */
function offered(...words: readonly string[]): readonly string[] {
  const ask = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _honeymesh; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', ask, 'bash', 'honeymesh', ...words], { encoding: 'utf8', cwd: '/' })
    .split('\n')
    .filter(line => line !== '');
}

describe('completion in bash', () => {
  test('offers commands, and those below them', () => {
    expect(offered('')).toEqual(expect.arrayContaining(['run', 'status', 'bans', 'events', 'support']));
    expect(offered('ba')).toEqual(['bans']);
    expect(offered('bans', '')).toEqual(['list', 'add', 'remove', 'import']);
    expect(offered('events', 'e')).toEqual(['export']);
  });

  test('offers options, their choices and files', () => {
    expect(offered('events', 'export', '--f')).toEqual(['--format']);
    expect(offered('events', 'export', '--format', '')).toEqual(['json', 'ndjson', 'csv', 'ecs', 'stix', 'cef', 'list']);
    expect(offered('events', 'list', '-o', 'j')).toEqual(['json']);
    expect(offered('bans', 'import', 'et')).toEqual(['etc']);
    expect(offered('events', 'export', '--output', 'et')).toEqual(['etc']);
  });

  test('knows the options that stand anywhere, and is not led astray by their values', () => {
    expect(offered('bans', 'list', '--inst')).toEqual(['--instance']);
    expect(offered('--instance', 'edge', 'bans', 'a')).toEqual(['add']);
    expect(offered('status', '--instance', '')).toEqual([]);
  });

  test('is a script that bash takes without a complaint', () => {
    expect(() => execFileSync('bash', ['-n'], { input: script, stdio: ['pipe', 'pipe', 'pipe'] })).not.toThrow();
  });
});

test('the manual page is read by groff without a warning and shows the commands as they are', context => {
  const page = fileURLToPath(new URL('../../../../docs/reference/honeymesh.1', import.meta.url));
  const { error, stdout: shown, stderr } = spawnSync('groff', ['-man', '-Tascii', '-ww', '-P-c', page], { encoding: 'utf8' });
  if (error !== undefined) return context.skip('there is no groff here');
  expect(stderr).toBe('');
  expect(shown).toContain('honeymesh events export [options]');
  expect(shown).toContain('--proof <file>');
  expect(shown).not.toContain('\\');
  expect(readFileSync(page, 'utf8')).toContain('.SS honeymesh bans add');
});
