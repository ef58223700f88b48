import { type Address, addressBytes, hostPrefix, type Prefix } from '@honeymesh/intel/address';
import { reasonMask } from '@honeymesh/intel/reasons';
import { unixMs } from '@honeymesh/intel/time';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKernelClock } from '#enforcer/kernel/clock.ts';
import { setFlag } from '#enforcer/kernel/codecs.ts';
import { createKernelOnMaps } from '#enforcer/kernel/kernel-on-maps.ts';
import { banKey, sourceKey } from '#enforcer/kernel/keys.ts';
import { CONFIG_FLAG, LAYOUTS, PROBES, SERVED_ALWAYS, SERVED_UDP, SHUN_KINDS } from '#enforcer/kernel/layouts.ts';
import { indexKey, readWord } from '#enforcer/kernel/maps.ts';
import type { KernelBan } from '#enforcer/kernel/port.ts';
import { segment, syn } from '#test/support/frames/frames.ts';
import { type BehaviourBench, describeKernel, SMALL_ROOM } from '#test/support/kernel-behaviour.ts';
import { createKernelTester, type KernelTester } from '#test/support/kernel-tester.ts';

/** The real maps on a clock that the test moves: both the wall's and the monotonic one. */
function realBench(): BehaviourBench {
  const { ipv4, ipv6, ipv6Exact, rules, watched } = SMALL_ROOM;
  const tester = createKernelTester({ mapSizes: { ban4: ipv4, ban6: ipv6, ban6x: ipv6Exact, pfx4: rules, pfx6: rules, watch: watched } });
  const start = { ms: Date.now(), ns: process.hrtime.bigint() };
  let passedMs = 0;
  const deps = { now: () => unixMs(start.ms + passedMs), monotonicNs: () => start.ns + BigInt(passedMs) * 1_000_000n };
  const clock = createKernelClock(deps);
  return {
    kernel: createKernelOnMaps(tester.maps, deps),
    now: deps.now,
    pass(ms) {
      passedMs += ms;
    },
    shun(shun) {
      const bytes = new Uint8Array(LAYOUTS.hm_shun.size);
      const view = new DataView(bytes.buffer);
      view.setBigUint64(0, clock.toNs(shun.expiresAt), true);
      view.setBigUint64(8, BigInt(shun.droppedPackets), true);
      view.setUint32(16, reasonMask(shun.reasons), true);
      view.setUint16(20, shun.repeats, true);
      view.setUint8(
        22,
        shun.kinds.reduce((bits, kind) => bits | (1 << SHUN_KINDS.indexOf(kind)), 0),
      );
      expect(tester.maps.shuns.put(sourceKey(shun.target), bytes)).toBe(0);
    },
    track(source, ports) {
      const bytes = new Uint8Array(LAYOUTS.hm_tracker.size);
      const view = new DataView(bytes.buffer);
      for (const [slot, { port, probe, at }] of ports.entries()) {
        view.setBigUint64(
          LAYOUTS.hm_tracker.fields.slots[0] + slot * 8,
          ((clock.toNs(at) / 1_000_000n) << 20n) | BigInt((PROBES.indexOf(probe) << 16) | port),
          true,
        );
      }
      expect(tester.maps.trackers.put(sourceKey(source), bytes)).toBe(0);
    },
    close: tester.close,
  };
}

describeKernel('the kernel', realBench);

