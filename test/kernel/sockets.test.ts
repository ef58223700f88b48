/** The traps' connections on real sockets: loopback, a listener as the launcher makes it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import { type Accepted, LARGEST_UNSENT, type SocketEvents, type SocketId } from '#enforcer/traps/server/socket-port.ts';
import { type CountedTrapSockets, createTrapSockets } from '#enforcer/traps/server/sockets.ts';

let sockets: CountedTrapSockets;
let listeners: { fd: number; port: number }[];
let port: number;
let clients: Socket[];
let peers: ChildProcess[];
let accepted: Accepted[];
let received: Map<SocketId, Buffer[]>;
let heard: string[];
let react: Partial<SocketEvents>;

/** Records everything, then does what the test wants done. */
const recorder: SocketEvents = {
  accepted(socket) {
    accepted.push(socket);
    react.accepted?.(socket);
  },
  received(id, bytes) {
    received.set(id, [...(received.get(id) ?? []), Buffer.from(bytes)]);
    react.received?.(id, bytes);
  },
  finished(id) {
    heard.push(`finished ${id}`);
    react.finished?.(id);
  },
  drained(id) {
    heard.push(`drained ${id}`);
    react.drained?.(id);
  },
  gone(id, how) {
    heard.push(`gone ${id} ${how}`);
    react.gone?.(id, how);
  },
  settled: () => react.settled?.(),
};

beforeEach(() => {
  const ipv4 = mustHave(addon().trapListener(false, 0, 0, 4096), 'HM_TRAP_LISTEN', 'test');
  const ipv6 = mustHave(addon().trapListener(true, ipv4.port, 0, 4096), 'HM_TRAP_LISTEN', 'test');
  listeners = [ipv4, ipv6];
  port = ipv4.port;
  [clients, peers, accepted, received, heard, react] = [[], [], [], new Map(), [], {}];
  sockets = createTrapSockets();
  sockets.start(
    listeners.map(listener => listener.fd),
    recorder,
  );
});
afterEach(() => {
  sockets.stop();
  for (const client of clients) client.destroy();
  for (const peer of peers) peer.kill('SIGKILL');
  for (const { fd } of listeners) addon().closeFd(fd);
});

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 1_000) throw new Error(`it did not come to be that ${what}: ${heard.slice(-5).join(', ')}`);
    await sleep(5);
  }
}

interface Client {
  readonly socket: Socket;
  text(): string;
  how(): string;
}

function connect(options: { readonly host?: string; readonly from?: string } = {}): Client {
  const socket = createConnection({ host: options.host ?? '127.0.0.1', port, localAddress: options.from, allowHalfOpen: true });
  clients.push(socket);
  let text = '';
  let how = 'open';
  socket.on('data', chunk => {
    text += chunk.toString('latin1');
  });
  socket.on('error', error => {
    how = (error as NodeJS.ErrnoException).code ?? 'error';
  });
  socket.on('end', () => {
    how = 'fin';
  });
  return { socket, text: () => text, how: () => how };
}

const said = (id: SocketId | undefined): string => Buffer.concat(received.get(id ?? (0 as SocketId)) ?? []).toString('latin1');
const idOf = (at: number): SocketId => accepted[at]?.id as SocketId;

test('a connection is accepted with both its ends, echoes, and ends by a RST that takes nothing away', async () => {
  react.received = (id, bytes) => {
    expect(sockets.write(id, bytes)).toBe('sent');
    sockets.close(id, 500);
  };
  const client = connect({ from: '127.0.0.9' });
  client.socket.write('hello');
  await until('it is gone', () => heard.length > 0);
  await until('the client knows', () => client.how() !== 'open');
  expect(accepted).toEqual([{ id: 1, source: '127.0.0.9', sourcePort: expect.any(Number), destination: '127.0.0.1', port }]);
  expect([client.text(), client.how(), heard]).toEqual(['hello', 'ECONNRESET', ['gone 1 closed']]);
  expect(sockets.count()).toBe(0);
});

