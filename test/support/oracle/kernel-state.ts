/** A scenario as rows of the kernel's maps (bpf/honeymesh_structs.h, honeymesh_maps.h), and back what the model can be held against. */
import { hexOf, keyOf, prefixBits, touchedSixteens, wide } from './addresses.ts';
import type { Probe, Scenario, Settings, ShunKind, WindowName } from './scenario.ts';

/** Where a field of a C struct lies: from the object's BTF, so that this file knows names only. */
export interface Layout {
  readonly size: number;
  readonly fields: readonly { readonly name: string; readonly offset: number; readonly size: number }[];
}
export type Layouts = Readonly<Record<'hm_ban' | 'hm_rule' | 'hm_tracker' | 'hm_shun' | 'hm_flow' | 'hm_config' | 'hm_guard', Layout>>;

/** Records of the rings are no map's value, so an object's BTF need not know them. */
export const EVENT_LAYOUT: Layout = {
  size: 64,
  fields: [
    { name: 'source', offset: 8, size: 16 },
    { name: 'reasons', offset: 24, size: 4 },
    { name: 'port', offset: 32, size: 2 },
    { name: 'kind', offset: 34, size: 1 },
    { name: 'fast_ports', offset: 36, size: 1 },
    { name: 'slow_ports', offset: 37, size: 1 },
    { name: 'proven', offset: 38, size: 1 },
    { name: 'verdict', offset: 39, size: 1 },
    { name: 'shun_ms', offset: 44, size: 4 },
  ],
};

export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}
export type Rows = ReadonlyMap<string, readonly Row[]>;

export const MODES = ['observe', 'enforce', 'lockdown'] as const;
export const REASONS = ['syn-scan', 'slow-scan', 'flag-scan', 'udp-scan', 'flood', 'malformed'] as const;
export const SHUN_KINDS = ['tcp', 'udp', 'echo'] as const;
const PROBES = ['syn', 'flag', 'malformed', 'udp'] as const;
const WINDOWS = ['syn', 'udp-closed', 'udp-open', 'echo'] as const;
const SLOTS = 32;
const MS = 1_000_000n;
const ALWAYS = 0xffff_ffff_ffff_ffffn;
const UDP_SERVED = 65_536;

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const key32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const word = (value: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(value).buffer);

/** A struct from named fields, little-endian as both of our architectures are; what is not named is 0. */
export function struct(layout: Layout, values: Readonly<Record<string, number | bigint>>): Uint8Array {
  const out = new Uint8Array(layout.size);
  const view = new DataView(out.buffer);
  for (const [name, value] of Object.entries(values)) {
    const { offset, size } = field(layout, name);
    for (let at = 0; at < size; at++) view.setUint8(offset + at, Number((BigInt(value) >> BigInt(8 * at)) & 0xffn));
  }
  return out;
}

export function read(layout: Layout, name: string, from: Uint8Array): bigint {
  const { offset, size } = field(layout, name);
  let value = 0n;
  for (let at = size - 1; at >= 0; at--) value = (value << 8n) | BigInt(from[offset + at] ?? 0);
  return value;
}

export function field(layout: Layout, name: string): { readonly offset: number; readonly size: number } {
  const found = layout.fields.find(candidate => candidate.name === name);
  if (found === undefined) throw new Error(`the object's BTF has no field ${name}`);
  return found;
}

