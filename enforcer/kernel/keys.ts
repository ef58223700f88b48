/** Addresses and prefixes as keys of the maps. */
import { type Address, addressBytes, addressFromBytes, bitsOf, familyOf, networkOf, type Prefix, prefixOf, prefixParts } from '@honeymesh/intel/address';

export type BanMapName = 'ban4' | 'ban6' | 'ban6x';

export interface BanKey {
  readonly map: BanMapName;
  readonly key: Uint8Array;
}

/** Where a ban of `target` lives, or null where only a rule can hold it. Keys are in network order, as in the packet. */
export function banKey(target: Prefix): BanKey | null {
  const { family, bytes, bits } = prefixParts(target);
  if (family === 4) return bits === 32 ? { map: 'ban4', key: bytes.slice(12, 16) } : null;
  if (bits === 64) return { map: 'ban6', key: bytes.slice(0, 8) };
  return bits === 128 ? { map: 'ban6x', key: bytes } : null;
}

export function banTarget(map: BanMapName, key: Uint8Array): Prefix {
  if (map === 'ban4') return `${addressFromBytes(key)}/32` as Prefix;
  if (map === 'ban6x') return `${addressFromBytes(key)}/128` as Prefix;
  const bytes = new Uint8Array(16);
  bytes.set(key);
  return `${addressFromBytes(bytes)}/64` as Prefix;
}

const MAPPED = 0x0000_ffffn;

/** The 64 bits under which trackers, shuns and proven know a source: IPv4 as 0x0000ffff_aabbccdd, IPv6 its /64; a number in host order. */
export function sourceKey(source: Address | Prefix): Uint8Array {
  const bytes = addressBytes(source.includes('/') ? networkOf(source as Prefix) : (source as Address));
  const key = new Uint8Array(8);
  // The 16-byte form of IPv4 ends in 0000ffff_aabbccdd: the same eight bytes, read from the other end.
  const from = familyOf(source) === 4 ? 8 : 0;
  for (let at = 0; at < 8; at++) key[7 - at] = bytes[from + at] ?? 0;
  return key;
}

/** The source of a key: an IPv4 /32 or an IPv6 /64. */
export function sourceOfKey(key: Uint8Array): Prefix {
  const number = new DataView(key.buffer, key.byteOffset, 8).getBigUint64(0, true);
  const bytes = new Uint8Array(16);
  const mapped = number >> 32n === MAPPED;
  new DataView(bytes.buffer).setBigUint64(mapped ? 8 : 0, number);
  return `${addressFromBytes(bytes)}/${mapped ? 32 : 64}` as Prefix;
}

/** The source that a packet from `address` counts for: its /32, or its /64. */
export const sourceOf = (address: Address): Prefix => prefixOf(address, familyOf(address) === 4 ? 32 : 64);

/** Key of pfx4 or pfx6: prefix length in host order, then the bytes. */
export function ruleKey(target: Prefix): { readonly map: 'pfx4' | 'pfx6'; readonly key: Uint8Array } {
  const { family, bytes, bits } = prefixParts(target);
  const wide = family === 6;
  const key = new Uint8Array(wide ? 20 : 8);
  new DataView(key.buffer).setUint32(0, bits, true);
  key.set(wide ? bytes : bytes.subarray(12, 16), 4);
  return { map: wide ? 'pfx6' : 'pfx4', key };
}

export function ruleTarget(key: Uint8Array): Prefix {
  const bits = new DataView(key.buffer, key.byteOffset).getUint32(0, true);
  return `${addressFromBytes(key.slice(4))}/${bits}` as Prefix;
}

/** Whether the ban maps can hold `target`: else it must be a rule. */
export const isByAddress = (target: Prefix): boolean => (familyOf(target) === 4 ? bitsOf(target) === 32 : bitsOf(target) === 64 || bitsOf(target) === 128);
