import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { Prefix } from '@honeymesh/intel/address';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ToTrap, TrapObservation } from '#enforcer/traps/messages.ts';
import { createTrapSupervisor } from '#enforcer/traps/supervisor.ts';
import { endedOf, touchOf } from '#test/support/trap-receipts.ts';

class FakeTrap extends EventEmitter {
  readonly told: ToTrap[] = [];
  readonly signals: string[] = [];
  connected = true;
  send(message: ToTrap): boolean {
    this.told.push(message);
    return true;
  }
  kill(signal: string): boolean {
    this.signals.push(signal);
    queueMicrotask(() => this.emit('exit', null, signal));
    return true;
  }
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const PORTS = { tcp: [22, 3306], udp: [161] };
const IDENTITY = { seed: 'AAAA', tlsKey: 'key', tlsCertificate: 'certificate', sshHostKeys: [] };

function rig() {
  const recorded: (() => void)[] = [];
  const born: FakeTrap[] = [];
  const downs: [string, number][] = [];
  const seen: (readonly TrapObservation[])[] = [];
  const faults: string[] = [];
  let ups = 0;
  const supervisor = createTrapSupervisor(
    {
      ports: PORTS,
      listeners: { port: 40000, mark: 1, ipv4: 17, ipv6: 19, udpPort: 40001, udp4: 21, udp6: null },
      pins: '/pins',
      identity: IDENTITY,
      entry: 'entry.ts',
    },
    {
      onObservations(observations, _lost, onRecorded) {
        seen.push(observations);
        recorded.push(onRecorded);
      },
      onDown: (why, againInMs) => void downs.push([why, againInMs]),
      onUp: () => void ups++,
      onFault: why => void faults.push(why),
      launch() {
        const trap = new FakeTrap();
        born.push(trap);
        return trap as unknown as ChildProcess;
      },
    },
  );
  return { supervisor, born, downs, seen, faults, recorded, ups: () => ups };
}

const TOUCH = touchOf('192.0.2.1');

test('the trap process learns where its descriptors are and its limits, and is running once it listens', () => {
  const { supervisor, born, ups } = rig();
  supervisor.start();
  expect(born[0]?.told[0]).toMatchObject({
    kind: 'start',
    options: { ipv4: 4, ipv6: 5, udp4: 6, udp6: null, pins: '/pins', identity: IDENTITY, limits: { deadlineMs: 3_000 } },
  });
  expect(supervisor.status()).toEqual({ ports: PORTS, sessions: 0, running: false });
  born[0]?.emit('message', { kind: 'listening' });
  expect(supervisor.status().running).toBe(true);
  expect(ups()).toBe(1);
});

test('what it saw comes through with the number of sessions, and banned sources lose theirs', async () => {
  const { supervisor, born, seen } = rig();
  supervisor.start();
  born[0]?.emit('message', { kind: 'listening' });
  born[0]?.emit('message', { kind: 'observations', observations: [TOUCH], sessions: 2, lost: 0 });
  expect(seen).toEqual([[TOUCH]]);
  expect(supervisor.status().sessions).toBe(2);
  supervisor.closeSource('192.0.2.1/32' as Prefix);
  supervisor.closeSource('192.0.2.2/32' as Prefix);
  await vi.advanceTimersByTimeAsync(0);
  expect(born[0]?.told.slice(1)).toEqual([{ kind: 'close', targets: ['192.0.2.1/32', '192.0.2.2/32'] }]);
});

const ALIVE = { kind: 'observations', observations: [], sessions: 0, lost: 0 };

test('one that says nothing for five seconds is killed and replaced', async () => {
  const { supervisor, born, downs } = rig();
  supervisor.start();
  born[0]?.emit('message', { kind: 'listening' });
  for (let second = 0; second < 8; second++) {
    await vi.advanceTimersByTimeAsync(1_000);
    born[0]?.emit('message', ALIVE);
  }
  await vi.advanceTimersByTimeAsync(4_900);
  expect(born[0]?.signals).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_500);
  expect(born[0]?.signals).toEqual(['SIGKILL']);
  expect(downs).toEqual([['the trap process said nothing for 5 s', 250]]);
  await vi.advanceTimersByTimeAsync(250);
  expect(born).toHaveLength(2);
});

test('one that has not come up yet has more time', async () => {
  const { supervisor, born, downs } = rig();
  supervisor.start();
  await vi.advanceTimersByTimeAsync(15_000);
  expect(born[0]?.signals).toEqual([]);
  await vi.advanceTimersByTimeAsync(7_000);
  expect(born[0]?.signals).toEqual(['SIGKILL']);
  expect(downs[0]?.[0]).toMatch(/did not start within 20 s/);
});

test('a daemon that stood still itself does not blame the trap process', async () => {
  const { supervisor, born } = rig();
  supervisor.start();
  born[0]?.emit('message', { kind: 'listening' });
  await vi.advanceTimersByTimeAsync(5_400); // looked at once after five seconds, as if the loop had stood until then: what waits in the channel is heard next
  born[0]?.emit('message', ALIVE);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(born[0]?.signals).toEqual([]);
});

