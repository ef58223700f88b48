/** A whole client, ssh2's own, on the trap by a loopback connection. Clients of others: test/system/traps-ssh.test.ts. */

import ssh2, { type ClientChannel, type ConnectConfig, type Client as SshClient } from 'ssh2';
import { afterEach, describe, expect, test } from 'vitest';
import { HOST_KEYS, type SshServer, sshPersona, startSshServer } from '#test/support/ssh-server.ts';
import { LIMITS } from '#test/support/trap-talk.ts';

const { Client, utils } = ssh2;
const persona = sshPersona('9.2');
const { secret } = persona.weakLogin;
const open: { stop(): unknown }[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.stop();
});

async function serve(options: Parameters<typeof startSshServer>[1] = {}): Promise<SshServer> {
  const server = await startSshServer(persona, options);
  open.push(server);
  return server;
}

function connect(server: SshServer, config: ConnectConfig = {}): Promise<SshClient> {
  const client = new Client();
  open.push({ stop: () => client.destroy() });
  return new Promise((resolve, reject) => {
    client.on('ready', () => resolve(client));
    client.on('error', reject);
    client.on('close', () => reject(new Error('closed')));
    client.connect({ host: '127.0.0.1', port: server.port, username: 'root', password: secret, ...config });
  });
}

function execute(client: SshClient, command: string, input?: string): Promise<{ readonly out: string; readonly errors: string; readonly status: number }> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error !== undefined) return void reject(error);
      let out = '';
      let errors = '';
      channel.on('data', (bytes: Buffer) => (out += bytes.toString()));
      channel.stderr.on('data', (bytes: Buffer) => (errors += bytes.toString()));
      channel.on('close', (status: number) => resolve({ out, errors, status }));
      channel.end(input);
    });
  });
}

describe('each exchange of keys that the server offers is carried out', () => {
  test.each([
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
  ] as const)('%s', async kex => {
    const client = await connect(await serve(), { algorithms: { kex: [kex] } });
    expect((await execute(client, 'whoami')).out).toBe('root\n');
  });
});

describe('each cipher is', () => {
  test.each([
    ['chacha20-poly1305@openssh.com', 'hmac-sha2-256'],
    ['aes128-gcm@openssh.com', 'hmac-sha2-256'],
    ['aes256-ctr', 'hmac-sha2-256-etm@openssh.com'],
    ['aes128-ctr', 'hmac-sha1'],
  ] as const)('%s with %s', async (cipher, hmac) => {
    const client = await connect(await serve(), { algorithms: { cipher: [cipher], hmac: [hmac], compress: ['none'] } });
    expect((await execute(client, 'whoami')).out).toBe('root\n');
  });

  test('and compression that begins with the log-in', async () => {
    const client = await connect(await serve(), { algorithms: { compress: ['zlib@openssh.com'] } });
    expect((await execute(client, 'whoami')).out).toBe('root\n');
  });
});

test.each(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256'] as const)('the host signs with %s', async algorithm => {
  const wanted = HOST_KEYS.map(key => utils.parseKey(key)).flatMap(key => (key instanceof Error ? [] : [key.getPublicSSH().toString('hex')]));
  let shown = '';
  const hostVerifier = (key: Buffer): boolean => {
    shown = key.toString('hex');
    return true;
  };
  await connect(await serve(), { algorithms: { serverHostKey: [algorithm] }, hostVerifier });
  expect(wanted).toContain(shown);
});

test('who the client is, and what it can speak, is written down', async () => {
  const server = await serve();
  await connect(server, { ident: 'SSH-2.0-libssh2_1.4.3' } as ConnectConfig);
  expect(server.fingerprints('ssh-client')).toHaveLength(1);
  expect(server.fingerprints('ssh-client')[0]).toContain('libssh2_1.4.3');
  expect(server.fingerprints('hassh')).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
});

describe('guessing', () => {
  test('ends after six tries, all of them written down', async () => {
    const server = await serve();
    const secrets = ['1', '2', '3', '4', '5', '6', '7'];
    const authHandler = secrets.map(guess => ({ type: 'password' as const, username: 'root', password: `guess-${guess}` }));
    await expect(connect(server, { authHandler })).rejects.toThrow();
    expect(server.credentials()).toEqual(['1', '2', '3', '4', '5', '6'].map(guess => `root:guess-${guess}`));
  });

  test('a key is refused and its fingerprint kept', async () => {
    const server = await serve();
    const { private: privateKey } = utils.generateKeyPairSync('ed25519');
    await expect(connect(server, { privateKey, authHandler: ['none', 'publickey'] })).rejects.toThrow(/authentication/);
    expect(server.fingerprints('ssh-key')).toEqual([expect.stringMatching(/^ssh-ed25519 SHA256:[A-Za-z0-9+/]{43}$/)]);
  });
});

