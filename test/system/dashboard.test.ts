/** The dashboard of a whole enforcer, asked from outside and from the host itself by curl and openssl. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BanRow, EventRow } from '#enforcer/control/operations.ts';
import { createEnforcerHost, type EnforcerHost, eventually, type RunningEnforcer } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';

const HOST = '10.91.0.1';
const GUESSER = '10.91.0.7';
const ALLOWED = '10.91.0.8';
const CLIENT = '10.91.0.9';

let lab: Lab;
let host: Namespace;
let outside: Namespace;
let enforcer: EnforcerHost;
let running: RunningEnforcer;
let token: string;

const tokenIn = (output: string): string | undefined => /^ {2}token +([0-9a-f]{64}) /m.exec(output)?.[1];

beforeAll(async () => {
  lab = createLab();
  host = lab.namespace('host');
  outside = lab.namespace('outside');
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`] },
    { namespace: outside, device: 'eth0', addresses: [GUESSER, ALLOWED, CLIENT].map(address => `${address}/24`) },
  );
  enforcer = createEnforcerHost(host, `interfaces: [eth0]\nallow: [${ALLOWED}]\ndashboard: { bind: 0.0.0.0:8443, names: [board.example] }\n`);
  running = enforcer.run();
  await running.ready();
  token = tokenIn(running.output()) ?? '';
});
afterAll(async () => {
  try {
    await enforcer.remove();
  } finally {
    lab.remove();
  }
});

interface Asked {
  readonly from?: string;
  readonly token?: string;
  readonly more?: readonly string[];
}

/** Status and body; status 0: there was no answer. */
async function ask(path: string, { from = CLIENT, token: given, more = [] }: Asked = {}): Promise<{ status: number; text: string }> {
  const header = given === undefined ? [] : ['-H', `Authorization: Bearer ${given}`];
  const { stdout } = await outside.run(
    ['curl', '-sk', '--max-time', '3', '--interface', from, '-w', '\n%{http_code}', ...header, ...more, `https://${HOST}:8443${path}`],
    { mayFail: true },
  );
  const end = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(end + 1)), text: stdout.slice(0, end) };
}

test('a start says where it is, shows the token once and the certificate, and that one is served, with the names and addresses of the host', async () => {
  expect(token).toMatch(/^[0-9a-f]{64}$/);
  expect(running.output()).toMatch(new RegExp(`^ {2}dashboard +https://${HOST}:8443/$`, 'm'));
  const shown = /^ {2}certificate +SHA-256 ([0-9A-F:]{95})$/m.exec(running.output())?.[1];
  const { stdout: pem } = await outside.run(['openssl', 's_client', '-connect', `${HOST}:8443`, '-showcerts'], { input: '' });
  const { stdout: said } = await outside.run(['openssl', 'x509', '-noout', '-fingerprint', '-sha256', '-ext', 'subjectAltName'], { input: pem });
  expect(said).toContain(`=${shown}`);
  for (const name of [`IP Address:${HOST}`, 'IP Address:127.0.0.1', 'DNS:localhost', 'DNS:board.example']) expect(said).toContain(name);
});

test('with the token it answers, without it it does not, and to plain HTTP it says nothing', async () => {
  const { status, text } = await ask('/api/status', { token });
  expect(status).toBe(200);
  expect(JSON.parse(text)).toMatchObject({ instance: enforcer.instance, mode: 'enforce', degraded: [] });
  expect(await ask('/api/status')).toMatchObject({ status: 401 });
  expect(await ask('/metrics')).toMatchObject({ status: 401 });
  const plain = await outside.run(
    ['curl', '-s', '--max-time', '3', '-o', '/dev/null', '-w', '%{http_code} %{size_download}', `http://${HOST}:8443/api/status`],
    { mayFail: true },
  );
  expect(plain).toMatchObject({ stdout: '000 0' });
});

test('a ban by the API is in the kernel, and its event reaches who follows', async () => {
  const following = ask('/api/events/live?kind=ban', { token });
  await new Promise(resolve => setTimeout(resolve, 500));
  const { status, text } = await ask('/api/bans', { token, more: ['--json', '{"target":"198.51.100.77","ttl":"1h","note":"by the API"}'] });
  expect(status).toBe(200);
  expect(JSON.parse(text)).toMatchObject({ target: '198.51.100.77/32', tier: 'operator', enforced: true });
  expect((await following).text).toMatch(/^data: .*"kind":"ban".*198\.51\.100\.77/m); // curl ends it after 3 s
  expect(await ask('/api/bans?target=198.51.100.77', { token, more: ['-X', 'DELETE'] })).toMatchObject({ status: 200 });
});

test('the host itself reads its metrics without a token; what was decided is counted there', async () => {
  const { stdout } = await host.run(['curl', '-sk', 'https://127.0.0.1:8443/metrics']);
  expect(stdout).toMatch(/^honeymesh_interface_guarded\{interface="eth0"\} 1$/m);
  expect(stdout).toMatch(/^honeymesh_events_total\{kind="ban"\} [1-9]/m);
});

test('who guesses at the token is banned for it, in full, and who is allowed is not', async () => {
  for (let time = 0; time < 5; time++) expect(await ask('/api/status', { from: ALLOWED, token: `${time}`.repeat(64) })).toMatchObject({ status: 401 });
  expect(await ask('/api/status', { from: ALLOWED, token })).toMatchObject({ status: 200 });
  for (let time = 0; time < 5; time++) await ask('/api/status', { from: GUESSER, token: `${time}`.repeat(64) });
  await eventually('it is banned', async () => (await enforcer.json<BanRow[]>(['bans', 'list'])).length > 0);
  expect(await enforcer.json<BanRow[]>(['bans', 'list'])).toMatchObject([
    { target: `${GUESSER}/32`, tier: 'E1', reasons: ['dashboard-guessing'], origins: ['trap'], enforced: true, confined: false },
  ]);
  expect(await ask('/api/status', { from: GUESSER, token })).toMatchObject({ status: 0 });
  expect((await enforcer.json<EventRow[]>(['events', 'list', '--kind', 'auth'])).some(event => event.source === GUESSER)).toBe(true);
  expect(await host.run(['curl', '-sk', 'https://127.0.0.1:8443/metrics'])).toMatchObject({
    stdout: expect.stringMatching(/^honeymesh_reaction_seconds_count\{stage="kernel",origin="trap"\} 1$/m),
  });
});

test('rotated by the command line the old token is dead at once, and the new one outlives a restart, which does not show it again', async () => {
  const { token: next } = await enforcer.json<{ token: string }>(['token', 'rotate']);
  expect(await ask('/api/status', { token })).toMatchObject({ status: 401 });
  expect(await ask('/api/status', { token: next })).toMatchObject({ status: 200 });
  expect((await enforcer.honeymesh(['token', 'status'])).stdout).toMatch(/^dashboard +https:/m);
  await enforcer.honeymesh(['stop']);
  await running.ended;
  running = enforcer.run();
  await running.ready();
  expect(tokenIn(running.output())).toBeUndefined();
  expect(await ask('/api/status', { token: next })).toMatchObject({ status: 200 });
  expect(await ask('/api/status', { token })).toMatchObject({ status: 401 });
  const { stdout: log } = await enforcer.honeymesh(['events', 'list', '--limit', '1000', '-o', 'json']);
  for (const secret of [token, next]) expect(log + running.output()).not.toContain(secret);
});
