/** Whatever peers do in whatever order: each connection is one touch and, if it was let in, one row; nothing is left over, nothing throws. */
import { fc, test } from '@fast-check/vitest';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { isHostile, judgeObservation } from '#enforcer/detect/judge.ts';
import { readTrapMessage, type TrapObservation } from '#enforcer/traps/messages.ts';
import { createProtocolTrap, PROTOCOLS } from '#enforcer/traps/protocols/registry.ts';
import { createRandomness } from '#enforcer/traps/server/randomness.ts';
import { createTrapServer } from '#enforcer/traps/server/server.ts';
import { TRAP_LIMITS } from '#enforcer/traps/supervisor.ts';
import { createMemorySockets, type Peer } from '#test/support/trap-sockets.ts';
import { personaOf } from '#test/support/trap-talk.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

const SOURCES = ['192.0.2.1', '192.0.2.2', '203.0.113.9', '2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'];
const TARGETS = ['192.0.2.1/32', '192.0.2.0/24', '203.0.113.9/32', '2001:db8::/64', '2001:db8::/32', '0.0.0.0/0'];
const WORDS = [
  'USER root\r\n',
  'PASS x\r\n',
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'EHLO x\r\n',
  '*1\r\n$4\r\nINFO\r\n',
  'QUIT\r\n',
  '\x16\x03\x01',
  '\0\0\0\x08',
  'wget http://x/y\r\n',
];
const LIMITS = { ...TRAP_LIMITS, sessions: 12, sessionsPerSource: 4, receivedBytes: 3_000, sentBytes: 20_000, messages: 20 };

const anyPort = fc.constantFrom(31_337, ...PROTOCOLS.map(({ ports }) => ports[0] ?? 0));
const anyWords = fc.oneof(
  fc.constantFrom(...WORDS),
  fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes).toString('latin1')),
  fc.constant('x'.repeat(2_000)),
);
const anyPeer = fc.nat(40);
const anyStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('connect' as const), port: anyPort, source: fc.constantFrom(...SOURCES) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('says' as const), peer: anyPeer, words: anyWords }) },
  fc.record({ do: fc.constantFrom('finishes' as const, 'resets' as const, 'stalls' as const, 'reads' as const), peer: anyPeer }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 4_000 }) }),
  fc.record({ do: fc.constant('ban' as const), target: fc.constantFrom(...TARGETS) }),
);

test.prop([fc.array(anyStep, { maxLength: 80, size: 'max' })], { numRuns: 150 })('each connection is a touch, and a row if it was let in', async steps => {
  const sockets = createMemorySockets();
  const seen: TrapObservation[] = [];
  const faults: unknown[] = [];
  const server = createTrapServer(
    { limits: LIMITS, persona: personaOf(5) },
    {
      sockets,
      tls: undefined,
      judge: { judge: judgeObservation, isHostile },
      createTrap: createProtocolTrap,
      random: createRandomness(),
      observe: observation => void seen.push(observation),
      settled: () => {},
      pressed: () => false,
      fault: error => void faults.push(error),
    },
  );
  server.start([]);
  const peers: Peer[] = [];
  for (const step of steps) {
    switch (step.do) {
      case 'connect':
        peers.push(sockets.connect(step.port, step.source));
        break;
      case 'says':
        peers[step.peer]?.says(step.words);
        break;
      case 'pass':
        await vi.advanceTimersByTimeAsync(step.ms);
        break;
      case 'ban':
        server.closeSources([step.target as Prefix]);
        break;
      default:
        peers[step.peer]?.[step.do]();
    }
    expect(server.sessions()).toBe(sockets.count());
    expect(server.sessions()).toBeLessThanOrEqual(LIMITS.sessions);
  }
  await vi.advanceTimersByTimeAsync(LIMITS.sessionMs + 1_000);
  expect(server.sessions()).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  expect(faults).toEqual([]);

  const touches = seen.filter(one => one.kind === 'touch');
  const rows = seen.filter(one => one.kind === 'ended');
  expect(touches).toHaveLength(peers.length);
  expect(rows).toHaveLength(touches.filter(({ refused }) => refused === 0).length);
  for (const source of new Set(rows.map(row => row.source))) expect(lastOf(rows, source).open).toBe(0);
  const said = { kind: 'observations', observations: seen.slice(0, 512), sessions: 0, lost: 0 };
  expect(readTrapMessage(JSON.parse(JSON.stringify(said)))).toEqual({ ok: true, value: said });
});

/** The last row of the /64, or the address, that `source` is of. */
function lastOf(rows: readonly Extract<TrapObservation, { kind: 'ended' }>[], source: Address): Extract<TrapObservation, { kind: 'ended' }> {
  const together = (other: Address): boolean => other === source || (source.startsWith('2001:db8::') && other.startsWith('2001:db8::'));
  const last = rows.filter(row => together(row.source)).at(-1);
  if (last === undefined) throw new Error(source);
  return last;
}