describe('who gets in', () => {
  test('runs commands, which are written down', async () => {
    const server = await serve();
    const client = await connect(server);
    expect(await execute(client, 'uname -s')).toMatchObject({ errors: expect.stringContaining('') as string });
    expect(await execute(client, 'nosuch')).toEqual({ out: '', errors: 'bash: line 1: nosuch: command not found\n', status: 127 });
    expect(server.commands()).toEqual(['uname -s', 'nosuch']);
  });

  test('uploads by a command, which is kept', async () => {
    const server = await serve();
    await execute(await connect(server), 'cat > /tmp/.x; chmod +x /tmp/.x', '#!/bin/sh\nevil\n');
    expect(server.payloads('stdin')).toEqual(['#!/bin/sh\nevil\n']);
  });

  test('has a shell on a terminal', async () => {
    const server = await serve();
    const client = await connect(server);
    const said = await new Promise<string>((resolve, reject) => {
      client.shell({ term: 'vt100', cols: 132, rows: 40 }, { env: { LC_ALL: 'C', EVIL: 'x' } }, (error: Error | undefined, channel: ClientChannel) => {
        if (error !== undefined) return void reject(error);
        let all = '';
        channel.on('data', (bytes: Buffer) => (all += bytes.toString()));
        channel.on('close', () => resolve(all));
        channel.write('id\rexit\r');
      });
    });
    expect(said).toContain(`root@${persona.hostName}:~# id\r\nuid=0(root)`);
    expect(said).toMatch(/Last login: \w{3} \w{3} [ \d]\d [\d:]{8} \d{4} from 10\./);
    expect(server.payloads('ssh-pty')).toEqual(['vt100 132x40']);
    expect(server.payloads('ssh-env')).toEqual(['LC_ALL=C', 'EVIL=x']);
    expect(server.commands()).toEqual(['id', 'exit']);
  });

  test('forwards nothing, and where to is written down', async () => {
    const server = await serve();
    const client = await connect(server);
    const out = new Promise((_resolve, reject) => client.forwardOut('127.0.0.1', 1, '10.0.0.9', 25, error => reject(error)));
    await expect(out).rejects.toThrow(/Connection refused/);
    const back = new Promise((_resolve, reject) => client.forwardIn('0.0.0.0', 4444, error => reject(error)));
    await expect(back).rejects.toThrow();
    expect(server.commands()).toEqual(['direct-tcpip 10.0.0.9:25', 'tcpip-forward 0.0.0.0:4444']);
  });

  test('has no sftp', async () => {
    const server = await serve();
    const client = await connect(server);
    const sftp = new Promise((_resolve, reject) => client.sftp(error => reject(error)));
    await expect(sftp).rejects.toThrow();
    expect(server.commands()).toEqual(['subsystem sftp']);
  });

  test('has ten channels and no more at a time', async () => {
    const client = await connect(await serve());
    const shells = Array.from(
      { length: 11 },
      () => new Promise((resolve, reject) => client.shell(error => (error === undefined ? resolve('open') : reject(error)))),
    );
    const settled = await Promise.allSettled(shells);
    expect(settled.map(({ status }) => status)).toEqual([...new Array<string>(10).fill('fulfilled'), 'rejected']);
  });

  test('is bound in what it may say', async () => {
    const server = await serve({ limits: { ...LIMITS, receivedBytes: 20_000 } });
    const client = await connect(server);
    const closed = new Promise<void>(resolve => client.on('close', () => resolve()));
    void execute(client, 'cat > x', 'x'.repeat(100_000));
    await closed;
    expect(server.seen.at(-1)).toMatchObject({ kind: 'too-much' });
  });

  test('gets no more messages answered than a session has', async () => {
    const server = await serve({ limits: { ...LIMITS, messages: 40 } });
    const client = await connect(server);
    const closed = new Promise<void>(resolve => client.on('close', () => resolve()));
    for (let times = 0; times < 50; times++) client.exec('id', () => {});
    await closed;
    expect(server.seen.at(-1)).toMatchObject({ kind: 'too-much' });
  });
});

test('keys may be exchanged again, but not without end', async () => {
  const server = await serve();
  const client = await connect(server);
  const protocol = (client as unknown as { readonly _protocol: { rekey(): void } })._protocol;
  for (let times = 1; times < 4; times++) {
    const again = new Promise(resolve => client.once('handshake', resolve));
    protocol.rekey();
    await again;
    expect((await execute(client, 'whoami')).out).toBe('root\n');
  }
  const closed = new Promise<void>(resolve => client.on('close', () => resolve()));
  protocol.rekey();
  await closed;
  expect(server.seen.at(-1)).toMatchObject({ kind: 'malformed', why: 'one key exchange after the other' });
});
