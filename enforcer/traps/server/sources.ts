/** The open sessions by source. All of an IPv6 /64 are one source, as in the kernel: else one host had 2^64 times its share. */
import { type Address, bitsOf, contains, familyOf, type Prefix, prefixOf } from '@honeymesh/intel/address';

export interface Sourced {
  readonly source: Address;
}

export interface SessionsBySource<T extends Sourced> {
  /** Open sessions of this source. */
  count(source: Address): number;
  add(session: T): void;
  remove(session: T): void;
  /** Those of sources inside `target`. */
  inside(target: Prefix): readonly T[];
}

const SOURCE_BITS = 64;

export function createSessionsBySource<T extends Sourced>(): SessionsBySource<T> {
  const sources = new Map<Address | Prefix, Set<T>>();
  const keyOf = (source: Address): Address | Prefix => (familyOf(source) === 6 ? prefixOf(source, SOURCE_BITS) : source);

  function candidates(target: Prefix): Iterable<T> {
    const bits = bitsOf(target);
    const network = target.slice(0, target.indexOf('/')) as Address;
    // A ban is nearly always of one source, and comes by the thousand: no walk for it.
    if (bits >= (familyOf(target) === 6 ? SOURCE_BITS : 32)) return sources.get(keyOf(network)) ?? [];
    return [...sources].filter(([key]) => contains(target, key)).flatMap(([, sessions]) => [...sessions]);
  }

  return {
    count: source => sources.get(keyOf(source))?.size ?? 0,
    add(session) {
      const key = keyOf(session.source);
      const known = sources.get(key);
      if (known === undefined) sources.set(key, new Set([session]));
      else known.add(session);
    },
    remove(session) {
      const key = keyOf(session.source);
      const known = sources.get(key);
      known?.delete(session);
      if (known?.size === 0) sources.delete(key);
    },
    inside: target => [...candidates(target)].filter(session => contains(target, session.source)),
  };
}
