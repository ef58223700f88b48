/** What a stranger may send to a registrar's routes: never a crash, never a bug, never a certificate. */
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { fc, test } from '@fast-check/vitest';
import { afterEach, beforeEach, describe, expect } from 'vitest';
import {
  LONGEST_REQUEST_BYTES,
  ROUTES,
  readJoin,
  readJoinAnswer,
  readKeysAnswer,
  readMember,
  readRefused,
  readRenewAnswer,
} from '#enforcer/mesh/registrar/messages.ts';
import { NOON, secretOf } from '#test/support/hm1.ts';
import { type RegistrarScene, registrarScene } from '#test/support/mesh-registrar.ts';

const text64 = (length: number): string => Buffer.alloc(length, 7).toString('base64');
const joinBody = { secret: text64(16), nodeName: 'anvil', edPublic: text64(32), xPublic: text64(32), time: NOON, proof: text64(64) };
const memberBody = { certificate: text64(300), time: NOON, nonce: text64(16), proof: text64(64) };
const trustBody = { time: NOON, registrars: [text64(200)], revocations: [text64(100)] };
const keysBody = { generation: 3, sealed: [text64(160)] };
const joinAnswer = {
  ...trustBody,
  ...keysBody,
  clusterId: text64(16),
  rootPublic: text64(32),
  certificate: text64(300),
  site: 'home',
  label: '',
  join: ['192.0.2.1:7946'],
};

const parsers = [
  ['a join', readJoin, joinBody],
  ['a renewal or a fetch of keys', readMember, memberBody],
  ['the answer to a join', readJoinAnswer, joinAnswer],
  ['the answer to a renewal', readRenewAnswer, { ...trustBody, certificate: text64(300) }],
  ['the answer to a fetch of keys', readKeysAnswer, { ...trustBody, ...keysBody, issuer: '0123456789abcdef' }],
  ['a refusal', readRefused, { refused: 'used-token', time: NOON }],
] as const;

describe.each(parsers)('the parser of %s', (_what, read, good) => {
  test('takes the real thing', () => {
    expect(read(good).ok).toBe(true);
  });

  test.prop([fc.anything({ maxDepth: 4 })])('takes nothing else, and never throws', value => {
    expect(read(value)).toEqual({ ok: false, why: 'malformed' });
  });

  test.prop([fc.constantFrom(...Object.keys(good)), fc.oneof(fc.anything(), fc.string(), fc.base64String(), fc.double(), fc.maxSafeInteger())])(
    'never throws where one field is anything',
    (field, value) => {
      expect(typeof read({ ...good, [field]: value }).ok).toBe('boolean');
    },
  );

  test('takes none of which a field is missing', () => {
    for (const field of Object.keys(good)) {
      const rest = Object.fromEntries(Object.entries(good).filter(([name]) => name !== field));
      expect(read(rest).ok).toBe(false);
    }
  });
});

test('bytes are bounded before they are read: a base64 of megabytes is no certificate', () => {
  expect(readMember({ ...memberBody, certificate: text64(4_000_000) }).ok).toBe(false);
  expect(readJoin({ ...joinBody, nodeName: 'a'.repeat(64) }).ok).toBe(false);
  expect(readJoin({ ...joinBody, nodeName: 'a\u0000b' }).ok).toBe(false);
  expect(readJoin({ ...joinBody, more: 1 }).ok).toBe(false);
});

interface Answered {
  readonly status: number;
  readonly body: string;
}

let scene: RegistrarScene;

function send(
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = { 'content-type': 'application/json' },
  method = 'POST',
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: scene.port, path, method, headers, rejectUnauthorized: false, agent: false }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

