import { connect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BanRow } from '#enforcer/control/operations.ts';
import { allowContracts } from '#enforcer/dashboard/api/allow.ts';
import { banContracts } from '#enforcer/dashboard/api/bans.ts';
import type { Contract } from '#enforcer/dashboard/api/contract.ts';
import { eventContracts } from '#enforcer/dashboard/api/events.ts';
import { openApiDocument } from '#enforcer/dashboard/api/openapi.ts';
import { statusContracts } from '#enforcer/dashboard/api/status.ts';
import { tokenContracts } from '#enforcer/dashboard/api/token.ts';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { METRICS } from '#enforcer/health/metrics-table.ts';
import { type DashboardScene, dashboardScene } from '#test/support/dashboard.ts';
import { banRow, eventRow } from '#test/support/fake-operations.ts';

let scene: DashboardScene;
beforeEach(async () => {
  scene = await dashboardScene();
});
afterEach(() => scene.stop());

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly security: readonly Readonly<Record<string, unknown>>[];
}

/** Every route, from the document that is served. */
function operations(): readonly Operation[] {
  const document = openApiDocument() as { paths: Record<string, Record<string, { security?: Operation['security'] }>>; security: Operation['security'] };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => ({ method: method.toUpperCase(), path, security: security ?? document.security })),
  );
}

const STRICT = {
  'content-security-policy': /^default-src 'none'/,
  'strict-transport-security': /max-age=\d+/,
  'x-content-type-options': /^nosniff$/,
  'x-frame-options': /^DENY$/,
  'referrer-policy': /^no-referrer$/,
  'cross-origin-resource-policy': /^same-origin$/,
  'cache-control': /^no-store$/,
};

function expectStrict(headers: Readonly<Record<string, unknown>>): void {
  for (const [name, form] of Object.entries(STRICT)) expect(headers[name], name).toMatch(form);
  expect(headers).not.toHaveProperty('set-cookie');
  expect(headers).not.toHaveProperty('server');
  expect(headers).not.toHaveProperty('access-control-allow-origin');
}

