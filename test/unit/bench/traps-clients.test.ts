import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { buildClients, type Counted, type Place, type Talk } from '#test/bench/traps/clients.ts';

const clients = buildClients([]);
const here: Place = { start: ([program = '', ...args], options = {}) => spawn(program, args, options) };
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => clients.remove());

/** The port of a server that gives each connection to `serve`. */
async function serving(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {});
    serve(socket);
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

const talk = (say: string, more: Partial<Talk> = {}): Talk => ({
  ...{ to: '127.0.0.1', sources: { base: '127.3.0.0', count: 20 }, say: [say], connections: 20, atOnce: 4, patienceMs: 1_000 },
  ...more,
});
const said = (port: number, name: string, more: Partial<Talk> = {}): Promise<Counted> => clients.talk(here, talk(`${name}:${port}`, more));

describe('the clients of the bench', () => {
  test('have a source each, eight in a /24 at the most', async () => {
    const sources: string[] = [];
    const port = await serving(socket => {
      sources.push(socket.remoteAddress ?? '');
      socket.end('SSH-2.0-x\r\n');
    });
    expect(await said(port, 'ssh')).toMatchObject({ begun: 20, connected: 20, answered: 20, open: 0, said: { [`ssh:${port}`]: 20 } });
    expect(new Set(sources).size).toBe(20);
    expect(sources.slice(0, 4)).toEqual(['127.3.0.1', '127.3.1.1', '127.3.2.1', '127.3.0.2']);
  });

  test('read a reply of several lines to its end before they say more', async () => {
    const heard: string[] = [];
    const port = await serving(socket => {
      socket.write('220-Welcome\r\n220-to 220 things\r\n22');
      setTimeout(() => heard.push('ready') && socket.write('0 ready\r\n'), 20);
      socket.on('data', bytes => {
        heard.push(bytes.toString());
        socket.write(bytes.toString().startsWith('USER') ? '331 password\r\n' : '530 no\r\n');
      });
    });
    expect(await said(port, 'ftp', { connections: 1 })).toMatchObject({ answered: 1 });
    expect(heard).toEqual(['ready', 'USER admin\r\n', 'PASS 123456\r\n']);
  });

  const long = 'x'.repeat(50_000);
  test.each([
    ['with its length', `HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n${long}`, false],
    ['in chunks', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n${long}\r\n0\r\n\r\n`, false],
    ['until the end of the stream', `HTTP/1.1 200 OK\r\n\r\n${long}`, true],
  ])('read a page %s', async (_, page, ends) => {
    const port = await serving(socket => {
      socket.on('data', () => {
        socket.write(page.slice(0, 60));
        setTimeout(() => (ends ? socket.end(page.slice(60)) : socket.write(page.slice(60))), 2);
      });
    });
    expect(await said(port, 'http')).toMatchObject({ answered: 20, bytes: 20 * page.length });
  });

  test('count a page that lacks its end, a reset, a silence and a closed port apart', async () => {
    const short = await serving(socket => socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345')));
    expect(await said(short, 'http')).toMatchObject({ answered: 0, closed: 20 });
    const rude = await serving(socket => socket.on('data', () => socket.resetAndDestroy()));
    expect(await said(rude, 'http')).toMatchObject({ answered: 0, connected: 20, reset: 20 });
    const silent = await serving(() => {});
    expect(await said(silent, 'ssh', { connections: 8, patienceMs: 60 })).toMatchObject({ answered: 0, connected: 8, timedOut: 8 });
    servers.pop()?.close();
    expect(await said(1, 'ssh')).toMatchObject({ connected: 0, refused: 20 });
  });

  test('that hold tell when all are open, and how many were ended meanwhile', async () => {
    let served = 0;
    const port = await serving(socket => {
      socket.write('220 ready\r\n');
      if (++served <= 5) setTimeout(() => socket.destroy(), 100);
    });
    const opened: Counted[] = [];
    const held = await clients.hold(here, { ...talk(`first:${port}`), atOnce: 4, holdMs: 300 }, open => opened.push(open));
    expect(opened).toMatchObject([{ what: 'open', answered: 20, open: 20, lost: 0 }]);
    expect(held).toMatchObject({ what: 'held', open: 15, lost: 5 });
  });
});
