/**
 * The state in which frames are judged, said once: the oracle reads it, and `kernel-state.ts` writes the same into the maps.
 * Times are nanoseconds relative to the scenario's start (negative: before), so that a scenario can be played again later.
 */
export type Mode = 'observe' | 'enforce' | 'lockdown';
export type Probe = 'syn' | 'flag' | 'malformed' | 'udp';
export type WindowName = 'syn' | 'udp-closed' | 'udp-open' | 'echo';
export type KernelReason = 'syn-scan' | 'slow-scan' | 'flag-scan' | 'udp-scan' | 'flood' | 'malformed';
export type ShunKind = 'tcp' | 'udp' | 'echo';

export interface Settings {
  readonly mode: Mode;
  /** null: not paused. */
  readonly pausedUntilNs: bigint | null;
  readonly fastPorts: number;
  readonly fastWindowNs: bigint;
  readonly slowPorts: number;
  readonly slowWindowNs: bigint;
  readonly shunTtlNs: bigint;
  readonly shunTtlMaxNs: bigint;
  readonly provenTtlNs: bigint;
  readonly flowTtlNs: bigint;
  readonly graceNs: bigint;
  readonly synPerSecond: number;
  readonly udpPerSecond: number;
  readonly echoPerSecond: number;
  readonly openUdpPerSecond: number;
  readonly newSourcesPerSecond: number;
  readonly eventsPerSecond: number;
  readonly trapPort: number;
  readonly trapUdpPort: number;
  readonly trapMark: number;
  readonly heartbeatTtlNs: bigint;
  readonly ephemeralLow: number;
  readonly ephemeralHigh: number;
  readonly hasBan6x: boolean;
  readonly hasPrefix6: boolean;
  readonly hasWatch: boolean;
  /** The kernel goes by the hint of ban4, which has the bits of all bans here: no verdict hangs on it. */
  readonly hasBanHint: boolean;
}

/** `target`: an IPv4 address, an IPv6 address (ban6x) or an IPv6 /64 (ban6). */
export interface BanEntry {
  readonly target: string;
  /** null: no end. */
  readonly expiresNs: bigint | null;
  readonly drops?: bigint;
  /** Talks to traps only. */
  readonly confined?: boolean;
}

export interface RuleEntry {
  readonly prefix: string;
  readonly action: 'allow' | 'deny';
  readonly expiresNs: bigint | null;
}

export interface ServedEntry {
  readonly transport: 'tcp' | 'udp';
  readonly port: number;
  readonly atNs: bigint | 'always';
}

export interface TrapPort {
  readonly transport: 'tcp' | 'udp';
  readonly port: number;
}

export interface TrackerEntry {
  readonly source: string;
  readonly watched: boolean;
  /** In the order of the entry's slots; at most 32. */
  readonly slots: readonly { readonly port: number; readonly probe: Probe; readonly atNs: bigint }[];
  readonly windows?: Partial<Record<WindowName, { readonly startNs: bigint; readonly count: number }>>;
}

export interface ShunEntry {
  readonly source: string;
  readonly kinds: readonly ShunKind[];
  readonly expiresNs: bigint;
  readonly repeats: number;
  readonly reasons?: readonly KernelReason[];
}

export interface ProvenEntry {
  readonly source: string;
  readonly atNs: bigint;
}

/** For TCP both ports are 0. */
export interface FlowEntry {
  readonly protocol: 'tcp' | 'udp';
  readonly remote: string;
  readonly remotePort: number;
  readonly localPort: number;
  readonly atNs: bigint;
}

export interface Scenario {
  readonly settings: Settings;
  readonly bans: readonly BanEntry[];
  readonly rules: readonly RuleEntry[];
  /** IPv4 /16 numbers whose hint bit is set; where absent, those that the rules touch. */
  readonly hints?: readonly number[];
  readonly own: readonly string[];
  readonly served: readonly ServedEntry[];
  readonly trackers: readonly TrackerEntry[];
  readonly shuns: readonly ShunEntry[];
  readonly proven: readonly ProvenEntry[];
  readonly flowsOut: readonly FlowEntry[];
  readonly trapPorts: readonly TrapPort[];
  /** When the traps last said that they live; null: never. */
  readonly heartbeatNs: bigint | null;
}

/** The ends of a packet as the socket look-ups see them; addresses are hex of 4 or 16 bytes. */
export interface FourTuple {
  readonly family: 4 | 6;
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
}

/** `open` to whoever comes: a listener, a UDP socket that is not connected. `port` is the socket's own. */
export interface FoundSocket {
  readonly state: 'open' | 'connected';
  readonly port: number;
  readonly mark: number;
}

/** What the host's socket tables answer. */
export interface Sockets {
  readonly tcp: (tuple: FourTuple) => FoundSocket | null;
  readonly udp: (tuple: FourTuple) => FoundSocket | null;
}

export const noSockets: Sockets = { tcp: () => null, udp: () => null };

const SECOND = 1_000_000_000n;

/** The defaults of the product, roughly; a test overrides what it is about. */
export const usualSettings: Settings = {
  mode: 'enforce',
  pausedUntilNs: null,
  fastPorts: 3,
  fastWindowNs: 60n * SECOND,
  slowPorts: 25,
  slowWindowNs: 86_400n * SECOND,
  shunTtlNs: 60n * SECOND,
  shunTtlMaxNs: 600n * SECOND,
  provenTtlNs: 3_600n * SECOND,
  flowTtlNs: 120n * SECOND,
  graceNs: 86_400n * SECOND,
  synPerSecond: 200,
  udpPerSecond: 1_000,
  echoPerSecond: 100,
  openUdpPerSecond: 0,
  newSourcesPerSecond: 1_000_000,
  eventsPerSecond: 1_000_000,
  trapPort: 0,
  trapUdpPort: 0,
  trapMark: 0,
  heartbeatTtlNs: 3n * SECOND,
  ephemeralLow: 32_768,
  ephemeralHigh: 60_999,
  hasBan6x: true,
  hasPrefix6: true,
  hasWatch: true,
  hasBanHint: true,
};

export const emptyScenario: Scenario = {
  settings: usualSettings,
  bans: [],
  rules: [],
  own: [],
  served: [],
  trackers: [],
  shuns: [],
  proven: [],
  flowsOut: [],
  trapPorts: [],
  heartbeatNs: null,
};
