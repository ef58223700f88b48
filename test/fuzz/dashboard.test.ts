/** Whatever is sent to the dashboard's port: an answer that is one of ours, with its headers, or the end of the connection; never a bug, never content. */
import { fc, test } from '@fast-check/vitest';
import { afterAll, beforeAll, expect } from 'vitest';
import { openApiDocument } from '#enforcer/dashboard/api/openapi.ts';
import { presentedToken } from '#enforcer/dashboard/token.ts';
import { type DashboardScene, dashboardScene } from '#test/support/dashboard.ts';

let scene: DashboardScene;
beforeAll(async () => {
  scene = await dashboardScene();
});
afterAll(() => scene.stop());

const PATHS = Object.keys(openApiDocument().paths as object).filter(path => path !== '/metrics' && !path.endsWith('/live') && !path.endsWith('/rotate'));
const METHODS = ['GET', 'POST', 'DELETE', 'HEAD', 'PUT', 'OPTIONS'];

/** Characters that a client may put on the wire, and some that it may not. */
const octets = fc.string({
  unit: fc.constantFrom('a', '0', '/', '.', '%', '2', 'f', '?', '&', '=', '#', ';', '\\', '"', '<', '\u00ff', '\u0001', '+', ' ', ':'),
  maxLength: 60,
});
const path = fc.oneof(
  fc.constantFrom(...PATHS),
  octets.map(text => `/${text.replaceAll(' ', '+')}`),
  fc.tuple(fc.constantFrom(...PATHS), octets).map(([of, text]) => `${of}?${text.replaceAll(' ', '+')}`),
);

function expectStrict(answer: string): number {
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
  const head = answer.slice(0, answer.indexOf('\r\n\r\n')).toLowerCase();
  for (const header of [
    "content-security-policy: default-src 'none'",
    'x-content-type-options: nosniff',
    'cache-control: no-store',
    'strict-transport-security: ',
    'x-frame-options: deny',
  ])
    expect(head, answer.slice(0, 400)).toContain(`\r\n${header}`);
  expect(head).not.toContain('set-cookie');
  return status;
}

test.prop(
  [
    fc.constantFrom(...METHODS),
    path,
    fc.array(fc.tuple(fc.constantFrom('authorization', 'x-honeymesh-token', 'cookie', 'host', 'content-type', 'last-event-id', 'expect', 'upgrade'), octets), {
      maxLength: 4,
    }),
  ],
  {
    numRuns: 150,
  },
)('without the token no request line and no header gets more than a problem', async (method, of, headers) => {
  scene.nowMs += 60_000;
  const lines = headers.map(([name, value]) => `${name}: ${value.replaceAll('\u0001', '')}\r\n`).join('');
  const answer = await scene.raw(Buffer.from(`${method} ${of} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n`, 'latin1'));
  if (answer !== '') expect([400, 401, 404, 405, 408, 413, 415, 417, 429, 431]).toContain(expectStrict(answer));
  expect(scene.bugs).toEqual([]);
  expect(scene.operations.asked).toEqual([]);
});

test.prop([fc.uint8Array({ maxLength: 400 })], { numRuns: 60 })('bytes that are no HTTP get a problem or nothing', async bytes => {
  const answer = await scene.raw(Buffer.concat([bytes, Buffer.from('\r\n\r\n')]));
  if (answer !== '') expect(expectStrict(answer)).toBe(400);
  expect(scene.bugs).toEqual([]);
});

test.prop([fc.constantFrom(...METHODS.slice(0, 3)), fc.constantFrom(...PATHS), octets, fc.oneof(fc.jsonValue(), fc.anything())], { numRuns: 300 })(
  'with the token no query and no body is a bug: it is answered, or told what is wrong with it',
  async (method, of, query, body) => {
    const answer = await scene.ask(`${of}?${encodeURI(query)}`, { method, body: method === 'POST' ? text(body) : undefined });
    expect([200, 400, 404, 413], `${method} ${of} ${answer.text}`).toContain(answer.status);
    if (answer.status !== 200) expect(Object.keys(JSON.parse(answer.text))).toEqual(expect.arrayContaining(['type', 'title', 'status', 'detail']));
    expect(scene.bugs).toEqual([]);
  },
);

test('a body that reaches for prototypes is refused or harmless', async () => {
  for (const body of ['{"__proto__":{"target":"a"}}', '{"constructor":{"prototype":{"target":"a"}}}', '{"target":"a","__proto__":{"ttl":"1h"}}']) {
    const answer = await scene.ask('/api/bans', { method: 'POST', body });
    expect([200, 400]).toContain(answer.status);
  }
  expect(({} as Record<string, unknown>).target).toBeUndefined();
  expect(scene.bugs).toEqual([]);
});

test.prop([fc.option(fc.string(), { nil: undefined }), fc.option(fc.string(), { nil: undefined }), fc.option(fc.string(), { nil: undefined })], {
  numRuns: 2_000,
})('reading what was presented never throws, and is bounded', (authorization, own, query) => {
  const presented = presentedToken({ authorization, 'x-honeymesh-token': own, query });
  if (presented !== undefined) expect(presented.length).toBeLessThanOrEqual(256);
});

function text(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return '';
  }
}