test('over IPv6 addresses are canonical', async () => {
  connect({ host: '::1' });
  await until('it is accepted', () => accepted.length === 1);
  expect(accepted[0]).toMatchObject({ source: '::1', destination: '::1', port });
});

test('who resets right after the handshake is accepted all the same: its touch is never lost', async () => {
  // Many at once, so that the RST is there before we look.
  const many = Array.from({ length: 50 }, () => connect({ from: '127.0.0.8' }));
  for (const { socket } of many) socket.once('connect', () => socket.resetAndDestroy());
  await until('all are gone', () => heard.length === 50);
  expect(accepted.map(({ source, destination, port: own }) => [source, destination, own])).toEqual(Array(50).fill(['127.0.0.8', '127.0.0.1', port]));
  expect(new Set(heard.map(line => line.split(' ')[2]))).toEqual(new Set(['reset']));
});

test('a peer that has said all may still be answered', async () => {
  react.finished = id => {
    sockets.write(id, Buffer.from('and now I talk'));
    sockets.close(id, 500);
  };
  const client = connect();
  client.socket.end('last words');
  await until('it is gone', () => heard.length === 2);
  await until('the client knows', () => client.how() !== 'open');
  expect([said(idOf(0)), client.text(), heard]).toEqual(['last words', 'and now I talk', ['finished 1', 'gone 1 closed']]);
});

test('a finished peer costs nothing until something is done: no event comes again', async () => {
  let turns = 0;
  react.settled = () => {
    turns++;
  };
  connect().socket.end('x');
  await until('it has finished', () => heard.length === 1);
  const before = turns;
  await sleep(100);
  expect([turns, heard]).toEqual([before, ['finished 1']]);
});

/** A peer with a small window that reads so many bytes when it is told to, or all to the end. */
async function slowReader() {
  const script = `
import hashlib, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(('127.0.0.1', ${port}))
print('connected', flush=True)
digest, length, end = hashlib.sha1(), 0, 'open'
for order in sys.stdin:
    wanted = length + int(order) if order.strip() != 'all' else 1 << 40
    while length < wanted:
        try:
            got = s.recv(min(65536, wanted - length))
        except ConnectionResetError:
            end = 'reset'
            break
        if not got:
            end = 'fin'
            break
        digest.update(got)
        length += len(got)
    print(length, digest.hexdigest(), end, flush=True)`;
  const peer = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  peers.push(peer);
  const answers = createInterface(peer.stdout)[Symbol.asyncIterator]();
  await answers.next();
  await until('it is accepted', () => accepted.length > 0);
  return {
    id: accepted.at(-1)?.id as SocketId,
    async read(bytes: number | 'all'): Promise<string> {
      peer.stdin.write(`${bytes}\n`);
      return String((await answers.next()).value);
    },
  };
}

const digestOf = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex');

test('what a slow reader leaves waits for it and is all there, in order', async () => {
  const { id, read } = await slowReader();
  const written: Buffer[] = [];
  const write = (): string => {
    const chunk = Buffer.from(`${written.length}`.padStart(8, '0').repeat(512));
    written.push(chunk);
    return sockets.write(id, chunk);
  };
  while (write() === 'sent');
  for (let more = 0; more < 20; more++) expect(write()).toBe('waiting');
  // It reads a little, so that the rest begins in the middle of what is kept when that must be given more room.
  await read(60_000);
  await sleep(50);
  for (let more = 0; more < 30; more++) expect(write()).toBe('waiting');
  expect(heard).toEqual([]);
  const all = read('all');
  await until('it is drained', () => heard.includes('drained 1'));
  expect(sockets.write(id, Buffer.from('end'))).toBe('sent');
  written.push(Buffer.from('end'));
  sockets.close(id, 2_000);
  const whole = Buffer.concat(written);
  expect(await all).toBe(`${whole.length} ${digestOf(whole)} reset`);
});

