import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { Prefix } from '@honeymesh/intel/address';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ToTrap, TrapObservation } from '#enforcer/traps/messages.ts';
import { createTrapSupervisor } from '#enforcer/traps/supervisor.ts';

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

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

function rig() {
  const born: FakeTrap[] = [];
  const downs: [string, number][] = [];
  const seen: (readonly TrapObservation[])[] = [];
  let ups = 0;
  const supervisor = createTrapSupervisor(
    { ports: [22, 3306], listeners: { port: 40000, mark: 1, ipv4: 17, ipv6: 19 }, heartbeatPin: '/pins/heartbeat', entry: 'entry.ts' },
    {
      onObservations: observations => void seen.push(observations),
      onDown: (why, againInMs) => void downs.push([why, againInMs]),
      onUp: () => void ups++,
      launch() {
        const trap = new FakeTrap();
        born.push(trap);
        return trap as unknown as ChildProcess;
      },
    },
  );
  return { supervisor, born, downs, seen, ups: () => ups };
}

const TOUCH = { kind: 'touch', at: 1, source: '192.0.2.1', port: 22, count: 1 };

test('the trap process learns where its descriptors are and its limits, and is running once it listens', () => {
  const { supervisor, born, ups } = rig();
  supervisor.start();
  expect(born[0]?.told[0]).toMatchObject({ kind: 'start', options: { ipv4: 4, ipv6: 5, heartbeatPin: '/pins/heartbeat', limits: { patienceMs: 3_000 } } });
  expect(supervisor.status()).toEqual({ ports: [22, 3306], sessions: 0, running: false });
  born[0]?.emit('message', { kind: 'listening' });
  expect(supervisor.status().running).toBe(true);
  expect(ups()).toBe(1);
});

test('what it saw comes through with the number of sessions, and a banned source loses its own', () => {
  const { supervisor, born, seen } = rig();
  supervisor.start();
  born[0]?.emit('message', { kind: 'listening' });
  born[0]?.emit('message', { kind: 'observations', observations: [TOUCH], sessions: 2, lost: 0 });
  expect(seen).toEqual([[TOUCH]]);
  expect(supervisor.status().sessions).toBe(2);
  supervisor.closeSource('192.0.2.1/32' as Prefix);
  expect(born[0]?.told.at(-1)).toEqual({ kind: 'close', target: '192.0.2.1/32' });
});

test('it is started again, each time later, and at once again after a healthy minute', async () => {
  const { supervisor, born, downs } = rig();
  supervisor.start();
  for (const waitMs of [250, 500, 1_000]) {
    born.at(-1)?.emit('exit', null, 'SIGSEGV');
    expect(downs.at(-1)).toEqual(['the trap process ended with SIGSEGV', waitMs]);
    expect(supervisor.status().running).toBe(false);
    await vi.advanceTimersByTimeAsync(waitMs);
  }
  expect(born).toHaveLength(4);
  await vi.advanceTimersByTimeAsync(60_001);
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

test('once stopped it is not started again', async () => {
  const { supervisor, born, downs } = rig();
  supervisor.start();
  await supervisor.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(born).toHaveLength(1);
  expect(born[0]?.signals).toEqual(['SIGTERM']);
  expect(downs).toEqual([]);
});
