/** Real services beside traps on every other port: whenever one starts or stops, its clients meet it or a closed port, and are never taken for attackers. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { BanRow, EventRow, ExplainReport, StatusReport } from '#enforcer/control/operations.ts';
import { createEnforcerHost, type EnforcerHost, eventually } from '#test/support/enforcer.ts';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';
import { type OrderedProgram, startOrdered } from '#test/support/ordered-program.ts';

const HOST = '10.79.0.1';
/** On the allow-list: whatever touches traps here comes from it, and it stays. */
const SCANNER = '10.79.0.99';
const CLIENTS = ['10.79.0.100', '10.79.0.101', '10.79.0.102', '10.79.0.103'];
const NETWORK_OF_CLIENTS = '10.79.0.100/30';
const STARTS = process.env.HONEYMESH_NIGHTLY === '1' ? 20_000 : 1_000;
/** A trap greets here at once, so nobody who meets one takes it for the service. */
const PORT = 22;
const TOKEN = `service ${randomBytes(8).toString('hex')}`;

let lab: Lab;
let host: Namespace;
let outside: Namespace;
let enforcer: EnforcerHost;
const programs: OrderedProgram[] = [];

beforeAll(() => {
  lab = createLab();
  host = lab.namespace('host');
  outside = lab.namespace('outside');
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`] },
    { namespace: outside, device: 'eth0', addresses: [SCANNER, ...CLIENTS].map(address => `${address}/24`) },
  );
});
afterEach(async () => {
  for (const { stop } of programs.splice(0)) await stop();
  await enforcer.remove();
});
afterAll(() => lab.remove());

async function start(config = ''): Promise<void> {
  enforcer = createEnforcerHost(host, `interfaces: [eth0]\nallow: [${SCANNER}]\nlog: { level: warn }\ntraps: { ports: all }\n${config}`);
  await enforcer.run().ready();
  await eventually('traps answer', async () => (await enforcer.json<StatusReport>(['status'])).traps.running);
}

function started(namespace: Namespace, file: string, args: readonly string[]): OrderedProgram {
  const program = startOrdered(namespace, file, args);
  programs.push(program);
  return program;
}

const startService = (): OrderedProgram => started(host, 'restarted-service.ts', [String(PORT), TOKEN]);
const startClients = (sources: readonly string[], port = PORT): OrderedProgram =>
  started(outside, 'service-clients.ts', [HOST, String(port), TOKEN, sources.join()]);

/** Nobody is banned or confined, and of no client there is a word anywhere: no row, no port in the kernel's memory, no shun. */
async function expectNoClientSighted(): Promise<void> {
  const [bans, events, ...explained] = await Promise.all([
    enforcer.json<BanRow[]>(['bans', 'list']),
    enforcer.json<EventRow[]>(['events', 'list', '--source', NETWORK_OF_CLIENTS]),
    ...CLIENTS.map(client => enforcer.json<ExplainReport>(['explain', client])),
  ]);
  expect({ bans, events }).toEqual({ bans: [], events: [] });
  for (const { verdict, kernel } of explained) expect({ verdict, kernel }).toMatchObject({ verdict: 'free', kernel: { ports: [], shun: null } });
}

test('a service starts and stops a thousand times under scans of all ports: its clients meet it or a closed port, every other port is a trap', async () => {
  await start();
  const service = startService();
  expect(await service.order('up')).toBe('up');
  const clients = startClients(CLIENTS);
  const visits = clients.order('throughout 5');
  const closed: (readonly number[])[] = [];
  let over = false;
  const scanning = (async () => {
    while (!over) closed.push(await closedPorts());
  })();
  for (let starts = 1; starts < STARTS || closed.length === 0; starts++) {
    await sleep(3);
    expect(await service.order('down')).toBe('down');
    await sleep(2);
    expect(await service.order('up')).toBe('up');
  }
  over = true;
  clients.tell('end');
  const { served = 0, refused = 0, cut = 0, ...strange } = JSON.parse(await visits) as Record<string, number>;
  expect(strange).toEqual({});
  expect(Math.min(served, refused)).toBeGreaterThan(STARTS / 2);
  expect(cut).toBeLessThan(served);
  await expectNoClientSighted();
  await scanning;
  for (const ports of closed) expect(ports.filter(port => port !== PORT)).toEqual([]);
});

/** A connect scan of all ports; which of them did not accept. */
async function closedPorts(): Promise<readonly number[]> {
  const speed = ['-T4', '--min-rate', '4000', '--max-rate', '8000', '--max-retries', '5'];
  const { stdout } = await outside.run(['nmap', '-n', '-Pn', '-sT', '-p-', ...speed, '-oG', '-', HOST], { timeoutMs: 60_000 });
  const open = new Set([...stdout.matchAll(/(\d+)\/open\/tcp/g)].map(([, port]) => Number(port)));
  return Array.from({ length: 65_535 }, (_, at) => at + 1).filter(port => !open.has(port));
}

test('with a grace of 0 s the port is a trap whenever the service is down, and while it is up nobody meets a trap there', async () => {
  await start('services: { grace: 0s }\ndetect: { flood: { syn: 0 } }\n'); // hundreds of visits a second are a flood
  const service = startService();
  const clients = startClients(CLIENTS);
  const knocking = startClients([SCANNER]);
  const knocks = knocking.order('throughout 0');
  for (let starts = 0; starts < STARTS / 3; starts++) {
    expect(await service.order('up')).toBe('up');
    expect(await clients.order('visit')).toBe(JSON.stringify({ served: CLIENTS.length }));
    expect(await service.order('down')).toBe('down');
    await sleep(2);
  }
  knocking.tell('end');
  const met = Object.entries(JSON.parse(await knocks) as Record<string, number>);
  expect(met.map(([how]) => how)).toContainEqual(expect.stringMatching(/^heard "SSH-2.0-/));
  await expectNoClientSighted();
});

test('a service that stopped before anybody came to it leaves no trap behind while its grace lasts; one of loopback alone changes nothing', async () => {
  await start();
  const service = startService();
  for (const order of ['up', 'down']) expect(await service.order(order)).toBe(order);
  expect(await startClients(CLIENTS).order('visit')).toBe(JSON.stringify({ refused: CLIENTS.length }));
  await expectNoClientSighted();
  for (const loopback of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
    await host.run([process.execPath, '-e', `require('node:net').createServer().listen(21, '${loopback}', () => process.exit())`]);
  }
  expect(await startClients([SCANNER], 21).order('visit')).toMatch(/heard .*220/);
});
