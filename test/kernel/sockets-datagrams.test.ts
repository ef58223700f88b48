/** The traps' UDP sockets as the launcher opens them, on the loopback; what the packet filter steers to them is in udp-steering-live.test.ts. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { unlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from '@honeymesh/intel/address';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureBpffs } from '#enforcer/kernel/checks.ts';
import { addon } from '#enforcer/kernel/native.ts';
import { udpPeerKey, udpPortValue } from '#enforcer/kernel/udp-replies.ts';
import { openTrapDatagrams } from '#enforcer/launch/listeners.ts';
import { type Datagram, type DatagramEvents, LONGEST_DATAGRAM, type TrapDatagrams } from '#enforcer/traps/server/datagram-port.ts';
import { createTrapDatagrams } from '#enforcer/traps/server/datagrams.ts';
import { openUdpReplies } from '#enforcer/traps/server/udp-replies.ts';
import { createKernelTester } from '#test/support/kernel-tester.ts';

const BATCH = 64;
const REST_MS = 9; // ten by the clock of the loop
let opened: ReturnType<typeof openTrapDatagrams>;
let datagrams: TrapDatagrams;
let clients: Socket[];
let heard: (Datagram & { readonly text: string })[];
let batches: number[];
let react: (datagram: Datagram, bytes: Uint8Array) => void;

const recorder: DatagramEvents = {
  received(datagram, bytes) {
    heard.push({ ...datagram, text: Buffer.from(bytes).toString('latin1') });
    batches.push((batches.pop() ?? 0) + 1);
    react(datagram, bytes);
  },
  settled: () => void batches.push(0),
};

beforeEach(() => {
  opened = openTrapDatagrams();
  datagrams = createTrapDatagrams();
  [clients, heard, batches, react] = [[], [], [0], () => {}];
  datagrams.start(
    [opened.udp4, opened.udp6].filter(fd => fd !== null),
    recorder,
  );
});
afterEach(() => {
  datagrams.stop();
  for (const client of clients) client.close();
  for (const fd of [opened.udp4, opened.udp6]) if (fd !== null) addon().closeFd(fd);
});

async function clientAt(address: string): Promise<Socket> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  clients.push(socket);
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 600) throw new Error(`it did not come to be that ${what}`);
    await sleep(5);
  }
}

test.each([
  ['127.0.0.9', '127.0.0.1'],
  ['127.0.0.9', '127.44.0.3'],
  ['::1', '::1'],
])('a datagram from %s to %s is told with both its ends, and answered from the address that it was sent to', async (from, to) => {
  react = (_, bytes) => expect(datagrams.reply(Buffer.from(`you said ${Buffer.from(bytes)}`))).toBe(true);
  const client = await clientAt(from);
  const answer = once(client, 'message');
  client.send('hello', opened.udpPort, to);
  const [text, place] = (await answer) as [Buffer, { address: string; port: number }];
  expect([String(text), place.address, place.port]).toEqual(['you said hello', to, opened.udpPort]);
  expect(heard).toEqual([{ source: from, sourcePort: client.address().port, destination: to, port: opened.udpPort, length: 5, text: 'hello' }]);
});

test('each of a batch gets its own answer', async () => {
  react = (datagram, bytes) => void datagrams.reply(Buffer.from(`${Buffer.from(bytes)} ${datagram.source}`));
  const answers: string[] = [];
  const sources = Array.from({ length: 20 }, (_, at) => `127.0.3.${at + 1}`);
  for (const [at, source] of sources.entries()) {
    const client = await clientAt(source);
    client.on('message', said => answers.push(`${said} ${client.address().address}`));
    client.send(`${at}`, opened.udpPort, '127.0.0.1');
  }
  await until('all are answered', () => answers.length === 20);
  expect(answers.sort()).toEqual(sources.map((source, at) => `${at} ${source} ${source}`).sort());
});

test('an empty datagram is one, a long one is cut, and its whole length told', async () => {
  const client = await clientAt('127.0.0.1');
  client.send('', opened.udpPort, '127.0.0.1');
  client.send('x'.repeat(9_000), opened.udpPort, '127.0.0.1');
  client.send('y'.repeat(LONGEST_DATAGRAM), opened.udpPort, '127.0.0.1');
  await until('they came', () => heard.length === 3);
  expect(heard.map(({ length, text }) => [length, text.length])).toEqual([
    [0, 0],
    [9_000, LONGEST_DATAGRAM],
    [LONGEST_DATAGRAM, LONGEST_DATAGRAM],
  ]);
});

test('what is sent to everybody is nothing to a trap', async () => {
  const client = await clientAt('127.0.0.1');
  client.setBroadcast(true);
  client.send('all of you', opened.udpPort, '127.255.255.255');
  client.send('you', opened.udpPort, '127.0.0.1');
  await until('the other came', () => heard.length > 0);
  await sleep(20);
  expect(heard.map(({ text }) => text)).toEqual(['you']);
});

test('a reply is possible only while its datagram is told', async () => {
  const client = await clientAt('127.0.0.1');
  client.send('hello', opened.udpPort, '127.0.0.1');
  await until('it came', () => heard.length === 1);
  expect(datagrams.reply(Buffer.from('too late'))).toBe(false);
});

test('under a flood batches are bounded, the loop turns, and most is dropped by the kernel', async () => {
  const client = await clientAt('127.0.0.1');
  let turns = 0;
  const turning = setInterval(() => turns++, 1);
  const sent = 30_000;
  const startedMs = performance.now();
  for (let at = 0; at < sent; at++) {
    client.send('flood', opened.udpPort, '127.0.0.1');
    if (at % 500 === 0) await sleep(1);
  }
  await sleep(300);
  clearInterval(turning);
  const rests = (performance.now() - startedMs) / REST_MS;
  expect(batches.filter(length => length === BATCH).length).toBeLessThanOrEqual(rests + 2);
  expect(Math.max(...batches)).toBe(BATCH);
  expect(heard.length).toBeGreaterThan(BATCH);
  expect(heard.length).toBeLessThan(sent);
  expect(turns).toBeGreaterThan(20);
  heard.length = 0;
  client.send('after it', opened.udpPort, '127.0.0.1');
  await until('it is heard again', () => heard.some(({ text }) => text === 'after it'));
});

test('stop ends it, also from within an event', async () => {
  react = () => datagrams.stop();
  const client = await clientAt('127.0.0.1');
  for (let at = 0; at < 5; at++) client.send('x', opened.udpPort, '127.0.0.1');
  await until('one came', () => heard.length === 1);
  await sleep(30);
  expect(heard).toHaveLength(1);
  expect(datagrams.reply(Buffer.from('x'))).toBe(false);
  datagrams.stop();
});

test('a handler that throws costs the others of its batch nothing and is an uncaught exception', async () => {
  const caught: unknown[] = [];
  const former = process.rawListeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', error => caught.push(error));
  try {
    react = (_, bytes) => {
      if (String(Buffer.from(bytes)) === 'bad') throw new Error('from the handler');
    };
    const client = await clientAt('127.0.0.1');
    for (const text of ['bad', 'good', 'bad', 'good']) client.send(text, opened.udpPort, '127.0.0.1');
    await until('all came', () => heard.length === 4);
    await until('it is told', () => caught.length > 0);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of former) process.on('uncaughtException', listener as (error: Error) => void);
  }
  expect(caught[0]).toMatchObject({ message: 'from the handler' });
});

test('what is no UDP socket is refused when it starts', () => {
  expect(() => createTrapDatagrams().start([9_999], recorder)).toThrow(/UDP sockets cannot be used/);
});

describe('the map of replies', () => {
  test('holds the port that a reply is to come from, as tc egress reads it', () => {
    ensureBpffs('/sys/fs/bpf');
    const pin = `/sys/fs/bpf/hmt-${process.pid}-udp-replies`;
    using tester = createKernelTester();
    expect(addon().pin(tester.maps.udp_replies.fd, pin)).toBe(0);
    try {
      const replies = openUdpReplies(pin);
      expect(replies.note('203.0.113.9' as Address, 40_000, 161)).toBe(true);
      expect(replies.note('2001:db8::9' as Address, 40_000, 53)).toBe(true);
      expect(replies.note('2001:db8::9' as Address, 40_000, 123)).toBe(true);
      expect([...tester.maps.udp_replies.entries()].sort()).toEqual(
        [
          [udpPeerKey('203.0.113.9' as Address, 40_000), udpPortValue(161)],
          [udpPeerKey('2001:db8::9' as Address, 40_000), udpPortValue(123)],
        ].sort(),
      );
    } finally {
      unlinkSync(pin);
    }
    expect(() => openUdpReplies(pin)).toThrow(/cannot open/);
  });
});