test('a close waits for what only the kernel still holds', async () => {
  const { id, read } = await slowReader();
  const whole = Buffer.alloc(60_000, 'w');
  expect(sockets.write(id, whole)).toBe('sent');
  sockets.close(id, 2_000);
  await sleep(60);
  expect([sockets.count(), heard]).toEqual([1, []]);
  expect(await read('all')).toBe(`60000 ${digestOf(whole)} reset`);
  await until('it is gone', () => heard.length === 1);
  expect(heard).toEqual(['gone 1 closed']);
});

test('beyond the largest rest that is kept a reader that does not read is reset', async () => {
  const client = connect();
  client.socket.pause();
  await until('it is accepted', () => accepted.length === 1);
  const block = Buffer.alloc(16 * 1024);
  let waiting = 0;
  for (let written = 0; written < 1_000; written++) {
    const outcome = sockets.write(idOf(0), block);
    if (outcome === 'waiting') waiting += block.length;
    if (outcome === 'gone') break;
  }
  expect(waiting).toBeGreaterThan(LARGEST_UNSENT - 2 * block.length);
  expect(waiting).toBeLessThanOrEqual(LARGEST_UNSENT + block.length);
  await until('its end is told', () => heard.includes('gone 1 reset'));
  expect([sockets.write(idOf(0), block), sockets.count()]).toEqual(['gone', 0]);
});

test('a close waits for a slow reader, and not longer than it may', async () => {
  const slow = connect();
  const deaf = connect();
  for (const client of [slow, deaf]) client.socket.pause();
  await until('they are accepted', () => accepted.length === 2);
  const rest = Buffer.alloc(64 * 1024, 'r');
  for (const { id } of accepted) {
    let outcome = 'sent';
    while (outcome === 'sent') outcome = sockets.write(id, rest);
    expect(outcome).toBe('waiting');
    sockets.write(id, Buffer.from('THE END'));
    sockets.close(id, 300);
    expect(sockets.write(id, rest)).toBe('gone');
  }
  const startedMs = performance.now();
  const slowId = accepted.find(({ sourcePort }) => sourcePort === slow.socket.localPort)?.id;
  slow.socket.resume();
  await until('the slow one has it all', () => slow.text().endsWith('THE END'));
  await until('both are gone', () => heard.length === 2);
  expect(performance.now() - startedMs).toBeGreaterThan(250);
  expect(performance.now() - startedMs).toBeLessThan(1_500);
  expect(heard[0]).toBe(`gone ${slowId} closed`);
  expect(heard[1]).toMatch(/closed$/);
});

test('a close without patience resets at once, whatever waits', async () => {
  const client = connect();
  client.socket.pause();
  await until('it is accepted', () => accepted.length === 1);
  while (sockets.write(idOf(0), Buffer.alloc(64 * 1024)) === 'sent');
  sockets.close(idOf(0), 0);
  expect(sockets.count()).toBe(0);
  await until('it is told', () => heard.length === 1);
  expect(heard).toEqual(['gone 1 closed']);
});

test('after a close nothing but its end is told, not even what the same batch holds', async () => {
  react.received = id => {
    if (id === idOf(0)) for (const other of accepted) sockets.close(other.id, 0);
  };
  const both = [connect(), connect()];
  await until('they are accepted', () => accepted.length === 2);
  for (const { socket } of both) socket.write('x'.repeat(100));
  await until('both are gone', () => heard.length === 2);
  await sleep(30);
  expect(heard.sort()).toEqual(['gone 1 closed', 'gone 2 closed']);
  expect(received.size).toBe(1);
});