export function encode(scenario: Scenario, startNs: bigint, layouts: Layouts): Rows {
  const at = (relative: bigint | null): bigint => (relative === null ? 0n : startNs + relative);
  const rows = new Map<string, Row[]>();
  const add = (map: string, key: Uint8Array, value: Uint8Array): void => void (rows.get(map) ?? rows.set(map, []).get(map))?.push({ key, value });

  const banHints = new Map<number, bigint>();
  for (const { target, expiresNs, drops = 0n, confined = false } of scenario.bans) {
    const [address = '', length] = target.split('/');
    const digits = hexOf(address);
    const map = digits.length === 8 ? 'ban4' : length === '64' ? 'ban6' : 'ban6x';
    if (map === 'ban4') noteBit(banHints, banBit(bytes(digits)));
    add(map, bytes(map === 'ban6' ? digits.slice(0, 16) : digits), struct(layouts.hm_ban, { expires_ns: at(expiresNs), drops, flags: confined ? 1 : 0 }));
  }
  for (const [index, mask] of banHints) add('ban4_hint', key32(index), word(mask));
  for (const { prefix, action, expiresNs } of scenario.rules) {
    const { family, bits } = prefixBits(prefix);
    const width = family === 4 ? 32 : 128;
    const address = BigInt(`0b${bits.padEnd(width, '0')}`)
      .toString(16)
      .padStart(width / 4, '0');
    const key = Uint8Array.from([...key32(bits.length), ...bytes(address)]);
    add(family === 4 ? 'pfx4' : 'pfx6', key, struct(layouts.hm_rule, { expires_ns: at(expiresNs), action: action === 'allow' ? 1 : 0 }));
  }
  const hints = new Map<number, bigint>();
  for (const sixteen of scenario.hints ?? scenario.rules.flatMap(({ prefix }) => touchedSixteens(prefix))) noteBit(hints, sixteen);
  for (const [index, mask] of hints) add('hint', key32(index), word(mask));
  for (const address of scenario.own) add('own', bytes(wide(hexOf(address))), Uint8Array.of(1));
  for (const { transport, port, atNs } of scenario.served) {
    add('served', key32(port + (transport === 'udp' ? UDP_SERVED : 0)), word(atNs === 'always' ? ALWAYS : startNs + atNs));
  }
  for (const { source, watched, slots, windows = {} } of scenario.trackers) {
    const value = new Uint8Array(layouts.hm_tracker.size);
    const words = new BigUint64Array(value.buffer);
    for (const [slot, { port, probe, atNs }] of slots.slice(0, SLOTS).entries()) {
      words[WINDOWS.length + slot] = (((startNs + atNs) / MS) << 20n) | (BigInt(PROBES.indexOf(probe)) << 16n) | BigInt(port);
    }
    for (const [name, { startNs: start, count }] of Object.entries(windows)) {
      words[WINDOWS.indexOf(name as WindowName)] = (((startNs + start) / MS) << 24n) | BigInt(count);
    }
    add(watched ? 'watch' : 'trackers', word(keyOf(source)), value);
  }
  for (const { source, kinds, expiresNs, repeats, reasons = [] } of scenario.shuns) {
    const mask = kinds.reduce((sum, kind) => sum | (1 << SHUN_KINDS.indexOf(kind)), 0);
    const reasonMask = reasons.reduce((sum, reason) => sum | (1 << REASONS.indexOf(reason)), 0);
    add('shuns', word(keyOf(source)), struct(layouts.hm_shun, { expires_ns: startNs + expiresNs, kinds: mask, repeats, reasons: reasonMask }));
  }
  // As the program that made these shuns would have left it; at least 1, as 0 says nothing and the word would not be looked at.
  const [last = 1n] = scenario.shuns.map(({ expiresNs }) => startNs + expiresNs).sort((one, other) => (one < other ? 1 : -1));
  add('guard', key32(0), struct(layouts.hm_guard, { shuns_until_ns: last }));
  for (const { source, atNs } of scenario.proven) add('proven', word(keyOf(source)), word(startNs + atNs));
  for (const { protocol, remote, remotePort, localPort, atNs } of scenario.flowsOut) {
    const key = struct(layouts.hm_flow, { remote_port: remotePort, local_port: localPort, protocol: protocol === 'tcp' ? 6 : 17 });
    key.set(bytes(wide(hexOf(remote))), field(layouts.hm_flow, 'remote').offset);
    add('flows_out', key, word(startNs + atNs));
  }
  const traps = new Map<number, bigint>();
  for (const { transport, port } of scenario.trapPorts) noteBit(traps, port + (transport === 'udp' ? UDP_SERVED : 0));
  for (const [index, mask] of traps) add('trap_ports', key32(index), word(mask));
  add('heartbeat', key32(0), word(at(scenario.heartbeatNs)));
  const config = encodeSettings(scenario.settings, at(scenario.settings.pausedUntilNs), layouts.hm_config);
  // One address for the quick look; a second is found in the map only.
  for (const address of scenario.own.filter(own => hexOf(own).length === 8).slice(0, 1))
    config.set(bytes(hexOf(address)), field(layouts.hm_config, 'own4').offset);
  add('config', key32(0), config);
  return rows;
}

