/** tc egress under PROG_TEST_RUN: what is noted of our own flows, and what does not leave. */
import type { Address } from '@honeymesh/intel/address';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setFlag } from '#enforcer/kernel/codecs.ts';
import { CONFIG_FLAG } from '#enforcer/kernel/layouts.ts';
import { indexKey, type KernelMap, kernelMap } from '#enforcer/kernel/maps.ts';
import { addon, mustHave, testRun } from '#enforcer/kernel/native.ts';
import { udpPeerKey, udpPortValue } from '#enforcer/kernel/udp-replies.ts';
import { VERDICTS } from '#enforcer/kernel/verdicts.ts';
import { PARTS } from '#enforcer/launch/parts.ts';
import { build } from '#enforcer/launch/setup/build.mjs';
import {
  datagram,
  EXTENSION,
  ethernet,
  extension,
  fragmentHeader,
  icmp,
  ip,
  ipv4,
  ipv4Fragments,
  ipv6,
  ping,
  segment,
  syn,
  type Tag,
  tcp,
  udp,
} from '#test/support/frames/frames.ts';
import { encode, type Layouts } from '#test/support/oracle/kernel-state.ts';
import { emptyScenario, type Scenario, usualSettings } from '#test/support/oracle/scenario.ts';

const OWN = '198.51.100.1';
const OWN6 = '2001:db8:1::1';
const REMOTE = '203.0.113.7';
const REMOTE6 = '2001:db8:bad::7';
const [OK, SHOT] = [0, 2];
const CLEARED = ['ban4', 'ban6', 'ban6x', 'pfx4', 'pfx6', 'flows_out', 'udp_replies'];
const MARK = 0x484d;
const TRAP_UDP_PORT = 7_001;
const MARK_AT = 8; // in struct __sk_buff

let maps: Record<string, KernelMap>;
let layouts: Layouts;
let egress: number;

