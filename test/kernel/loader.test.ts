import { existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sourceKey } from '#enforcer/kernel/keys.ts';
import { LAYOUTS, SHUN_KINDS } from '#enforcer/kernel/layouts.ts';
import { addon } from '#enforcer/kernel/native.ts';
import type { KernelBan } from '#enforcer/kernel/port.ts';
import { ATTACKER, buildForeign, cgroup2, createKernelLab, HOST, type KernelLab } from '#test/support/kernel-lab.ts';

let it: KernelLab;
beforeEach(() => {
  it = createKernelLab();
});
afterEach(() => it[Symbol.dispose]());

const ban = (target: string): KernelBan => ({ target: target as Prefix, tier: 'E1', reasons: ['trap-touch'], expiresAt: null });
const load = (more: object = {}) => ({ do: 'load', pinDirectory: it.pins, ...more }) as const;
const attach = (more: object = {}) => ({ do: 'attach', interfaces: [{ name: 'eth0' }], xdpMode: 'auto', cgroupPath: null, ...more }) as const;
const putBan = (...targets: readonly string[]) => ({ do: 'ban', pinDirectory: it.pins, bans: targets.map(ban) }) as const;
const attachment = () => ({ do: 'attachment', pinDirectory: it.pins }) as const;
const unload = () => ({ do: 'unload', pinDirectory: it.pins }) as const;
const onWire = async (): Promise<string> => (await it.host.run(['ip', '-d', 'link', 'show', 'dev', 'eth0'])).stdout;
const filters = async (): Promise<string> =>
  (await Promise.all(['ingress', 'egress'].map(async way => (await it.host.run(['tc', 'filter', 'show', 'dev', 'eth0', way], { mayFail: true })).stdout))).join(
    '',
  );