describe('on the real maps', () => {
  let tester: KernelTester;
  beforeAll(() => {
    tester = createKernelTester();
  });
  afterAll(() => tester.close());

  const own = '198.51.100.1' as Address;
  const bans = (count: number): readonly KernelBan[] =>
    Array.from({ length: count }, (_, at) => ({
      target: hostPrefix(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}` as Address),
      tier: 'E1',
      reasons: ['trap-touch'],
      expiresAt: unixMs(Date.now() + 3_600_000 + at),
    }));

  test('10,000 bans are written, each read back, listed and taken out again, in well under a second', () => {
    const { kernel } = tester;
    const many = bans(10_000);
    const started = performance.now();
    expect(kernel.putBans(many).every(outcome => outcome.enforced)).toBe(true);
    const written = performance.now();
    const held = new Map(kernel.listBans().map(ban => [ban.target, ban]));
    const listed = performance.now();
    for (const ban of many) expect(held.get(ban.target)).toEqual({ ...ban, droppedPackets: 0 });
    expect(held.size).toBe(10_000);
    const before = performance.now();
    kernel.removeBans(many.map(ban => ban.target));
    expect(kernel.listBans()).toEqual([]);
    console.log(
      `10,000 bans: written and read back ${(written - started).toFixed(0)} ms, listed ${(listed - written).toFixed(0)} ms, removed ${(performance.now() - before).toFixed(0)} ms`,
    );
    expect(listed - started).toBeLessThan(1_000);
  });

  test('a ban that is prolonged keeps its counter of drops', () => {
    const { kernel } = tester;
    const target = '203.0.113.7/32' as Prefix;
    const ban: KernelBan = { target, tier: 'E1', reasons: ['trap-touch'], expiresAt: unixMs(Date.now() + 60_000) };
    kernel.putBans([ban]);
    for (let at = 0; at < 5; at++) expect(tester.run(syn('203.0.113.7', own, 22)).verdict).toBe('drop-ban');
    kernel.putBans([{ ...ban, expiresAt: unixMs(Date.now() + 120_000) }]);
    tester.run(syn('203.0.113.7', own, 22));
    expect(kernel.listBans()[0]?.droppedPackets).toBe(6);
    expect(kernel.view('203.0.113.7' as Address).ban?.droppedPackets).toBe(6);
    kernel.removeBans([target]);
  });

  test('the hint of IPv4 bans has the bits of those that are there: each drops, and none is left behind', () => {
    const { kernel, maps } = tester;
    const dropped = (address: string): boolean => tester.run(syn(address, own, 22)).verdict === 'drop-ban';
    const hinted = (): number => [...maps.ban4_hint.entries()].filter(([, value]) => readWord(value) !== 0n).length;
    const many = Array.from({ length: 2_000 }, (_, at) => `10.${(at * 7) % 256}.${(at * 13) % 251}.${at % 256}/32` as Prefix);
    const banOf = (target: Prefix): KernelBan => ({ target, tier: 'E1', reasons: [], expiresAt: null });
    kernel.sweep(unixMs(Date.now())); // from here on the kernel goes by it
    kernel.putBans(many.map(banOf));
    const addresses = many.map(target => target.slice(0, -3));
    expect(addresses.filter(address => !dropped(address))).toEqual([]);
    expect(dropped('203.0.113.7')).toBe(false);
    kernel.removeBans(many.slice(1_000));
    kernel.sweep(unixMs(Date.now()));
    expect(addresses.map(dropped)).toEqual(addresses.map((_, at) => at < 1_000));
    kernel.removeBans(many);
    kernel.sweep(unixMs(Date.now()));
    expect(hinted()).toBe(0);
    kernel.putBans([{ ...banOf('203.0.113.7/32' as Prefix), expiresAt: unixMs(Date.now() - 1_000) }]);
    kernel.sweep(unixMs(Date.now()));
    expect(hinted()).toBe(0);
  });

  test('the kernel goes by the hint only where the daemon keeps it, and a daemon that starts makes it anew', () => {
    const { kernel, maps } = tester;
    const banned = banKey('203.0.113.7/32' as Prefix)?.key ?? new Uint8Array(4);
    const verdict = () => tester.run(syn('203.0.113.7', own, 22)).verdict;
    kernel.sweep(unixMs(Date.now()));
    expect(maps.ban4.put(banned, new Uint8Array(LAYOUTS.hm_ban.size))).toBe(0);
    expect(verdict(), 'no bit').toBe('pass');
    createKernelOnMaps(maps, { now: () => unixMs(Date.now()) }).sweep(unixMs(Date.now()));
    expect(verdict()).toBe('drop-ban');
    maps.ban4_hint.putMany(Uint8Array.from(Array.from({ length: 4_096 }, (_, at) => [...indexKey(at)]).flat()), new Uint8Array(8 * 4_096));
    const entry = maps.config.get(indexKey(0)) ?? new Uint8Array();
    setFlag(entry, CONFIG_FLAG.hasBanHint, false);
    maps.config.put(indexKey(0), entry);
    expect(verdict(), 'no flag').toBe('drop-ban');
    setFlag(entry, CONFIG_FLAG.hasBanHint, true);
    maps.config.put(indexKey(0), entry);
    kernel.removeBans(['203.0.113.7/32' as Prefix]);
  });

  test('a ban that finds no room leaves no bit either, and one that another process wrote keeps its own', () => {
    using small = createKernelTester({ mapSizes: { ban4: 2 } });
    const banOf = (target: string): KernelBan => ({ target: target as Prefix, tier: 'E1', reasons: [], expiresAt: null });
    const other = createKernelOnMaps(small.maps, { now: () => unixMs(Date.now()) });
    expect(small.kernel.putBans([banOf('10.0.0.1/32')])).toMatchObject([{ enforced: true }]);
    expect(other.putBans([banOf('10.0.0.2/32')])).toMatchObject([{ enforced: true }]);
    expect(small.kernel.putBans([banOf('10.0.0.3/32')])).toMatchObject([{ enforced: false, why: 'full' }]);
    small.kernel.sweep(unixMs(Date.now()));
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(from => small.run(syn(from, own, 22)).verdict)).toEqual(['drop-ban', 'drop-ban', 'pass']);
    const bits = [...small.maps.ban4_hint.entries()].map(([, value]) => readWord(value).toString(2).replaceAll('0', '').length);
    expect(bits.reduce((sum, count) => sum + count, 0)).toBe(2);
  });

  test('an exact IPv6 ban drops, though ban6x is looked at only while it holds something', () => {
    const { kernel } = tester;
    const flags = (): number => new DataView(tester.maps.config.get(indexKey(0))?.buffer ?? new ArrayBuffer(LAYOUTS.hm_config.size)).getUint32(80, true);
    expect(flags() & CONFIG_FLAG.hasBan6x).toBe(0);
    kernel.putBans([{ target: '2001:db8:1:3::9/128' as Prefix, tier: 'E1', reasons: [], expiresAt: null }]);
    expect(tester.run(syn('2001:db8:1:3::9', '2001:db8::1', 22)).verdict).toBe('drop-ban');
    expect(tester.run(syn('2001:db8:1:3::8', '2001:db8::1', 22)).verdict).toBe('pass');
    kernel.removeBans(['2001:db8:1:3::9/128' as Prefix]);
    expect(flags() & CONFIG_FLAG.hasBan6x).toBe(0);
  });

  test('rules of every nesting do in the kernel what their resolution says, and leave no hint bit behind', () => {
    const { kernel } = tester;
    const rule = (action: 'allow' | 'deny', target: string) => ({ action, target: target as Prefix, tier: 'E1' as const, reasons: [], expiresAt: null });
    const verdict = (from: string) => tester.run(syn(from, from.includes(':') ? '2001:db8::1' : own, 22)).verdict;
    kernel.setRules([
      rule('deny', '10.0.0.0/8'),
      rule('allow', '10.1.0.0/16'),
      rule('deny', '10.1.2.0/24'),
      rule('deny', '2001:db8:5::/48'),
      rule('allow', '2001:db8:5:1::/64'),
    ]);
    expect(['10.9.9.9', '10.1.9.9', '10.1.2.9', '11.0.0.1'].map(verdict)).toEqual(['drop-prefix', 'pass-allowed', 'pass-allowed', 'pass']);
    expect(['2001:db8:5:2::1', '2001:db8:5:1::1', '2001:db8:6::1'].map(verdict)).toEqual(['drop-prefix', 'pass-allowed', 'pass']);
    expect(kernel.listRules().find(each => each.target === '10.0.0.0/8')?.droppedPackets).toBe(1);
    kernel.setRules([rule('deny', '10.1.2.0/24')]);
    expect(['10.9.9.9', '10.1.9.9', '10.1.2.9'].map(verdict)).toEqual(['pass', 'pass', 'drop-prefix']);
    kernel.setRules([]);
    expect([...tester.maps.hint.entries()].every(([, value]) => readWord(value) === 0n)).toBe(true);
    expect(verdict('10.1.2.9')).toBe('pass');
  });

  test('own addresses, served ports and trap ports replace what was there', () => {
    const { kernel, maps } = tester;
    kernel.setOwnAddresses([own, '2001:db8::1' as Address]);
    kernel.setOwnAddresses([own]);
    expect([...maps.own.entries()]).toHaveLength(1);
    const served = (index: number): bigint => readWord(maps.served.get(indexKey(index)) ?? new Uint8Array(8));
    kernel.setServedPorts({ tcp: [80, 443], udp: [53] }, { tcp: [22], udp: [] });
    expect([served(80), served(443), served(SERVED_UDP + 53)]).toEqual([SERVED_ALWAYS, SERVED_ALWAYS, SERVED_ALWAYS]);
    expect(served(22)).toBeGreaterThan(0n);
    kernel.setServedPorts({ tcp: [443], udp: [] }, { tcp: [80], udp: [] });
    expect([served(80) > 0n && served(80) < SERVED_ALWAYS, served(443), served(SERVED_UDP + 53)]).toEqual([true, SERVED_ALWAYS, 0n]);
    const again = createKernelOnMaps(maps, { now: () => unixMs(Date.now()) });
    again.setServedPorts({ tcp: [], udp: [] }, { tcp: [], udp: [] });
    expect(served(443)).toBe(0n);
    kernel.setTrapPorts({ tcp: [22, 3306, 65_535], udp: [9] });
    kernel.setTrapPorts({ tcp: [22, 23], udp: [161, 65_535] });
    const words = () => [...maps.trap_ports.entries()].map(([, value]) => readWord(value));
    expect(words().flatMap((bits, at) => (bits === 0n ? [] : [[at, bits]]))).toEqual([
      [0, (1n << 22n) | (1n << 23n)],
      [1024 + 2, 1n << (161n - 128n)],
      [1024 + 1023, 1n << 63n],
    ]);
    kernel.setTrapPorts({ tcp: 'all', udp: 'all' });
    const every = words();
    expect([every.length, every[0], every[1024]], 'all but port 0').toEqual([2048, 2n ** 64n - 2n, 2n ** 64n - 2n]);
    expect(every.filter(bits => bits === 2n ** 64n - 1n)).toHaveLength(2046);
    kernel.setTrapPorts({ tcp: [0], udp: [] });
    expect(words().every(bits => bits === 0n)).toBe(true);
  });

  test('an own address is judged, by the quick look or by the map, until it is none', () => {
    const { kernel, maps } = tester;
    const all = ['198.51.100.1', '198.51.100.2', '198.51.100.3', '198.51.100.4', '198.51.100.5', '2001:db8::1'] as Address[];
    const judged = () =>
      [...all, '0.0.0.0'].filter(to => tester.run(segment(to.includes(':') ? '2001:db8:6::1' : '203.0.113.9', to, 22, 'SF')).verdict === 'drop-anomaly');
    kernel.setOwnAddresses(['127.0.0.1' as Address, ...all]);
    expect(judged()).toEqual(all);
    for (const address of all) maps.own.remove(addressBytes(address));
    expect(judged(), 'by the quick look').toEqual(all.slice(0, 4));
    kernel.setOwnAddresses(all.slice(3));
    expect(judged()).toEqual(all.slice(3));
    kernel.setOwnAddresses([]);
    expect(judged()).toEqual([]);
    maps.own.put(addressBytes('0.0.0.0' as Address), Uint8Array.of(1));
    expect(judged()).toEqual(['0.0.0.0']);
    kernel.setOwnAddresses([]);
  });

  test('more own addresses than the map holds are an error that says so', () => {
    const many = Array.from({ length: tester.maps.own.maxEntries + 1 }, (_, at) => `10.0.${at >> 8}.${at & 255}` as Address);
    expect(() => tester.kernel.setOwnAddresses(many)).toThrow(expect.objectContaining({ code: 'HM_MAP', fix: expect.any(String) }));
    tester.kernel.setOwnAddresses([]);
  });

  test('a pause decides and drops nothing, and ends by itself or by order', () => {
    const { kernel } = tester;
    kernel.putBans([{ target: '203.0.113.7/32' as Prefix, tier: 'E1', reasons: [], expiresAt: null }]);
    const tried = () => {
      const { verdict, bank, action } = tester.run(syn('203.0.113.7', own, 22));
      return [verdict, bank, action];
    };
    const until = unixMs(Date.now() + 60_000);
    kernel.pause(until);
    expect(kernel.pausedUntil()).toBe(until);
    expect(tried()).toEqual(['drop-ban', 'paused', 'pass']);
    tester.configure();
    expect(tried()).toEqual(['drop-ban', 'paused', 'pass']);
    kernel.pause(null);
    expect(kernel.pausedUntil()).toBeNull();
    expect(tried()).toEqual(['drop-ban', 'enforced', 'drop']);
    kernel.pause(unixMs(Date.now() - 2_000)); // the coarse clock lags, on a busy machine by more than a tick
    expect(tried()).toEqual(['drop-ban', 'enforced', 'drop']);
    tester.configure({ mode: 'observe' });
    expect(tried()).toEqual(['drop-ban', 'would', 'pass']);
    tester.configure();
    expect(kernel.stats().paused['drop-ban'].packets).toBe(2);
    kernel.removeBans(['203.0.113.7/32' as Prefix]);
  });

  test('a map without room for a crowd of expired shuns is swept at once, a roomy one keeps them for repeats', () => {
    using small = createKernelTester({ mapSizes: { shuns: 8 } });
    const put = (on: KernelTester, count: number): void => {
      for (let at = 0; at < count; at++) {
        const bytes = new Uint8Array(LAYOUTS.hm_shun.size);
        new DataView(bytes.buffer).setBigUint64(0, on.clock.nowNs() - 20_000_000n, true);
        expect(on.maps.shuns.put(sourceKey(`203.0.113.${at}` as Address), bytes)).toBe(0);
      }
    };
    put(small, 6);
    small.kernel.sweep(unixMs(Date.now()));
    expect([...small.maps.shuns.entries()]).toHaveLength(6);
    put(small, 8);
    small.kernel.sweep(unixMs(Date.now()));
    expect([...small.maps.shuns.entries()]).toHaveLength(0);
  });
});
