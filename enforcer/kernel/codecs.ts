/** Values of the maps and records of the rings, as bytes and back. Keys are in keys.ts. */
import { type Address, addressBytes, addressFromBytes, familyOf, type Prefix } from '@honeymesh/intel/address';
import type { Transport } from '@honeymesh/intel/events';
import { modeNumber, type Tier, tierNumber, tierOf } from '@honeymesh/intel/evidence';
import { type Reason, reasonMask, reasonsOf } from '@honeymesh/intel/reasons';
import type { UnixMs } from '@honeymesh/intel/time';
import type { KernelClock } from './clock.ts';
import { BAN_FLAG, BANKS, CONFIG_FLAG, COUNTER_ROWS, EVENT_KINDS, LAYOUT_VERSION, LAYOUTS, OWN4, PROBES, RULE_ACTION, SHUN_KINDS, SLOTS } from './layouts.ts';
import type { KernelConfig, KernelEvent, KernelEventKind, KernelShun, KernelStats, TrackedPort, VerdictCount } from './port.ts';
import { COUNTERS, type Counter, VERDICTS, type Verdict } from './verdicts.ts';

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What hm_ban and hm_rule share. */
export interface Hold {
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
  readonly expiresAt: UnixMs | null;
}

export interface HeldState extends Hold {
  readonly droppedPackets: number;
}

export interface BanHold extends Hold {
  readonly confined?: boolean;
}

const BAN = LAYOUTS.hm_ban.fields;
const RULE = LAYOUTS.hm_rule.fields;
const SHUN = LAYOUTS.hm_shun.fields;
const TRACKER = LAYOUTS.hm_tracker.fields;
const EVENT = LAYOUTS.hm_event.fields;
const CONFIG = LAYOUTS.hm_config.fields;

/** `drops` carries the counter of an entry that is replaced. */
export function encodeBan(ban: BanHold, clock: KernelClock, drops = 0): Uint8Array {
  const bytes = new Uint8Array(LAYOUTS.hm_ban.size);
  const view = viewOf(bytes);
  view.setBigUint64(BAN.expires_ns[0], ban.expiresAt === null ? 0n : clock.toNs(ban.expiresAt), true);
  view.setBigUint64(BAN.drops[0], BigInt(drops), true);
  view.setUint32(BAN.reasons[0], reasonMask(ban.reasons), true);
  view.setUint8(BAN.tier[0], tierNumber(ban.tier));
  view.setUint8(BAN.flags[0], ban.confined === true ? BAN_FLAG.confined : 0);
  return bytes;
}

/** `confined` is there only where it is true. */
export function decodeBan(bytes: Uint8Array, clock: KernelClock): HeldState & BanHold {
  const view = viewOf(bytes);
  const expiresNs = view.getBigUint64(BAN.expires_ns[0], true);
  return {
    tier: tierOf(view.getUint8(BAN.tier[0])) ?? 'E0',
    reasons: reasonsOf(view.getUint32(BAN.reasons[0], true)),
    expiresAt: expiresNs === 0n ? null : clock.toUnixMs(expiresNs),
    ...((view.getUint8(BAN.flags[0]) & BAN_FLAG.confined) !== 0 ? { confined: true } : {}),
    droppedPackets: Number(view.getBigUint64(BAN.drops[0], true)),
  };
}

/** `expires_ns` and `drops` lie at the same place in hm_ban, hm_rule and hm_shun. */
export const expiresNs = (value: Uint8Array): bigint => viewOf(value).getBigUint64(BAN.expires_ns[0], true);
/** For KernelMap.keysWhere: whether a ban or shun was over at `byNs`. Doubles are exact to some ns here, which is finer than any clock. */
export function isOver(byNs: bigint): (words: Uint32Array, at: number) => boolean {
  const by = Number(byNs);
  return (words, at) => {
    const expires = (words[at + 1] ?? 0) * 2 ** 32 + (words[at] ?? 0);
    return expires !== 0 && expires <= by;
  };
}
export const dropsOf = (value: Uint8Array): number => Number(viewOf(value).getBigUint64(BAN.drops[0], true));

