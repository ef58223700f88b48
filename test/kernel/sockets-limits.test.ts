/** The traps' sockets at the limits of their process: descriptors, memory, its end. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { addon } from '#enforcer/kernel/native.ts';
import { openTrapDatagrams, openTrapListeners, TRAP_MARK } from '#enforcer/launch/listeners.ts';

const CHILD = fileURLToPath(new URL('../support/trap-sockets-child.ts', import.meta.url));
const MOST_PER_SOURCE = 200;
let child: ChildProcess | undefined;
const clients: Socket[] = [];
afterEach(() => {
  child?.kill('SIGKILL');
  for (const client of clients.splice(0)) client.destroy();
});

async function* linesOf(command: readonly [string, ...string[]]): AsyncGenerator<Record<string, number>> {
  const [program, ...args] = command;
  child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout === null) return;
  for await (const line of createInterface(child.stdout)) yield JSON.parse(line) as Record<string, number>;
}

/** Many clients on loopback addresses of their own, a hundred on their way at a time. Resolves when all are connected. */
async function fill(port: number, count: number): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    const some = Array.from({ length: Math.min(100, count - from) }, (_, at) =>
      connect({ port, host: '127.0.0.1', localAddress: `127.0.${1 + Math.floor((from + at) / MOST_PER_SOURCE)}.1` }),
    );
    clients.push(...some);
    // Who is turned away may learn of it before of the connection.
    await Promise.all(some.map(socket => new Promise(resolve => void socket.once('connect', resolve).on('error', resolve))));
  }
}

test('without descriptors for more, who comes is told and turned away, and no processor is burnt', async () => {
  const lines = linesOf(['prlimit', '--nofile=64:64', process.execPath, CHILD, 'short', '150']);
  const { port = 0 } = (await lines.next()).value ?? {};
  await fill(port, 150);
  const { accepted, open = 0, shed, gone, cpuMs } = (await lines.next()).value ?? {};
  expect(accepted).toBe(150);
  expect(open).toBeGreaterThan(10);
  expect(open).toBeLessThan(64);
  expect([shed, gone]).toEqual([150 - open, 150 - open]);
  expect(cpuMs).toBeLessThan(300);
}, 20_000);

// V8's nursery is held down: what it takes is the same for one connection as for all.
test('ten thousand idle connections cost less than a kilobyte each', async () => {
  const count = 10_000;
  const lines = linesOf([process.execPath, '--expose-gc', '--max-semi-space-size=1', CHILD, 'idle', `${count}`]);
  const { port = 0 } = (await lines.next()).value ?? {};
  await fill(port, count);
  const told = (await lines.next()).value;
  expect(told).toEqual({ accepted: count, bytesEach: expect.any(Number) });
  expect(told?.bytesEach).toBeLessThan(1_024);
}, 60_000);

test('what was stopped does not keep its process alive, nor does one whose worker is gone', () => {
  const ran = spawnSync(process.execPath, [CHILD, 'end'], { encoding: 'utf8', timeout: 10_000 });
  expect([ran.status, ran.signal, ran.stderr]).toEqual([0, null, '']);
  expect(JSON.parse(ran.stdout)).toEqual({ open: 1 });
});

test("the launcher opens one port for both families, marked, and another for UDP; they accept at once what the traps' process gets later", async () => {
  const { port, mark, ipv4, ipv6, udpPort } = openTrapListeners();
  const datagrams = openTrapDatagrams();
  try {
    expect([mark, udpPort]).toEqual([TRAP_MARK, 0]);
    const waiting = [connect(port, '127.0.0.1'), connect(port, '::1')];
    clients.push(...waiting);
    await Promise.all(waiting.map(socket => once(socket, 'connect')));
    const shown = spawnSync('ss', ['-Hlun', 'sport', '=', `:${datagrams.udpPort}`], { encoding: 'utf8' }).stdout;
    expect(shown.trim().split('\n')).toHaveLength(2);
  } finally {
    for (const fd of [ipv4, ipv6, datagrams.udp4, datagrams.udp6]) if (fd !== null) addon().closeFd(fd);
  }
});

/** CAP_SYS_RESOURCE: without it (some virtual machines) nobody gets above the hard limit. */
const MAY_RAISE = (BigInt(`0x${/CapEff:\s+(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`) >> 24n) & 1n;

test('what the launcher starts may have 65,536 descriptors, or as many as the machine allows', () => {
  const script = `
    import { spawnSync } from 'node:child_process';
    import { makeRoomForSessions } from '#enforcer/launch/listeners.ts';
    console.log(makeRoomForSessions(), String(spawnSync('sh', ['-c', 'ulimit -n']).stdout).trim());`;
  const ran = spawnSync('prlimit', ['--nofile=1024:4096', process.execPath, '--input-type=module', '-e', script], { encoding: 'utf8' });
  expect([ran.stderr, ran.stdout.trim()]).toEqual(['', MAY_RAISE === 1n ? '65536 65536' : '4096 4096']);
});
