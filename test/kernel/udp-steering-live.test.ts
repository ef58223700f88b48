/** Datagrams to closed ports, on a wire and on the loopback: the traps' one socket gets them, and answers from the port that was asked. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ethernet, ipv4, tcp, udp } from '#test/support/frames/frames.ts';
import { CLIENTS, createLiveLab, exchange, HOST, HOST6, type LiveLab, SOON_MS } from './packet-path-lab.ts';

const [VISITOR = '', CALLED = '', RAW = ''] = CLIENTS;
const VISITOR6 = 'fd97::2';
const TRAP = 161;
const NO_TRAP = 4_444;

let live: LiveLab;
beforeAll(async () => {
  live = await createLiveLab({ devices: ['eth0', 'lo'] });
}, 30_000);
afterAll(() => live?.close());
beforeEach(async () => {
  await live.order({ do: 'configure', config: { mode: 'enforce', fastPorts: 32, slowPorts: 32 } });
  await live.order({ do: 'trap', ports: { tcp: [31_337], udp: [53, 68, 137, TRAP, 40_404, 33_333] } });
  await live.order({ do: 'note-replies', on: true });
  await live.order({ do: 'beat', agoMs: 0 });
  await live.order({ do: 'tell' });
});

const ask = (port: number, from = VISITOR, to = HOST, fromPort?: number, text = 'who', waitMs?: number) =>
  live.client({ do: 'ask', from, to, port, text, ...(fromPort === undefined ? {} : { fromPort }) }, waitMs);
/** What is not answered. */
const tell = (port: number, from = VISITOR, fromPort?: number) => ask(port, from, HOST, fromPort, 'who', SOON_MS);

test('a datagram to a closed port is answered from that port, over IPv4 and IPv6', async () => {
  for (const port of [TRAP, 53, 137, 40_404]) {
    expect(await ask(port)).toBe(`trap ${port}`);
    expect(await ask(port, VISITOR6, HOST6)).toBe(`trap ${port}`);
  }
  const { trapped, counters } = await live.order({ do: 'tell' });
  expect(trapped).toEqual([TRAP, 53, 137, 40_404].flatMap(port => [`who ${port}`, `who ${port}`]));
  expect(counters['steered-udp']).toBe(8);
});

test('so it is from this host to itself, on the loopback', async () => {
  const script = (type: string, to: string) => `
    const socket = require('node:dgram').createSocket('${type}');
    socket.on('message', said => { console.log(String(said)); socket.close(); });
    setTimeout(() => process.exit(), 1000).unref();
    socket.connect(${TRAP}, '${to}', () => socket.send('who'));`;
  for (const [type, to] of [
    ['udp4', '127.0.0.1'],
    ['udp6', '::1'],
  ] as const) {
    expect((await live.host.run([process.execPath, '-e', script(type, to)])).stdout.trim()).toBe(`trap ${TRAP}`);
  }
});

test('with checksums made by the sender, not by the device, they come out right', async () => {
  await live.host.run(['ethtool', '-K', 'eth0', 'tx', 'off']);
  try {
    expect([await ask(TRAP), await ask(TRAP, VISITOR6, HOST6)]).toEqual([`trap ${TRAP}`, `trap ${TRAP}`]);
  } finally {
    await live.host.run(['ethtool', '-K', 'eth0', 'tx', 'on']);
  }
});

test('asked again and again it answers each time: its answers are no flow of ours', async () => {
  for (let time = 0; time < 3; time++) expect(await ask(TRAP, VISITOR, HOST, 45_678)).toBe(`trap ${TRAP}`);
  expect(await ask(53, VISITOR, HOST, 45_678)).toBe('trap 53');
  const { trapped, flows } = await live.order({ do: 'tell' });
  expect(trapped).toHaveLength(4);
  expect(flows.filter(flow => flow.includes('45678'))).toEqual([]);
});

test('a port that is no trap is closed, and so is every one while the traps are dead', async () => {
  expect(await ask(NO_TRAP)).toBe('ECONNREFUSED');
  await live.order({ do: 'beat', agoMs: 10_000 });
  expect(await ask(TRAP)).toBe('ECONNREFUSED');
  await live.order({ do: 'beat', agoMs: 0 });
  expect(await ask(TRAP)).toBe(`trap ${TRAP}`);
});

test('a service that starts on a trap port is reached at once, and the trap again when it stops', async () => {
  for (let round = 0; round < 3; round++) {
    expect(await ask(40_404)).toBe('trap 40404');
    await live.order({ do: 'serve', port: 40_404 });
    expect([await ask(40_404), await ask(40_404, VISITOR6, HOST6)]).toEqual(['real', 'real']);
    await live.order({ do: 'serve', port: null });
  }
});