/** Whether two bans, rules or shuns say the same, whatever was dropped since. */
export function saysTheSame(one: Uint8Array, other: Uint8Array): boolean {
  const [from, size] = BAN.drops;
  return one.length === other.length && one.every((byte, at) => byte === other[at] || (at >= from && at < from + size));
}

export function encodeRule(rule: Hold & { readonly action: 'allow' | 'deny' }, clock: KernelClock, drops = 0): Uint8Array {
  const bytes = new Uint8Array(LAYOUTS.hm_rule.size);
  const view = viewOf(bytes);
  view.setBigUint64(RULE.expires_ns[0], rule.expiresAt === null ? 0n : clock.toNs(rule.expiresAt), true);
  view.setBigUint64(RULE.drops[0], BigInt(drops), true);
  view.setUint32(RULE.reasons[0], reasonMask(rule.reasons), true);
  view.setUint8(RULE.action[0], RULE_ACTION[rule.action]);
  view.setUint8(RULE.tier[0], tierNumber(rule.tier));
  return bytes;
}

export function decodeRule(bytes: Uint8Array, clock: KernelClock): HeldState & { readonly action: 'allow' | 'deny' } {
  const view = viewOf(bytes);
  const expires = view.getBigUint64(RULE.expires_ns[0], true);
  return {
    action: view.getUint8(RULE.action[0]) === RULE_ACTION.allow ? 'allow' : 'deny',
    tier: tierOf(view.getUint8(RULE.tier[0])) ?? 'E0',
    reasons: reasonsOf(view.getUint32(RULE.reasons[0], true)),
    expiresAt: expires === 0n ? null : clock.toUnixMs(expires),
    droppedPackets: Number(view.getBigUint64(RULE.drops[0], true)),
  };
}

export function decodeShun(target: Prefix, bytes: Uint8Array, clock: KernelClock): KernelShun {
  const view = viewOf(bytes);
  const kinds = view.getUint8(SHUN.kinds[0]);
  return {
    target,
    reasons: reasonsOf(view.getUint32(SHUN.reasons[0], true)),
    kinds: SHUN_KINDS.filter((_, bit) => (kinds >> bit) & 1),
    expiresAt: clock.toUnixMs(view.getBigUint64(SHUN.expires_ns[0], true)),
    repeats: view.getUint16(SHUN.repeats[0], true),
    droppedPackets: Number(view.getBigUint64(SHUN.drops[0], true)),
  };
}

const SLOT_MS_SHIFT = 20n;
const NS_PER_MS = 1_000_000n;

/** The ports of a tracker's slots, oldest first; slots of any age. */
export function decodeTracker(bytes: Uint8Array, clock: KernelClock): TrackedPort[] {
  const view = viewOf(bytes);
  const ports: TrackedPort[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    const word = view.getBigUint64(TRACKER.slots[0] + slot * 8, true);
    if (word === 0n) continue;
    const low = Number(word & 0xf_ffffn);
    ports.push({ port: low & 0xffff, probe: PROBES[low >> 16] ?? 'syn', at: clock.toUnixMs((word >> SLOT_MS_SHIFT) * NS_PER_MS) });
  }
  return ports.sort((one, other) => one.at - other.at);
}

/** Milliseconds (CLOCK_MONOTONIC) of the tracker's last new or repeated port; 0n: none. */
export function lastSeenMs(bytes: Uint8Array): bigint {
  const view = viewOf(bytes);
  let last = 0n;
  for (let slot = 0; slot < SLOTS; slot++) {
    const ms = view.getBigUint64(TRACKER.slots[0] + slot * 8, true) >> SLOT_MS_SHIFT;
    if (ms > last) last = ms;
  }
  return last;
}

const TRANSPORTS: Readonly<Record<number, Transport>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp' };
const KIND_BY_NUMBER = new Map<number, KernelEventKind>(Object.entries(EVENT_KINDS).map(([name, number]) => [number, name as KernelEventKind]));