const noteBit = (words: Map<number, bigint>, bit: number): void => void words.set(bit >> 6, (words.get(bit >> 6) ?? 0n) | (1n << BigInt(bit & 63)));

/** 2.1 of the specification. */
function banBit(address: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = address;
  const once = (BigInt(a + b * 0x100 + c * 0x1_0000 + d * 0x100_0000) * 0x9e37_79b1n) & 0xffff_ffffn;
  return Number((((once ^ (once >> 15n)) * 0x85eb_ca77n) & 0xffff_ffffn) >> 14n);
}

function encodeSettings(settings: Settings, pausedUntilNs: bigint, layout: Layout): Uint8Array {
  return struct(layout, {
    paused_until_ns: pausedUntilNs,
    fast_window_ns: settings.fastWindowNs,
    slow_window_ns: settings.slowWindowNs,
    shun_ttl_ns: settings.shunTtlNs,
    shun_ttl_max_ns: settings.shunTtlMaxNs,
    proven_ttl_ns: settings.provenTtlNs,
    flow_ttl_ns: settings.flowTtlNs,
    grace_ns: settings.graceNs,
    flags: (settings.hasBan6x ? 1 : 0) | (settings.hasPrefix6 ? 2 : 0) | (settings.hasWatch ? 4 : 0) | (settings.hasBanHint ? 16 : 0),
    mode: MODES.indexOf(settings.mode),
    fast_ports: settings.fastPorts,
    slow_ports: settings.slowPorts,
    syn_per_second: settings.synPerSecond,
    udp_per_second: settings.udpPerSecond,
    echo_per_second: settings.echoPerSecond,
    open_udp_per_second: settings.openUdpPerSecond,
    new_sources_per_second: settings.newSourcesPerSecond,
    events_per_second: settings.eventsPerSecond,
    trap_port: settings.trapPort,
    trap_udp_port: settings.trapUdpPort,
    trap_mark: settings.trapMark,
    heartbeat_ttl_ns: settings.heartbeatTtlNs,
    ephemeral_low: settings.ephemeralLow,
    ephemeral_high: settings.ephemeralHigh,
    layout_version: 2,
  });
}

/** The ports that a tracker's value remembers inside the slow window, in no order: `tcp 22 syn`. Which of the others go first is nobody's business. */
export function trackedPorts(value: Uint8Array, nowNs: bigint, slowWindowNs: bigint): string[] {
  const words = new BigUint64Array(value.slice().buffer).subarray(WINDOWS.length, WINDOWS.length + SLOTS);
  const inside = [...words].filter(slot => slot !== 0n && nowNs - (slot >> 20n) * MS < slowWindowNs);
  return inside.map(slot => slotText(Number(slot & 0xffffn), PROBES[Number((slot >> 16n) & 15n)] ?? 'syn')).sort();
}
export const slotText = (port: number, probe: Probe): string => `${probe === 'udp' ? 'udp' : 'tcp'} ${port} ${probe}`;

/** A shun as text that does not hang on the clock's last second. */
export const shunText = (kinds: readonly ShunKind[], reasons: readonly string[], repeats: number, leftNs: bigint): string =>
  `${[...kinds].sort().join('+')} for ${[...reasons].sort().join('+')} x${repeats}, ${leftNs <= 0n ? 'over' : `${(leftNs + 500n * MS) / (1000n * MS)} s`}`;

export function decodeShun(value: Uint8Array, layout: Layout, startNs: bigint): string {
  const named = <T>(names: readonly T[], mask: number): T[] => names.filter((_, bit) => (mask >> bit) & 1);
  const kinds = named(SHUN_KINDS, Number(read(layout, 'kinds', value)));
  const reasons = named(REASONS, Number(read(layout, 'reasons', value)));
  return shunText(kinds, reasons, Number(read(layout, 'repeats', value)), read(layout, 'expires_ns', value) - startNs);
}
