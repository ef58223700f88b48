/** tc egress under PROG_TEST_RUN: what is noted of our own flows, and what does not leave. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { setFlag } from '#enforcer/kernel/codecs.ts';
import { CONFIG_FLAG } from '#enforcer/kernel/layouts.ts';
import { indexKey, type KernelMap, kernelMap } from '#enforcer/kernel/maps.ts';
import { addon, mustHave, testRun } from '#enforcer/kernel/native.ts';
import { PARTS } from '#enforcer/launch/parts.ts';
import { datagram, ethernet, ipv4Fragments, ping, segment, syn, udp } from '#test/support/frames/frames.ts';
import { encode, type Layouts } from '#test/support/oracle/kernel-state.ts';
import { emptyScenario, type Scenario, usualSettings } from '#test/support/oracle/scenario.ts';

const OWN = '198.51.100.1';
const OWN6 = '2001:db8:1::1';
const REMOTE = '203.0.113.7';
const REMOTE6 = '2001:db8:bad::7';
const [OK, SHOT] = [0, 2];
const CLEARED = ['ban4', 'ban6', 'ban6x', 'pfx4', 'pfx6', 'flows_out'];

let maps: Record<string, KernelMap>;
let layouts: Layouts;
let egress: number;

beforeAll(() => {
  const native = addon();
  const loaded = native.load(PARTS.program, [], [], 0);
  if ('errno' in loaded) throw new Error(loaded.log);
  maps = Object.fromEntries(Object.entries(loaded.maps).map(([name, fd]) => [name, kernelMap(name, fd)]));
  const layout = (name: string) => mustHave(native.structLayout(PARTS.program, name), 'HM_MAP', name);
  layouts = {
    hm_ban: layout('hm_ban'),
    hm_rule: layout('hm_rule'),
    hm_tracker: layout('hm_tracker'),
    hm_shun: layout('hm_shun'),
    hm_flow: layout('hm_flow'),
    hm_config: layout('hm_config'),
    hm_guard: layout('hm_guard'),
  };
  egress = loaded.programs.find(({ name }) => name === 'hm_egress')?.fd ?? -1;
});
afterAll(() => {
  for (const opened of Object.values(maps ?? {})) opened.close();
});
beforeEach(() => {
  for (const name of CLEARED) for (const [key] of [...map(name).entries()]) map(name).remove(key.slice());
});

const map = (name: string): KernelMap => {
  const found = maps[name];
  if (found === undefined) throw new Error(`no map ${name}`);
  return found;
};

function send(scenario: Partial<Scenario>, frames: readonly Uint8Array[], egressDrop = true): number[] {
  for (const [name, rows] of encode({ ...emptyScenario, own: [OWN, OWN6], ...scenario }, process.hrtime.bigint(), layouts)) {
    for (const { key, value } of rows) {
      if (name === 'config') setFlag(value, CONFIG_FLAG.egressDrop, egressDrop);
      map(name).put(key, value);
    }
  }
  return frames.map(frame => testRun(egress, frame).retval);
}

/** `udp 40000>53`, ports of this host and the other, in the order of the map. */
const flows = (): string[] =>
  [...map('flows_out').entries()].map(([key]) => {
    const view = new DataView(key.buffer, key.byteOffset);
    return `${key[20] === 17 ? 'udp' : 'tcp'} ${view.getUint16(18, true)}>${view.getUint16(16, true)}`;
  });

test('datagrams and SYNs of our own are noted, the rest of TCP, ICMP and what we forward are not', () => {
  send({}, [datagram(OWN, REMOTE, 53), datagram(OWN6, REMOTE6, 123), segment(OWN, REMOTE, 80, 'A'), segment(OWN, REMOTE, 80, 'SA'), ping(OWN, REMOTE)]);
  expect(flows().sort()).toEqual(['udp 40000>123', 'udp 40000>53']);
  send({}, [syn(OWN, REMOTE, 25), datagram('10.0.0.5', REMOTE, 99)]);
  expect(flows().sort()).toEqual(['tcp 0>0', 'udp 40000>123', 'udp 40000>53']);
});

test('a fragmented datagram is noted by its first fragment', () => {
  const fragments = ipv4Fragments({ from: OWN, to: REMOTE }, udp({ from: 500, to: 501, payload: new Uint8Array(2_000) }), 1_480);
  expect(
    send(
      {},
      fragments.map(packet => ethernet(packet)),
    ),
  ).toEqual([OK, OK]);
  expect(flows()).toEqual(['udp 500>501']);
});

test('a flow that goes on is kept fresh', () => {
  send({}, [datagram(OWN, REMOTE, 53)]);
  const [before] = [...map('flows_out').entries()].map(([, value]) => new DataView(value.buffer, value.byteOffset).getBigUint64(0, true));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
  send({}, [datagram(OWN, REMOTE, 53)]);
  const [after] = [...map('flows_out').entries()].map(([, value]) => new DataView(value.buffer, value.byteOffset).getBigUint64(0, true));
  expect((after ?? 0n) - (before ?? 0n)).toBeGreaterThan(0n);
});

test('a fully banned destination gets nothing, unless it is allowed', () => {
  const bans = [
    { target: REMOTE, expiresNs: null },
    { target: '2001:db8:bad::/64', expiresNs: null },
  ];
  const frames = [datagram(OWN, REMOTE, 53), segment(OWN, REMOTE, 80, 'A'), syn(OWN6, REMOTE6, 80), datagram(OWN, '203.0.113.8', 53)];
  expect(send({ bans }, frames)).toEqual([SHOT, SHOT, SHOT, OK]);
  expect(flows()).toEqual(['udp 40000>53']);
  expect(send({ bans, rules: [{ prefix: '203.0.113.0/24', action: 'allow', expiresNs: null }] }, frames)).toEqual([OK, OK, SHOT, OK]);
});

test('a denied prefix gets nothing, nor does what we forward to it', () => {
  const rules = [{ prefix: '203.0.113.0/24', action: 'deny' as const, expiresNs: null }];
  expect(send({ rules }, [datagram(OWN, REMOTE, 53), datagram('10.0.0.5', REMOTE, 53), datagram(OWN, '192.0.2.1', 53)])).toEqual([SHOT, SHOT, OK]);
});

test('egress off, observe and pause let it out; what was dropped is no drop of the ban', () => {
  const bans = [{ target: REMOTE, expiresNs: null }];
  const frames = [datagram(OWN, REMOTE, 53)];
  expect(send({ bans }, frames, false)).toEqual([OK]);
  expect(send({ bans, settings: { ...usualSettings, mode: 'observe' } }, frames)).toEqual([OK]);
  expect(send({ bans, settings: { ...usualSettings, pausedUntilNs: 60_000_000_000n } }, frames)).toEqual([OK]);
  expect(send({ bans }, frames)).toEqual([SHOT]);
  const drops = [...map('ban4').entries()].map(([, value]) => new DataView(value.buffer, value.byteOffset).getBigUint64(8, true));
  expect(drops).toEqual([0n]);
  const row = map('stats').get(indexKey(13)) ?? new Uint8Array(0);
  expect(new BigUint64Array(row.slice().buffer).some(count => count > 0n)).toBe(true);
});