beforeAll(() => {
  build();
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
function beforeNext(): void {
  for (const name of CLEARED) for (const [key] of [...map(name).entries()]) map(name).remove(key.slice());
}
beforeEach(beforeNext);

const map = (name: string): KernelMap => {
  const found = maps[name];
  if (found === undefined) throw new Error(`no map ${name}`);
  return found;
};

/** An __sk_buff that says who sent it. */
function marked(mark: number): Uint8Array {
  const context = new Uint8Array(192);
  new DataView(context.buffer).setUint32(MARK_AT, mark, true);
  return context;
}

function prepare(scenario: Partial<Scenario>, egressDrop = true): void {
  for (const [name, rows] of encode({ ...emptyScenario, own: [OWN, OWN6], ...scenario }, process.hrtime.bigint(), layouts)) {
    for (const { key, value } of rows) {
      if (name === 'config') setFlag(value, CONFIG_FLAG.egressDrop, egressDrop);
      map(name).put(key, value);
    }
  }
}

function send(scenario: Partial<Scenario>, frames: readonly Uint8Array[], egressDrop = true, mark = 0): number[] {
  prepare(scenario, egressDrop);
  return frames.map(frame => testRun(egress, frame, { context: marked(mark) }).retval);
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

describe('to a confined destination', () => {
  const settings = { ...usualSettings, trapMark: MARK, trapUdpPort: TRAP_UDP_PORT };
  const bans = [
    { target: REMOTE, expiresNs: null, confined: true },
    { target: '2001:db8:bad::/64', expiresNs: null, confined: true },
  ];
  const frames = [segment(OWN, REMOTE, 4_000, 'A'), segment(OWN, REMOTE, 4_000, 'SA'), segment(OWN6, REMOTE6, 4_000, 'PA'), ping(OWN, REMOTE)];

  test('leaves what traps say, and nothing else', () => {
    expect(send({ bans, settings }, frames, true, MARK)).toEqual([OK, OK, OK, OK]);
    expect(send({ bans, settings }, frames, true, 0)).toEqual([SHOT, SHOT, SHOT, SHOT]);
    expect(send({ bans, settings }, frames, true, MARK + 1)).toEqual([SHOT, SHOT, SHOT, SHOT]);
    expect(send({ bans: bans.map(({ target }) => ({ target, expiresNs: null })), settings }, frames, true, MARK), 'a full ban').toEqual([
      SHOT,
      SHOT,
      SHOT,
      SHOT,
    ]);
  });

  test('a host without traps has no mark, so that nobody passes for one', () => {
    expect(send({ bans, settings: { ...settings, trapMark: 0 } }, frames, true, 0)).toEqual([SHOT, SHOT, SHOT, SHOT]);
  });

  test('an ALLOW rule, egress off, observe and the end of the ban let everything out', () => {
    const rules = ['203.0.113.0/24', '2001:db8::/32'].map(prefix => ({ prefix, action: 'allow' as const, expiresNs: null }));
    expect(send({ bans, settings, rules }, frames)).toEqual([OK, OK, OK, OK]);
    beforeNext();
    expect(send({ bans, settings }, frames, false)).toEqual([OK, OK, OK, OK]);
    expect(send({ bans, settings: { ...settings, mode: 'observe' } }, frames)).toEqual([OK, OK, OK, OK]);
    expect(send({ bans: bans.map(ban => ({ ...ban, expiresNs: -2_000_000_000n })), settings }, frames)).toEqual([OK, OK, OK, OK]);
  });

  test('neighbour discovery leaves', () => {
    const body = new Uint8Array(24);
    const discovery = (type: number, fields: object = {}) => ethernet(ipv6({ from: OWN6, to: REMOTE6, ...fields }, icmp(type, body)));
    const chain = [extension(EXTENSION.hopByHop)];
    const whole = [fragmentHeader({ offset: 0, more: true })];
    expect(send({ bans, settings }, [discovery(135), discovery(136), discovery(135, { extensions: chain })])).toEqual([OK, OK, OK]);
    expect(send({ bans, settings }, [discovery(134), discovery(137), discovery(1), ping(OWN6, REMOTE6), discovery(135, { extensions: whole })])).toEqual([
      SHOT,
      SHOT,
      SHOT,
      SHOT,
      SHOT,
    ]);
  });
});

describe("a trap's answer over UDP", () => {
  const settings = { ...usualSettings, trapMark: MARK, trapUdpPort: TRAP_UDP_PORT };
  const note = (remote: string, remotePort: number, port: number): void =>
    void map('udp_replies').put(udpPeerKey(remote as Address, remotePort), udpPortValue(port));
  const answer = (frame: Uint8Array, mark = MARK): { retval: number; data: Uint8Array } => {
    const ran = testRun(egress, frame, { context: marked(mark), wantsData: true });
    return { retval: ran.retval, data: ran.data ?? new Uint8Array(0) };
  };
  const lost = (): number => {
    const row = map('stats').get(indexKey(VERDICTS.length * 3 + 8)) ?? new Uint8Array(0);
    return [...new BigUint64Array(row.slice().buffer)].reduce((sum, count, at) => (at % 2 === 0 ? sum + Number(count) : sum), 0);
  };
  /** Odd and even, none, and one that an unlucky port gives a checksum of 0. */
  const payloads = [0, 1, 7, 1_200].map(length => Uint8Array.from({ length }, (_, at) => (at * 37) & 255));

  test('comes from the port that was asked, with a right checksum, whatever lies before it', () => {
    prepare({ settings });
    note(REMOTE, 40_000, 161);
    note(REMOTE6, 40_000, 53);
    const tagged: readonly (readonly Tag[])[] = [[], [5], [{ type: 0x88a8, id: 7 }, 9]];
    for (const payload of payloads) {
      for (const tags of tagged) {
        const four = (from: number) =>
          ethernet(ipv4({ from: OWN, to: REMOTE, options: new Uint8Array(4).fill(1) }, udp({ from, to: 40_000, payload })), { tags });
        const six = (from: number) =>
          ethernet(ipv6({ from: OWN6, to: REMOTE6, extensions: [extension(EXTENSION.destination)] }, udp({ from, to: 40_000, payload })), { tags });
        expect(answer(four(TRAP_UDP_PORT))).toEqual({ retval: OK, data: four(161) });
        expect(answer(six(TRAP_UDP_PORT))).toEqual({ retval: OK, data: six(53) });
      }
    }
    expect(flows(), 'no flow of ours: what comes next is no answer').toEqual([]);
  });

  test('no checksum stays none, and a checksum that comes to 0 is written as the spec says', () => {
    prepare({ settings });
    note(REMOTE, 40_000, 161);
    const none = (from: number) => ethernet(ip(OWN, REMOTE, udp({ from, to: 40_000, checksum: 0 })));
    expect(answer(none(TRAP_UDP_PORT))).toEqual({ retval: OK, data: none(161) });
    const sumAt = 14 + 20 + 6;
    const found = Array.from({ length: 65_536 }, (_, at) => Uint8Array.of(at >> 8, at & 255)).find(payload => {
      const frame = ethernet(ip(OWN, REMOTE, udp({ from: 161, to: 40_000, payload })));
      return (frame[sumAt] === 0 && frame[sumAt + 1] === 0) || (frame[sumAt] === 255 && frame[sumAt + 1] === 255);
    });
    const { data } = answer(ethernet(ip(OWN, REMOTE, udp({ from: TRAP_UDP_PORT, to: 40_000, payload: found ?? new Uint8Array(0) }))));
    expect([data[sumAt], data[sumAt + 1]]).toEqual([255, 255]);
  });

  test('without the port that was asked it is dropped and counted: nothing else would hide the trap', () => {
    prepare({ settings });
    const before = lost();
    note(REMOTE, 40_001, 161);
    expect(answer(datagram(OWN, REMOTE, 40_000, TRAP_UDP_PORT)).retval).toBe(SHOT);
    expect(lost() - before).toBe(1);
    expect(flows()).toEqual([]);
  });

  test("is told by mark and port: others' datagrams, other ports and TCP are left alone", () => {
    prepare({ settings });
    note(REMOTE, 40_000, 161);
    for (const [frame, mark] of [
      [datagram(OWN, REMOTE, 40_000, TRAP_UDP_PORT), 0],
      [datagram(OWN, REMOTE, 40_000, TRAP_UDP_PORT + 1), MARK],
      [ethernet(ip(OWN, REMOTE, tcp({ from: TRAP_UDP_PORT, to: 40_000, flags: 'A' }))), MARK],
    ] as const) {
      expect(answer(frame, mark)).toEqual({ retval: OK, data: frame });
    }
    prepare({ settings: { ...settings, trapUdpPort: 0 } });
    expect(answer(datagram(OWN, REMOTE, 40_000, 0)).retval).toBe(OK);
  });

  test('leaves to a confined destination, not to a banned one', () => {
    prepare({ settings, bans: [{ target: REMOTE, expiresNs: null, confined: true }] });
    note(REMOTE, 40_000, 161);
    expect(answer(datagram(OWN, REMOTE, 40_000, TRAP_UDP_PORT))).toEqual({ retval: OK, data: datagram(OWN, REMOTE, 40_000, 161) });
    prepare({ settings, bans: [{ target: REMOTE, expiresNs: null }] });
    expect(answer(datagram(OWN, REMOTE, 40_000, TRAP_UDP_PORT)).retval).toBe(SHOT);
  });
});
