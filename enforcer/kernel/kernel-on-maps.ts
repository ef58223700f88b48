/** The Kernel of port.ts on maps that are open: pinned ones, or those of a scratch instance in a test. */
import { hostPrefix, type Prefix } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import { bansOnMaps } from './bans-on-maps.ts';
import { createKernelClock } from './clock.ts';
import { decodeEvent, decodeStats, NO_COUNT, readPausedUntil, STATS_ROWS, setPausedUntil, sumCounts, writeConfig } from './codecs.ts';
import { configEntry } from './config-entry.ts';
import { hostOnMaps } from './host-on-maps.ts';
import { MAP_NAMES, type MapName } from './layouts.ts';
import { indexKey, joined, type KernelMap } from './maps.ts';
import type { Kernel, KernelEvent } from './port.ts';
import { readRings, recordsOf } from './ring.ts';
import { ruleOn } from './rules.ts';
import { rulesOnMaps } from './rules-on-maps.ts';
import { sourcesOnMaps } from './sources-on-maps.ts';

export type KernelMaps = Readonly<Record<MapName, KernelMap>>;

export interface KernelClockDeps {
  readonly now: () => UnixMs;
  /** CLOCK_MONOTONIC; tests replace it. */
  readonly monotonicNs?: () => bigint;
}

/** `close` closes the maps. */
export function createKernelOnMaps(maps: KernelMaps, { now, ...rest }: KernelClockDeps): Kernel {
  const clock = createKernelClock({ now, ...rest });
  const config = configEntry(maps.config);
  const bans = bansOnMaps(maps, config, clock);
  const rules = rulesOnMaps(maps, config, clock);
  const sources = sourcesOnMaps(maps, config, clock);
  const host = hostOnMaps(maps, config, clock);
  const statsKeys = joined(
    Array.from({ length: STATS_ROWS }, (_, at) => indexKey(at)),
    4,
  );
  const rings = new Set<() => void>();

  return {
    putBans: bans.put,
    removeBans: bans.remove,
    listBans: bans.list,
    banCapacity: () => ({
      ipv4: maps.ban4.maxEntries,
      ipv6: maps.ban6.maxEntries,
      ipv6Exact: maps.ban6x.maxEntries,
      rules: Math.min(maps.pfx4.maxEntries, maps.pfx6.maxEntries),
    }),
    setRules: set => rules.set(set, now()),
    listRules: rules.list,
    listShuns: sources.listShuns,
    removeShuns: sources.removeShuns,
    sweep(at) {
      const gone: Prefix[] = [...bans.sweep(at), ...rules.sweep(at)];
      sources.sweep(at);
      return gone;
    },
    watch: sources.watch,
    prove: sources.prove,
    listProven: sources.listProven,
    view(source) {
      const target = hostPrefix(source);
      return { ban: bans.on(target, clock.nowNs()), rule: ruleOn(target, rules.list(), now()), ...sources.view(source) };
    },
    setConfig: wanted => config.change(entry => writeConfig(entry, wanted)),
    pause: until => config.change(entry => setPausedUntil(entry, until === null ? 0n : clock.toNs(until))),
    pausedUntil() {
      const untilNs = readPausedUntil(config.read());
      return untilNs > clock.nowNs() ? clock.toUnixMs(untilNs) : null;
    },
    ...host,
    stats() {
      const { values, found } = maps.stats.getMany(statsKeys);
      const size = maps.stats.valueSize;
      return decodeStats(at => (found[at] === true ? sumCounts(values.subarray(at * size, (at + 1) * size)) : NO_COUNT));
    },
    readEvents(onBatch, signal) {
      if (signal.aborted) return;
      const reader = readRings([maps.events_hi.fd, maps.events_lo.fd], batch => {
        const events: KernelEvent[] = [];
        for (const record of recordsOf(batch)) {
          const event = decodeEvent(record, clock);
          if (event !== null) events.push(event);
        }
        if (events.length > 0) onBatch(events);
      });
      const stop = (): void => {
        signal.removeEventListener('abort', stop);
        rings.delete(stop);
        reader.stop();
      };
      rings.add(stop);
      signal.addEventListener('abort', stop);
    },
    close() {
      for (const stop of [...rings]) stop();
      for (const name of MAP_NAMES) maps[name].close();
    },
  };
}
