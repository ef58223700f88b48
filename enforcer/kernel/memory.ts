/**
 * The Kernel of port.ts without a kernel: the same rooms, the same refusals, the same expiry. For tests without root; what packets would do
 * (drops, shuns, events) the test says itself.
 */
import { type Address, familyOf, hostPrefix, isHostPrefix, type Prefix } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import { isByAddress, sourceOf } from './keys.ts';
import { BANKS } from './layouts.ts';
import type {
  Kernel,
  KernelBan,
  KernelBanState,
  KernelConfig,
  KernelEvent,
  KernelRule,
  KernelShun,
  KernelStats,
  ServedPorts,
  TrackedPort,
  TrapPorts,
  WriteOutcome,
} from './port.ts';
import { resolveRules, ruleOn } from './rules.ts';
import { COUNTERS, type Counter, VERDICTS, type Verdict } from './verdicts.ts';

export interface MemoryCapacity {
  readonly ipv4: number;
  readonly ipv6: number;
  readonly ipv6Exact: number;
  readonly rules: number;
  readonly watched?: number;
}

export interface MemoryKernel extends Kernel {
  /** Hands events to whoever reads. */
  emit(...events: readonly KernelEvent[]): void;
  /** Packets that the ban, rule or shun of exactly this target dropped. */
  drop(target: Prefix, packets?: number): void;
  shun(shun: KernelShun): void;
  /** Closed ports that a source touched. */
  track(source: Address, ports: readonly TrackedPort[]): void;
  count(verdict: Verdict, packets: number, bytes?: number, bank?: (typeof BANKS)[number]): void;
  bump(counter: Counter, by?: number): void;
  /** From now on writes are refused, as by a map that is gone; false: taken again. */
  refuseWrites(refuse: boolean): void;
  /** What was written last. */
  readonly written: {
    readonly config: KernelConfig | null;
    readonly pausedUntil: UnixMs | null;
    readonly own: readonly Address[];
    readonly served: { readonly always: ServedPorts; readonly now: ServedPorts };
    readonly trapPorts: TrapPorts;
  };
}

type RuleState = KernelRule & { droppedPackets: number };
type BanRoom = 'ipv4' | 'ipv6' | 'ipv6Exact';

const PLENTY: MemoryCapacity = { ipv4: 65_536, ipv6: 65_536, ipv6Exact: 16_384, rules: 1_024 };
const NO_PORTS: ServedPorts = { tcp: [], udp: [] };
const DEFAULT_LONGEST_SHUN_MS = 600_000;

