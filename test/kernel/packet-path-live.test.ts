/** What PROG_TEST_RUN cannot show: steering, egress and sock_ops on a wire, with the kernel's own TCP at both ends. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmdirSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createLab, type Lab, type Namespace } from '#test/support/namespaces.ts';
import type { HostCommand, HostState } from './packet-path-host.ts';

const HOST = '10.97.0.1';
const HOST6 = 'fd97::1';
/** Clients are many: a scan of one test must not be another's shun. */
const CLIENTS = [2, 3, 4, 5, 6].map(last => `10.97.0.${last}`);
const [VISITOR = '', SCANNER = '', FRIEND = '', CALLED = '', COOKIES = ''] = CLIENTS;

let lab: Lab;
let host: Namespace;
let outside: Namespace;
let child: ChildProcess;
let lines: AsyncIterator<string>;
let cgroup = '';

async function ask(command: HostCommand): Promise<HostState> {
  child.stdin?.write(`${JSON.stringify(command)}\n`);
  const { value } = await lines.next();
  return JSON.parse(String(value)) as HostState;
}

/** Connects from one of the clients' addresses; what was said, or the error's code. */
async function connect(from: string, to: string, port: number): Promise<string> {
  const script = `
    const socket = require('node:net').connect({ host: ${JSON.stringify(to)}, port: ${port}, localAddress: ${JSON.stringify(from)} });
    socket.setTimeout(1500, () => { console.log('TIMEOUT'); process.exit(); });
    socket.on('data', bytes => { console.log(String(bytes)); process.exit(); });
    socket.on('error', error => { console.log(error.code); process.exit(); });
    socket.on('end', () => { console.log('END'); process.exit(); });`;
  const { stdout } = await outside.run([process.execPath, '-e', script], { timeoutMs: 10_000 });
  return stdout.trim();
}

