/** Clients that others wrote, on the SSH trap: OpenSSH's, and the tools that guess passwords. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { HOST_KEYS, type SshServer, sshPersona, startSshServer } from '#test/support/ssh-server.ts';

const PATIENCE_MS = 20_000;
let folder = '';
let server: SshServer | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-ssh-'));
  writeFileSync(join(folder, 'askpass'), '#!/bin/sh\necho "$GUESS"\n');
  chmodSync(join(folder, 'askpass'), 0o755);
});

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function serve(version = '9.2'): Promise<SshServer> {
  server = await startSshServer(sshPersona(version));
  return server;
}

interface Ran {
  readonly out: string;
  readonly errors: string;
  readonly status: number | null;
}

/** Runs a program in a session of its own: without a terminal that it could ask. */
function run(
  program: string,
  args: readonly string[],
  { input = '', env = {} }: { readonly input?: string; readonly env?: Record<string, string> } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, ...env }, detached: true, timeout: PATIENCE_MS, killSignal: 'SIGKILL' });
    let out = '';
    let errors = '';
    child.on('error', reject);
    child.stdout.on('data', bytes => (out += bytes));
    child.stderr.on('data', bytes => (errors += bytes));
    child.on('close', status => resolve({ out, errors, status }));
    child.stdin.on('error', () => {}); // it ended before it read all
    child.stdin.end(input);
  });
}

const QUIET = ['-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', '-o', 'NumberOfPasswordPrompts=1'];

function ssh({ port, persona }: SshServer, args: readonly string[], { guess = persona.weakLogin.secret, input = '' } = {}): Promise<Ran> {
  const env = { SSH_ASKPASS: join(folder, 'askpass'), SSH_ASKPASS_REQUIRE: 'force', DISPLAY: 'none', GUESS: guess };
  // ssh keeps the first of what is said twice.
  return run('ssh', ['-p', String(port), ...args.slice(0, -1), ...QUIET, 'root@127.0.0.1', ...args.slice(-1)], { input, env });
}

describe('ssh of OpenSSH', () => {
  test.each(['9.6', '9.2', '8.9', '8.7', '8.4', '8.0'])('logs in to the sshd of OpenSSH %s and runs a command', async version => {
    const trap = await serve(version);
    const { out, errors, status } = await ssh(trap, ['uname -r; nosuch']);
    expect({ out, errors, status }).toEqual({
      out: `${trap.persona.release.kernel}\n`,
      errors: 'bash: line 1: nosuch: command not found\n',
      status: 127,
    });
    expect(trap.credentials()).toEqual([`root:${trap.persona.weakLogin.secret}`]);
    expect(trap.commands()).toEqual(['uname -r; nosuch']);
  });

  test('exchanges keys in every way that is offered', async () => {
    const trap = await serve('9.6');
    const ways = ['sntrup761x25519-sha512@openssh.com', 'curve25519-sha256', 'ecdh-sha2-nistp384', 'diffie-hellman-group-exchange-sha256'];
    for (const way of [...ways, 'diffie-hellman-group14-sha256', 'diffie-hellman-group18-sha512']) {
      expect(await ssh(trap, ['-o', `KexAlgorithms=${way}`, 'whoami'])).toEqual({ out: 'root\n', errors: '', status: 0 });
    }
  });

  test('and again in the middle of a session', async () => {
    const trap = await serve();
    const { out } = await ssh(trap, ['-o', 'RekeyLimit=4K', 'cat > /tmp/x; whoami'], { input: 'x'.repeat(6_000) });
    expect(trap.payloads('stdin').join('')).toHaveLength(4_096);
    expect(out).toContain('root');
  });

  test('uploads by scp in both of its ways: the old is taken, the new refused', async () => {
    const trap = await serve();
    const file = join(folder, 'bot.sh');
    writeFileSync(file, '#!/bin/sh\nevil\n');
    const env = { SSH_ASKPASS: join(folder, 'askpass'), SSH_ASKPASS_REQUIRE: 'force', DISPLAY: 'none', GUESS: trap.persona.weakLogin.secret };
    const target = ['-P', String(trap.port), file, 'root@127.0.0.1:/tmp/'];
    expect((await run('scp', [...QUIET, '-O', ...target], { env })).status).toBe(0);
    expect(trap.payloads('bot.sh')).toEqual(['#!/bin/sh\nevil\n']);
    expect((await run('scp', [...QUIET, '-s', ...target], { env })).errors).toContain('subsystem request failed');
  });

  test('learns the other host keys once it knows one, and believes them', async () => {
    const trap = await serve();
    const known = join(folder, 'known_hosts');
    const options = ['-o', `UserKnownHostsFile=${known}`, '-o', 'UpdateHostKeys=yes', '-o', 'HostKeyAlgorithms=ssh-ed25519,rsa-sha2-512,ecdsa-sha2-nistp256'];
    for (let times = 0; times < 2; times++) expect((await ssh(trap, [...options, 'whoami'])).errors).toBe('');
    const { out } = await run('ssh-keygen', ['-l', '-f', known]);
    const kinds = out
      .trim()
      .split('\n')
      .map(line => line.split(' ').at(-1));
    expect(kinds.sort()).toEqual(['(ECDSA)', '(ED25519)', '(RSA)']);
  });

  test('is refused as sshd refuses', async () => {
    const trap = await serve();
    const { errors, status } = await ssh(trap, ['id'], { guess: 'wrong' });
    expect(status).toBe(255);
    expect(errors).toMatch(/Permission denied \(publickey,password(,keyboard-interactive)?\)\./);
    expect(trap.credentials()).toContain('root:wrong');
  });

  test('is told why after six tries', async () => {
    const trap = await serve();
    const keys = Array.from({ length: 7 }, (_none, at) => {
      const path = join(folder, `key-${at}`);
      writeFileSync(path, ssh2.utils.generateKeyPairSync('ed25519').private, { mode: 0o600 });
      return ['-i', path];
    });
    const { errors } = await ssh(trap, [...keys.flat(), '-o', 'IdentitiesOnly=yes', 'id']);
    expect(errors).toContain('Too many authentication failures');
    expect(trap.fingerprints('ssh-key')).toHaveLength(6);
  });
});

