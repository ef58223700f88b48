/** What the kernel noted about sources by itself: shuns, trackers, watched suspects, proven clients. */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import type { KernelClock } from './clock.ts';
import { decodeShun, decodeTracker, expiresNs, isOver, lastSeenMs, longestShunNs, provenTtlNs, slowWindowNs } from './codecs.ts';
import type { ConfigEntry } from './config-entry.ts';
import { sourceKey, sourceOfKey } from './keys.ts';
import { CONFIG_FLAG } from './layouts.ts';
import { joined, type KernelMap, readWord, word } from './maps.ts';
import { ERRNO, kernelError, mustBe } from './native.ts';
import type { KernelShun, KernelView } from './port.ts';

const NS_PER_MS = 1_000_000n;
/** Above this share of its room, expired shuns are swept at once: the next offence matters less than a shun that finds no room. */
const CROWDED = 0.75;

export interface SourceMaps {
  listShuns(): readonly KernelShun[];
  removeShuns(targets: readonly Prefix[]): void;
  watch(source: Address): boolean;
  prove(sources: readonly Address[]): void;
  listProven(): readonly { readonly source: Prefix; readonly at: UnixMs }[];
  /** What `view` shows of the source's key. */
  view(source: Address): Pick<KernelView, 'shun' | 'provenAt' | 'watched' | 'ports'>;
  sweep(now: UnixMs): void;
}

export function sourcesOnMaps(
  maps: Readonly<Record<'shuns' | 'trackers' | 'watch' | 'proven', KernelMap>>,
  config: ConfigEntry,
  clock: KernelClock,
): SourceMaps {
  const noteWatched = (): void => config.flag(CONFIG_FLAG.hasWatch, !maps.watch.isEmpty());

  const stillProven = (at: bigint): boolean => at + provenTtlNs(config.read()) > clock.nowNs();

  const forgetOldestSuspect = (): void => {
    let oldest: { readonly key: Uint8Array; readonly seenMs: bigint } | undefined;
    for (const [key, value] of maps.watch.entries()) {
      const seenMs = lastSeenMs(value);
      if (oldest === undefined || seenMs < oldest.seenMs) oldest = { key, seenMs };
    }
    if (oldest !== undefined) maps.watch.remove(oldest.key);
  };

  /** An expired shun stays for as long as the longest one: a source that offends again meanwhile is shunned for longer. */
  const sweepShuns = (nowNs: bigint): void => {
    const over = maps.shuns.keysWhere(isOver(nowNs));
    if (over.length === 0) return;
    const crowded = maps.shuns.keysWhere(() => true).length > CROWDED * maps.shuns.maxEntries;
    const gone = crowded ? over : maps.shuns.keysWhere(isOver(nowNs - longestShunNs(config.read())));
    if (gone.length > 0) maps.shuns.removeMany(joined(gone, 8));
  };

  const sweepWatched = (nowNs: bigint): void => {
    const oldestMs = (nowNs - slowWindowNs(config.read())) / NS_PER_MS;
    const idle = [...maps.watch.entries()].filter(([, value]) => lastSeenMs(value) <= oldestMs).map(([key]) => key);
    if (idle.length > 0) maps.watch.removeMany(joined(idle, 8));
    noteWatched();
  };

  return {
    listShuns() {
      const nowNs = clock.nowNs();
      const shuns: KernelShun[] = [];
      for (const [key, value] of maps.shuns.entries()) if (expiresNs(value) > nowNs) shuns.push(decodeShun(sourceOfKey(key), value, clock));
      return shuns;
    },
    removeShuns(targets) {
      if (targets.length > 0) maps.shuns.removeMany(joined(targets.map(sourceKey), 8));
    },
    watch(source) {
      const key = sourceKey(source);
      if (maps.watch.get(key) !== null) return true;
      const tracker = maps.trackers.get(key);
      if (tracker === null) return false;
      let result = maps.watch.put(key, tracker);
      if (result === -ERRNO.E2BIG) {
        forgetOldestSuspect();
        result = maps.watch.put(key, tracker);
      }
      if (result !== 0) throw kernelError('HM_MAP', 'copying a suspect to watch', result);
      config.flag(CONFIG_FLAG.hasWatch, true);
      maps.trackers.remove(key);
      return true;
    },
    prove(sources) {
      const at = word(clock.nowNs());
      for (const source of sources) mustBe(maps.proven.put(sourceKey(source), at), 'HM_MAP', 'marking a source as proven');
    },
    listProven() {
      const proven: { source: Prefix; at: UnixMs }[] = [];
      for (const [key, value] of maps.proven.entries()) {
        const at = readWord(value);
        if (stillProven(at)) proven.push({ source: sourceOfKey(key), at: clock.toUnixMs(at) });
      }
      return proven;
    },
    view(source) {
      const key = sourceKey(source);
      const shun = maps.shuns.get(key);
      const proven = maps.proven.get(key);
      const watched = maps.watch.get(key);
      const tracker = watched ?? maps.trackers.get(key);
      return {
        shun: shun !== null && expiresNs(shun) > clock.nowNs() ? decodeShun(sourceOfKey(key), shun, clock) : null,
        provenAt: proven !== null && stillProven(readWord(proven)) ? clock.toUnixMs(readWord(proven)) : null,
        watched: watched !== null,
        ports: tracker === null ? [] : decodeTracker(tracker, clock),
      };
    },
    sweep(now) {
      const nowNs = clock.toNs(now);
      sweepShuns(nowNs);
      sweepWatched(nowNs);
    },
  };
}
