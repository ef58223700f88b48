import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { type CliLab, openCliLab } from '#test/support/cli.ts';

// What loads and unloads the kernel part has tests of its own; here is what the command line hands to it.
const asked = vi.hoisted(() => ({ launch: vi.fn(), unload: vi.fn() }));
vi.mock('#enforcer/launch/launcher.ts', () => ({ launch: asked.launch }));
vi.mock('#enforcer/launch/unload.ts', () => ({ unload: asked.unload }));

let lab: CliLab;
beforeEach(() => {
  lab = openCliLab();
});
afterEach(() => lab.close());

test('run hands on what file, environment and flags say, and ends with its exit code', async () => {
  asked.launch.mockResolvedValueOnce(7);
  const file = join(lab.directory, 'c.yaml');
  writeFileSync(file, 'interfaces: [file0]\nmode: observe\n');
  const line = `run --config ${file} --interface eth0 --interface eth1 --instance second`;
  const { code } = await lab.run(line, { environment: { HONEYMESH_MODE: 'lockdown' } });
  expect(code).toBe(7);
  expect(asked.launch).toHaveBeenCalledExactlyOnceWith({
    config: expect.objectContaining({ interfaces: ['eth0', 'eth1'], mode: 'lockdown' }),
    configPath: file,
    instance: 'second',
    paths: lab.pathsOf('second'),
    interactive: false,
  });
});

test('run says why it did not start', async () => {
  writeFileSync(join(lab.directory, 'none.yaml'), '');
  asked.launch.mockRejectedValueOnce(new HoneyMeshError('HM_NOT_ROOT', 'honeymesh run needs root', { fix: 'run it as root' }));
  expect(await lab.run('run')).toEqual({ code: 1, out: '', err: 'honeymesh: honeymesh run needs root\nfix: run it as root\n' });
});

test('unload prints what was taken off, or that there was nothing', async () => {
  asked.unload.mockResolvedValueOnce(['eth0: XDP detached', 'maps removed']);
  expect((await lab.run('unload')).out).toBe('eth0: XDP detached\nmaps removed\n');
  asked.unload.mockResolvedValueOnce([]);
  expect((await lab.run('unload --instance second')).out).toBe('nothing was loaded\n');
  expect(asked.unload).toHaveBeenLastCalledWith({ paths: lab.pathsOf('second') });
});
