/**
 * When a new group key is accepted, used and the old ones dropped. memberlist's order (add everywhere, use everywhere, remove everywhere) without three
 * rounds: the registrar names the times, far enough apart that everybody has the key before anybody uses it.
 */
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import type { UnixMs } from '@honeymesh/intel/time';
import type { GroupKey } from './sealed-keys.ts';

export type KeyStep =
  | { readonly kind: 'add-key'; readonly key: Uint8Array }
  | { readonly kind: 'use-key'; readonly key: Uint8Array; readonly generation: number }
  | { readonly kind: 'remove-key'; readonly key: Uint8Array };

export interface KeySchedule {
  /** A key of a generation that is not newer than all we know is refused: an old key never comes back. Its first step is for the keyring at once. */
  order(group: GroupKey, now: UnixMs): readonly KeyStep[] | 'stale';
  /** A whole ring that a registrar handed over, primary first. Not newer than the one in use: nothing. Keys that wait for later use stay. */
  adopt(held: { readonly keys: readonly Uint8Array[]; readonly generation: number }): readonly KeyStep[];
  due(now: UnixMs): readonly KeyStep[];
  nextDeadline(): UnixMs | 'never';
  readonly generation: number;
}

/** Waiting generations; each is a registrar's order, so more is a mistake of the operator's. */
const MOST_WAITING = 4;

/** `held`: the keyring as it is, primary first, and the generation of its primary (0: the config's key). */
export function createKeySchedule(held: { readonly keys: readonly Uint8Array[]; readonly generation: number }): KeySchedule {
  let ring = [...held.keys];
  let using = held.generation;
  let latest = held.generation;
  let waiting: GroupKey[] = [];
  /** What is dropped when its successor says so. */
  let dropping: { readonly at: UnixMs; readonly keep: Uint8Array } | null = null;

  function due(now: UnixMs): readonly KeyStep[] {
    const steps: KeyStep[] = [];
    for (const group of waiting) {
      if (group.useAt > now) continue;
      waiting = waiting.filter(one => one !== group);
      if (group.generation < using) continue;
      using = group.generation;
      steps.push({ kind: 'use-key', key: group.key, generation: group.generation });
      dropping = { at: group.dropOldAt, keep: group.key };
    }
    if (dropping !== null && dropping.at <= now) {
      const { keep } = dropping;
      // Keys that wait to be used are younger and stay.
      const kept = (key: Uint8Array): boolean => sameBytes(key, keep) || waiting.some(group => sameBytes(group.key, key));
      for (const key of ring) if (!kept(key)) steps.push({ kind: 'remove-key', key });
      ring = ring.filter(kept);
      dropping = null;
    }
    return steps;
  }

  /** Two registrars at the same moment made keys of one generation: all take the same one, whichever came first. */
  function replaced(rival: GroupKey, group: GroupKey, now: UnixMs): readonly KeyStep[] {
    waiting = waiting.map(one => (one === rival ? group : one));
    ring = [...ring.filter(key => !sameBytes(key, rival.key)), group.key];
    return [{ kind: 'remove-key', key: rival.key }, { kind: 'add-key', key: group.key }, ...due(now)];
  }

  return {
    get generation() {
      return using;
    },
    order(group, now) {
      // Heard again after a restart: the old keys that it was to drop must not be taken until the next rotation.
      if (group.generation === using && dropping === null && ring.length > 1 && ring.some(key => sameBytes(key, group.key))) {
        dropping = { at: group.dropOldAt, keep: group.key };
        return due(now);
      }
      const rival = waiting.find(one => one.generation === group.generation);
      if (rival !== undefined && isAfter(group.key, rival.key)) return replaced(rival, group, now);
      if (group.generation <= latest || waiting.length >= MOST_WAITING) return 'stale';
      latest = group.generation;
      waiting = [...waiting, group].sort((one, other) => one.generation - other.generation);
      const added: KeyStep[] = ring.some(key => sameBytes(key, group.key)) ? [] : [{ kind: 'add-key', key: group.key }];
      if (added.length > 0) ring.push(group.key);
      return [...added, ...due(now)];
    },
    adopt(held) {
      const [primary] = held.keys;
      if (primary === undefined || held.generation <= using) return [];
      using = held.generation;
      latest = Math.max(latest, using);
      waiting = waiting.filter(group => group.generation > using);
      dropping = null;
      const has = (keys: readonly Uint8Array[], key: Uint8Array): boolean => keys.some(one => sameBytes(one, key));
      const wanted = [...held.keys, ...waiting.map(group => group.key)];
      const steps: KeyStep[] = [
        ...held.keys.filter(key => !has(ring, key)).map((key): KeyStep => ({ kind: 'add-key', key })),
        { kind: 'use-key', key: primary, generation: using },
        ...ring.filter(key => !has(wanted, key)).map((key): KeyStep => ({ kind: 'remove-key', key })),
      ];
      ring = [...held.keys, ...ring.filter(key => has(wanted, key) && !has(held.keys, key))];
      return steps;
    },
    due,
    nextDeadline() {
      const times = waiting.map(({ useAt }) => useAt);
      if (dropping !== null) times.push(dropping.at);
      return times.length === 0 ? 'never' : (Math.min(...times) as UnixMs);
    },
  };
}

function isAfter(one: Uint8Array, other: Uint8Array): boolean {
  for (let at = 0; at < one.length; at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