describe('attaching', () => {
  test('the packet filter is native on veth, the filters hang on tc, and a ban drops real packets after the process is gone', async () => {
    const [loaded, attached] = await it.run(load(), attach({ cgroupPath: cgroup2() }), { do: 'own', pinDirectory: it.pins, addresses: ['10.77.0.1'] });
    expect(loaded).toEqual({ reused: false, notes: [] });
    expect(attached).toMatchObject({ interfaces: [{ name: 'eth0', xdp: 'native', swapped: false, tc: true }], sockOps: cgroup2() !== null, detached: [] });
    expect(await it.run(attachment())).toEqual([[{ name: 'eth0', xdp: 'native' }]]);
    expect(await filters()).toMatch(/hm_steer[\s\S]*hm_egress/);
    expect(await it.pings(3)).toBe(3);
    await it.run(putBan(`${ATTACKER.v4}/32`, 'fd77::/64'));
    expect(await it.pings(3)).toBe(0);
    expect(await it.pings(3, { v6: true })).toBe(0);
    const [bans] = (await it.run({ do: 'bans', pinDirectory: it.pins })) as [{ target: string; droppedPackets: number }[]];
    expect(bans.find(each => each.target === `${ATTACKER.v4}/32`)?.droppedPackets).toBe(3);
  });

  test('generic where it was asked for, and where a driver has nothing else, which is said', async () => {
    const [, attached] = await it.run(load(), attach({ xdpMode: 'generic' }), attachment());
    expect(attached).toMatchObject({ interfaces: [{ xdp: 'generic' }] });
    expect((attached as { interfaces: { why?: string }[] }).interfaces[0]?.why).toBeUndefined();
    const [, both, seen] = await it.run(load(), attach({ interfaces: [{ name: 'eth0' }, { name: 'lo' }] }), attachment());
    expect(both).toMatchObject({
      interfaces: [
        { name: 'eth0', xdp: 'generic', swapped: true },
        { name: 'lo', xdp: 'generic', why: expect.stringContaining('no native XDP') },
      ],
    });
    expect(seen).toEqual([
      { name: 'eth0', xdp: 'generic' },
      { name: 'lo', xdp: 'generic' },
    ]);
    await it.run(putBan(`${ATTACKER.v4}/32`));
    expect(await it.pings(2)).toBe(0);
  });

  test('native where it was asked for and cannot be is an error with a way out', async () => {
    const results = await it.attempt([load(), attach({ interfaces: [{ name: 'lo' }], xdpMode: 'native' })]);
    expect(results[1]).toMatchObject({ ok: false, code: 'HM_XDP_ATTACH', fix: expect.stringContaining('auto') });
  });

  test('a mode that was asked for replaces the other', async () => {
    await it.run(load(), attach({ xdpMode: 'generic' }));
    const [, attached] = await it.run(load(), attach({ xdpMode: 'native' }));
    expect(attached).toMatchObject({ interfaces: [{ xdp: 'native', swapped: false }] });
  });

  test("another's XDP program is named and left alone, and nothing is touched on any interface", async () => {
    await it.host.run(['ip', 'link', 'set', 'dev', 'lo', 'xdpgeneric', 'obj', buildForeign(), 'sec', 'xdp']);
    const results = await it.attempt([load(), attach({ interfaces: [{ name: 'eth0' }, { name: 'lo' }] })]);
    expect(results[1]).toMatchObject({
      ok: false,
      code: 'HM_XDP_BUSY',
      message: expect.stringMatching(/lo already carries .*"foreign_xdp"/),
      fix: expect.stringContaining('ip link show lo'),
    });
    expect(await onWire()).not.toContain('xdp');
    expect((await it.host.run(['ip', 'link', 'show', 'dev', 'lo'])).stdout).toContain('xdp');
  });

  test('a second instance on the same interface is told which program is there', async () => {
    await it.run(load(), attach());
    const other = { ...load(), pinDirectory: `${it.pins}-other` };
    const results = await it.attempt([other, attach(), { do: 'unload', pinDirectory: other.pinDirectory }]);
    expect(results[1]).toMatchObject({ ok: false, code: 'HM_XDP_BUSY', fix: expect.stringContaining('another instance') });
    expect(await it.run(attachment())).toEqual([[{ name: 'eth0', xdp: 'native' }]]);
    expect(await filters()).toMatch(/hm_steer[\s\S]*hm_egress/);
  });

  test('an interface that is not there: did you mean, or left out where that was asked for', async () => {
    const results = await it.attempt([
      load(),
      attach({ interfaces: [{ name: 'etho' }] }),
      attach({ interfaces: [{ name: 'eth0' }, { name: 'wg0' }], missing: 'skip' }),
    ]);
    expect(results[1]).toMatchObject({
      ok: false,
      code: 'HM_NO_INTERFACE',
      message: expect.stringContaining('did you mean eth0?'),
      fix: expect.stringContaining('eth0'),
    });
    expect(results[2]).toMatchObject({
      ok: true,
      value: {
        interfaces: [
          { name: 'eth0', xdp: 'native' },
          { name: 'wg0', xdp: 'off', why: expect.any(String) },
        ],
      },
    });
  });

  test('an interface that is named no longer is let go', async () => {
    await it.run(load(), attach({ interfaces: [{ name: 'eth0' }, { name: 'lo' }] }));
    const [, attached] = await it.run(load(), attach({ interfaces: [{ name: 'lo' }] }));
    expect(attached).toMatchObject({ detached: ['eth0'] });
    expect(await onWire()).not.toContain('xdp');
    expect(await filters()).not.toContain('hm_');
  });
});

