import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeRoot, readRoot, unlock } from '#enforcer/cli/root-file.ts';
import { openCliLab } from '#test/support/cli.ts';
import { joinReport, meshStatusReport, REGISTRAR_KEY, rotationReport } from '#test/support/fake-mesh-operations.ts';
import { type FakeOperations, fakeOperations } from '#test/support/fake-operations.ts';

let lab: ReturnType<typeof openCliLab>;
let folder: string;

beforeEach(() => {
  lab = openCliLab();
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-cli-mesh-'));
});
afterEach(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

async function serve(replaced: Parameters<typeof fakeOperations>[0] = {}): Promise<FakeOperations> {
  const operations = fakeOperations(replaced);
  await lab.serve(operations);
  return operations;
}

describe('what is printed says what is to be done next', () => {
  test('status: certificate, who renews it, registrars', async () => {
    await serve();
    const { out, code } = await lab.run('mesh status');
    expect(code).toBe(0);
    expect(out).toContain('joined, 2 peers alive');
    expect(out).toMatch(/certificate +until 2027-02-22T12:00:00.000Z; renewed by this host from 2027-01-23T12:00:00.000Z on/);
    expect(out).toMatch(new RegExp(`this registrar +${REGISTRAR_KEY} for home, lab until 2026-12-24T12:00:00.000Z`));
    expect(JSON.parse((await lab.run('mesh status -o json')).out)).toEqual(meshStatusReport);
  });

  test('invite: the token on a line of its own', async () => {
    const operations = await serve();
    const { out } = await lab.run('mesh invite --site lab --ttl 15m --address registrar.example --address 192.0.2.1:7948 --uses 3');
    expect(out.split('\n')[0]).toBe('hmj1_token');
    expect(out).toContain('honeymesh mesh join TOKEN, on the new host');
    expect(operations.asked).toEqual([{ op: 'meshInvite', args: { site: 'lab', ttl: '15m', addresses: ['registrar.example', '192.0.2.1:7948'], uses: 3 } }]);
  });

  test('join: whom it met, or what to look at where that is nobody, or nothing is heard', async () => {
    await serve();
    expect((await lab.run('mesh join hmj1_x')).out).toMatch(/^joined as +badger of site home$/m);
    expect((await lab.run('mesh join hmj1_x --instance main')).out).toMatch(/^met +anvil$/m);
    await lab.serve(fakeOperations({ meshJoin: async () => ({ ...joinReport, signatures: 'off', met: [] }) }), 'other');
    const { out } = await lab.run('mesh join hmj1_x --instance other');
    expect(out).toContain('7946, UDP and TCP');
    expect(out).toContain('OFF by the configuration (mesh.signatures)');
  });

  test('rotate-key, revoke, leave', async () => {
    const operations = await serve();
    expect((await lab.run('mesh rotate-key')).out).toContain('group key 4 was sealed to 3 hosts; it is used from 2026-11-24T12:01:30.000Z on');
    expect((await lab.run('mesh rotate-key --now')).code).toBe(0);
    expect((await lab.run('mesh revoke badger')).out).toMatch(/^revoked badger \(key 8899aabbccddeeff\), by this registrar \(list 1\)\ngroup key 4/);
    expect((await lab.run('mesh leave')).out).toBe('badger left the mesh; the others were told; certificate and keys were removed\n');
    expect(operations.asked.slice(0, 2).map(one => one.args)).toEqual([{}, { now: true }]);
    await lab.serve(fakeOperations({ meshLeave: async () => ({ goodbye: 'down', name: null, wasRegistrar: true, configured: true }) }), 'other');
    expect((await lab.run('mesh leave --registrar --instance other')).out).toContain('this host goes on as a member without a certificate');
    await lab.serve(fakeOperations({ meshRotateKey: async () => ({ ...rotationReport, hosts: 1 }) }), 'one');
    expect((await lab.run('mesh rotate-key --instance one')).out).toContain('sealed to 1 host;');
  });
});

test('a token is read from standard input, where no list of processes shows it', async () => {
  const operations = await serve();
  expect((await lab.run('mesh join -', { stdin: 'hmj1_abc\ndef\n' })).code).toBe(0);
  expect(operations.asked).toEqual([{ op: 'meshJoin', args: { token: 'hmj1_abc\ndef' } }]);
  expect(await lab.run('mesh join -', { stdin: 'x'.repeat(5_000) })).toMatchObject({ code: 2, err: expect.stringContaining('too long') });
});

test('init without --root-file, and commands that do not exist, are usage errors', async () => {
  expect(await lab.run('mesh init --site home')).toMatchObject({ code: 2, err: expect.stringContaining('--root-file') });
  expect(await lab.run('mesh inivte')).toMatchObject({ code: 2, err: expect.stringContaining('did you mean invite?') });
});

/** A real terminal, as Python's pty makes one: what is typed there must not be seen there. */
function onTerminal(args: readonly string[], typed: readonly string[]): Promise<{ readonly code: number; readonly shown: string }> {
  const script = `
import os, pty, select, sys, time
args, typed = eval(sys.argv[1]), eval(sys.argv[2])
pid, fd = pty.fork()
if pid == 0: os.execvp(args[0], args)
shown, asked, until = b'', 0, time.monotonic() + 20
while time.monotonic() < until:
    ready, _, _ = select.select([fd], [], [], 0.1)
    if ready:
        try: part = os.read(fd, 4096)
        except OSError: break
        if not part: break
        shown += part
    if typed and shown.count(b': ') > asked:
        asked += 1
        time.sleep(0.2)
        os.write(fd, typed.pop(0).encode() + b'\\r')
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))`;
  return new Promise(resolve => {
    const child = spawn('python3', ['-c', script, JSON.stringify(args), JSON.stringify(typed)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      shown += part;
    });
    child.on('close', code => resolve({ code: code ?? -1, shown }));
  });
}

describe('a passphrase that is typed', () => {
  const ENTRY = fileURLToPath(new URL('../../../support/ask-passphrase.ts', import.meta.url));
  const line = (fresh: boolean) => [process.execPath, ENTRY, join(folder, 'typed'), String(fresh)];

  test('is asked for twice where it is new, and never shown', async () => {
    const { code, shown } = await onTerminal(line(true), ['correct horse', 'correct horse']);
    expect(shown).toContain('Passphrase of the root: ');
    expect(shown).toContain('The same again: ');
    expect(shown).not.toContain('horse');
    expect(code).toBe(0);
    expect(readFileSync(join(folder, 'typed'), 'utf8')).toBe('correct horse');
  });

  test('that is not the same twice is not taken', async () => {
    const { code, shown } = await onTerminal(line(true), ['correct horse', 'correct hoarse']);
    expect(shown).toContain('the two passphrases differ');
    expect(code).toBe(2);
  });

  test('is asked for once where the file is there', async () => {
    const { shown, code } = await onTerminal(line(false), ['x']);
    expect(shown).not.toContain('The same again');
    expect(code).toBe(0);
  });
});

describe('the file of a root', () => {
  test('is never written over what came there meanwhile', async () => {
    const path = join(folder, 'root.json');
    writeFileSync(path, 'somebody was faster');
    await expect(makeRoot(path, 'correct horse', 10)).rejects.toMatchObject({ code: 'HM_USAGE', message: expect.stringContaining('is there already') });
    expect(readFileSync(path, 'utf8')).toBe('somebody was faster');
  });

  test('is opened again by its passphrase, and tells others what they are', async () => {
    const path = join(folder, 'root.json');
    const { root } = await makeRoot(path, 'correct horse', 10);
    const { text, clusterId } = await readRoot(path);
    expect(clusterId).toEqual(root.clusterId);
    expect(await unlock(path, text, 'correct horse')).toEqual(root);
    await expect(unlock(path, text, 'wrong')).rejects.toMatchObject({ code: 'HM_REFUSED' });
    await expect(readRoot(join(folder, 'nowhere'))).rejects.toMatchObject({ message: expect.stringContaining('is not there') });
    writeFileSync(join(folder, 'big'), Buffer.alloc(100_000));
    await expect(readRoot(join(folder, 'big'))).rejects.toMatchObject({ message: expect.stringContaining('is no root file') });
  });
});