test('ssh-keyscan gets all host keys', async () => {
  const trap = await serve();
  const { out } = await run('ssh-keyscan', ['-p', String(trap.port), '127.0.0.1']);
  for (const key of HOST_KEYS) {
    const parsed = ssh2.utils.parseKey(key);
    if (parsed instanceof Error) throw parsed;
    expect(out).toContain(`${parsed.type} ${parsed.getPublicSSH().toString('base64')}`);
  }
});

describe('who guesses', () => {
  test('with hydra finds the weak pair, and all guesses are written down', async () => {
    const trap = await serve();
    const list = join(folder, 'secrets');
    writeFileSync(list, ['a', 'b', trap.persona.weakLogin.secret].join('\n'));
    const { out } = await run('hydra', ['-I', '-t', '2', '-l', 'root', '-P', list, `ssh://127.0.0.1:${trap.port}`], { env: { HOME: folder } });
    expect(out).toContain('1 valid password found');
    expect(trap.credentials()).toEqual(expect.arrayContaining(['root:a', 'root:b', `root:${trap.persona.weakLogin.secret}`]));
  });

  test('with medusa does too', async () => {
    const trap = await serve('8.0');
    const list = join(folder, 'secrets');
    writeFileSync(list, ['a', 'b', 'c', 'd', trap.persona.weakLogin.secret].join('\n'));
    const { out } = await run('medusa', ['-h', '127.0.0.1', '-n', String(trap.port), '-u', 'root', '-P', list, '-M', 'ssh']);
    expect(out).toContain('[SUCCESS]');
    expect(trap.credentials()).toEqual(['root:a', 'root:b', 'root:c', 'root:d', `root:${trap.persona.weakLogin.secret}`]);
  });
});

test('nmap knows the release, its algorithms, methods and keys', async () => {
  const trap = await serve();
  const { out } = await run('nmap', ['-n', '-Pn', '-sV', '--script', 'ssh2-enum-algos,ssh-auth-methods,ssh-hostkey', '-p', String(trap.port), '127.0.0.1']);
  expect(out).toMatch(/open\s+ssh\s+OpenSSH 9\.2p1 Debian 2\+deb12u3 \(protocol 2\.0\)/);
  expect(out).toContain('sntrup761x25519-sha512@openssh.com');
  expect(out).toMatch(/Supported authentication methods:\s+\|\s+publickey\s+\|_?\s+password/);
  expect(out).toMatch(/256 [0-9a-f]{32} \(ED25519\)/);
});
