import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { FromRelay, OwnEnvelope, ToRelay } from '#enforcer/relay/port.ts';
import { createRelayKeeper } from '#enforcer/relay/process/keeper.ts';

const settings = { host: 'h', port: 1, thing: 't', certificate: '', key: '', ca: null, signers: [], directory: '', meshDirectory: '' };
const facts = () => ({ version: '1', mode: 'enforce' as const, bans: 0, degraded: [] });
const envelope = (seq: number): OwnEnvelope => ({ epoch: 1, seq, bytes: new Uint8Array(1) });

class Child extends EventEmitter {
  readonly told: ToRelay[] = [];
  readonly signals: string[] = [];
  connected = true;
  send(message: ToRelay): boolean {
    this.told.push(message);
    return true;
  }
  kill(signal: string): boolean {
    this.signals.push(signal);
    queueMicrotask(() => this.die(signal));
    return true;
  }
  die(signal: string): void {
    this.connected = false;
    this.emit('exit', null, signal);
  }
  say(message: FromRelay): void {
    this.emit('message', message);
  }
  own(): readonly number[] {
    return this.told.flatMap(one => (one.kind === 'own' ? one.envelopes.map(({ seq }) => seq) : []));
  }
}

let children: Child[];
let downs: string[];
let heard: number;

beforeEach(() => {
  vi.useFakeTimers();
  [children, downs, heard] = [[], [], 0];
});
afterEach(() => {
  vi.useRealTimers();
});

function keeper() {
  const launch = (): ChildProcess => {
    children.push(new Child());
    return children.at(-1) as unknown as ChildProcess;
  };
  return createRelayKeeper({ entry: 'x', settings }, { facts, onMessage: () => {}, onHeard: () => void heard++, onDown: why => downs.push(why), launch });
}

test('what was handed over and not kept is handed over again to the next process', async () => {
  const relay = keeper();
  relay.start();
  relay.own(envelope(1));
  expect(children[0]?.own()).toEqual([]);
  children[0]?.say({ kind: 'up' });
  expect(children[0]?.own()).toEqual([1]);
  relay.own(envelope(2));
  children[0]?.say({ kind: 'kept', count: 1 });
  expect(children[0]?.own()).toEqual([1, 2]);
  children[0]?.die('SIGKILL');
  expect(downs).toEqual(['it ended with SIGKILL']);
  await vi.advanceTimersByTimeAsync(1_000);
  children[1]?.say({ kind: 'up' });
  expect(children[1]?.own()).toEqual([2]);
  expect(await relay.stop()).toEqual([envelope(2)]);
});

test('one that says nothing for a while is ended and started again, each time later', async () => {
  const relay = keeper();
  relay.start();
  children[0]?.say({ kind: 'up' });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(children[0]?.signals).toEqual(['SIGKILL']);
  expect(downs[0]).toContain('said nothing');
  for (let at = 0; at < 20; at++) {
    await vi.advanceTimersByTimeAsync(60_000);
    children.at(-1)?.die('SIGSEGV');
  }
  expect(children.length).toBeLessThan(25);
  await relay.stop();
});

test('each batch is acknowledged after it was taken', async () => {
  const relay = keeper();
  relay.start();
  children[0]?.say({ kind: 'heard', inputs: [] });
  await vi.advanceTimersByTimeAsync(1);
  expect(heard).toBe(1);
  expect(children[0]?.told.filter(({ kind }) => kind === 'took')).toHaveLength(1);
  await relay.stop();
});
