import type { Prefix } from '@honeymesh/intel/address';
import type { Finding } from '@honeymesh/intel/findings';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { TrapLimits, TrapObservation } from '#enforcer/traps/messages.ts';
import type { ProtocolFactory } from '#enforcer/traps/protocols/machine.ts';
import { createProtocolTrap, createProtocolTraps } from '#enforcer/traps/protocols/registry.ts';
import { createRandomness } from '#enforcer/traps/server/randomness.ts';
import { createTrapServer } from '#enforcer/traps/server/server.ts';
import type { Judge } from '#enforcer/traps/server/session.ts';
import { TRAP_LIMITS } from '#enforcer/traps/supervisor.ts';
import { createMemorySockets, type Peer } from '#test/support/trap-sockets.ts';
import { personaWith } from '#test/support/trap-talk.ts';

type Of<Kind extends TrapObservation['kind']> = Extract<TrapObservation, { kind: Kind }>;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

const persona = personaWith(({ software }) => software.ftp === 'vsftpd');
const JNDI: Finding = { rule: 'log4shell', reason: 'exploit', kind: 'exploit', quote: 'jndi' };
const HIDDEN: Finding = { rule: 'hidden-words', reason: 'obfuscated', kind: 'payload', quote: '' };

/** Finds an exploit wherever `jndi` is said, and something hidden wherever `base64` is. */
const judge: Judge = {
  judge(observation) {
    const said = JSON.stringify(observation);
    return [...(said.includes('jndi') ? [JNDI] : []), ...(said.includes('base64') ? [HIDDEN] : [])];
  },
  isHostile: findings => findings.some(({ reason }) => reason === 'exploit'),
};

function rig(limits: Partial<TrapLimits> = {}, createTrap: ProtocolFactory = createProtocolTrap) {
  const sockets = createMemorySockets();
  const seen: TrapObservation[] = [];
  const faults: unknown[] = [];
  /** What `peer` had heard when an observation of a kind was told last. */
  const heardAt: { peer?: Peer } & Partial<Record<TrapObservation['kind'], string | undefined>> = {};
  /** How many rows each batch brought. */
  const rowsOfBatch: number[] = [];
  let rows = 0;
  const server = createTrapServer(
    { limits: { ...TRAP_LIMITS, ...limits }, persona },
    {
      sockets,
      tls: undefined,
      judge,
      createTrap,
      random: createRandomness(),
      observe(observation) {
        seen.push(observation);
        heardAt[observation.kind] = heardAt.peer?.heard();
        if (observation.kind === 'ended') rows++;
      },
      settled() {
        rowsOfBatch.push(rows);
        rows = 0;
      },
      pressed: () => false,
      fault: error => void faults.push(error),
    },
  );
  server.start([]);
  const of = <Kind extends TrapObservation['kind']>(kind: Kind): Of<Kind>[] => seen.filter((one): one is Of<Kind> => one.kind === kind);
  return { server, sockets, seen, faults, of, heardAt, rowsOfBatch };
}

const later = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('a connection', () => {
  test('is greeted, then told as a touch of the port that was asked for', () => {
    const { sockets, seen, server } = rig();
    const peer = sockets.connect(21, '203.0.113.9');
    expect(peer.heard()).toMatch(/^220 \(vsFTPd/);
    expect(seen).toMatchObject([{ kind: 'touch', source: '203.0.113.9', port: 21, count: 1, refused: 0 }]);
    expect(server.sessions()).toBe(1);
  });

  test('that says nothing is a row all the same: it ends by its deadline', async () => {
    const { sockets, of, server } = rig();
    const peer = sockets.connect(80, '203.0.113.9');
    await later(2_950);
    expect(peer.state()).toBe('open');
    await later(200);
    expect(peer.state()).toBe('lingering');
    const [ended] = of('ended');
    expect(ended).toMatchObject({
      source: '203.0.113.9',
      port: 80,
      protocol: 'http',
      open: 0,
      receipt: { end: 'deadline', receivedBytes: 0, head: '', transcript: [] },
    });
    expect(ended?.receipt.durationMs).toBeGreaterThanOrEqual(3_000);
    expect(server.sessions()).toBe(0);
  });

  test('whose peer resets it is over at once, and told once', async () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(22);
    peer.resets();
    await later(10_000);
    expect(of('ended')).toHaveLength(1);
    expect(of('ended')[0]?.receipt.end).toBe('peer');
  });

  test('whose peer has finished gets the answers to what it said', () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(6379);
    peer.says('PING\r\n');
    peer.finishes();
    expect(peer.heard()).toBe('+PONG\r\n');
    expect(peer.state()).toBe('lingering');
    expect(of('ended')[0]?.receipt).toMatchObject({ end: 'peer', receivedBytes: 6, sentBytes: 7 });
  });

  test('that the protocol ends is `done`', () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(21);
    peer.says('QUIT\r\n');
    expect(peer.heard()).toMatch(/221 Goodbye\.\r\n$/);
    expect(of('ended')[0]?.receipt.end).toBe('done');
  });

  test('to a port without a protocol of its own becomes what its first bytes are', () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(31_337);
    peer.says('GET / HTTP/1.0\r\n\r\n');
    expect(peer.heard()).toMatch(/^HTTP\/1\.1 /);
    expect(of('ended')[0]).toMatchObject({ protocol: 'http', receipt: { end: 'done' } });
  });
});

