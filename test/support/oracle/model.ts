/** What the model remembers between frames: plain maps and lists, made from a scenario. */
import { bitsOfHex, hexOf, keyOf, prefixBits, touchedSixteens, wide } from './addresses.ts';
import type { KernelReason, Probe, Scenario, Settings, ShunKind, Sockets, WindowName } from './scenario.ts';

export interface Ban {
  readonly expiresNs: bigint | null;
  drops: bigint;
  readonly confined: boolean;
}

export interface Rule {
  readonly family: 4 | 6;
  readonly bits: string;
  readonly action: 'allow' | 'deny';
  readonly expiresNs: bigint | null;
  drops: bigint;
}

export interface Slot {
  readonly port: number;
  readonly probe: Probe;
  readonly atNs: bigint;
}

export interface RateWindow {
  startNs: bigint;
  count: number;
}

export interface Tracker {
  /** By slot number; undefined was never used. */
  readonly slots: (Slot | undefined)[];
  readonly windows: Map<WindowName, RateWindow>;
}

export interface Shun {
  expiresNs: bigint;
  kinds: Set<ShunKind>;
  reasons: Set<KernelReason>;
  repeats: number;
}

export interface Model {
  readonly settings: Settings;
  readonly pausedUntilNs: bigint;
  readonly sockets: Sockets;
  /** IPv4 bans and exact IPv6 bans by hex address. */
  readonly bans: Map<string, Ban>;
  /** IPv6 bans by the hex of their /64. */
  readonly bans64: Map<string, Ban>;
  readonly rules: readonly Rule[];
  readonly hints: ReadonlySet<number>;
  /** Hex of 16 bytes. */
  readonly own: ReadonlySet<string>;
  readonly served: Map<string, bigint | 'always'>;
  readonly trackers: Map<bigint, Tracker>;
  readonly watch: Map<bigint, Tracker>;
  readonly shuns: Map<bigint, Shun>;
  readonly proven: Map<bigint, bigint>;
  readonly flowsOut: Map<string, bigint>;
  readonly newSources: RateWindow;
  /** `transport port` */
  readonly trapPorts: ReadonlySet<string>;
  readonly heartbeatNs: bigint | null;
}

export const SLOTS = 32;
export const SECOND_NS = 1_000_000_000n;

/** `protocol remote remote-port local-port`, the remote as hex of 16 bytes. */
export const flowKey = (protocol: 'tcp' | 'udp', remoteHex: string, remotePort: number, localPort: number): string =>
  `${protocol} ${wide(remoteHex)} ${remotePort} ${localPort}`;

/** The scenario as it stands at `startNs`. */
export function createModel(scenario: Scenario, startNs: bigint, sockets: Sockets): Model {
  const at = (relative: bigint | null): bigint | null => (relative === null ? null : startNs + relative);
  const bans = new Map<string, Ban>();
  const bans64 = new Map<string, Ban>();
  for (const { target, expiresNs, drops = 0n, confined = false } of scenario.bans) {
    const [address = '', length] = target.split('/');
    const [map, key] = length === '64' ? [bans64, hexOf(address).slice(0, 16)] : [bans, hexOf(address)];
    map.set(key, { expiresNs: at(expiresNs), drops, confined });
  }
  const trackers = new Map<bigint, Tracker>();
  const watch = new Map<bigint, Tracker>();
  for (const entry of scenario.trackers) {
    const slots = Array.from({ length: SLOTS }, (_, slot) => entry.slots[slot]).map(slot => slot && { ...slot, atNs: startNs + slot.atNs });
    const windows = Object.entries(entry.windows ?? {}).map(([name, { startNs: start, count }]) => [name, { startNs: startNs + start, count }] as const);
    (entry.watched ? watch : trackers).set(keyOf(entry.source), { slots, windows: new Map(windows as [WindowName, RateWindow][]) });
  }
  return {
    settings: scenario.settings,
    pausedUntilNs: at(scenario.settings.pausedUntilNs) ?? 0n,
    sockets,
    bans,
    bans64,
    rules: scenario.rules.map(({ prefix, action, expiresNs }) => ({ ...prefixBits(prefix), action, expiresNs: at(expiresNs), drops: 0n })),
    hints: new Set(scenario.hints ?? scenario.rules.flatMap(({ prefix }) => touchedSixteens(prefix))),
    own: new Set(scenario.own.map(address => wide(hexOf(address)))),
    served: new Map(scenario.served.map(({ transport, port, atNs }) => [`${transport} ${port}`, atNs === 'always' ? atNs : startNs + atNs])),
    trackers,
    watch,
    shuns: new Map(
      scenario.shuns.map(({ source, kinds, expiresNs, repeats, reasons = [] }) => [
        keyOf(source),
        { kinds: new Set(kinds), expiresNs: startNs + expiresNs, reasons: new Set(reasons), repeats },
      ]),
    ),
    proven: new Map(scenario.proven.map(({ source, atNs }) => [keyOf(source), startNs + atNs])),
    flowsOut: new Map(scenario.flowsOut.map(flow => [flowKey(flow.protocol, hexOf(flow.remote), flow.remotePort, flow.localPort), startNs + flow.atNs])),
    newSources: { startNs: 0n, count: 0 },
    trapPorts: new Set(scenario.trapPorts.map(({ transport, port }) => `${transport} ${port}`)),
    heartbeatNs: at(scenario.heartbeatNs),
  };
}

/** Section 2.1. */
export function findBan(model: Model, family: 4 | 6, from: string, nowNs: bigint): Ban | undefined {
  const alive = (ban: Ban | undefined) => (ban !== undefined && !isOver(ban.expiresNs, nowNs) ? ban : undefined);
  if (family === 4) return alive(model.bans.get(from));
  return alive(model.bans64.get(from.slice(0, 16))) ?? (model.settings.hasBan6x ? alive(model.bans.get(from)) : undefined);
}

/** Section 2.2: the longest match, even where it expired; then none. */
export function findRule(model: Model, family: 4 | 6, from: string, nowNs: bigint): Rule | undefined {
  if (family === 4 ? !model.hints.has(Number.parseInt(from.slice(0, 4), 16)) : !model.settings.hasPrefix6) return undefined;
  const bits = bitsOfHex(from);
  let longest: Rule | undefined;
  for (const rule of model.rules) {
    if (rule.family === family && bits.startsWith(rule.bits) && (longest === undefined || rule.bits.length >= longest.bits.length)) longest = rule;
  }
  return longest !== undefined && !isOver(longest.expiresNs, nowNs) ? longest : undefined;
}

const isOver = (expiresNs: bigint | null, nowNs: bigint): boolean => expiresNs !== null && expiresNs <= nowNs;