test('a mistake that cost a session is told, and costs no more', () => {
  const { supervisor, born, faults, downs } = rig();
  supervisor.start();
  born[0]?.emit('message', { kind: 'fault', why: 'a bug' });
  expect(faults).toEqual(['a bug']);
  expect(downs).toEqual([]);
});

test('it is started again, each time later, and at once again after a healthy minute', async () => {
  const { supervisor, born, downs } = rig();
  supervisor.start();
  for (const waitMs of [250, 500, 1_000]) {
    born.at(-1)?.emit('message', { kind: 'listening' });
    born.at(-1)?.emit('exit', null, 'SIGSEGV');
    expect(downs.at(-1)).toEqual(['the trap process ended with SIGSEGV', waitMs]);
    expect(supervisor.status().running).toBe(false);
    await vi.advanceTimersByTimeAsync(waitMs);
  }
  expect(born).toHaveLength(4);
  for (let second = 0; second < 61; second++) {
    await vi.advanceTimersByTimeAsync(1_000);
    born.at(-1)?.emit('message', ALIVE);
  }
  born.at(-1)?.emit('exit', 1, null);
  expect(downs.at(-1)?.[1]).toBe(250);
});

test('a trap process that says what it must not is killed and replaced', async () => {
  const { supervisor, born, downs } = rig();
  supervisor.start();
  born[0]?.emit('message', { kind: 'observations', observations: [{ ...TOUCH, source: 'evil' }], sessions: 0, lost: 0 });
  await vi.advanceTimersByTimeAsync(0);
  expect(born[0]?.signals).toEqual(['SIGKILL']);
  expect(downs[0]?.[0]).toMatch(/said what it must not/);
  await vi.advanceTimersByTimeAsync(250);
  expect(born).toHaveLength(2);
});

test('what it says while it ends still counts', async () => {
  const { supervisor, born, seen } = rig();
  supervisor.start();
  born[0]?.emit('message', { kind: 'listening' });
  const stopped = supervisor.stop();
  await vi.advanceTimersByTimeAsync(0);
  born[0]?.emit('message', { kind: 'observations', observations: [TOUCH], sessions: 0, lost: 0 });
  born[0]?.emit('disconnect');
  await stopped;
  expect(seen).toEqual([[TOUCH]]);
});

test('once stopped it is not started again', async () => {
  const { supervisor, born, downs } = rig();
  supervisor.start();
  const stopped = supervisor.stop();
  born[0]?.emit('disconnect');
  await stopped;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(born).toHaveLength(1);
  expect(born[0]?.signals).toEqual(['SIGTERM']);
  expect(downs).toEqual([]);
});

test('the trap process is told how many rows are in the log, once for those that came there together', async () => {
  const { supervisor, born, recorded } = rig();
  supervisor.start();
  const [trap] = born;
  const says = (observations: readonly TrapObservation[]): unknown => trap?.emit('message', { kind: 'observations', observations, sessions: 1, lost: 0 });
  says([TOUCH, endedOf('192.0.2.1')]);
  says([endedOf('192.0.2.1'), endedOf('192.0.2.2')]);
  says([TOUCH]);
  await vi.advanceTimersByTimeAsync(10);
  expect(trap?.told).toHaveLength(1);
  for (const done of recorded) done();
  await vi.advanceTimersByTimeAsync(1);
  expect(trap?.told.slice(1)).toEqual([{ kind: 'recorded', sessions: 3 }]);
});

test('a trap process is not told of the rows of the one before', async () => {
  const { supervisor, born, recorded } = rig();
  supervisor.start();
  born[0]?.emit('message', { kind: 'observations', observations: [endedOf('192.0.2.1')], sessions: 1, lost: 0 });
  born[0]?.emit('exit', 1, null);
  await vi.advanceTimersByTimeAsync(300);
  recorded[0]?.();
  await vi.advanceTimersByTimeAsync(1);
  expect(born.map(({ told }) => told.map(({ kind }) => kind))).toEqual([['start'], ['start']]);
});

test('a touch is heard before the rows of sessions that came ahead of it', async () => {
  const { supervisor, born, seen } = rig();
  supervisor.start();
  const says = (...observations: TrapObservation[]): unknown => born[0]?.emit('message', { kind: 'observations', observations, sessions: 1, lost: 0 });
  says(endedOf('192.0.2.1'));
  says(endedOf('192.0.2.2'));
  says(TOUCH);
  expect(seen).toEqual([[TOUCH]]);
  await vi.advanceTimersByTimeAsync(1);
  expect(seen.slice(1)).toMatchObject([[{ source: '192.0.2.1' }], [{ source: '192.0.2.2' }]]);
});

test('rows that wait when the traps are stopped are handed over before that is done', async () => {
  const { supervisor, born, seen } = rig();
  supervisor.start();
  const [trap] = born;
  for (const source of ['192.0.2.1', '192.0.2.2']) trap?.emit('message', { kind: 'observations', observations: [endedOf(source)], sessions: 1, lost: 0 });
  const stopped = supervisor.stop();
  trap?.emit('disconnect');
  await stopped;
  expect(seen).toHaveLength(2);
});