describe('living on', () => {
  test('a restart uses the maps and swaps the program in place: a banned source gets not one packet through', async () => {
    await it.run(load(), attach(), putBan(`${ATTACKER.v4}/32`));
    const before = /prog\/xdp id (\d+)/.exec(await onWire())?.[1];
    const pinging = it.pings(300, { everyMs: 5 });
    const reports = [];
    for (let round = 0; round < 4; round++) reports.push(await it.run(load(), attach()));
    expect(await pinging).toBe(0);
    for (const [loaded, attached] of reports) {
      expect(loaded).toMatchObject({ reused: true });
      expect(attached).toMatchObject({ interfaces: [{ xdp: 'native', swapped: true, tc: true }] });
    }
    expect(/prog\/xdp id (\d+)/.exec(await onWire())?.[1]).not.toBe(before);
    const [bans] = await it.run({ do: 'bans', pinDirectory: it.pins });
    expect(bans).toMatchObject([{ target: `${ATTACKER.v4}/32` }]);
    expect((await filters()).match(/name hm_(steer|egress)/g)).toHaveLength(2);
  });

  test('an interface that was made anew is attached again', async () => {
    await it.run(load(), attach());
    it.lab.ip(['link', 'delete', 'eth0'], it.host);
    expect(await it.run(attachment())).toEqual([[{ name: 'eth0', xdp: 'off' }]]);
    it.lab.link({ namespace: it.host, device: 'eth0', addresses: ['10.77.0.1/24'] }, { namespace: it.attacker, device: 'eth0', addresses: ['10.77.0.2/24'] });
    expect(await it.run(attachment())).toEqual([[{ name: 'eth0', xdp: 'off' }]]);
    const [, attached, seen] = await it.run(load(), attach(), attachment(), putBan(`${ATTACKER.v4}/32`));
    expect(attached).toMatchObject({ interfaces: [{ xdp: 'native', swapped: false, tc: true }] });
    expect(seen).toEqual([{ name: 'eth0', xdp: 'native' }]);
    expect(await it.pings(2)).toBe(0);
  });

  test('pins that were swept away are pinned again by the process that holds the descriptors, and nothing was let through meanwhile', async () => {
    const mount = `/run/hmt-bpffs-${process.pid}`;
    mkdirSync(mount, { recursive: true });
    const pinDirectory = `${mount}/x`;
    const at = { pinDirectory };
    const results = await it.attempt([
      { do: 'command', command: ['mount', '-t', 'bpf', 'bpf', mount] },
      { ...load(), ...at },
      attach(),
      { ...putBan(`${ATTACKER.v4}/32`), ...at },
      { do: 'command', command: ['umount', mount] },
      { do: 'command', command: ['mount', '-t', 'bpf', 'bpf', mount] },
      { do: 'repin' },
      { do: 'bans', ...at },
      { do: 'attachment', ...at },
      { do: 'repin' },
      attach(),
      { do: 'unload', ...at },
      { do: 'command', command: ['umount', mount] },
    ]);
    rmdirSync(mount); // fails where it is still mounted
    expect(results.filter(result => !result.ok)).toEqual([]);
    const [, , , , , , repinned, bans, seen, again, attached, unloaded] = results.map(result => (result.ok ? result.value : null));
    expect(repinned).toEqual(expect.arrayContaining(['ban4', 'config', 'hm_xdp', 'xdp_eth0']));
    expect(bans).toMatchObject([{ target: `${ATTACKER.v4}/32` }]);
    expect(seen).toEqual([{ name: 'eth0', xdp: 'native' }]);
    expect(again).toEqual([]);
    expect(attached).toMatchObject({ interfaces: [{ xdp: 'native', swapped: true }] });
    expect(unloaded).toMatchObject({ interfaces: ['eth0'], left: [] });
  });
});

