/**
 * What the rest of the enforcer asks of the kernel. Two implementations: `pinned.ts` on the pinned maps, `memory.ts` for tests
 * without root. All calls are synchronous: a map operation takes microseconds and its answer is the truth about enforcement.
 */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Transport } from '@honeymesh/intel/events';
import type { Mode, Tier } from '@honeymesh/intel/evidence';
import type { Reason } from '@honeymesh/intel/reasons';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Counter, Verdict } from './verdicts.ts';

/** A ban by address (/32, /128) or IPv6 /64, as the ban maps hold it. */
export interface KernelBan {
  readonly target: Prefix;
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
  readonly expiresAt: UnixMs | null;
  /** Only what leads to a trap passes (HM_BAN_CONFINED). Never in a rule. */
  readonly confined?: boolean;
}

/** A ban as the kernel says it is. */
export interface KernelBanState extends KernelBan {
  readonly droppedPackets: number;
}

/** An allow rule, or a ban of a prefix that the ban maps cannot hold. */
export interface KernelRule extends KernelBan {
  readonly action: 'allow' | 'deny';
}

/** What became of a write: `enforced` was read back from the map. */
export type WriteOutcome =
  | { readonly target: Prefix; readonly enforced: true }
  | { readonly target: Prefix; readonly enforced: false; readonly why: 'full' | 'refused' };

export interface KernelShun {
  readonly target: Prefix;
  readonly reasons: readonly Reason[];
  readonly kinds: readonly ('tcp' | 'udp' | 'echo')[];
  readonly expiresAt: UnixMs;
  readonly repeats: number;
  readonly droppedPackets: number;
}

/** Thresholds and switches of the packet path; durations in milliseconds, rates a second, 0 is off. */
export interface KernelConfig {
  readonly mode: Mode;
  readonly fastPorts: number;
  readonly fastWindowMs: number;
  readonly slowPorts: number;
  readonly slowWindowMs: number;
  readonly shunMs: number;
  readonly longestShunMs: number;
  readonly provenMs: number;
  readonly flowMs: number;
  readonly graceMs: number;
  readonly heartbeatMs: number;
  readonly synPerSecond: number;
  readonly udpPerSecond: number;
  readonly echoPerSecond: number;
  readonly openUdpPerSecond: number;
  readonly newSourcesPerSecond: number;
  readonly eventsPerSecond: number;
  readonly egressDrop: boolean;
  readonly trapPort: number;
  readonly trapMark: number;
  /** The local port of the trap's UDP sockets; 0: none. */
  readonly trapUdpPort: number;
  readonly ephemeralPorts: readonly [low: number, high: number];
}

export type KernelEventKind = 'touch' | 'suspect' | 'scan' | 'flood' | 'ban-hit' | 'map-full' | 'guard';

export interface KernelEvent {
  readonly at: UnixMs;
  readonly kind: KernelEventKind;
  readonly source: Address;
  readonly reasons: readonly Reason[];
  readonly port: number | null;
  readonly protocol: Transport | null;
  readonly fastPorts: number;
  readonly slowPorts: number;
  readonly proven: boolean;
  readonly verdict: Verdict;
  /** Packets in the running second, for a flood. */
  readonly rate: number;
  /** How long the shun lasts; 0: none was made. */
  readonly shunMs: number;
}

/** A probed port in a tracker's slot. */
export interface TrackedPort {
  readonly port: number;
  readonly probe: 'syn' | 'flag' | 'malformed' | 'udp';
  readonly at: UnixMs;
}

/** Everything that the kernel holds about one source: the kernel's part of `explain`. */
export interface KernelView {
  readonly ban: KernelBanState | null;
  readonly rule: (KernelRule & { readonly droppedPackets: number }) | null;
  readonly shun: KernelShun | null;
  readonly provenAt: UnixMs | null;
  readonly watched: boolean;
  readonly ports: readonly TrackedPort[];
}

export interface VerdictCount {
  readonly packets: number;
  readonly bytes: number;
}

export interface KernelStats {
  readonly enforced: Readonly<Record<Verdict, VerdictCount>>;
  /** Decided in mode observe, not enforced. */
  readonly would: Readonly<Record<Verdict, VerdictCount>>;
  readonly paused: Readonly<Record<Verdict, VerdictCount>>;
  readonly counters: Readonly<Record<Counter, number>>;
}

export interface ServedPorts {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

/** `all`: every port. */
export interface TrapPorts {
  readonly tcp: readonly number[] | 'all';
  readonly udp: readonly number[] | 'all';
}

export interface Kernel {
  /** Adds or replaces bans by address, each read back. `full`: the map has no room, the ledger must choose. */
  putBans(bans: readonly KernelBan[]): readonly WriteOutcome[];
  removeBans(targets: readonly Prefix[]): void;
  /** The bans by address that the maps hold now, expired ones too. */
  listBans(): readonly KernelBanState[];
  banCapacity(): { readonly ipv4: number; readonly ipv6: number; readonly ipv6Exact: number; readonly rules: number };
  /** The whole set of rules: nesting is resolved here (a DENY under an ALLOW is stored as ALLOW; a DENY lives as long as what covers it). */
  setRules(rules: readonly KernelRule[]): readonly WriteOutcome[];
  /** The rules as the tries hold them, resolved, with their drop counters. */
  listRules(): readonly (KernelRule & { readonly droppedPackets: number })[];
  listShuns(): readonly KernelShun[];
  removeShuns(targets: readonly Prefix[]): void;
  /** Takes expired bans and shuns and idle watched suspects out; returns the targets of the expired bans. */
  sweep(now: UnixMs): readonly Prefix[];
  /** Copies a suspect's tracker to `watch`, where a flood cannot evict it. Returns false where there is no tracker. */
  watch(source: Address): boolean;
  /** Marks sources as proven at `now`: peers of sessions that were open at start. */
  prove(sources: readonly Address[]): void;
  /** Sources that completed a handshake with a real service and still count as proven (IPv6: their /64). */
  listProven(): readonly { readonly source: Prefix; readonly at: UnixMs }[];
  view(source: Address): KernelView;
  setConfig(config: KernelConfig): void;
  /** Decide and count, but drop nothing, until then; null ends a pause. */
  pause(until: UnixMs | null): void;
  /** The end of a pause that lasts still, whoever ordered it: null where there is none. */
  pausedUntil(): UnixMs | null;
  setOwnAddresses(addresses: readonly Address[]): void;
  /** `always` are served for good, `now` were seen with a listener just now; replaces the former `always`. */
  setServedPorts(always: ServedPorts, now: ServedPorts): void;
  /** Closed ports that lead to traps. */
  setTrapPorts(ports: TrapPorts): void;
  stats(): KernelStats;
  /** Batches of decoded events, in order within each ring, until the signal aborts. */
  readEvents(onBatch: (events: readonly KernelEvent[]) => void, signal: AbortSignal): void;
  close(): void;
}