describe('what it may cost is bounded:', () => {
  test('a byte each 2.9 s does not prolong a session', async () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(21);
    await later(2_900);
    peer.says('U');
    await later(300);
    expect(peer.state()).toBe('lingering');
    expect(of('ended')[0]?.receipt).toMatchObject({ end: 'deadline', receivedBytes: 1 });
  });

  test('complete messages do, up to the bound of a session', async () => {
    const { sockets, of } = rig({ sessionMs: 10_000 });
    const peer = sockets.connect(6379);
    for (let at = 0; at < 9_000; at += 1_000) {
      await later(1_000);
      peer.says('PING\r\n');
    }
    expect(peer.state()).toBe('open');
    await later(1_100);
    expect(of('ended')[0]?.receipt.end).toBe('deadline');
  });

  test('more than it may say ends it', () => {
    const { sockets, of } = rig({ receivedBytes: 1_000 });
    const peer = sockets.connect(80);
    peer.says('x'.repeat(1_001));
    expect(of('ended')[0]?.receipt.end).toBe('too-much');
  });

  test('who does not read is not read from, and ends by its deadline', async () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(6379);
    peer.stalls();
    peer.says('PING\r\n');
    expect(peer.state()).toBe('paused');
    peer.reads();
    expect(peer.state()).toBe('open');
    expect(peer.heard()).toBe('+PONG\r\n');
    peer.stalls();
    peer.says('PING\r\n');
    await later(3_100);
    expect(of('ended')[0]?.receipt.end).toBe('deadline');
  });

  test('a source holds no more sessions than it may; each further connection is a touch that was refused, and reset', () => {
    const { sockets, of, server } = rig({ sessionsPerSource: 4 });
    const peers = Array.from({ length: 6 }, () => sockets.connect(80));
    expect(peers.map(peer => peer.state())).toEqual(['open', 'open', 'open', 'open', 'reset', 'reset']);
    expect(of('touch').map(({ refused }) => refused)).toEqual([0, 0, 0, 0, 1, 1]);
    peers[0]?.resets();
    expect(sockets.connect(80).state()).toBe('open');
    expect(server.sessions()).toBe(4);
  });

  test('all of an IPv6 /64 is one source', () => {
    const { sockets } = rig({ sessionsPerSource: 2 });
    const states = ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1'].map(source => sockets.connect(80, source).state());
    expect(states).toEqual(['open', 'open', 'reset', 'open']);
  });

  test('and so are the sessions of all', () => {
    const { sockets, server } = rig({ sessions: 3 });
    const states = Array.from({ length: 5 }, (_, at) => sockets.connect(80, `192.0.2.${at}`).state());
    expect(states).toEqual(['open', 'open', 'open', 'reset', 'reset']);
    expect(server.sessions()).toBe(3);
  });

  test('what all together have sent and not finished fits into 64 MiB', () => {
    const { sockets, of } = rig({ receivedBytes: 1024 * 1024, sessionsPerSource: 1_000 });
    const peers = Array.from({ length: 70 }, () => sockets.connect(9_999));
    for (const peer of peers) peer.says('x'.repeat(1024 * 1024));
    const full = of('ended').filter(({ receipt }) => receipt.end === 'full');
    expect(full.length).toBe(6);
    for (const peer of peers) peer.resets();
    const next = sockets.connect(9_999);
    next.says('x'.repeat(1024 * 1024));
    expect(next.state()).toBe('open');
  });

  test('ten thousand that come to their end together are seen to in parts', async () => {
    const { sockets, of, rowsOfBatch } = rig({ sessionsPerSource: 20_000 });
    for (let at = 0; at < 10_000; at++) sockets.connect(80);
    await later(3_200);
    expect(of('ended')).toHaveLength(10_000);
    expect(Math.max(...rowsOfBatch)).toBeLessThanOrEqual(256);
  });
});