export function createMemoryKernel({ capacity = PLENTY }: { readonly capacity?: MemoryCapacity }, { now }: { readonly now: () => UnixMs }): MemoryKernel {
  const bans = new Map<Prefix, KernelBanState>();
  const shuns = new Map<Prefix, KernelShun>();
  const trackers = new Map<Prefix, readonly TrackedPort[]>();
  const watched = new Map<Prefix, readonly TrackedPort[]>();
  const proven = new Map<Prefix, UnixMs>();
  const readers = new Set<(events: readonly KernelEvent[]) => void>();
  const verdicts = BANKS.map(
    () => Object.fromEntries(VERDICTS.map(verdict => [verdict, { packets: 0, bytes: 0 }])) as Record<Verdict, { packets: number; bytes: number }>,
  );
  const counters = Object.fromEntries(COUNTERS.map(counter => [counter, 0])) as Record<Counter, number>;
  let rules = new Map<Prefix, RuleState>();
  let wanted: readonly KernelRule[] = [];
  let refusing = false;
  const written: { -readonly [Key in keyof MemoryKernel['written']]: MemoryKernel['written'][Key] } = {
    config: null,
    pausedUntil: null,
    own: [],
    served: { always: NO_PORTS, now: NO_PORTS },
    trapPorts: { tcp: [], udp: [] },
  };

  const roomOf = (target: Prefix): BanRoom => (familyOf(target) === 4 ? 'ipv4' : isHostPrefix(target) ? 'ipv6Exact' : 'ipv6');
  const held: Record<BanRoom, number> = { ipv4: 0, ipv6: 0, ipv6Exact: 0 };
  const holds = (expiresAt: UnixMs | null, at: UnixMs): boolean => expiresAt === null || expiresAt > at;
  const stillProven = (at: UnixMs): boolean => at + (written.config?.provenMs ?? 0) > now();

  const putBan = (ban: KernelBan): WriteOutcome => {
    const { target, tier, reasons, expiresAt, confined } = ban;
    if (refusing || !isByAddress(target)) return { target, enforced: false, why: 'refused' };
    const room = roomOf(target);
    if (!bans.has(target) && held[room] >= capacity[room]) return { target, enforced: false, why: 'full' };
    if (!bans.has(target)) held[room]++;
    bans.set(target, { target, tier, reasons, expiresAt, ...(confined ? { confined } : {}), droppedPackets: bans.get(target)?.droppedPackets ?? 0 });
    return { target, enforced: true };
  };

  const removeBan = (target: Prefix): void => {
    if (bans.delete(target)) held[roomOf(target)]--;
  };

  const applyRules = (at: UnixMs): ReadonlyMap<Prefix, WriteOutcome> => {
    const outcomes = new Map<Prefix, WriteOutcome>();
    const room = { 4: capacity.rules, 6: capacity.rules };
    const next = new Map<Prefix, RuleState>();
    for (const rule of resolveRules(wanted, at)) {
      const fits = room[familyOf(rule.target)]-- > 0;
      outcomes.set(rule.target, fits ? { target: rule.target, enforced: true } : { target: rule.target, enforced: false, why: 'full' });
      if (fits) next.set(rule.target, { ...rule, droppedPackets: rules.get(rule.target)?.droppedPackets ?? 0 });
    }
    rules = next;
    return outcomes;
  };

  const sweepRules = (at: UnixMs): readonly Prefix[] => {
    const over = wanted.filter(rule => !holds(rule.expiresAt, at));
    if (over.length === 0) return [];
    wanted = wanted.filter(rule => !over.includes(rule));
    applyRules(at);
    return over.filter(rule => rule.action === 'deny').map(rule => rule.target);
  };

  const lastSeen = (ports: readonly TrackedPort[]): number => Math.max(0, ...ports.map(port => port.at));

  return {
    putBans: list => list.map(putBan),
    removeBans(targets) {
      for (const target of targets) removeBan(target);
    },
    listBans: () => [...bans.values()],
    banCapacity: () => ({ ipv4: capacity.ipv4, ipv6: capacity.ipv6, ipv6Exact: capacity.ipv6Exact, rules: capacity.rules }),
    setRules(list) {
      if (refusing) return list.map(({ target }) => ({ target, enforced: false, why: 'refused' }));
      wanted = list;
      const outcomes = applyRules(now());
      return list.map(({ target }) => outcomes.get(target) ?? { target, enforced: false, why: 'refused' });
    },
    listRules: () => [...rules.values()],
    listShuns: () => [...shuns.values()].filter(shun => holds(shun.expiresAt, now())),
    removeShuns(targets) {
      for (const target of targets) shuns.delete(target);
    },
    sweep(at) {
      const gone = [...bans.values()].filter(ban => !holds(ban.expiresAt, at)).map(ban => ban.target);
      for (const target of gone) removeBan(target);
      gone.push(...sweepRules(at));
      const keepMs = written.config?.longestShunMs ?? DEFAULT_LONGEST_SHUN_MS;
      for (const shun of [...shuns.values()]) if (shun.expiresAt + keepMs <= at) shuns.delete(shun.target);
      const idleMs = written.config?.slowWindowMs ?? 0;
      for (const [source, ports] of [...watched]) if (lastSeen(ports) + idleMs <= at) watched.delete(source);
      return gone;
    },
    watch(source) {
      const key = sourceOf(source);
      if (watched.has(key)) return true;
      const tracker = trackers.get(key);
      if (tracker === undefined) return false;
      if (watched.size >= (capacity.watched ?? 8_192)) {
        const [oldest] = [...watched].sort(([, one], [, other]) => lastSeen(one) - lastSeen(other));
        if (oldest !== undefined) watched.delete(oldest[0]);
      }
      watched.set(key, tracker);
      trackers.delete(key);
      return true;
    },
    prove(sources) {
      for (const source of sources) proven.set(sourceOf(source), now());
    },
    listProven: () => [...proven].filter(([, at]) => stillProven(at)).map(([source, at]) => ({ source, at })),
    view(source) {
      const host = hostPrefix(source);
      const key = sourceOf(source);
      const ban = [bans.get(key), bans.get(host)].find(found => found !== undefined && holds(found.expiresAt, now()));
      const shun = shuns.get(key);
      const provenAt = proven.get(key);
      return {
        ban: ban ?? null,
        rule: ruleOn(host, [...rules.values()], now()),
        shun: shun !== undefined && holds(shun.expiresAt, now()) ? shun : null,
        provenAt: provenAt !== undefined && stillProven(provenAt) ? provenAt : null,
        watched: watched.has(key),
        ports: [...(watched.get(key) ?? trackers.get(key) ?? [])].sort((one, other) => one.at - other.at),
      };
    },
    setConfig(config) {
      written.config = config;
    },
    pause(until) {
      written.pausedUntil = until;
    },
    pausedUntil: () => (written.pausedUntil !== null && written.pausedUntil > now() ? written.pausedUntil : null),
    setOwnAddresses(addresses) {
      written.own = addresses;
    },
    setServedPorts(always, seen) {
      written.served = { always, now: seen };
    },
    setTrapPorts(ports) {
      written.trapPorts = ports;
    },
    stats(): KernelStats {
      const [enforced, would, paused] = structuredClone(verdicts) as [KernelStats['enforced'], KernelStats['would'], KernelStats['paused']];
      return { enforced, would, paused, counters: { ...counters } };
    },
    readEvents(onBatch, signal) {
      if (signal.aborted) return;
      readers.add(onBatch);
      signal.addEventListener('abort', () => readers.delete(onBatch), { once: true });
    },
    close: () => readers.clear(),

    emit(...events) {
      for (const reader of [...readers]) reader(events);
    },
    drop(target, packets = 1) {
      const ban = bans.get(target);
      if (ban !== undefined) bans.set(target, { ...ban, droppedPackets: ban.droppedPackets + packets });
      const rule = rules.get(target);
      if (rule !== undefined) rule.droppedPackets += packets;
      const shun = shuns.get(target);
      if (shun !== undefined) shuns.set(target, { ...shun, droppedPackets: shun.droppedPackets + packets });
    },
    shun: shun => void shuns.set(shun.target, shun),
    track: (source, ports) => void trackers.set(sourceOf(source), ports),
    count(verdict, packets, bytes = packets * 60, bank = 'enforced') {
      const row = verdicts[BANKS.indexOf(bank)]?.[verdict];
      if (row === undefined) return;
      row.packets += packets;
      row.bytes += bytes;
    },
    bump(counter, by = 1) {
      counters[counter] += by;
    },
    refuseWrites(refuse) {
      refusing = refuse;
    },
    written,
  };
}