describe('maps of another shape', () => {
  test('more room than is pinned: the bans move into the larger map; less: the larger one is kept', async () => {
    const targets = Array.from({ length: 100 }, (_, at) => `198.51.100.${at}/32`);
    await it.run(load({ mapSizes: { ban4: 100 } }), attach(), putBan(...targets.slice(1), `${ATTACKER.v4}/32`));
    expect(await it.pings(2)).toBe(0);
    const pinging = it.pings(200, { everyMs: 5 });
    const [loaded, , bans, added] = await it.run(load({ mapSizes: { ban4: 200 } }), attach(), { do: 'bans', pinDirectory: it.pins }, putBan(...targets));
    expect(await pinging).toBe(0);
    expect(loaded).toEqual({ reused: true, notes: ['ban4 was enlarged from 100 to 200, with what it held'] });
    expect(bans).toHaveLength(100);
    expect((bans as { target: string; droppedPackets: number }[]).find(each => each.target === `${ATTACKER.v4}/32`)?.droppedPackets).toBeGreaterThanOrEqual(2);
    expect((added as { enforced: boolean }[]).every(outcome => outcome.enforced)).toBe(true);
    const [smaller, , still] = await it.run(load({ mapSizes: { ban4: 50 } }), attach(), { do: 'bans', pinDirectory: it.pins });
    expect(smaller).toMatchObject({ notes: [expect.stringContaining('keeps its room of 200')] });
    expect(still).toHaveLength(101);
  });

  test('a guard that is made anew beside shuns of an earlier run vouches for nothing: they are looked for', async () => {
    await it.run(load());
    const shunsUntil = (): bigint => {
      const fd = addon().openPin(`${it.pins}/guard`);
      const entry = new Uint8Array(LAYOUTS.hm_guard.size);
      addon().mapLookup(fd, new Uint8Array(4), entry);
      addon().closeFd(fd);
      return new DataView(entry.buffer).getBigUint64(LAYOUTS.hm_guard.fields.shuns_until_ns[0], true);
    };
    expect(shunsUntil()).toBe(1n);
    const fd = addon().openPin(`${it.pins}/shuns`);
    const shun = new Uint8Array(LAYOUTS.hm_shun.size);
    new DataView(shun.buffer).setBigUint64(LAYOUTS.hm_shun.fields.expires_ns[0], 2n ** 62n, true);
    shun[LAYOUTS.hm_shun.fields.kinds[0]] = 1 << SHUN_KINDS.indexOf('echo');
    addon().mapUpdate(fd, sourceKey(ATTACKER.v4 as Address), shun, 0);
    addon().closeFd(fd);
    rmSync(`${it.pins}/guard`);
    await it.run(load(), attach(), putBan(), { do: 'own', pinDirectory: it.pins, addresses: [HOST.v4] });
    expect(shunsUntil()).toBe(0n);
    expect(await it.pings(2)).toBe(0);
  });

  test('a hint of bans that is made anew is not gone by until the daemon filled it: what was banned stays banned', async () => {
    await it.run(load(), attach(), putBan(`${ATTACKER.v4}/32`));
    expect(await it.pings(2)).toBe(0);
    rmSync(`${it.pins}/ban4_hint`);
    await it.run(load(), attach());
    expect(await it.pings(2)).toBe(0);
    await it.run(putBan('198.51.100.9/32'));
    expect(await it.pings(2)).toBe(0);
  });

  test('maps of layout version 1 are refused, for loader and daemon, and nothing is lost', async () => {
    await it.run(load(), attach(), putBan(`${ATTACKER.v4}/32`));
    const fd = addon().openPin(`${it.pins}/config`);
    const entry = new Uint8Array(LAYOUTS.hm_config.size);
    addon().mapLookup(fd, new Uint8Array(4), entry);
    new DataView(entry.buffer).setUint16(LAYOUTS.hm_config.fields.layout_version[0], 1, true);
    addon().mapUpdate(fd, new Uint8Array(4), entry, 0);
    addon().closeFd(fd);
    rmSync(`${it.pins}/udp_replies`); // which version 1 did not have
    const refused = {
      ok: false,
      code: 'HM_LAYOUT',
      message: expect.stringContaining('layout version 1, this is version 2'),
      fix: expect.stringContaining('honeymesh unload'),
    };
    expect(await it.attempt([load(), { do: 'bans', pinDirectory: it.pins }])).toMatchObject([refused, refused]);
    expect(await it.pings(2)).toBe(0);
    expect((await it.run(unload()))[0]).toMatchObject({ interfaces: ['eth0'], bans: 1, left: [] });
    expect(await it.run(load())).toMatchObject([{ reused: false }]);
  });

  test('an array of other length is refused: it can neither grow nor shrink', async () => {
    await it.run(load({ mapSizes: { trap_ports: 1_024 } }));
    const refused = {
      ok: false,
      code: 'HM_LAYOUT',
      message: expect.stringContaining('trap_ports has 1024 entries, this version has 2048'),
      fix: expect.stringContaining('honeymesh unload'),
    };
    expect(await it.attempt([load()])).toMatchObject([refused]);
  });

  test('a map of another size under one of our names is refused', async () => {
    mkdirSync(it.pins, { recursive: true });
    const made = addon().load(buildForeign(), [], [['ban4', `${it.pins}/ban4`]], 0);
    expect(made).not.toHaveProperty('errno');
    expect(await it.attempt([load()])).toMatchObject([
      { ok: false, code: 'HM_LAYOUT', message: expect.stringContaining('ban4: values of so many bytes 8, this version has 24') },
    ]);
  });
});

