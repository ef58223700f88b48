import { fc, test } from '@fast-check/vitest';
import type { Address, Prefix } from '@honeymesh/intel/address';
import { REASONS, type Reason } from '@honeymesh/intel/reasons';
import { unixMs } from '@honeymesh/intel/time';
import { describe, expect } from 'vitest';
import { createKernelClock } from '#enforcer/kernel/clock.ts';
import {
  decodeBan,
  decodeEvent,
  decodeRule,
  encodeBan,
  encodeRule,
  saysTheSame,
  setFlag,
  setPausedUntil,
  stampConfig,
  writeConfig,
} from '#enforcer/kernel/codecs.ts';
import { banKey, banTarget, ruleKey, ruleTarget, sourceKey, sourceOfKey } from '#enforcer/kernel/keys.ts';
import { LAYOUTS } from '#enforcer/kernel/layouts.ts';
import { TEST_CONFIG } from '#test/support/kernel-config.ts';

const BOOTED = 1_795_000_000_000;
let wallMs = BOOTED + 5_000;
let monotonicNs = 5_000_000_000n;
const clock = createKernelClock({ now: () => unixMs(wallMs), monotonicNs: () => monotonicNs });

const aV4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map(parts => parts.join('.') as Address);
const aGroup = fc.integer({ min: 1, max: 0xffff }).map(group => group.toString(16));
const reasons = fc.subarray(REASONS.map(({ name }) => name)) as fc.Arbitrary<Reason[]>;

describe('keys', () => {
  test.prop([aV4])('an IPv4 ban is keyed as in the packet, a source as 0x0000ffff_aabbccdd', address => {
    const parts = address.split('.').map(Number);
    expect([...(banKey(`${address}/32` as Prefix)?.key ?? [])]).toEqual(parts);
    expect(new DataView(sourceKey(address).buffer).getBigUint64(0, true)).toBe(0xffff_0000_0000n | BigInt(parts.reduce((sum, part) => sum * 256 + part, 0)));
    expect(sourceOfKey(sourceKey(address))).toBe(`${address}/32`);
  });

  test.prop([fc.array(aGroup, { minLength: 4, maxLength: 4 }), aGroup])('an IPv6 source is its /64', (groups, last) => {
    const net = `${groups.join(':')}::/64` as Prefix;
    expect(sourceOfKey(sourceKey(`${groups.join(':')}::${last}` as Address))).toBe(net);
    expect(new DataView(sourceKey(net).buffer).getBigUint64(0, true)).toBe(BigInt(`0x${groups.map(group => group.padStart(4, '0')).join('')}`));
    const key = banKey(net);
    expect(key?.map).toBe('ban6');
    expect(key === null ? '' : banTarget(key.map, key.key)).toBe(net);
  });

  test('what fits no ban map has no ban key', () => {
    for (const target of ['10.0.0.0/8', '10.0.0.0/31', '2001:db8::/63', '2001:db8::/65', '::/0', '0.0.0.0/0']) expect(banKey(target as Prefix)).toBeNull();
  });

  test('a rule key has the length as a number and the bytes as in the packet', () => {
    const { map, key } = ruleKey('10.1.0.0/16' as Prefix);
    expect([map, ...key]).toEqual(['pfx4', 16, 0, 0, 0, 10, 1, 0, 0]);
    for (const target of ['0.0.0.0/0', '203.0.113.7/32', '::/0', '2001:db8::/32', '2001:db8::1/128'])
      expect(ruleTarget(ruleKey(target as Prefix).key)).toBe(target);
  });
});

describe('values', () => {
  test.prop([fc.constantFrom('E0', 'E1', 'E2', 'operator'), reasons, fc.option(fc.integer({ min: -4_000, max: 3_650 * 86_400_000 })), fc.nat()])(
    'bans and rules come back as they went in',
    (tier, why, ms, drops) => {
      const hold = { tier: tier as 'E0', reasons: why, expiresAt: ms === null ? null : unixMs(wallMs + ms) };
      expect(decodeBan(encodeBan(hold, clock, drops), clock)).toEqual({ ...hold, droppedPackets: drops });
      expect(decodeBan(encodeBan({ ...hold, confined: true }, clock, drops), clock)).toEqual({ ...hold, confined: true, droppedPackets: drops });
      expect(saysTheSame(encodeBan({ ...hold, confined: true }, clock), encodeBan(hold, clock))).toBe(false);
      const rule = { ...hold, action: 'deny' as const };
      expect(decodeRule(encodeRule(rule, clock, drops), clock)).toEqual({ ...rule, droppedPackets: drops });
      expect(saysTheSame(encodeBan(hold, clock, drops), encodeBan(hold, clock, 0))).toBe(true);
    },
  );

  test('an end before the machine was booted is over, not endless', () => {
    const bytes = encodeBan({ tier: 'E1', reasons: [], expiresAt: unixMs(BOOTED - 1) }, clock);
    expect(new DataView(bytes.buffer).getBigUint64(0, true)).toBe(1n);
  });

  test('jitter of the clocks does not change what is read back, a step of the wall clock does', () => {
    const bytes = encodeBan({ tier: 'E1', reasons: [], expiresAt: unixMs(wallMs + 60_000) }, clock);
    const expiresAt = wallMs + 60_000;
    wallMs += 20;
    expect(decodeBan(bytes, clock).expiresAt).toBe(expiresAt);
    wallMs += 3_600_000;
    expect(decodeBan(bytes, clock).expiresAt).toBe(expiresAt + 20 + 3_600_000);
    wallMs -= 3_600_020;
    monotonicNs += 0n;
  });

  test('setting the configuration keeps what the loader and a pause wrote', () => {
    const entry = new Uint8Array(LAYOUTS.hm_config.size);
    stampConfig(entry, 77n);
    setPausedUntil(entry, 99n);
    setFlag(entry, 4, true);
    writeConfig(entry, TEST_CONFIG);
    const view = new DataView(entry.buffer);
    expect([view.getBigUint64(0, true), view.getBigUint64(8, true), view.getUint32(80, true)]).toEqual([99n, 77n, 4 | 8]);
    expect([view.getBigUint64(16, true), view.getUint32(84, true), view.getUint16(124, true)]).toEqual([60_000_000_000n, 1, 7_000]);
    writeConfig(entry, { ...TEST_CONFIG, egressDrop: false });
    expect(view.getUint32(80, true)).toBe(4);
  });

  test('an event of a kind or verdict that we do not know is left out', () => {
    const bytes = new Uint8Array(LAYOUTS.hm_event.size);
    expect(decodeEvent(bytes, clock)).toBeNull();
    bytes[LAYOUTS.hm_event.fields.kind[0]] = 1;
    expect(decodeEvent(bytes, clock)?.kind).toBe('touch');
    bytes[LAYOUTS.hm_event.fields.verdict[0]] = 200;
    expect(decodeEvent(bytes, clock)).toBeNull();
  });
});
