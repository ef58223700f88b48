import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createDaemonKeeper } from '#enforcer/launch/daemon-process.ts';
import type { DaemonOptions, LauncherMessage } from '#enforcer/launch/messages.ts';

class FakeDaemon extends EventEmitter {
  readonly told: LauncherMessage[] = [];
  readonly signals: string[] = [];
  connected = true;
  send(message: LauncherMessage): boolean {
    this.told.push(message);
    return true;
  }
  kill(signal: string): boolean {
    this.signals.push(signal);
    return true;
  }
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

function rig() {
  const born: FakeDaemon[] = [];
  const heard: string[] = [];
  const keeper = createDaemonKeeper(
    { node: 'node', entry: 'daemon.ts', inherited: [], daemonOptions: restarts => ({ restarts }) as DaemonOptions },
    {
      onReady: restarts => void heard.push(`ready ${restarts}`),
      onStopped: () => void heard.push('stopped'),
      onDied: (why, againInMs) => void heard.push(`${why}, again in ${againInMs} ms`),
      launch() {
        const daemon = new FakeDaemon();
        born.push(daemon);
        return daemon as unknown as ChildProcess;
      },
    },
  );
  keeper.start();
  return { keeper, born, heard };
}

test('a daemon that dies is started again, later each time, with options of now', async () => {
  const { born, heard } = rig();
  born[0]?.emit('message', { kind: 'ready', dashboard: null });
  born[0]?.emit('exit', null, 'SIGKILL');
  await vi.advanceTimersByTimeAsync(250);
  born[1]?.emit('exit', 1, null);
  await vi.advanceTimersByTimeAsync(499);
  expect(born).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1);
  born[2]?.emit('message', { kind: 'ready', dashboard: null });
  expect(heard).toEqual(['ready 0', 'ended with SIGKILL, again in 250 ms', 'ended with code 1, again in 500 ms', 'ready 2']);
  expect(born.map(daemon => daemon.told[0])).toEqual([0, 1, 2].map(restarts => ({ kind: 'start', options: { restarts } })));
});

test('an exit that was announced is the end; the same exit unannounced is a crash', () => {
  const announced = rig();
  announced.born[0]?.emit('message', { kind: 'stopping' });
  announced.born[0]?.emit('exit', 0, null);
  expect(announced.heard).toEqual(['stopped']);
  const unannounced = rig();
  unannounced.born[0]?.emit('exit', 0, null);
  expect(unannounced.heard).toEqual(['ended with code 0, again in 250 ms']);
});

test('the wait does not grow without end, and is short again after a healthy minute', async () => {
  const { born, heard } = rig();
  for (let times = 0; times < 12; times++) {
    born.at(-1)?.emit('exit', 1, null);
    await vi.advanceTimersByTimeAsync(30_000);
  }
  expect(heard.at(-1)).toMatch(/again in 30000 ms/);
  await vi.advanceTimersByTimeAsync(61_000);
  born.at(-1)?.emit('exit', 1, null);
  expect(heard.at(-1)).toMatch(/again in 250 ms/);
});

test('stopping asks first, forces when the grace is over, and starts no other', async () => {
  const { keeper, born, heard } = rig();
  const stopped = keeper.stop();
  expect(born[0]?.signals).toEqual(['SIGTERM']);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(born[0]?.signals).toEqual(['SIGTERM', 'SIGKILL']);
  born[0]?.emit('exit', null, 'SIGKILL');
  await stopped;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(born).toHaveLength(1);
  expect(heard).toEqual([]);
});
