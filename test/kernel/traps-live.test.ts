/** The traps on real connections: bounds as peers meet them, and the first exchange of many protocols. */
import { spawnSync } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeIdentity } from '#enforcer/traps/identity-making.ts';
import type { TrapIdentity, TrapLimits } from '#enforcer/traps/messages.ts';
import { ending, eventually, hears, type LiveTrap, startLiveTrap } from '#test/support/trap-live.ts';

let identity: TrapIdentity;
let trap: LiveTrap | undefined;
beforeAll(async () => {
  identity = await makeIdentity(unixMs(Date.now()));
});
afterEach(() => trap?.stop());

function start(port: number, limits: Partial<TrapLimits> = {}): LiveTrap {
  trap = startLiveTrap(port, identity, limits);
  return trap;
}

describe('the first exchange of a raw client:', () => {
  test.each([
    ['ssh', 22, '', /^SSH-2\.0-OpenSSH_\d\.\dp?\d?.*\r\n$/],
    ['ftp', 21, 'USER anonymous\r\n', /^220.*\r\n331 .*\r\n$/s],
    ['telnet', 23, '', '\xff\xfd\x18'],
    ['smtp', 25, 'EHLO me\r\n', /^220 .*250[ -].*\r\n$/s],
    ['pop3', 110, 'USER x\r\n', /^\+OK.*\+OK.*\r\n$/s],
    ['imap', 143, 'a1 CAPABILITY\r\n', /^\* OK .*a1 OK/s],
    ['http', 80, 'GET / HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 \d+ .*Server: /s],
    ['redis', 6379, '*1\r\n$4\r\nPING\r\n', /^\+PONG\r\n$/],
    ['memcached', 11211, 'version\r\n', /^VERSION 1\.\d+\.\d+\r\n$/],
    ['mysql', 3306, '', /mysql_native_password|caching_sha2_password/],
    ['postgresql', 5432, '\0\0\0\x08\x04\xd2\x16\x2f', /^[SN]$/],
    ['elasticsearch', 9200, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', /cluster_name/],
    ['docker', 2375, 'GET /version HTTP/1.1\r\nHost: x\r\n\r\n', /ApiVersion/],
    ['vnc', 5900, '', /^RFB 003\.00\d\n$/],
    ['rtsp', 554, 'OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n', /^RTSP\/1\.0 200/],
    ['mqtt', 1883, '\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0', '\x20\x02'],
    ['socks', 1080, '\x05\x01\0', '\x05'],
    ['rdp', 3389, '\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0', '\x03\0\0'],
    ['an unknown port that is asked for a page', 31_337, 'GET / HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 /],
  ])('%s', async (_name, port, said, answered) => {
    const { connect, of } = start(port);
    const socket = connect();
    if (said !== '') socket.write(Buffer.from(said, 'latin1'));
    await hears(socket, answered);
    socket.destroy();
    await eventually('its row was told', () => of('ended').length === 1);
    expect(of('touch')).toMatchObject([{ source: '127.0.0.1', port: trap?.port, refused: 0 }]);
  });

  test('a silent visitor of an unknown port is greeted after a while', async () => {
    const { connect } = start(31_337);
    const startedMs = performance.now();
    const socket = connect();
    await hears(socket, /./s);
    expect(performance.now() - startedMs).toBeGreaterThan(850);
    socket.destroy();
  });
});

describe('bounds', () => {
  test('it ends by RST, after the last bytes', async () => {
    const { connect } = start(21);
    const socket = connect();
    socket.write('QUIT\r\n');
    await hears(socket, /221 .*\r\n$/);
    expect(await ending(socket)).toBe('ECONNRESET');
  });

  test('what was said right before a reset is heard all the same', async () => {
    const { connect, of } = start(22, { sessionsPerSource: 100 });
    for (let times = 0; times < 50; times++) {
      const socket = connect();
      socket.once('connect', () => socket.write('root\n', () => socket.resetAndDestroy()));
    }
    await eventually('all were told', () => of('ended').length === 50);
    expect(of('ended').map(({ receipt }) => receipt.receivedBytes)).toEqual(Array(50).fill(5));
  });

  test('also where the connection came and went while the traps were busy', async () => {
    const { port, of } = start(22);
    const script = `
import socket, struct
s = socket.create_connection(('127.0.0.1', ${port}))
s.sendall(b'root\\n')
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()`;
    expect(spawnSync('python3', ['-c', script]).status).toBe(0); // holds up this process, and the traps in it
    await eventually('it was told', () => of('ended').length === 1);
    expect(of('ended')[0]?.receipt).toMatchObject({ receivedBytes: 5 });
  });

  test('a byte just before each deadline does not prolong the session', async () => {
    const { connect, of } = start(21, { deadlineMs: 600 });
    const socket = connect();
    const startedMs = performance.now();
    const drip = setInterval(() => socket.write('U'), 550);
    await eventually('it ended', () => of('ended').length === 1);
    clearInterval(drip);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(of('ended')[0]?.receipt.end).toBe('deadline');
  });

  test('more than it may say ends it', async () => {
    const { connect, of } = start(31_337, { receivedBytes: 10_000 });
    connect().write(Buffer.alloc(200_000, 'x'));
    await eventually('it ended', () => of('ended').length === 1);
    expect(of('ended')[0]?.receipt.end).toBe('too-much');
  });

  test('who asks for much and reads nothing costs a bounded buffer, and ends', async () => {
    const { connect, of, server } = start(6379, { deadlineMs: 1_000, receivedBytes: 1024 * 1024, messages: 100_000 });
    const socket = connect();
    socket.pause();
    for (let times = 0; times < 200; times++) socket.write('*1\r\n$4\r\nINFO\r\n'.repeat(20));
    await eventually('it ended', () => of('ended').length === 1);
    expect(['too-much', 'deadline']).toContain(of('ended')[0]?.receipt.end);
    expect(of('ended')[0]?.receipt.sentBytes).toBeLessThanOrEqual(256 * 1024);
    expect(server.sessions()).toBe(0);
    socket.destroy();
  });

  test('a source has so many sessions and no more; the rest is reset at the door and told', async () => {
    const { connect, of, server } = start(80, { sessionsPerSource: 5 });
    const sockets = Array.from({ length: 8 }, () => connect());
    await eventually('all were told', () => of('touch').length === 8);
    expect(server.sessions()).toBe(5);
    expect(of('touch').filter(({ refused }) => refused === 1)).toHaveLength(3);
    const other = connect('127.0.0.9');
    await eventually('the other is in', () => server.sessions() === 6);
    for (const socket of [...sockets, other]) socket.destroy();
    await eventually('all are gone', () => server.sessions() === 0);
  });

  test('two thousand sessions at once, each greeted, and the loop goes on', async () => {
    const { connect, of, server } = start(21, { sessionsPerSource: 4_000 });
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const sockets = Array.from({ length: 2_000 }, () => connect());
    await eventually('all are open', () => server.sessions() === 2_000);
    delay.enable();
    await sleep(500);
    delay.disable();
    expect(delay.percentile(50) / 1e6).toBeLessThan(20);
    server.closeSources(['127.0.0.1/32' as never]);
    expect(server.sessions()).toBe(0);
    expect(of('ended').every(({ receipt }) => receipt.end === 'banned')).toBe(true);
    for (const socket of sockets) socket.destroy();
  });
});
