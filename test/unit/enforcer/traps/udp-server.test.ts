import type { Address } from '@honeymesh/intel/address';
import type { Finding } from '@honeymesh/intel/findings';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { TrapObservation } from '#enforcer/traps/messages.ts';
import { payload } from '#enforcer/traps/protocols/observation.ts';
import { respondToDatagram } from '#enforcer/traps/protocols/udp/registry.ts';
import type { Datagram, DatagramEvents } from '#enforcer/traps/server/datagram-port.ts';
import type { Judge } from '#enforcer/traps/server/session.ts';
import { createUdpServer, type UdpServerDeps } from '#enforcer/traps/server/udp-server.ts';
import { personaOf } from '#test/support/trap-talk.ts';

const EXPLOIT: Finding = { rule: 'log4shell', reason: 'exploit', kind: 'exploit', quote: 'jndi' };
const judge: Judge = {
  judge: observation => (JSON.stringify(observation).includes('jndi') ? [EXPLOIT] : []),
  isHostile: findings => findings.length > 0,
};

let nowMs: number;
beforeEach(() => {
  nowMs = 1_000;
});

/** Sockets that do what they are told, and remember in which order. */
function rig({ perSecond = 200, perSource = 5, ...deps }: { perSecond?: number; perSource?: number } & Partial<UdpServerDeps> = {}) {
  const acts: string[] = [];
  const seen: TrapObservation[] = [];
  const faults: unknown[] = [];
  let events: DatagramEvents | undefined;
  let answering: Datagram | undefined;
  const server = createUdpServer(
    { limits: { repliesPerSecond: perSecond, repliesPerSecondPerSource: perSource }, persona: personaOf(1) },
    {
      datagrams: {
        start(_, to) {
          events = to;
        },
        reply(bytes) {
          acts.push(`reply to ${answering?.source} ${answering?.sourcePort}: ${bytes.length} bytes`);
          return true;
        },
        stop: () => void acts.push('stop'),
      },
      replies: {
        note(remote, remotePort, asked) {
          acts.push(`note ${remote} ${remotePort} asked ${asked}`);
          return true;
        },
      },
      respond: respondToDatagram,
      judge,
      observe: observation => void seen.push(observation),
      settled: () => void acts.push('settled'),
      fault: error => void faults.push(error),
      random: () => new Uint8Array(32),
      nowMs: () => nowMs,
      ...deps,
    },
  );
  server.start([7, 8]);
  return {
    acts,
    seen,
    faults,
    server,
    send(bytes: Uint8Array, more: Partial<Record<'source' | 'destination', string>> & Partial<Pick<Datagram, 'sourcePort' | 'port' | 'length'>> = {}) {
      const { source = '203.0.113.9', destination = '198.51.100.1', sourcePort = 40_000, port = 53, length = bytes.length } = more;
      answering = { source: source as Address, sourcePort, destination: destination as Address, port, length };
      events?.received(answering, bytes);
    },
    settle: () => events?.settled(),
    replies: () => acts.filter(act => act.startsWith('reply')).length,
  };
}

/** `version.bind CH TXT`, with room for the answer. */
const QUESTION = Buffer.concat([
  Buffer.from('1234010000010000000000010776657273696f6e0462696e640000100003', 'hex'),
  Buffer.from('0000291000000000000050000c004c', 'hex'),
  Buffer.alloc(76),
]);
const NTP = Buffer.concat([Buffer.from([0x1b]), Buffer.alloc(47)]);
/** Answers with as many bytes as it is told. */
const answering =
  (length: number): typeof respondToDatagram =>
  datagram => ({ protocol: 'test', reply: new Uint8Array(length), observations: [payload('datagram', 'said', datagram.length)] });

test('a question is answered from the port that it came to: the port is noted right before the reply leaves', () => {
  const { acts, send } = rig();
  send(NTP, { port: 123 });
  send(NTP, { port: 123, source: '2001:db8::9', destination: '2001:db8::1' });
  expect(acts).toEqual([
    'note 203.0.113.9 40000 asked 123',
    'reply to 203.0.113.9 40000: 48 bytes',
    'note 2001:db8::9 40000 asked 123',
    'reply to 2001:db8::9 40000: 48 bytes',
  ]);
});

test('what came is told when the batch is over, once for each source and port', () => {
  const { seen, send, settle, acts } = rig();
  for (let times = 0; times < 3; times++) send(NTP, { port: 123 });
  send(Buffer.from('jndi:ldap://x'), { port: 9_999 });
  send(QUESTION, { source: '203.0.113.10' });
  expect(seen).toEqual([]);
  settle();
  expect(acts.at(-1)).toBe('settled');
  expect(seen).toMatchObject([
    {
      kind: 'datagram',
      source: '203.0.113.9',
      port: 123,
      protocol: 'ntp',
      count: 3,
      receivedBytes: 144,
      answered: true,
      findings: [],
      head: NTP.toString('base64'),
    },
    { source: '203.0.113.9', port: 9_999, protocol: 'generic-udp', count: 1, answered: false, findings: [EXPLOIT] },
    { source: '203.0.113.10', port: 53, protocol: 'dns', count: 1 },
  ]);
  settle();
  expect(seen).toHaveLength(3);
});

