/**
 * Prefixes with a value each, found by what covers them or lies in them without a scan: one path-compressed binary trie a family
 * (Morrison, PATRICIA, JACM 1968), 2n - 1 nodes at most, at most 33 or 129 steps a look-up, whatever an attacker puts in.
 */
import { type Address, commonBits, familyOf, hostPrefix, type Prefix, prefixParts } from './address.ts';

interface Node<V> {
  readonly bytes: Uint8Array;
  /** Counted in the 16-byte form. */
  readonly bits: number;
  /** Undefined: a fork without a value of its own. */
  prefix: Prefix | undefined;
  value: V | undefined;
  zero: Node<V> | undefined;
  one: Node<V> | undefined;
}

export interface PrefixTable<V> {
  readonly size: number;
  get(prefix: Prefix): V | undefined;
  set(prefix: Prefix, value: V): void;
  delete(prefix: Prefix): boolean;
  /** What equals or covers `target`, widest first. */
  covering(target: Prefix | Address): readonly V[];
  /** What equals `target` or lies in it, in the order of addresses; at most `limit`. */
  within(target: Prefix, limit?: number): readonly V[];
  /** In the order in which they came in; an array of the caller's own. */
  values(): V[];
}

interface Key {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

export function createPrefixTable<V>(): PrefixTable<V> {
  const exact = new Map<Prefix, Node<V>>();
  const roots: Record<4 | 6, Node<V> | undefined> = { 4: undefined, 6: undefined };

  return {
    get size() {
      return exact.size;
    },
    get: prefix => exact.get(prefix)?.value,
    set(prefix, value) {
      const known = exact.get(prefix);
      if (known !== undefined) {
        known.value = value;
        return;
      }
      const leaf: Node<V> = { ...keyOf(prefix), prefix, value, zero: undefined, one: undefined };
      exact.set(prefix, leaf);
      const family = familyOf(prefix);
      roots[family] = inserted(roots[family], leaf);
    },
    delete(prefix) {
      if (!exact.delete(prefix)) return false;
      const family = familyOf(prefix);
      roots[family] = removed(roots[family], keyOf(prefix));
      return true;
    },
    covering(target) {
      const key = keyOf(target);
      const found: V[] = [];
      let node = roots[familyOf(target)];
      while (node !== undefined && node.bits <= key.bits && commonBits(node.bytes, key.bytes, node.bits) === node.bits) {
        if (node.prefix !== undefined) found.push(node.value as V);
        if (node.bits === key.bits) break;
        node = child(node, key.bytes);
      }
      return found;
    },
    within(target, limit = Number.POSITIVE_INFINITY) {
      const key = keyOf(target);
      let node = roots[familyOf(target)];
      while (node !== undefined && node.bits < key.bits) {
        if (commonBits(node.bytes, key.bytes, node.bits) < node.bits) return [];
        node = child(node, key.bytes);
      }
      const found: V[] = [];
      if (node !== undefined && commonBits(node.bytes, key.bytes, key.bits) === key.bits) collect(node, found, limit);
      return found;
    },
    values() {
      const all: V[] = [];
      for (const node of exact.values()) all.push(node.value as V);
      return all;
    },
  };
}

function keyOf(target: Prefix | Address): Key {
  const { family, bytes, bits } = prefixParts(target.includes('/') ? (target as Prefix) : hostPrefix(target as Address));
  return { bytes, bits: family === 4 ? 96 + bits : bits };
}

const bitAt = (bytes: Uint8Array, bit: number): number => ((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1;

const child = <V>(node: Node<V>, bytes: Uint8Array): Node<V> | undefined => (bitAt(bytes, node.bits) === 0 ? node.zero : node.one);

function adopt<V>(parent: Node<V>, branch: Node<V> | undefined, bytes: Uint8Array): void {
  if (bitAt(bytes, parent.bits) === 0) parent.zero = branch;
  else parent.one = branch;
}

function inserted<V>(node: Node<V> | undefined, leaf: Node<V>): Node<V> {
  if (node === undefined) return leaf;
  const common = commonBits(node.bytes, leaf.bytes, Math.min(node.bits, leaf.bits));
  if (common === node.bits) {
    if (leaf.bits === node.bits) {
      // A fork until now: what it forked is the leaf's, which the table knows.
      leaf.zero = node.zero;
      leaf.one = node.one;
      return leaf;
    }
    adopt(node, inserted(child(node, leaf.bytes), leaf), leaf.bytes);
    return node;
  }
  if (common === leaf.bits) {
    adopt(leaf, node, node.bytes);
    return leaf;
  }
  const fork: Node<V> = { bytes: leaf.bytes, bits: common, prefix: undefined, value: undefined, zero: undefined, one: undefined };
  adopt(fork, node, node.bytes);
  adopt(fork, leaf, leaf.bytes);
  return fork;
}

/** `key` is in the trie: the caller looked. */
function removed<V>(node: Node<V> | undefined, key: Key): Node<V> | undefined {
  if (node === undefined) return undefined;
  if (node.bits === key.bits) {
    node.prefix = undefined;
    node.value = undefined;
  } else {
    adopt(node, removed(child(node, key.bytes), key), key.bytes);
  }
  if (node.prefix !== undefined || (node.zero !== undefined && node.one !== undefined)) return node;
  return node.zero ?? node.one;
}

function collect<V>(node: Node<V>, into: V[], limit: number): void {
  if (into.length >= limit) return;
  if (node.prefix !== undefined) into.push(node.value as V);
  if (node.zero !== undefined) collect(node.zero, into, limit);
  if (node.one !== undefined) collect(node.one, into, limit);
}