describe('a banned source', () => {
  test('loses all of its sessions, and nobody else one', () => {
    const { sockets, server, of } = rig();
    const mine = [sockets.connect(80, '192.0.2.7'), sockets.connect(22, '192.0.2.7')];
    const other = sockets.connect(80, '192.0.2.8');
    server.closeSources(['10.0.0.0/8' as Prefix]);
    expect(server.sessions()).toBe(3);
    server.closeSources(['192.0.2.7/32' as Prefix]);
    expect(mine.map(peer => peer.state())).toEqual(['reset', 'reset']);
    expect(other.state()).toBe('open');
    expect(of('ended').map(({ receipt, open }) => [receipt.end, open])).toEqual([
      ['banned', 1],
      ['banned', 0],
    ]);
  });

  test.each([
    ['a prefix', '192.0.2.0/24', ['192.0.2.1', '192.0.2.255'], '192.0.3.1'],
    ['a /64', '2001:db8::/64', ['2001:db8::1', '2001:db8::ffff:1'], '2001:db8:0:1::1'],
    ['a /128', '2001:db8::1/128', ['2001:db8::1'], '2001:db8::2'],
    ['a /48', '2001:db8::/48', ['2001:db8::1', '2001:db8:0:ff::1'], '2001:db8:1::1'],
  ])('may be %s', (_, target, inside, outside) => {
    const { sockets, server } = rig();
    const hit = inside.map(source => sockets.connect(80, source));
    const spared = sockets.connect(80, outside);
    server.closeSources([target as Prefix]);
    expect(hit.every(peer => peer.state() === 'reset')).toBe(true);
    expect(spared.state()).toBe('open');
  });
});

describe('what was said', () => {
  test('is told at once where it is hostile, after the answer has left, and once for each reason', () => {
    const { sockets, seen, of, heardAt } = rig();
    const peer = sockets.connect(6379);
    heardAt.peer = peer;
    peer.says('SET a jndi:x\r\n');
    expect(of('content')).toMatchObject([{ protocol: 'redis', port: 6379, findings: [JNDI] }]);
    expect(heardAt.content).toBe('+OK\r\n');
    peer.says('SET a jndi\r\n');
    expect(of('content')).toHaveLength(1);
    peer.finishes();
    expect(seen.map(({ kind }) => kind)).toEqual(['touch', 'content', 'ended']);
    expect(of('ended')[0]?.receipt.findings).toEqual([JNDI]);
  });

  test('is no content where it is only hidden, but stands in the receipt', () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(6379);
    peer.says('SET a base64\r\n');
    peer.finishes();
    expect(of('content')).toEqual([]);
    expect(of('ended')[0]?.receipt.findings).toEqual([HIDDEN]);
  });

  test('and not understood is judged as it stands, when the session ends', () => {
    const { sockets, seen, of } = rig();
    const peer = sockets.connect(80);
    peer.says('GET /jndi'); // no end of the line, ever
    expect(of('content')).toEqual([]);
    peer.finishes();
    expect(seen.map(({ kind }) => kind)).toEqual(['touch', 'content', 'ended']);
    expect(of('ended')[0]?.receipt).toMatchObject({ findings: [JNDI], transcript: [{ kind: 'payload', text: 'unread (9 bytes): GET /jndi' }] });
  });

  test('is in the receipt: the first bytes, credentials, transcript', () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(21);
    peer.says('USER root\r\n');
    peer.says('PASS toor\r\n');
    peer.says('QUIT\r\n');
    const receipt = of('ended')[0]?.receipt;
    expect(Buffer.from(receipt?.head ?? '', 'base64').toString()).toBe('USER root\r\nPASS toor\r\nQUIT\r\n');
    expect(receipt?.credentials).toEqual([{ user: 'root', secret: 'toor' }]);
    expect(receipt?.transcript).toMatchObject([
      { kind: 'credentials', text: 'root' },
      { kind: 'command', text: 'QUIT' },
    ]);
  });

  test('of the first bytes 256 are kept', () => {
    const { sockets, of } = rig();
    const peer = sockets.connect(31_337);
    peer.says('a'.repeat(200));
    peer.says('b'.repeat(200));
    peer.finishes();
    expect(Buffer.from(of('ended')[0]?.receipt.head ?? '', 'base64').toString()).toBe('a'.repeat(200) + 'b'.repeat(56));
  });
});

