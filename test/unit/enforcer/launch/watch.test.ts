import type { Prefix } from '@honeymesh/intel/address';
import type { AllowEntry } from '@honeymesh/intel/bans';
import { unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ServedPorts } from '#enforcer/kernel/port.ts';
import { createComplaints } from '#enforcer/launch/complaints.ts';
import type { Guard } from '#enforcer/launch/guard.ts';
import type { InterfaceState } from '#enforcer/launch/messages.ts';
import { createWatch } from '#enforcer/launch/watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const session = (target: string, why = 'ada is logged in'): AllowEntry => ({ target: target as Prefix, cause: 'session', why, since: unixMs(1) });

function rig() {
  const state = {
    interfaces: [{ name: 'eth0', xdp: 'native' }] as InterfaceState[],
    sessions: [] as AllowEntry[],
    served: { tcp: [], udp: [] } as ServedPorts,
    troubles: [] as string[],
    fails: false,
    looks: 0,
    reads: 0,
  };
  const told: string[] = [];
  const complaints = createComplaints(message => void told.push(`${message.kind} ${message.key}`));
  const guard = {
    look() {
      state.looks++;
      if (state.fails) throw new Error('netlink is silent');
      return state.interfaces;
    },
  } as unknown as Guard;
  const watch = createWatch(
    { interfaces: state.interfaces, sessions: [], forwarded: state.served },
    {
      guard,
      complaints,
      sessions: { current: () => state.sessions },
      forwarding: {
        read() {
          state.reads++;
          return Promise.resolve({ served: state.served, troubles: state.troubles });
        },
      },
      onAttachment: states => void told.push(`attachment ${states.map(({ xdp }) => xdp).join()}`),
      onSessions: entries => void told.push(`sessions ${entries.map(entry => entry.target).join()}`),
      onForwarded: ports => void told.push(`served ${ports.tcp.join()}`),
    },
  );
  watch.start();
  return { state, told, watch, complaints, pass: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
}

test('only what changed is told', async () => {
  const { state, told, pass } = rig();
  await pass(30_000);
  expect(told).toEqual([]);
  state.interfaces = [{ name: 'eth0', xdp: 'off' }];
  await pass(2_000);
  expect(told).toEqual(['attachment off']);
  state.sessions = [session('203.0.113.7/32')];
  await pass(3_000);
  state.sessions = [session('203.0.113.7/32', 'ada is logged in (pts/1)')];
  await pass(6_000);
  state.sessions = [];
  await pass(3_000);
  state.served = { tcp: [8080], udp: [] };
  await pass(10_000);
  expect(told).toEqual(['attachment off', 'sessions 203.0.113.7/32', 'sessions ', 'served 8080']);
});

test('a look that fails is a complaint, not the end: the next one is made', async () => {
  const { state, told, complaints, pass } = rig();
  state.fails = true;
  await pass(3_000);
  expect(told).toEqual(['degraded watch']);
  expect(complaints.current()[0]?.why).toContain('netlink is silent');
  state.fails = false;
  await pass(1_000);
  expect(told).toEqual(['degraded watch', 'recovered watch']);
  expect(complaints.current()).toEqual([]);
});

test('a tool that does not answer is a complaint, and what was known stands', async () => {
  const { state, told, pass } = rig();
  state.troubles = ['nft -j list ruleset'];
  await pass(20_000);
  expect(told).toEqual(['degraded forwarded']);
  state.troubles = [];
  await pass(10_000);
  expect(told).toEqual(['degraded forwarded', 'recovered forwarded']);
});

test('once stopped it looks no more', async () => {
  const { state, watch, pass } = rig();
  watch.stop();
  const { looks, reads } = state;
  await pass(60_000);
  expect([state.looks, state.reads]).toEqual([looks, reads]);
});