test('after a service stops, its port is no trap while its grace lasts', async () => {
  await live.order({ do: 'configure', config: { graceMs: 60_000 } });
  await live.order({ do: 'serve', port: 53 });
  expect(await ask(53)).toBe('real');
  await live.order({ do: 'serve', port: null });
  expect(await ask(53)).toBe('ECONNREFUSED');
  await live.order({ do: 'configure', config: { graceMs: 0 } });
  expect(await ask(53)).toBe('trap 53');
});

test('an answer to this host is none of the traps, nor is DHCP', async () => {
  await live.order({ do: 'send', to: CALLED, port: 5_300, fromPort: 33_333 });
  await tell(33_333, CALLED, 5_300);
  await tell(68, VISITOR, 67);
  const { trapped, received } = await live.order({ do: 'tell' });
  expect([trapped, received]).toEqual([[], 1]);
  expect(await ask(68)).toBe('trap 68');
});

test('what comes in pieces is not steered', async () => {
  const before = (await live.order({ do: 'tell' })).counters;
  expect(await ask(TRAP, VISITOR, HOST, undefined, 'x'.repeat(3_000))).toBe('ECONNREFUSED');
  const { trapped, counters } = await live.order({ do: 'tell' });
  expect([trapped, counters['steered-udp']]).toEqual([[], before['steered-udp']]);
});

test('a trap that does not say which port was asked answers nobody, rather than from its own port', async () => {
  await live.order({ do: 'note-replies', on: false });
  const before = (await live.order({ do: 'tell' })).counters['replies-lost'] ?? 0;
  expect(await tell(TRAP)).toBe('silence');
  const { trapped, counters } = await live.order({ do: 'tell' });
  expect([trapped, (counters['replies-lost'] ?? 0) - before]).toEqual([[`who ${TRAP}`], 1]);
});

test("a socket on the traps' port that does not bear their mark is not theirs: nothing is given to it", async () => {
  await live.order({ do: 'serve', port: 5_555 });
  await live.order({ do: 'configure', config: { trapUdpPort: 5_555 } });
  await tell(TRAP);
  await live.order({ do: 'configure', config: { trapUdpPort: 7_001 } });
  await live.order({ do: 'serve', port: null });
  expect((await live.order({ do: 'tell' })).heard).toEqual([]);
});

test("the traps' own port, asked by its number, is a trap like another", async () => {
  expect(await ask(7_001)).toBe('trap 7001');
  const { counts } = await live.order({ do: 'tell' });
  expect(counts['enforced drop-scan']).toBe(0);
});

test('where every port is a trap, port 0 is none, and own sockets are left alone', async () => {
  await live.order({ do: 'trap', ports: { tcp: 'all', udp: 'all' } });
  expect([await ask(NO_TRAP), await live.connect(VISITOR, HOST, NO_TRAP), await live.connect(VISITOR, HOST, 80)]).toEqual(['trap 4444', 'trap 4444', 'real']);
  const mac = live.lab.ip(['-json', 'link', 'show', 'eth0'], live.host);
  const [{ address }] = JSON.parse(mac) as [{ address: string }];
  const before = (await live.order({ do: 'tell' })).counters;
  exchange(
    live.outside,
    [
      ethernet(ipv4({ from: RAW, to: HOST }, udp({ to: 0, payload: new Uint8Array(8) })), { to: address }),
      ethernet(ipv4({ from: RAW, to: HOST }, tcp({ to: 0 })), { to: address }),
    ],
    50,
  );
  const after = (await live.order({ do: 'tell' })).counters;
  expect([after.steered, after['steered-udp']]).toEqual([before.steered, before['steered-udp']]);
});

test('a SYN with VLAN id 0 is steered and answered, one with id 5 steered, though no device is there to answer', async () => {
  const [{ address: to }] = JSON.parse(live.lab.ip(['-json', 'link', 'show', 'eth0'], live.host)) as [{ address: string }];
  const [{ address: from }] = JSON.parse(live.lab.ip(['-json', 'link', 'show', 'eth0'], live.outside)) as [{ address: string }];
  await live.client({ do: 'ask', from: VISITOR, to: HOST, port: TRAP, text: 'who' }); // the neighbours know each other
  const probe = (id: number, fromPort: number) =>
    ethernet(ipv4({ from: VISITOR, to: HOST }, tcp({ from: fromPort, to: 31_337 })), { from, to, tags: [{ id, priority: 3 }] });
  const synAcks = (frames: readonly string[], port: number) =>
    frames.filter(frame => frame.slice(68, 76) === `7a69${port.toString(16)}` && frame.slice(94, 96) === '12');
  const steered = async (): Promise<number> => (await live.order({ do: 'tell' })).counters.steered ?? 0;
  const before = await steered();
  expect(synAcks(exchange(live.outside, [probe(0, 40_001)]), 40_001).length).toBeGreaterThan(0);
  const between = await steered();
  expect(synAcks(exchange(live.outside, [probe(5, 40_002)]), 40_002)).toEqual([]);
  expect([between - before, (await steered()) - between]).toEqual([1, 1]);
});
