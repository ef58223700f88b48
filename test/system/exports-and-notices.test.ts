/** What leaves a running enforcer: exports with their proof, notifications over a real socket, the dump for a report. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatusReport } from '#enforcer/control/operations.ts';
import type { TestReport } from '#enforcer/notify/port.ts';
import { createEnforcerHost, type EnforcerHost, eventually } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

const SECRET = 'planted-secret-of-the-webhook';
const received = join(tmpdir(), `honeymesh-notices-${process.pid}`);
/** Writes down each request, in the namespace, where the enforcer's loopback is. */
const SERVER = `
  const { appendFileSync } = require('node:fs');
  require('node:http').createServer((request, answer) => {
    let body = '';
    request.on('data', piece => { body += piece; });
    request.on('end', () => { appendFileSync(process.argv[1], JSON.stringify({ signature: request.headers['webhook-signature'], body: JSON.parse(body) }) + '\\n'); answer.end(); });
  }).listen(8099, '127.0.0.1');`;

let lab: Lab;
let host: Namespace;
let enforcer: EnforcerHost;
let server: ChildProcess;

beforeAll(async () => {
  lab = createLab();
  host = lab.namespace('host');
  const outside = lab.namespace('outside');
  lab.link({ namespace: host, device: 'eth0', addresses: ['10.78.0.1/24'] }, { namespace: outside, device: 'eth0', addresses: ['10.78.0.2/24'] });
  const notify = `notify: { gather: 50ms, every: 1s, webhook: { url: "http://127.0.0.1:8099/planted-path", secret: ${SECRET} }, syslog: { server: "127.0.0.1:8098", transport: tcp } }`;
  enforcer = createEnforcerHost(host, `interfaces: [eth0]\nlog: { level: warn }\ndashboard: { bind: off }\n${notify}\n`);
  server = host.start([process.execPath, '-e', SERVER, received], { stdio: 'ignore' });
  await enforcer.run().ready();
});
afterAll(async () => {
  try {
    await enforcer.remove();
  } finally {
    server.kill();
    lab.remove();
    rmSync(received, { force: true });
  }
});

interface Notice {
  readonly signature: string;
  readonly body: {
    readonly type: string;
    readonly total: number;
    readonly kinds: Record<string, number>;
    readonly events: readonly { readonly summary: string }[];
  };
}

const notices = (): readonly Notice[] =>
  existsSync(received)
    ? readFileSync(received, 'utf8')
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line) as Notice)
    : [];

test('notify test tells which channel takes it and which does not', async () => {
  const { code, stdout } = await enforcer.honeymesh(['notify', 'test', '-o', 'json'], { mayFail: true });
  expect(code).toBe(1);
  expect(JSON.parse(stdout) as TestReport[]).toMatchObject([
    { channel: 'webhook', ok: true },
    { channel: 'syslog', ok: false, why: expect.stringContaining('ECONNREFUSED') },
  ]);
  expect(notices()).toMatchObject([{ signature: expect.stringMatching(/^v1,/), body: { type: 'honeymesh.test' } }]);
});

test('many bans are one message, and the channel that is down is degraded', async () => {
  const list = join(tmpdir(), `honeymesh-list-${process.pid}`);
  writeFileSync(list, Array.from({ length: 250 }, (_, at) => `203.0.113.${at}\n198.51.100.${at}\n`).join(''));
  await enforcer.honeymesh(['bans', 'import', list, '--ttl', '1h']);
  rmSync(list);
  const digests = (): readonly Notice[] => notices().filter(({ body }) => body.type === 'honeymesh.digest');
  await eventually('all bans were told', () => digests().reduce((sum, { body }) => sum + (body.kinds.ban ?? 0), 0) === 500);
  expect(digests().length).toBeLessThanOrEqual(3);
  const status = await enforcer.json<StatusReport>(['status']);
  expect(status.degraded).toMatchObject([{ part: 'notify', why: expect.stringContaining('syslog (127.0.0.1:8098)') }]);
  expect(status.notify).toMatchObject([
    { channel: 'webhook', state: 'ok', waiting: 0 },
    { channel: 'syslog', state: 'failing' },
  ]);
  expect((await enforcer.honeymesh(['status'])).stdout).toContain('syslog: FAILING');
});

test('an export of the running log is confirmed by it, in every format', async () => {
  for (const format of ['json', 'ndjson', 'csv', 'ecs', 'stix', 'cef', 'list']) {
    const file = join(tmpdir(), `honeymesh-export-${process.pid}.${format}`);
    await enforcer.honeymesh(['events', 'export', '--kind', 'ban', '--format', format, '--output', file]);
    expect(readFileSync(file, 'utf8')).toContain('198.51.100.7');
    const verified = await enforcer.json<{ ok: boolean; proof: object }>(['events', 'verify', '--proof', `${file}.proof.json`]);
    expect(verified).toMatchObject({ ok: true, proof: { log: true, file: true } });
    for (const path of [file, `${file}.proof.json`]) rmSync(path);
  }
});

test('a dump for a report has what the daemon says and no secret', async () => {
  const { stdout } = await enforcer.honeymesh(['support', 'dump', '--output', '-']);
  expect(stdout).not.toContain('planted');
  expect(JSON.parse(stdout)).toMatchObject({ daemon: { status: { mode: 'enforce' }, config: { notify: { webhook: { secret: '(set, not shown)' } } } } });
});
