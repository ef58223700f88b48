/** Bans by address in ban4, ban6 and ban6x. */
import { familyOf, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import { banHintOn } from './ban-hint.ts';
import type { KernelClock } from './clock.ts';
import { decodeBan, dropsOf, encodeBan, expiresNs, isOver, saysTheSame } from './codecs.ts';
import type { ConfigEntry } from './config-entry.ts';
import { type BanMapName, banKey, banTarget, sourceOf } from './keys.ts';
import { CONFIG_FLAG } from './layouts.ts';
import { joined, type KernelMap } from './maps.ts';
import { ERRNO } from './native.ts';
import type { KernelBan, KernelBanState, WriteOutcome } from './port.ts';

const BAN_MAPS: readonly BanMapName[] = ['ban4', 'ban6', 'ban6x'];

export interface BanMaps {
  put(bans: readonly KernelBan[]): readonly WriteOutcome[];
  remove(targets: readonly Prefix[]): void;
  list(): readonly KernelBanState[];
  /** The ban that a packet of this host prefix meets at `nowNs`. */
  on(host: Prefix, nowNs: bigint): KernelBanState | null;
  /** Takes out what expired by `now`. */
  sweep(now: UnixMs): readonly Prefix[];
}

export function bansOnMaps(maps: Readonly<Record<BanMapName | 'ban4_hint', KernelMap>>, config: ConfigEntry, clock: KernelClock): BanMaps {
  const stateOf = (target: Prefix, value: Uint8Array): KernelBanState => ({ target, ...decodeBan(value, clock) });

  const hint = banHintOn(maps, config);

  /** ban6x is looked at only while it holds something. */
  const noteExact = (): void => config.flag(CONFIG_FLAG.hasBan6x, !maps.ban6x.isEmpty());

  const putInto = (
    map: KernelMap,
    rows: readonly { readonly at: number; readonly key: Uint8Array }[],
    bans: readonly KernelBan[],
    into: WriteOutcome[],
  ): void => {
    const keys = joined(
      rows.map(row => row.key),
      map.keySize,
    );
    // A ban that is prolonged keeps its counter; what is dropped between this look and the write is not counted.
    const before = map.getMany(keys);
    const at = (all: Uint8Array, row: number): Uint8Array => all.subarray(row * map.valueSize, (row + 1) * map.valueSize);
    const values = joined(
      rows.map((row, index) => encodeBan(bans[row.at] as KernelBan, clock, before.found[index] ? dropsOf(at(before.values, index)) : 0)),
      map.valueSize,
    );
    if (map === maps.ban4) hint.set(keys);
    const results = map.putMany(keys, values);
    const after = map.getMany(keys);
    for (const [index, row] of rows.entries()) {
      const target = (bans[row.at] as KernelBan).target;
      const enforced = after.found[index] === true && saysTheSame(at(after.values, index), at(values, index));
      if (!enforced && map === maps.ban4) hint.noteGone();
      const why = results[index] === -ERRNO.E2BIG ? ('full' as const) : ('refused' as const);
      into[row.at] = enforced ? { target, enforced } : { target, enforced, why };
    }
  };

  return {
    put(bans) {
      const outcomes: WriteOutcome[] = bans.map(ban => ({ target: ban.target, enforced: false, why: 'refused' }));
      const rows: Record<BanMapName, Map<Prefix, { at: number; key: Uint8Array }>> = { ban4: new Map(), ban6: new Map(), ban6x: new Map() };
      const repeated: (readonly [at: number, target: Prefix, map: BanMapName])[] = [];
      for (const [at, ban] of bans.entries()) {
        const place = banKey(ban.target);
        if (place === null) continue;
        const earlier = rows[place.map].get(ban.target);
        if (earlier !== undefined) repeated.push([earlier.at, ban.target, place.map]);
        rows[place.map].set(ban.target, { at, key: place.key });
      }
      if (rows.ban6x.size > 0) config.flag(CONFIG_FLAG.hasBan6x, true);
      for (const name of BAN_MAPS) if (rows[name].size > 0) putInto(maps[name], [...rows[name].values()], bans, outcomes);
      // The same target twice in one call: the last one holds, and both are told what became of it.
      for (const [at, target, map] of repeated) outcomes[at] = outcomes[rows[map].get(target)?.at ?? at] as WriteOutcome;
      return outcomes;
    },
    remove(targets) {
      const keys: Record<BanMapName, Uint8Array[]> = { ban4: [], ban6: [], ban6x: [] };
      for (const target of targets) {
        const place = banKey(target);
        if (place !== null) keys[place.map].push(place.key);
      }
      for (const name of BAN_MAPS) if (keys[name].length > 0) maps[name].removeMany(joined(keys[name], maps[name].keySize));
      if (keys.ban4.length > 0) hint.noteGone();
      if (keys.ban6x.length > 0) noteExact();
    },
    list() {
      const bans: KernelBanState[] = [];
      for (const name of BAN_MAPS) for (const [key, value] of maps[name].entries()) bans.push(stateOf(banTarget(name, key), value));
      return bans;
    },
    on(host, nowNs) {
      const wide = familyOf(host) === 6 ? [sourceOf(networkOf(host)), host] : [host];
      for (const target of wide) {
        const place = banKey(target);
        const value = place === null ? null : maps[place.map].get(place.key);
        if (value !== null && (expiresNs(value) === 0n || expiresNs(value) > nowNs)) return stateOf(target, value);
      }
      return null;
    },
    sweep(now) {
      const nowNs = clock.toNs(now);
      const gone: Prefix[] = [];
      for (const name of BAN_MAPS) {
        const keys = maps[name].keysWhere(isOver(nowNs));
        for (const key of keys) gone.push(banTarget(name, key));
        if (keys.length > 0) maps[name].removeMany(joined(keys, maps[name].keySize));
        if (keys.length > 0 && name === 'ban4') hint.noteGone();
      }
      hint.tidy();
      noteExact();
      return gone;
    },
  };
}
