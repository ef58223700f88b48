import type { Prefix } from '@honeymesh/intel/address';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { TrapObservation } from '#enforcer/traps/messages.ts';
import { createProtocolTrap } from '#enforcer/traps/protocols/registry.ts';
import { createRandomness } from '#enforcer/traps/server/randomness.ts';
import { createTrapServer } from '#enforcer/traps/server/server.ts';
import { TRAP_LIMITS } from '#enforcer/traps/supervisor.ts';
import { createMemorySockets } from '#test/support/trap-sockets.ts';
import { personaWith } from '#test/support/trap-talk.ts';

type Of<Kind extends TrapObservation['kind']> = Extract<TrapObservation, { kind: Kind }>;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

/** A server whose channel to the daemon is as full as `pressure` says. */
function rig() {
  const sockets = createMemorySockets();
  const seen: TrapObservation[] = [];
  const pressure = { high: false };
  const server = createTrapServer(
    { limits: TRAP_LIMITS, persona: personaWith(({ software }) => software.ftp === 'vsftpd') },
    {
      sockets,
      tls: undefined,
      judge: { judge: () => [], isHostile: () => false },
      createTrap: createProtocolTrap,
      random: createRandomness(),
      observe: observation => void seen.push(observation),
      settled: () => {},
      pressed: () => pressure.high,
      fault(error) {
        throw error;
      },
    },
  );
  server.start([]);
  const of = <Kind extends TrapObservation['kind']>(kind: Kind): Of<Kind>[] => seen.filter((one): one is Of<Kind> => one.kind === kind);
  return { server, sockets, of, pressure };
}

const later = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

test('while more is observed than can be told, who comes is told at once, and greeted later, in their order', async () => {
  const { sockets, server, pressure, of } = rig();
  const earlier = sockets.connect(21);
  pressure.high = true;
  const [first, second] = [sockets.connect(21), sockets.connect(21)];
  earlier.says('USER root\r\n');
  expect(earlier.heard()).toContain('331 ');
  expect([first.heard(), first.state(), second.heard()]).toEqual(['', 'paused', '']);
  expect(of('touch')).toHaveLength(3);
  await later(70_000); // longer than a session may take
  expect(first.heard()).toBe('');
  pressure.high = false;
  const third = sockets.connect(21);
  expect(third.heard()).toBe('');
  server.relieved();
  expect([first, second, third].map(peer => [peer.heard().slice(0, 4), peer.state()])).toEqual(new Array(3).fill(['220 ', 'open']));
  await later(2_900);
  expect(first.state()).toBe('open');
  await later(200);
  expect(first.state()).toBe('lingering');
});

test('of who waits for the greeting some are greeted at a time, and none any more when it begins again', () => {
  const { sockets, server, pressure } = rig();
  pressure.high = true;
  const peers = Array.from({ length: 100 }, (_, at) => sockets.connect(21, `192.0.2.${at}`));
  const greeted = (): number => peers.filter(peer => peer.heard() !== '').length;
  server.relieved();
  expect(greeted()).toBe(0);
  pressure.high = false;
  server.relieved();
  expect(greeted()).toBe(64);
  pressure.high = true;
  server.relieved();
  expect(greeted()).toBe(64);
});

test('who leaves or is banned before the greeting is a row like others', () => {
  const { sockets, server, pressure, of } = rig();
  pressure.high = true;
  sockets.connect(21, '192.0.2.1').resets();
  const banned = sockets.connect(21, '192.0.2.2');
  server.closeSources(['192.0.2.2/32' as Prefix]);
  pressure.high = false;
  server.relieved();
  expect(of('ended').map(({ source, receipt }) => [source, receipt.end])).toEqual([
    ['192.0.2.1', 'peer'],
    ['192.0.2.2', 'banned'],
  ]);
  expect([banned.heard(), server.sessions()]).toEqual(['', 0]);
});