describe('without the token', () => {
  test('no route of the document answers with content, and each says so as a problem with strict headers', async () => {
    expect(operations().length).toBeGreaterThan(18);
    for (const { method, path, security } of operations()) {
      const open = security.some(scheme => Object.keys(scheme).length === 0);
      for (const [token, headers] of [
        [null, {}],
        ['0'.repeat(64), {}],
        [null, { cookie: `token=${scene.token}` }],
        [null, { authorization: `Basic ${Buffer.from(`token:${scene.token}`).toString('base64')}` }],
      ] as const) {
        if (open && token === null) continue; // from loopback: shown below
        scene.nowMs += 60_000; // wrong tokens are limited: that is another test
        const query = security.some(scheme => 'query' in scheme) ? '' : `?token=${scene.token}`;
        const answer = await scene.ask(`${path}${query}`, { method, token, headers });
        expect(answer.status, `${method} ${path}`).toBe(401);
        expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
        expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
        expectStrict(answer.headers);
        expect(Object.keys(JSON.parse(answer.text)).sort()).toEqual(['detail', 'fix', 'status', 'title', 'type']);
      }
    }
    expect(scene.operations.asked).toEqual([]);
  });

  test('routes that are served are those of the document, and no other', async () => {
    for (const { method, path } of operations()) {
      const answer = await scene.ask(path, { method, token: null });
      expect([200, 401], `${method} ${path}`).toContain(answer.status);
    }
    for (const path of ['/api', '/api/', '/api/nothing', '/api/bans/203.0.113.7', '/api/status/', '/%61pi/nothing', '/..%2fapi/status']) {
      const answer = await scene.ask(path);
      expect(answer.status, path).toBe(404);
      expectStrict(answer.headers);
    }
    for (const method of ['PUT', 'PATCH', 'OPTIONS', 'TRACE', 'DELETE']) expect((await scene.ask('/api/status', { method })).status, method).toBe(404);
  });

  test('no body is read', async () => {
    const answer = await scene
      .ask('/api/bans/import', { method: 'POST', token: null, body: `{"lines":["${'x'.repeat(1_000_000)}"]}` })
      .catch(error => error as Error);
    if (!(answer instanceof Error)) expect(answer.status).toBe(401);
    expect(scene.operations.asked).toEqual([]);
  });

  test('plain HTTP gets no content', async () => {
    const text = await new Promise<string>(resolve => {
      let got = '';
      const socket = connect(scene.port, '127.0.0.1', () =>
        socket.write(`GET /api/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${scene.token}\r\n\r\n`),
      );
      socket.on('data', part => {
        got += part.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(got));
    });
    expect(text).not.toContain('HTTP/');
    expect(text).not.toContain('version');
    expect(text.length).toBeLessThan(16); // a TLS alert at the most
  });

  test('TLS 1.3 is taken, 1.2 with forward secrecy, and nothing older or weaker', async () => {
    const speak = (options: object): Promise<string | null> =>
      new Promise(resolve => {
        const socket = tlsConnect({ host: '127.0.0.1', port: scene.port, rejectUnauthorized: false, ...options }, () => {
          resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
          socket.destroy();
        });
        socket.on('error', () => resolve(null));
      });
    expect(await speak({})).toMatch(/^TLSv1\.3 TLS_AES_256_GCM_SHA384$/);
    expect(await speak({ maxVersion: 'TLSv1.2' })).toMatch(/^TLSv1\.2 ECDHE-.*(GCM|CHACHA20)/);
    expect(await speak({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })).toBeNull();
    expect(await speak({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256' })).toBeNull();
  });
});

describe('the token', () => {
  test('is taken from either header, and from the address by no route that is no download', async () => {
    expect((await scene.ask('/api/status')).status).toBe(200);
    expect((await scene.ask('/api/status', { token: null, headers: { 'x-honeymesh-token': scene.token } })).status).toBe(200);
    expect((await scene.ask(`/api/status?token=${scene.token}`, { token: null })).status).toBe(401);
  });

  test('is dead at once when it was rotated, and the new one is in that answer only', async () => {
    const { token, formerUntil } = await scene.read('/api/token/rotate', { method: 'POST', body: {} });
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(formerUntil).toBeNull();
    expect((await scene.ask('/api/status')).status).toBe(401);
    scene.token = String(token);
    expect((await scene.ask('/api/status')).status).toBe(200);
    expect(JSON.stringify(scene.events)).not.toContain(String(token));
    expect(scene.events.map(event => event.summary)).toContainEqual(expect.stringMatching(/rotated; the former one is dead/));
  });

  test('with a grace both hold until it is over; a longer one than a day is refused', async () => {
    const old = scene.token;
    const { token } = await scene.read('/api/token/rotate', { method: 'POST', body: { grace: '5m' } });
    expect((await scene.ask('/api/status', { token: old })).status).toBe(200);
    scene.nowMs += 5 * 60_000;
    expect((await scene.ask('/api/status', { token: old })).status).toBe(401);
    const refused = await scene.ask('/api/token/rotate', { method: 'POST', token: String(token), body: { grace: '25h' } });
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'HM_USAGE', type: 'urn:honeymesh:problem:HM_USAGE' });
  });

  test('a wrong one is an event, too many are refused without being looked at, and after a while there is another try', async () => {
    for (let round = 0; round < 10; round++) expect((await scene.ask('/api/status', { token: 'f'.repeat(64) })).status).toBe(401);
    const limited = await scene.ask('/api/status', { token: 'f'.repeat(64) });
    expect(limited.status).toBe(429);
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
    expectStrict(limited.headers);
    expect((await scene.ask('/api/status')).status).toBe(429);
    scene.nowMs += Number(limited.headers['retry-after']) * 1_000;
    expect((await scene.ask('/api/status')).status).toBe(200);
    const told = scene.events.filter(event => event.summary.startsWith('a wrong token'));
    expect(told).toHaveLength(10);
    expect(told[0]).toMatchObject({ kind: 'auth', source: '127.0.0.1', tier: null });
    expect(scene.sightings).toEqual([]); // from the host itself
  });
});

describe('what is answered', () => {
  const get = (contract: Contract, query = '') => ({ name: contract.name, contract, path: `${contract.path}${query}` });

  test.each([
    get(statusContracts.status),
    get(statusContracts.peers),
    get(statusContracts.traps),
    get(statusContracts.trapEvents, '?port=22&limit=5'),
    get(statusContracts.config),
    get(banContracts.list, '?limit=10&tier=E1'),
    get(banContracts.dryRun, '?target=203.0.113.0/24'),
    get(allowContracts.list),
    get(allowContracts.explain, '?address=203.0.113.7&mask=true'),
    get(eventContracts.list, '?kind=ban,lift&since=24h&ascending=true'),
    get(tokenContracts.state),
  ])('$name answers as its schema says', async ({ contract, path }) => {
    const answer = await scene.ask(path);
    expect(answer.status, answer.text).toBe(200);
    expectStrict(answer.headers);
    if (typeof contract.answer === 'string') throw new Error('no JSON');
    expect(contract.answer.safeParse(JSON.parse(answer.text)).error).toBeUndefined();
  });

  test('orders reach the daemon as they were given', async () => {
    await scene.read('/api/bans', { method: 'POST', body: { target: '203.0.113.9', ttl: '1h', note: 'seen in the mail log' } });
    await scene.read('/api/bans?target=203.0.113.9', { method: 'DELETE' });
    await scene.read('/api/bans/import', { method: 'POST', body: { lines: ['203.0.113.1', '# none'], ttl: '7d' } });
    await scene.read('/api/allow', { method: 'POST', body: { target: '198.51.100.0/24' } });
    await scene.read('/api/allow?target=198.51.100.0/24', { method: 'DELETE' });
    await scene.read('/api/pause', { method: 'POST', body: { duration: '5m' } });
    expect(scene.operations.asked).toMatchObject([
      { op: 'addBan', args: { target: '203.0.113.9', ttl: '1h', note: 'seen in the mail log' } },
      { op: 'removeBan', args: { target: '203.0.113.9' } },
      { op: 'importBans', args: { lines: ['203.0.113.1', '# none'], ttl: '7d' } },
      { op: 'addAllowed', args: { target: '198.51.100.0/24' } },
      { op: 'removeAllowed', args: { target: '198.51.100.0/24' } },
      { op: 'pause', args: { duration: '5m' } },
    ]);
  });

  test('a refusal is a problem with the code, the reason and what mends it; a bug tells nothing of itself', async () => {
    await scene.stop();
    scene = await dashboardScene({
      addBan: () => Promise.reject(new HoneyMeshError('HM_REFUSED', '127.0.0.1 is this host', { fix: 'name another' })),
      status: () => Promise.reject(new Error('secret innards')),
    });
    const refused = await scene.ask('/api/bans', { method: 'POST', body: { target: '127.0.0.1' } });
    expect(refused.status).toBe(409);
    expect(JSON.parse(refused.text)).toMatchObject({ status: 409, code: 'HM_REFUSED', detail: '127.0.0.1 is this host', fix: 'name another' });
    const broken = await scene.ask('/api/status');
    expect(broken.status).toBe(500);
    expect(broken.text).not.toContain('innards');
    expectStrict(broken.headers);
    expect(scene.bugs).toHaveLength(1);
  });

  test('what is asked wrongly is told by its place: unknown keys, wrong types, doubles, other media, bodies that are too long', async () => {
    const wrong = async (path: string, ask: Parameters<DashboardScene['ask']>[1], status: number) => {
      const answer = await scene.ask(path, ask);
      expect(answer.status, `${path} ${answer.text}`).toBe(status);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      expectStrict(answer.headers);
      return answer.text;
    };
    expect(await wrong('/api/bans?limit=0', {}, 400)).toContain('limit');
    expect(await wrong('/api/bans?nothing=1', {}, 400)).toContain('nothing');
    expect(await wrong('/api/bans?target=a&target=b', {}, 400)).toContain('target');
    expect(await wrong('/api/events?kind=ban,unheard', {}, 400)).toContain('kind');
    expect(await wrong('/api/bans', { method: 'POST', body: { target: 7 } }, 400)).toContain('target');
    expect(await wrong('/api/bans', { method: 'POST', body: { target: 'a', more: 1 } }, 400)).toContain('more');
    await wrong('/api/bans', { method: 'POST', body: '{"target":' }, 400);
    await wrong('/api/bans', { method: 'POST', body: 'target=a', headers: { 'content-type': 'text/plain' } }, 415);
    await wrong('/api/bans', { method: 'POST', body: { target: 'a', note: 'x'.repeat(70_000) } }, 413);
    await wrong(`/api/status?${'x'.repeat(20_000)}`, {}, 431);
    await wrong('/api/%ff', {}, 400);
    expect(scene.operations.asked).toEqual([]);
  });

  test('pages of bans hold each one once, filtered and in order', async () => {
    await scene.stop();
    const rows: BanRow[] = Array.from({ length: 250 }, (_, at) => ({
      ...banRow,
      target: `203.0.113.${at}/32`,
      origins: [at % 2 === 0 ? 'trap' : 'peer'],
      droppedPackets: at % 7,
    }));
    let reads = 0;
    scene = await dashboardScene({
      listBans() {
        reads++;
        return Promise.resolve(rows);
      },
    });
    const seen: string[] = [];
    for (let offset = 0; offset < 125; offset += 50) {
      const page = await scene.read(`/api/bans?origin=peer&sort=droppedPackets&limit=50&offset=${offset}`);
      expect(page.total).toBe(125);
      seen.push(...(page.rows as BanRow[]).map(row => row.target));
    }
    expect(new Set(seen).size).toBe(125);
    expect(reads).toBe(1); // one reading of the kernel for the pages of one list
    await scene.read('/api/bans', { method: 'POST', body: { target: '203.0.113.9' } });
    await scene.read('/api/bans');
    expect(reads).toBe(2);
  });

  test('events are paged by id', async () => {
    await scene.stop();
    const log = Array.from({ length: 25 }, (_, at) => eventRow(at + 1));
    scene = await dashboardScene({
      listEvents: ({ beforeId = Number.POSITIVE_INFINITY, limit = 100 }) =>
        Promise.resolve(
          log
            .filter(row => row.id < beforeId)
            .toReversed()
            .slice(0, limit),
        ),
    });
    const ids: number[] = [];
    for (let query = '?limit=10'; ; ) {
      const page = (await scene.read(`/api/events${query}`)) as { rows: { id: number }[]; next: number | null };
      ids.push(...page.rows.map(row => row.id));
      if (page.next === null) break;
      query = `?limit=10&beforeId=${page.next}`;
    }
    expect(ids).toEqual(log.map(row => row.id).toReversed());
  });
});

describe('the export', () => {
  test('is a download: the token may stand in its address, and only there', async () => {
    await scene.stop();
    const log = Array.from({ length: 2_500 }, (_, at) => eventRow(at + 1, { summary: `number ${at + 1}` }));
    scene = await dashboardScene({
      listEvents: ({ afterId = 0, beforeId = Number.POSITIVE_INFINITY, limit = 100 }) =>
        Promise.resolve(log.filter(row => row.id > afterId && row.id < beforeId).slice(0, limit)),
      logTip: () => Promise.resolve({ head: 'ab'.repeat(32), lastId: 2_400, firstId: 1 }),
    });
    const answer = await scene.ask(`/api/events/export?format=csv&token=${scene.token}`, { token: null });
    expect(answer.status).toBe(200);
    expectStrict(answer.headers);
    expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8');
    expect(answer.headers['content-disposition']).toBe('attachment; filename="honeymesh-2026-11-24T120000.csv"');
    expect(answer.headers['x-honeymesh-log-head']).toBe(`${'ab'.repeat(32)} 2400`);
    expect(answer.text.trimEnd().split('\r\n')).toHaveLength(2_401); // with its head, without what came meanwhile
    expect((await scene.ask(`/api/events/export?token=${'0'.repeat(64)}`, { token: null })).status).toBe(401);
    expect((await scene.ask(`/api/events?token=${scene.token}`, { token: null })).status).toBe(401);
  });

  test('with wrong filters is refused before its first byte', async () => {
    await scene.stop();
    scene = await dashboardScene({ listEvents: () => Promise.reject(new HoneyMeshError('HM_USAGE', '"yesterday" is no time', { fix: 'write 24h' })) });
    const answer = await scene.ask('/api/events/export?since=yesterday');
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'HM_USAGE', fix: 'write 24h' });
    expect((await scene.ask('/api/events/export?format=pdf')).status).toBe(400);
  });
});