describe('over the wire', () => {
  beforeEach(async () => {
    scene = await registrarScene();
  });
  afterEach(async () => {
    expect(scene.bugs).toEqual([]);
    expect(scene.keeping.hosts(NOON)).toEqual([]);
    await scene.close();
  });

  test('a body that is too long is refused before it was read whole', async () => {
    for (const path of Object.values(ROUTES)) {
      const answer = await send(path, JSON.stringify({ secret: 'x'.repeat(LONGEST_REQUEST_BYTES) })).catch((error: NodeJS.ErrnoException) => error.code);
      // Its end may come while we still write.
      if (typeof answer === 'object') expect(answer).toMatchObject({ status: 400 });
      else expect(['ECONNRESET', 'EPIPE']).toContain(answer);
    }
  });

  test('garbage is malformed, whatever it says it is', async () => {
    for (const path of Object.values(ROUTES)) {
      for (const [body, type] of [
        ['{', 'application/json'],
        ['', 'application/json'],
        ['null', 'application/json'],
        ['{"__proto__": {"ok": true}}', 'application/json'],
        [Buffer.from(secretOf('noise')), 'application/octet-stream'],
        ['a=b', 'application/x-www-form-urlencoded'],
      ] as const) {
        const answer = await send(path, body, { 'content-type': type });
        expect(answer.status).toBe(400);
        expect(JSON.parse(answer.body)).toEqual({ refused: 'malformed', time: NOON });
      }
    }
    expect(new Set(scene.refused)).toEqual(new Set(['malformed']));
  });

  test('there are three routes and nothing else', async () => {
    for (const [path, method] of [
      ['/', 'GET'],
      ['/mesh/v1/join', 'GET'],
      ['/mesh/v1/keys', 'DELETE'],
      ['/mesh/v1/', 'POST'],
      ['/../../etc/passwd', 'GET'],
    ] as const) {
      expect((await send(path, '', {}, method)).status).toBe(404);
    }
  });

  test('who says nothing, or half a request, is let go of within seconds', async () => {
    const startedMs = performance.now();
    const silent = connectTcp(scene.port, '127.0.0.1');
    const slow = connectTls({ host: '127.0.0.1', port: scene.port, rejectUnauthorized: false }, () => slow.write('POST /mesh/v1/join HTTP/1.1\r\nhost: x\r\n'));
    await Promise.all(
      [silent, slow].map(
        socket =>
          new Promise<void>(resolve => {
            socket.on('error', () => {});
            socket.on('data', () => {});
            socket.on('close', () => resolve());
          }),
      ),
    );
    expect(performance.now() - startedMs).toBeLessThan(9_000);
  });

  test('older TLS is not spoken', async () => {
    const failure = await new Promise(resolve => {
      const socket = connectTls({ host: '127.0.0.1', port: scene.port, maxVersion: 'TLSv1.2', rejectUnauthorized: false }, () => resolve('spoken'));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    expect(failure).toMatch(/ALERT|EPROTO|ECONNRESET/);
  });

  test('what is no TLS ends in a closed connection, and the next one is served', async () => {
    for (const noise of [Buffer.alloc(4_000, 0x16), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from(secretOf('noise'))]) {
      await new Promise<void>(resolve => {
        const socket = connectTcp(scene.port, '127.0.0.1', () => socket.write(noise));
        socket.on('data', () => {});
        socket.on('error', () => {});
        socket.on('close', () => resolve());
        setTimeout(() => socket.destroy(), 300);
      });
    }
    expect((await send(ROUTES.join, '{}')).status).toBe(400);
  });
});

test('who connects too often is not answered, and costs no handshake', async () => {
  const narrow = await registrarScene({ each: 3 });
  const tried: unknown[] = [];
  for (let at = 0; at < 6; at++) {
    tried.push(
      await new Promise(resolve => {
        const socket = connectTls({ host: '127.0.0.1', port: narrow.port, rejectUnauthorized: false }, () => {
          socket.destroy();
          resolve('answered');
        });
        socket.on('error', () => resolve('closed'));
      }),
    );
  }
  expect(tried).toEqual(['answered', 'answered', 'answered', 'closed', 'closed', 'closed']);
  await narrow.close();
});