async function datagram(from: string, fromPort: number, port: number): Promise<void> {
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    socket.bind(${fromPort}, ${JSON.stringify(from)}, () => socket.send('back', ${port}, ${JSON.stringify(HOST)}, () => socket.close()));`;
  await outside.run([process.execPath, '-e', script], { timeoutMs: 10_000 });
}

beforeAll(async () => {
  const unified = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'latin1'))?.[1];
  expect(unified, 'a mounted cgroup2').toBeDefined();
  cgroup = `${unified}/hmt-packet-path-${process.pid}`;
  lab = createLab();
  host = lab.namespace('host');
  outside = lab.namespace('outside');
  lab.link(
    { namespace: host, device: 'eth0', addresses: [`${HOST}/24`, `${HOST6}/64`] },
    { namespace: outside, device: 'eth0', addresses: [...CLIENTS.map(address => `${address}/24`), 'fd97::2/64'] },
  );
  const script = fileURLToPath(new URL('./packet-path-host.ts', import.meta.url));
  child = host.start([process.execPath, script, 'eth0', cgroup, HOST, HOST6], { stdio: ['pipe', 'pipe', 'inherit'] });
  const reader: Interface = createInterface({ input: child.stdout ?? process.stdin });
  lines = reader[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('"ready"');
}, 30_000);

afterAll(async () => {
  if (child?.exitCode === null) {
    child.stdin?.end();
    await Promise.race([once(child, 'exit'), sleep(5_000)]);
  }
  lab?.remove();
  rmdirSync(cgroup);
});

beforeEach(async () => {
  await ask({ do: 'configure', config: { mode: 'enforce', fastPorts: 32, slowPorts: 32 } });
  await ask({ do: 'beat', agoMs: 0 });
});

test('a connection to a closed port that is a trap reaches the trap, which knows the port', async () => {
  const { counters } = await ask({ do: 'tell' });
  expect(await connect(VISITOR, HOST, 31_337)).toBe('trap 31337');
  expect(await connect(VISITOR, HOST, 23)).toBe('trap 23');
  expect(await connect('fd97::2', HOST6, 65_000)).toBe('trap 65000');
  expect(((await ask({ do: 'tell' })).counters.steered ?? 0) - (counters.steered ?? 0)).toBe(3);
});

test('other closed ports answer as the kernel does, and services are theirs', async () => {
  expect(await connect(VISITOR, HOST, 4_444)).toBe('ECONNREFUSED');
  expect(await connect(VISITOR, HOST, 80)).toBe('real');
  expect(await connect('fd97::2', HOST6, 80)).toBe('real');
});

test('a service that starts on a trap port is reached at once, and the trap again when it stops', async () => {
  for (let round = 0; round < 3; round++) {
    expect(await connect(VISITOR, HOST, 2_323)).toBe('trap 2323');
    await ask({ do: 'serve', port: 2_323 });
    expect(await connect(VISITOR, HOST, 2_323)).toBe('real');
    expect(await connect('fd97::2', HOST6, 2_323)).toBe('real');
    await ask({ do: 'serve', port: null });
  }
});

test('after a service stops, its port is no trap while its grace lasts', async () => {
  await ask({ do: 'configure', config: { graceMs: 60_000 } });
  await ask({ do: 'serve', port: 65_000 });
  expect(await connect(VISITOR, HOST, 65_000)).toBe('real');
  await ask({ do: 'serve', port: null });
  expect(await connect(VISITOR, HOST, 65_000)).toBe('ECONNREFUSED');
  await ask({ do: 'configure', config: { graceMs: 0 } });
  expect(await connect(VISITOR, HOST, 65_000)).toBe('trap 65000');
});

test('a connection to a real service proves its source, one to a trap does not', async () => {
  await connect(SCANNER, HOST, 31_337);
  expect((await ask({ do: 'tell' })).proven).not.toContain(`${SCANNER}/32`);
  await connect(FRIEND, HOST, 80);
  await connect('fd97::2', HOST6, 80);
  expect((await ask({ do: 'tell' })).proven).toEqual(expect.arrayContaining([`${FRIEND}/32`, 'fd97::/64']));
});

test('a proven source passes lockdown, another does not', async () => {
  await connect(FRIEND, HOST, 80);
  await ask({ do: 'configure', config: { mode: 'lockdown' } });
  expect(await connect(FRIEND, HOST, 80)).toBe('real');
  expect(await connect(COOKIES, HOST, 80)).toBe('TIMEOUT');
  expect((await ask({ do: 'tell' })).counts['enforced drop-lockdown']).toBeGreaterThan(0);
});

test('a trap whose heart stopped is a closed port', async () => {
  await ask({ do: 'beat', agoMs: 10_000 });
  expect(await connect(VISITOR, HOST, 31_337)).toBe('ECONNREFUSED');
  await ask({ do: 'beat', agoMs: 0 });
  expect(await connect(VISITOR, HOST, 31_337)).toBe('trap 31337');
});

test('with SYN cookies the last ACK of a handshake finds the trap too', async () => {
  await host.run(['sysctl', '-qw', 'net.ipv4.tcp_syncookies=2']);
  try {
    expect(await connect(COOKIES, HOST, 2_323)).toBe('trap 2323');
  } finally {
    await host.run(['sysctl', '-qw', 'net.ipv4.tcp_syncookies=1']);
  }
});

test('the third closed port is dropped on the wire, the trap is not reached, connections that are open go on', async () => {
  await ask({ do: 'configure', config: { fastPorts: 3 } });
  expect(await connect(SCANNER, HOST, 4_001)).toBe('ECONNREFUSED');
  expect(await connect(SCANNER, HOST, 4_002)).toBe('TIMEOUT'); // 31337 was the first of the three
  expect(await connect(SCANNER, HOST, 31_337)).toBe('TIMEOUT');
  expect((await ask({ do: 'tell' })).shuns).toContain(`${SCANNER}/32`);
});

test('what this host sends is noted, and its answer passes lockdown', async () => {
  await ask({ do: 'configure', config: { mode: 'lockdown' } });
  await ask({ do: 'send', to: CALLED, port: 5_300, fromPort: 33_333 });
  const before = await ask({ do: 'tell' });
  expect(before.flows).toContain(`udp ${CALLED} from 33333 to 5300`);
  await datagram(CALLED, 5_300, 33_333);
  await datagram(CALLED, 5_301, 33_333);
  await sleep(50);
  const after = await ask({ do: 'tell' });
  expect(after.received - before.received).toBe(1);
  expect((after.counts['enforced drop-lockdown'] ?? 0) - (before.counts['enforced drop-lockdown'] ?? 0)).toBe(1);
});

test('nothing goes out to a banned address, in observe it does and is counted', async () => {
  await ask({ do: 'ban', targets: [CALLED] });
  const before = await ask({ do: 'tell' });
  await ask({ do: 'send', to: CALLED, port: 6_000, fromPort: 33_333 });
  const enforced = await ask({ do: 'tell' });
  expect((enforced.counts['enforced drop-egress'] ?? 0) - (before.counts['enforced drop-egress'] ?? 0)).toBe(1);
  expect(enforced.flows).not.toContain(`udp ${CALLED} from 33333 to 6000`);
  await ask({ do: 'configure', config: { mode: 'observe' } });
  await ask({ do: 'send', to: CALLED, port: 6_000, fromPort: 33_333 });
  const observed = await ask({ do: 'tell' });
  expect((observed.counts['would drop-egress'] ?? 0) - (before.counts['would drop-egress'] ?? 0)).toBe(1);
  expect(observed.flows).toContain(`udp ${CALLED} from 33333 to 6000`);
  await ask({ do: 'ban', targets: [] });
});
