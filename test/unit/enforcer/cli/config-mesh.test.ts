import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { type CliLab, openCliLab } from '#test/support/cli.ts';

let lab: CliLab;
beforeEach(() => {
  lab = openCliLab();
});
afterEach(() => lab.close());

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

function configured(byte: number): string {
  const file = join(lab.directory, 'c.yaml');
  writeFileSync(file, `mesh: { key: ${Buffer.from(key(byte)).toString('base64')} }\n`);
  return file;
}

test('config check says where the key in the file counts no more, and that is no mistake', async () => {
  const file = configured(7);
  expect(await lab.run(`config check --config ${file}`)).toEqual({ code: 0, out: `${file}: ok\n`, err: '' });
  const directory = join(lab.pathsOf('main').state, 'mesh');
  await createMeshState(directory).keepKeys({ keys: [key(1)], generation: 3 });
  const { code, out } = await lab.run(`config check --config ${file}`);
  expect(code).toBe(0);
  expect(out).toMatch(/^.*: ok\nnote: mesh\.key is none of the keys that this host keeps, .*\n$/);
  expect(out).not.toContain('BwcH');
  expect(JSON.parse((await lab.run(`config check -o json --config ${file}`)).out)).toMatchObject({
    ok: true,
    problems: [],
    notes: [expect.stringContaining('none of the keys')],
  });
});

test('and changes nothing, not even where what is kept is damaged', async () => {
  const directory = join(lab.pathsOf('main').state, 'mesh');
  await createMeshState(directory).keepKeys({ keys: [key(1)], generation: 3 });
  writeFileSync(join(directory, 'keyring.json'), '{');
  const file = configured(7);
  expect(await lab.run(`config check --config ${file}`)).toEqual({ code: 0, out: `${file}: ok\n`, err: '' });
  expect(readdirSync(directory)).toEqual(['keyring.json']);
});