describe('taking off', () => {
  test('unload leaves nothing of ours, and says what there was', async () => {
    await it.run(load(), attach({ cgroupPath: cgroup2() }), putBan(`${ATTACKER.v4}/32`, '203.0.113.7/32'));
    expect(await it.pings(1)).toBe(0);
    expect(await it.run(unload())).toEqual([{ interfaces: ['eth0'], bans: 2, shuns: 0, left: [] }]);
    expect(existsSync(it.pins)).toBe(false);
    expect(await onWire()).not.toMatch(/xdp|clsact/);
    expect((await it.host.run(['tc', 'qdisc', 'show', 'dev', 'eth0'])).stdout).not.toContain('clsact');
    expect(await it.pings(2)).toBe(2);
    expect(await it.run(unload())).toEqual([null]);
  });

  test('unload works while another process holds the links', async () => {
    const results = await it.attempt([
      load(),
      attach(),
      putBan(`${ATTACKER.v4}/32`),
      { do: 'command', command: ['ip', 'link', 'show', 'dev', 'eth0'] },
      unload(),
      { do: 'command', command: ['ip', 'link', 'show', 'dev', 'eth0'] },
    ]);
    expect(results.every(result => result.ok)).toBe(true);
    expect(results[3]).toMatchObject({ value: expect.stringContaining('xdp') });
    expect(results[5]).toMatchObject({ value: expect.not.stringContaining('xdp') });
  });

  test("another's filter keeps its place, and the qdisc under it", async () => {
    await it.run(load(), attach());
    await it.host.run(['tc', 'filter', 'add', 'dev', 'eth0', 'ingress', 'bpf', 'direct-action', 'obj', buildForeign(), 'sec', 'tc']);
    expect(await it.run(unload())).toMatchObject([{ left: [] }]);
    expect(await filters()).toMatch(/foreign/);
    expect(await filters()).not.toContain('hm_');
  });

  test('a clsact qdisc that was there before us stays', async () => {
    await it.host.run(['tc', 'qdisc', 'add', 'dev', 'eth0', 'clsact']);
    await it.run(load(), attach(), unload());
    expect((await it.host.run(['tc', 'qdisc', 'show', 'dev', 'eth0'])).stdout).toContain('clsact');
  });

  test('from another network namespace the packet filter goes, and the filters that stay are said', async () => {
    await it.run(load(), attach({ interfaces: [{ name: 'eth0' }] }));
    it.lab.ip(['link', 'set', 'eth0', 'name', 'up0'], it.attacker);
    const ran = await it.attacker.run([process.execPath, new URL('../support/kernel-steps.ts', import.meta.url).pathname, JSON.stringify([unload()])]);
    expect(JSON.parse(ran.stdout)).toMatchObject([{ value: { interfaces: ['eth0'], left: [expect.stringContaining('not in this network namespace')] } }]);
    expect(await onWire()).not.toContain('xdp');
  });
});