test('a paused connection is not read; what came meanwhile comes when it is resumed', async () => {
  react.accepted = ({ id }) => sockets.pause(id);
  const client = connect();
  client.socket.write('early ');
  await until('it is accepted', () => accepted.length === 1);
  await sleep(50);
  expect(said(idOf(0))).toBe('');
  client.socket.end('late');
  sockets.resume(idOf(0));
  await until('it has finished', () => heard.length === 1);
  expect(said(idOf(0))).toBe('early late');
});

test('a reset of a paused connection is told', async () => {
  react.accepted = ({ id }) => sockets.pause(id);
  const client = connect();
  await until('it is accepted', () => accepted.length === 1);
  client.socket.resetAndDestroy();
  await until('it is gone', () => heard.length === 1);
  expect(heard).toEqual(['gone 1 reset']);
});

test('a fast sender does not keep the others waiting', async () => {
  const fast = connect();
  await until('it is accepted', () => accepted.length === 1);
  const flood = Buffer.alloc(8 * 1024 * 1024, 'f');
  fast.socket.write(flood);
  await until('it floods', () => said(idOf(0)).length > 0);
  const slow = connect();
  slow.socket.once('connect', () => slow.socket.write('me too'));
  await until('the other is heard', () => said(idOf(1)) === 'me too');
  expect(said(idOf(0)).length).toBeLessThan(flood.length);
  expect(Math.max(...(received.get(idOf(0)) ?? []).map(bytes => bytes.length))).toBeLessThanOrEqual(4096);
});

test('a handler that throws costs the other connections nothing and is an uncaught exception', async () => {
  const caught: unknown[] = [];
  const former = process.rawListeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', error => caught.push(error));
  try {
    react.received = (id, bytes) => {
      if (String(Buffer.from(bytes)) === 'bad') throw new Error('from the handler');
      sockets.write(id, bytes);
    };
    const many = Array.from({ length: 20 }, () => connect());
    await until('all are accepted', () => accepted.length === 20);
    many.forEach(({ socket }, at) => void socket.write(at % 2 === 0 ? 'bad' : 'good'));
    await until('all are heard', () => received.size === 20);
    await until('the good ones are answered', () => many.filter(client => client.text() === 'good').length === 10);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of former) process.on('uncaughtException', listener as (error: Error) => void);
  }
  expect(caught.length).toBeGreaterThan(0);
  expect(caught[0]).toMatchObject({ message: 'from the handler' });
});

test('two thousand at once: each its own number, each heard, each answered', async () => {
  react.received = (id, bytes) => void sockets.write(id, bytes);
  const many = Array.from({ length: 2_000 }, (_, at) => connect({ from: `127.0.${1 + (at % 100)}.1` }));
  for (const [at, { socket }] of many.entries()) socket.once('connect', () => socket.write(`I am ${at}`));
  await until('all are answered', () => many.every(({ text }, at) => text() === `I am ${at}`));
  expect(accepted.map(({ id }) => id)).toEqual(Array.from({ length: 2_000 }, (_, at) => at + 1));
  expect(sockets.count()).toBe(2_000);
  for (const { id } of accepted) sockets.close(id, 100);
  await until('all are gone', () => heard.length === 2_000);
  expect(sockets.count()).toBe(0);
  connect();
  await until('a new one comes', () => accepted.length === 2_001);
  expect(idOf(2_000)).toBe(2_001);
}, 30_000);

test('stop resets all that is open, tells nothing more, and may be called twice and from within an event', async () => {
  const client = connect();
  await until('it is accepted', () => accepted.length === 1);
  react.received = () => {
    sockets.stop();
    sockets.stop();
  };
  client.socket.write('x');
  await until('the client knows', () => client.how() === 'ECONNRESET');
  expect([sockets.count(), sockets.write(idOf(0), Buffer.from('x')), heard]).toEqual([0, 'gone', []]);
  sockets.close(idOf(0), 0);
  sockets.pause(idOf(0));
});

test('what is no listener is refused when it starts', () => {
  expect(() => createTrapSockets().start([0], recorder)).toThrow(/listeners cannot be used/);
});