test('a head is bounded, and a finding is told once however often it was made', () => {
  const { seen, send, settle } = rig();
  for (let times = 0; times < 40; times++) send(Buffer.from('jndi'.repeat(200)), { port: 9_999 });
  settle();
  expect(seen).toMatchObject([{ count: 40, findings: [EXPLOIT] }]);
  expect(Buffer.from((seen[0] as { head: string }).head, 'base64')).toHaveLength(256);
});

describe('no reply', () => {
  test.each([
    ['to no port', { sourcePort: 0 }],
    ['to a multicast address', { source: '239.1.2.3' }],
    ['to everybody', { source: '255.255.255.255' }],
    ['to this network', { source: '0.0.0.0' }],
    ['to an IPv6 multicast address', { source: 'ff02::1', destination: '2001:db8::1' }],
    ['to no address', { source: '::', destination: '2001:db8::1' }],
    ['to ourselves', { source: '198.51.100.1' }],
    ['to an echo service, which would answer the answer', { sourcePort: 7 }],
    ['to a character generator', { sourcePort: 19 }],
  ])('%s', (_, from) => {
    const { send, acts, seen, settle } = rig({ respond: answering(4) });
    send(Buffer.from('four'), from);
    settle();
    expect(acts).toEqual(['settled']);
    expect(seen).toMatchObject([{ answered: false, count: 1 }]);
  });

  test('that is longer than what it answers, even if a responder made one: it is a mistake of ours', () => {
    const { send, acts, faults, seen, settle } = rig({ respond: answering(5) });
    send(Buffer.from('four'));
    settle();
    expect(acts).toEqual(['settled']);
    expect(faults).toMatchObject([{ message: expect.stringContaining('longer one') }]);
    expect(seen).toMatchObject([{ answered: false }]);
  });

  test('from a wrong port: where the map refuses, nothing is sent', () => {
    const { send, acts } = rig({ respond: answering(4), replies: { note: () => false } });
    send(Buffer.from('four'));
    expect(acts).toEqual([]);
  });
});

describe('rates', () => {
  const four = Buffer.from('four');

  test('a source is answered so often a second and not more, another one all the same', () => {
    const { send, replies } = rig({ respond: answering(4), perSource: 3 });
    for (let times = 0; times < 50; times++) send(four, { sourcePort: 1_024 + times });
    expect(replies()).toBe(3);
    send(four, { source: '203.0.113.10' });
    expect(replies()).toBe(4);
    nowMs += 1_000;
    for (let times = 0; times < 50; times++) send(four);
    expect(replies()).toBe(7);
  });

  test('all addresses of an IPv6 /64 are one source', () => {
    const { send, replies } = rig({ respond: answering(4), perSource: 3 });
    for (let at = 1; at < 50; at++) send(four, { source: `2001:db8:0:1::${at.toString(16)}`, destination: '2001:db8::1' });
    expect(replies()).toBe(3);
    send(four, { source: '2001:db8:0:2::1', destination: '2001:db8::1' });
    expect(replies()).toBe(4);
  });

  test('forged sources without end are answered so often in all', () => {
    const { send, replies } = rig({ respond: answering(4), perSecond: 100 });
    for (let at = 0; at < 20_000; at++) send(four, { source: `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}` });
    expect(replies()).toBe(100);
  });

  test('the source that was answered least lately is forgotten when there is no room for another', () => {
    const { send, replies } = rig({ respond: answering(4), perSecond: 100_000, perSource: 1 });
    send(four);
    for (let at = 0; at < 4_095; at++) send(four, { source: `10.0.${at >> 8}.${at & 255}` });
    send(four);
    expect(replies()).toBe(4_096);
    send(four, { source: '10.99.0.1' });
    send(four);
    expect(replies()).toBe(4_098);
  });

  test('two servers that answer each other come to rest at the rate of one source', () => {
    const { send, replies } = rig({ respond: answering(4), perSource: 5 });
    for (let ms = 0; ms < 10_000; ms++) {
      nowMs += 1;
      send(four, { sourcePort: 53 });
    }
    expect(replies()).toBeLessThanOrEqual(5 + 50);
  });
});

test('a mistake in a responder costs its datagram, and the next one is answered', () => {
  const respond = vi.fn(answering(4)).mockImplementationOnce(() => {
    throw new Error('ours');
  });
  const { send, replies, faults } = rig({ respond });
  send(Buffer.from('four'));
  send(Buffer.from('four'));
  expect([replies(), faults.length]).toEqual([1, 1]);
});