/** A record of a ring, or null where its kind is none that we know (a newer program under an older daemon). */
export function decodeEvent(bytes: Uint8Array, clock: KernelClock): KernelEvent | null {
  const view = viewOf(bytes);
  const kind = KIND_BY_NUMBER.get(view.getUint8(EVENT.kind[0]));
  const verdict = VERDICTS[view.getUint8(EVENT.verdict[0])];
  if (kind === undefined || verdict === undefined) return null;
  const port = view.getUint16(EVENT.port[0], true);
  return {
    at: clock.toUnixMs(view.getBigUint64(EVENT.at_ns[0], true)),
    kind,
    source: addressFromBytes(bytes.subarray(EVENT.source[0], EVENT.source[0] + 16)),
    reasons: reasonsOf(view.getUint32(EVENT.reasons[0], true)),
    port: port === 0 ? null : port,
    protocol: TRANSPORTS[view.getUint8(EVENT.protocol[0])] ?? null,
    fastPorts: view.getUint8(EVENT.fast_ports[0]),
    slowPorts: view.getUint8(EVENT.slow_ports[0]),
    proven: view.getUint8(EVENT.proven[0]) !== 0,
    verdict,
    rate: view.getUint32(EVENT.rate[0], true),
    shunMs: view.getUint32(EVENT.shun_ms[0], true),
  };
}

const ns = (ms: number): bigint => BigInt(Math.round(ms)) * NS_PER_MS;

/** Writes the operator's part of hm_config over `entry`; what the loader and pause() wrote there stays. */
export function writeConfig(entry: Uint8Array, config: KernelConfig): void {
  const view = viewOf(entry);
  view.setBigUint64(CONFIG.fast_window_ns[0], ns(config.fastWindowMs), true);
  view.setBigUint64(CONFIG.slow_window_ns[0], ns(config.slowWindowMs), true);
  view.setBigUint64(CONFIG.shun_ttl_ns[0], ns(config.shunMs), true);
  view.setBigUint64(CONFIG.shun_ttl_max_ns[0], ns(config.longestShunMs), true);
  view.setBigUint64(CONFIG.proven_ttl_ns[0], ns(config.provenMs), true);
  view.setBigUint64(CONFIG.flow_ttl_ns[0], ns(config.flowMs), true);
  view.setBigUint64(CONFIG.grace_ns[0], ns(config.graceMs), true);
  view.setBigUint64(CONFIG.heartbeat_ttl_ns[0], ns(config.heartbeatMs), true);
  view.setUint32(CONFIG.mode[0], modeNumber(config.mode), true);
  view.setUint32(CONFIG.fast_ports[0], config.fastPorts, true);
  view.setUint32(CONFIG.slow_ports[0], config.slowPorts, true);
  view.setUint32(CONFIG.syn_per_second[0], config.synPerSecond, true);
  view.setUint32(CONFIG.udp_per_second[0], config.udpPerSecond, true);
  view.setUint32(CONFIG.echo_per_second[0], config.echoPerSecond, true);
  view.setUint32(CONFIG.open_udp_per_second[0], config.openUdpPerSecond, true);
  view.setUint32(CONFIG.new_sources_per_second[0], config.newSourcesPerSecond, true);
  view.setUint32(CONFIG.events_per_second[0], config.eventsPerSecond, true);
  view.setUint32(CONFIG.trap_mark[0], config.trapMark, true);
  view.setUint16(CONFIG.trap_port[0], config.trapPort, true);
  view.setUint16(CONFIG.trap_udp_port[0], config.trapUdpPort, true);
  view.setUint16(CONFIG.ephemeral_low[0], config.ephemeralPorts[0], true);
  view.setUint16(CONFIG.ephemeral_high[0], config.ephemeralPorts[1], true);
  setFlag(entry, CONFIG_FLAG.egressDrop, config.egressDrop);
}

