import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { afterEach, expect, test } from 'vitest';
import type { TrapLimits, TrapObservation } from '#enforcer/traps/messages.ts';
import { createTrapServer, type TrapServer } from '#enforcer/traps/server/server.ts';

const LIMITS: TrapLimits = { sessions: 8, sessionsPerSource: 4, receivedBytes: 1000, patienceMs: 300, heartbeatMs: 250 };
const running: TrapServer[] = [];
afterEach(() => running.splice(0).forEach(server => void server.stop()));

/** A trap on a port of loopback that the system chose. */
async function trap(limits: Partial<TrapLimits> = {}) {
  const seen: TrapObservation[] = [];
  const server = createTrapServer(
    { limits: { ...LIMITS, ...limits }, hostName: 'test' },
    { observe: observation => void seen.push(observation), peerOf: () => '127.0.0.1' as Address },
  );
  running.push(server);
  const [port = 0] = await server.listen([{ host: '127.0.0.1', port: 0 }]);
  return { server, port, seen, connect: (): Socket => connect({ port, host: '127.0.0.1' }) };
}

const eventually = async (holds: () => boolean, patienceMs = 2_000): Promise<void> => {
  for (const startedMs = performance.now(); !holds() && performance.now() - startedMs < patienceMs; ) await new Promise(resolve => setTimeout(resolve, 5));
  expect(holds()).toBe(true);
};

async function ending(socket: Socket): Promise<string> {
  const [error] = (await Promise.race([once(socket, 'error'), once(socket, 'end').then(() => ['FIN'])])) as [NodeJS.ErrnoException | string];
  return typeof error === 'string' ? error : (error.code ?? '');
}

test('a touch is seen at accept, with the port that was asked for; the greeting comes, and the end is a RST', async () => {
  const { port, seen, connect } = await trap();
  const socket = connect();
  const [greeting] = (await once(socket, 'data')) as [Buffer];
  expect(greeting.toString()).toBe('\r\n');
  expect(seen).toMatchObject([{ kind: 'touch', source: '127.0.0.1', port, count: 1 }]);
  expect(await ending(socket)).toBe('ECONNRESET');
});

test('what was said is reported at the end: the first 256 bytes and how many there were', async () => {
  const { seen, connect } = await trap();
  const socket = connect();
  socket.on('error', () => {});
  socket.write(Buffer.alloc(300, 'a'));
  await eventually(() => seen.length === 2);
  const last = seen[1];
  expect(last).toMatchObject({ kind: 'ended', protocol: 'generic', receivedBytes: 300, end: 'deadline' });
  expect(last?.kind === 'ended' ? Buffer.from(last.head, 'base64').toString() : '').toBe('a'.repeat(256));
});

test('a byte now and then does not prolong the session', async () => {
  const { seen, server, connect } = await trap();
  const socket = connect();
  socket.on('error', () => {});
  await once(socket, 'connect');
  const startedMs = performance.now();
  const drip = setInterval(() => socket.write('x'), 50);
  await eventually(() => seen.some(one => one.kind === 'ended') && server.sessions() === 0);
  clearInterval(drip);
  expect(performance.now() - startedMs).toBeLessThan(900);
});

test('more than it may say ends the session at once', async () => {
  const { seen, connect } = await trap({ patienceMs: 10_000 });
  const socket = connect();
  socket.on('error', () => {});
  socket.write(Buffer.alloc(5_000));
  await eventually(() => seen.some(one => one.kind === 'ended' && one.end === 'too-much'));
});

test('one source holds no more sessions than it may; each of its connections is a touch all the same', async () => {
  const { seen, server, connect } = await trap({ patienceMs: 10_000 });
  const sockets = Array.from({ length: 10 }, connect);
  for (const socket of sockets) socket.on('error', () => {});
  await eventually(() => seen.filter(one => one.kind === 'touch').length === 10);
  expect(server.sessions()).toBe(4);
});

test('a banned source loses its sessions, and its places with them', async () => {
  const { server, connect } = await trap({ patienceMs: 10_000 });
  const socket = connect();
  const end = ending(socket);
  await eventually(() => server.sessions() === 1);
  server.closeSource('10.0.0.0/8' as Prefix);
  expect(server.sessions()).toBe(1);
  server.closeSource('127.0.0.1/32' as Prefix);
  expect(server.sessions()).toBe(0);
  expect(await end).toBe('ECONNRESET');
});