test('what Node would answer by itself has the headers, too: no host, an expectation, no HTTP, a header without end', async () => {
  for (const [bytes, status] of [
    ['GET /api/status HTTP/1.1\r\n\r\n', 401],
    ['GET /api/status HTTP/1.1\r\nHost: x\r\nExpect: the-impossible\r\n\r\n', 417],
    ['EHLO x\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(9_000)}\r\n\r\n`, 431],
    ['GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  ] as const) {
    const answer = (await scene.raw(bytes)).toLowerCase();
    expect(answer, bytes.slice(0, 60)).toMatch(new RegExp(`^http/1\\.1 ${status} `));
    for (const name of Object.keys(STRICT)) expect(answer).toContain(`\r\n${name}: `);
  }
});

describe('/metrics', () => {
  test('is told to the host itself without a token, and holds every metric of the table with labels within their bounds', async () => {
    scene.metrics.stored({ ...eventRow(1), at: 0 } as never);
    const answer = await scene.ask('/metrics', { token: null });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expectStrict(answer.headers);
    const names = new Set([...answer.text.matchAll(/^# TYPE (\S+)/gm)].map(match => match[1]));
    expect([...names].sort()).toEqual(Object.keys(METRICS).sort());
    expect(answer.text).toContain('honeymesh_bans_active{origin="trap",family="ipv4"} 0');
    expect(answer.text).toContain('honeymesh_packets_total{verdict="drop-ban",effect="enforced"} 12');
    expect(answer.text).toContain('honeymesh_packets_total{verdict="drop-scan",effect="would"} 1');
    expect(answer.text).toContain('honeymesh_events_total{kind="touch"} 1');
    expect(answer.text.split('\n').length).toBeLessThan(400);
    expect(answer.text).not.toMatch(/\d+\.\d+\.\d+\.\d+/);
  });

  test('a wrong token is wrong there, too', async () => {
    expect((await scene.ask('/metrics', { token: '0'.repeat(64) })).status).toBe(401);
  });

  test('counters do not grow by being read', async () => {
    const [one, two] = [await scene.ask('/metrics'), await scene.ask('/metrics')];
    const of = (text: string) => /^honeymesh_packets_total\{verdict="drop-ban",effect="enforced"\} (\d+)$/m.exec(text)?.[1];
    expect(of(two.text)).toBe(of(one.text));
  });
});