/** Sets or clears flags of hm_config in place; returns whether that changed anything. */
export function setFlag(entry: Uint8Array, flag: number, on: boolean): boolean {
  const view = viewOf(entry);
  const before = view.getUint32(CONFIG.flags[0], true);
  const after = on ? before | flag : before & ~flag;
  view.setUint32(CONFIG.flags[0], after, true);
  return before !== after;
}

export const setPausedUntil = (entry: Uint8Array, untilNs: bigint): void => viewOf(entry).setBigUint64(CONFIG.paused_until_ns[0], untilNs, true);

export const readPausedUntil = (entry: Uint8Array): bigint => viewOf(entry).getBigUint64(CONFIG.paused_until_ns[0], true);

/** The first IPv4 addresses of `own`, for the quick look; none of the loopback network, from where no packets come that are worth it. */
export function writeOwn4(entry: Uint8Array, own: readonly Address[]): void {
  const [at, size] = CONFIG.own4;
  entry.fill(0, at, at + size);
  const quick = own.filter(address => familyOf(address) === 4 && !address.startsWith('127.')).slice(0, OWN4);
  for (const [slot, address] of quick.entries()) entry.set(addressBytes(address).subarray(12), at + slot * 4);
}

/** What the loader writes: whose sockets count, and by which layout the maps were made. */
export function stampConfig(entry: Uint8Array, netnsCookie: bigint): void {
  viewOf(entry).setBigUint64(CONFIG.netns_cookie[0], netnsCookie, true);
  viewOf(entry).setUint16(CONFIG.layout_version[0], LAYOUT_VERSION, true);
}

/** Lets hm_guard say that nobody is shunned: for maps that are made anew. From now on the programs keep the word. */
export const stampGuard = (entry: Uint8Array): void => viewOf(entry).setBigUint64(LAYOUTS.hm_guard.fields.shuns_until_ns[0], 1n, true);

/** 0: nobody has stamped it, or it is no hm_config. */
export const layoutVersionOf = (entry: Uint8Array): number =>
  entry.length < CONFIG.layout_version[0] + CONFIG.layout_version[1] ? 0 : viewOf(entry).getUint16(CONFIG.layout_version[0], true);
export const longestShunNs = (entry: Uint8Array): bigint => viewOf(entry).getBigUint64(CONFIG.shun_ttl_max_ns[0], true);
export const slowWindowNs = (entry: Uint8Array): bigint => viewOf(entry).getBigUint64(CONFIG.slow_window_ns[0], true);
export const provenTtlNs = (entry: Uint8Array): bigint => viewOf(entry).getBigUint64(CONFIG.proven_ttl_ns[0], true);

/** Rows of `stats`: VERDICTS of each bank one after the other, then the counters. */
export const STATS_ROWS = VERDICTS.length * BANKS.length + COUNTER_ROWS;

/** `row` gives the sums of one row over all CPUs. */
export function decodeStats(row: (index: number) => VerdictCount): KernelStats {
  const bank = (which: number): Readonly<Record<Verdict, VerdictCount>> =>
    Object.fromEntries(VERDICTS.map((verdict, at) => [verdict, row(which * VERDICTS.length + at)])) as Record<Verdict, VerdictCount>;
  const counters = COUNTERS.map((counter, at) => [counter, row(VERDICTS.length * BANKS.length + at).packets]);
  return { enforced: bank(0), would: bank(1), paused: bank(2), counters: Object.fromEntries(counters) as Record<Counter, number> };
}

/** Sums the CPUs' rows of one value of `stats`. */
export function sumCounts(value: Uint8Array): VerdictCount {
  const view = viewOf(value);
  let packets = 0;
  let bytes = 0;
  for (let at = 0; at < value.length; at += LAYOUTS.hm_count.size) {
    packets += Number(view.getBigUint64(at, true));
    bytes += Number(view.getBigUint64(at + 8, true));
  }
  return { packets, bytes };
}

export const NO_COUNT: VerdictCount = { packets: 0, bytes: 0 };