test('nobody asks a machine whose session is over', async () => {
  let asked = 0;
  const counting: ProtocolFactory = context => {
    const machine = createProtocolTrap(context);
    return {
      protocol: 'counting',
      open: nowMs => machine.open(nowMs),
      receive: (bytes, nowMs) => machine.receive(bytes, nowMs),
      expire(nowMs) {
        asked++;
        return machine.expire(nowMs);
      },
    };
  };
  const { sockets } = rig({}, counting);
  const gone = sockets.connect(80);
  const stays = sockets.connect(80);
  gone.resets();
  await later(3_100);
  expect(asked).toBe(1);
  expect(stays.state()).toBe('lingering');
});

test('a mistake of ours costs one session, and is told', () => {
  const broken: ProtocolFactory = context => ({
    ...createProtocolTrap(context),
    protocol: 'broken',
    open: () => ({ observations: [], wakeAtMs: 1_000, close: false }),
    receive() {
      throw new Error('a bug');
    },
  });
  const { sockets, faults, server, of } = rig({}, broken);
  const other = sockets.connect(80);
  const peer = sockets.connect(80);
  peer.says('x');
  expect(faults).toMatchObject([{ message: 'a bug' }]);
  expect(peer.state()).toBe('reset');
  expect(of('ended')).toMatchObject([{ protocol: 'broken', receipt: { end: 'stopped' } }]);
  expect(other.state()).toBe('open');
  expect(server.sessions()).toBe(1);
});

describe('what takes the place of a protocol', () => {
  function withSsh() {
    const ended: number[] = [];
    const createSsh: ProtocolFactory = ({ port }) => ({
      protocol: 'ssh',
      open: () => ({ send: Buffer.from('hello\r\n'), observations: [], wakeAtMs: 9_000, close: false }),
      receive: bytes => ({ send: bytes.slice(), observations: [], wakeAtMs: 9_000, close: false }),
      expire: () => ({ observations: [], wakeAtMs: 'never', close: true }),
      ended: () => void ended.push(port),
    });
    return { ...rig({}, createProtocolTraps(new Map([['ssh', createSsh]]))), ended };
  }

  test('is played on its ports, and told when the connection is gone, whoever ended it', async () => {
    const { sockets, server, ended } = withSsh();
    const peers = [sockets.connect(22), sockets.connect(22), sockets.connect(22, '192.0.2.9')];
    expect(peers.map(peer => peer.heard())).toEqual(['hello\r\n', 'hello\r\n', 'hello\r\n']);
    peers[0]?.resets();
    peers[1]?.finishes();
    server.closeSources(['192.0.2.9/32' as Prefix]);
    expect(ended).toEqual([22, 22, 22]);
  });

  test('and on any other port where its client is recognised', () => {
    const { sockets, of, ended } = withSsh();
    const peer = sockets.connect(31_337);
    peer.says('SSH-2.0-x\r\n');
    expect(peer.heard()).toBe('hello\r\nSSH-2.0-x\r\n');
    peer.resets();
    expect(ended).toEqual([31_337]);
    expect(of('ended')[0]?.protocol).toBe('ssh');
  });
});

test('when it is stopped each open session is told', () => {
  const { sockets, server, of } = rig();
  sockets.connect(80);
  sockets.connect(22);
  server.stop();
  expect(of('ended').map(({ receipt }) => receipt.end)).toEqual(['stopped', 'stopped']);
  expect(vi.getTimerCount()).toBe(0);
});
