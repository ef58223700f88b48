import { createHmac } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, onTestFinished, test } from 'vitest';
import { chatText, createSlack, createWebhook, keyOf, signatureOf } from '#enforcer/notify/hooks.ts';
import type { Digest } from '#enforcer/notify/port.ts';
import { createSyslog, syslogMessage } from '#enforcer/notify/syslog.ts';
import { eventRow } from '#test/support/fake-operations.ts';
import { loopbackCertificate } from '#test/support/loopback-certificate.ts';

const NOW = unixMs(Date.UTC(2026, 10, 24, 12));
const never = new AbortController().signal;
const readText = (): string => {
  throw new Error('no file is read here');
};

const digest = (more: Partial<Digest> = {}): Digest => ({
  id: 'msg_1',
  test: false,
  host: 'h1',
  instance: 'main',
  from: '2026-11-24T11:59:00.000Z',
  to: '2026-11-24T12:00:00.000Z',
  total: 37,
  kinds: { ban: 30, degraded: 7 },
  sources: [{ source: '203.0.113.7', count: 12 }],
  events: [eventRow(1)],
  severity: 6,
  ...more,
});

interface Posted {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function httpServer(status: number, headers: Record<string, string> = {}): Promise<{ readonly url: string; readonly posted: Posted[] }> {
  const posted: Posted[] = [];
  const server = createServer((request, answer) => {
    let body = '';
    request.setEncoding('utf8').on('data', piece => {
      body += piece;
    });
    request.on('end', () => {
      posted.push({ headers: request.headers, body });
      answer.writeHead(status, headers).end('ok');
    });
  });
  return { url: `http://127.0.0.1:${await listening(server)}/hook/s3cr3t-path`, posted };
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Of each connection, all that came. */
function received(server: Server): Promise<Buffer> {
  return new Promise(resolve => {
    server.on(server.listenerCount('secureConnection') > 0 ? 'secureConnection' : 'connection', (socket: Socket) => {
      const pieces: Buffer[] = [];
      socket.on('data', piece => pieces.push(piece));
      socket.on('end', () => resolve(Buffer.concat(pieces)));
    });
  });
}

describe('the webhook', () => {
  test('is signed as Standard Webhooks has it, and says what happened', async () => {
    const { url, posted } = await httpServer(204);
    const secret = `whsec_${Buffer.from('a key of thirty-two bytes length').toString('base64')}`;
    expect(await createWebhook({ url, secret }, { now: () => NOW, readText }).deliver(digest(), never)).toEqual({ ok: true });
    const [{ headers, body } = { headers: {}, body: '' }] = posted;
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': 'msg_1', 'webhook-timestamp': '1795521600' });
    const expected = createHmac('sha256', 'a key of thirty-two bytes length').update(`msg_1.1795521600.${body}`).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${expected}`);
    expect(JSON.parse(body)).toMatchObject({
      type: 'honeymesh.digest',
      text: 'HoneyMesh on h1: 37 events: 30 ban, 7 degraded; from 203.0.113.7 (12)',
      total: 37,
      kinds: { ban: 30 },
    });
  });

  test('signs the vector that Standard Webhooks publishes as its libraries do', () => {
    const key = keyOf('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    expect(signatureOf(key, 'msg_p5jXN8AQM9LWM0D4loKWxJek', '1614265330', '{"test": 2432232314}')).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  test.each([
    [500, false],
    [429, false],
    [404, true],
    [302, true],
  ])('takes HTTP %i as a failure that is final: %s', async (status, final) => {
    const { url, posted } = await httpServer(status, { location: 'http://127.0.0.1:9/elsewhere' });
    const delivery = await createWebhook({ url, secret: 'sixteen characters' }, { now: () => NOW, readText }).deliver(digest(), never);
    expect(delivery).toMatchObject({ ok: false, final, why: expect.stringContaining(`HTTP ${status}`) });
    expect(posted).toHaveLength(1);
  });

  test('reads secrets from files at each message, and no complaint holds a secret', async () => {
    const files = new Map<string, string>();
    const read = (path: string): string => files.get(path) ?? raise(path);
    const { url, posted } = await httpServer(503);
    const hook = createWebhook({ urlFile: '/url', secretFile: '/secret' }, { now: () => NOW, readText: read });
    const whys: string[] = [];
    const attempt = async (): Promise<void> => {
      const delivery = await hook.deliver(digest(), never);
      whys.push(delivery.ok ? '' : `${delivery.why} ${delivery.fix}`);
    };
    await attempt();
    files.set('/url', url);
    await attempt();
    files.set('/secret', 'first secret of it');
    await attempt();
    files.set('/secret', 'second secret of it');
    await attempt();
    files.set('/url', 'ftp://s3cr3t-path');
    await attempt();
    files.set('/url', 'http://127.0.0.1:1/s3cr3t-path');
    await attempt();
    expect(whys.map(why => why.split(' ')[1])).toEqual(['/url', '/secret', expect.any(String), expect.any(String), 'what', expect.any(String)]);
    for (const why of whys) expect(why).not.toMatch(/s3cr3t|secret of it/);
    expect(new Set(posted.map(({ headers }) => headers['webhook-signature'])).size).toBe(2);
  });

  test('plain HTTP goes to this host itself and nowhere else', async () => {
    const delivery = await createWebhook({ urlFile: '/url', secret: 'sixteen characters' }, { now: () => NOW, readText: () => 'http://192.0.2.1/x' }).deliver(
      digest(),
      never,
    );
    expect(delivery).toMatchObject({ ok: false, why: expect.stringContaining('no https URL') });
  });
});

const raise = (path: string): never => {
  throw Object.assign(new Error(), { code: 'ENOENT', path });
};

describe('a chat', () => {
  test('gets a text, and an attacker in it calls nobody and makes no link', async () => {
    const { url, posted } = await httpServer(200);
    const hostile = '<!channel> @here <https://evil.example|click> https://evil.example *bold*\nnew line';
    expect(await createSlack({ url }, { now: () => NOW, readText }).deliver(digest({ events: [eventRow(1, { summary: hostile })] }), never)).toEqual({
      ok: true,
    });
    const { text } = JSON.parse(posted[0]?.body ?? '{}') as { text: string };
    expect(text).toContain('30 ban');
    expect(text).not.toMatch(/<|>|@here|https:\/\/|[^*]\*bold/);
    expect(text.split('\n')).toHaveLength(3);
    expect(text).toContain('and 36 more');
  });

  test('shows ten events at most', () => {
    expect(chatText(digest({ events: Array.from({ length: 20 }, (_, at) => eventRow(at)) })).split('\n')).toHaveLength(12);
  });
});

/** RFC 5424, 6: the grammar, read by its rules. */
const RFC5424 =
  /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128}) ([\x21-\x7e]{1,32}) (\[[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}(?: [\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\]) \ufeff(.*)$/su;

describe('syslog', () => {
  const config = { facility: 'local3' } as const;

  test('a message is of the grammar of RFC 5424', () => {
    const text = syslogMessage(digest({ instance: 'a"]\\b', host: 'hö st' }), { facility: 'auth', pid: 7, longest: 2_048 }).toString();
    const [, priority, time, host, app, pid, id, data, message] = RFC5424.exec(text) ?? [];
    expect([priority, time, host, app, pid, id]).toEqual([String(4 * 8 + 4), '2026-11-24T12:00:00.000Z', 'hst', 'honeymesh', '7', 'digest']);
    expect(data).toContain(String.raw`instance="a\"\]\\b"`);
    expect(data).toContain('total="37"');
    expect(message).toMatch(/^HoneyMesh on hö st: 37 events/);
  });

  test('is one line of bounded length that ends with a whole character', () => {
    const hostile = digest({ events: [eventRow(1, { summary: `x\n<0>1 forged \u2028${'ä'.repeat(2_000)}` })] });
    for (const longest of [1_000, 1_001, 1_002, 1_003]) {
      const bytes = syslogMessage(hostile, { facility: 'auth', pid: 7, longest });
      expect(bytes.length).toBeLessThanOrEqual(longest);
      expect(bytes.length).toBeGreaterThan(longest - 4);
      expect(new TextDecoder('utf-8', { fatal: true }).decode(bytes)).not.toMatch(/[\n\u2028]/);
    }
  });

  test('over UDP is one datagram', async () => {
    const server = createSocket('udp4').bind(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const got = once(server, 'message') as Promise<[Buffer]>;
    const channel = createSyslog({ ...config, server: { host: '127.0.0.1', port: server.address().port }, transport: 'udp' }, { readText, pid: 1 });
    expect(await channel.deliver(digest(), never)).toEqual({ ok: true });
    expect((await got)[0].toString()).toMatch(RFC5424);
  });

  test('over UDP notices a port that is closed', async () => {
    const server = createSocket('udp4').bind(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    await new Promise<void>(resolve => void server.close(resolve));
    const channel = createSyslog({ ...config, server: { host: '127.0.0.1', port }, transport: 'udp' }, { readText, pid: 1 });
    expect(await channel.deliver(digest(), never)).toMatchObject({ ok: false, why: expect.stringContaining('ECONNREFUSED'), final: false });
  });

  test('over TCP is framed by octet counting', async () => {
    const server = createTcpServer();
    const got = received(server);
    const channel = createSyslog({ ...config, server: { host: '127.0.0.1', port: await listening(server) }, transport: 'tcp' }, { readText, pid: 1 });
    expect(await channel.deliver(digest({ host: 'hä' }), never)).toEqual({ ok: true });
    const [, length = '', message = ''] = /^(\d+) (.*)$/su.exec((await got).toString()) ?? [];
    expect(Number(length)).toBe(Buffer.byteLength(message));
    expect(message).toMatch(RFC5424);
  });

  test('over TLS takes the certificate that ca vouches for, and no other', async () => {
    const { certificate, key } = await loopbackCertificate();
    const server = createTlsServer({ cert: certificate, key });
    server.on('tlsClientError', () => {});
    server.on('secureConnection', () => {});
    const got = received(server);
    const place = { host: '127.0.0.1', port: await listening(server) };
    const trusting = createSyslog({ ...config, server: place, transport: 'tls', ca: '/ca.pem' }, { readText: () => certificate, pid: 1 });
    expect(await trusting.deliver(digest(), never)).toEqual({ ok: true });
    expect((await got).toString()).toMatch(/^\d+ <\d+>1 /);
    const doubting = createSyslog({ ...config, server: place, transport: 'tls' }, { readText, pid: 1 });
    expect(await doubting.deliver(digest(), never)).toMatchObject({ ok: false, fix: expect.stringContaining('ca') });
  });

  test('a server that hangs up at once is a failure', async () => {
    const server = createTcpServer(socket => socket.resetAndDestroy());
    const channel = createSyslog({ ...config, server: { host: '127.0.0.1', port: await listening(server) }, transport: 'tcp' }, { readText, pid: 1 });
    expect(await channel.deliver(digest(), never)).toMatchObject({ ok: false, final: false });
  });

  test('a server that never answers is left when the daemon stops', async () => {
    const server = createTcpServer({ allowHalfOpen: true }, socket => socket.pause().on('error', () => {}));
    const over = new AbortController();
    const channel = createSyslog({ ...config, server: { host: '127.0.0.1', port: await listening(server) }, transport: 'tcp' }, { readText, pid: 1 });
    const delivered = channel.deliver(digest(), over.signal);
    setTimeout(() => over.abort(), 50);
    expect(await delivered).toMatchObject({ ok: false });
  });
});
