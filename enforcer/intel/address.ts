/**
 * Addresses and prefixes in one canonical text each (RFC 5952 for IPv6, dotted for IPv4, IPv4-mapped IPv6 folded into IPv4),
 * so that equal things are equal strings; the 16-byte form is for the wire and for kernel keys.
 */
import { type Parsed, parsed, unparsed } from './parsed.ts';

/** Canonical text of one address, such as `203.0.113.7` or `2001:db8::7`. */
export type Address = string & { readonly __brand: 'Address' };
/** Canonical text of a prefix with no host bits set, such as `203.0.113.0/24`; a single address is `/32` or `/128`. */
export type Prefix = string & { readonly __brand: 'Prefix' };
export type Family = 4 | 6;
export type AddressFailure = 'not-an-address' | 'not-a-prefix' | 'host-bits-set' | 'bad-prefix-length';

/** A prefix taken apart. `bytes` is the 16-byte form (IPv4 as ::ffff:a.b.c.d), `bits` counts in the family's own width. */
export interface PrefixParts {
  readonly family: Family;
  readonly bytes: Uint8Array;
  readonly bits: number;
}

const LONGEST_TEXT = 49; // an IPv4-mapped IPv6 address in full, with /128
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] as const;

/** Reads one address. Zone ids, ports, leading zeros and legacy IPv4 forms (`127.1`, `0x7f000001`) are refused. */
export function parseAddress(text: string): Parsed<Address, AddressFailure> {
  const bytes = readBytes(text);
  return bytes === undefined ? unparsed('not-an-address') : parsed(addressFromBytes(bytes));
}

/** Reads a prefix or a bare address. Host bits must be zero: `203.0.113.7/24` is more often a slip than a wish. */
export function parsePrefix(text: string): Parsed<Prefix, AddressFailure> {
  if (text.length > LONGEST_TEXT) return unparsed('not-a-prefix');
  const slash = text.indexOf('/');
  const bytes = readBytes(slash < 0 ? text : text.slice(0, slash));
  if (bytes === undefined) return unparsed(slash < 0 ? 'not-an-address' : 'not-a-prefix');
  const v4 = isMapped(bytes);
  const written = slash < 0 ? undefined : text.slice(slash + 1);
  if (written !== undefined && !/^(0|[1-9]\d{0,2})$/.test(written)) return unparsed('bad-prefix-length');
  const colon = text.includes(':');
  let bits = written === undefined ? (v4 ? 32 : 128) : Number(written);
  if (v4 && colon && written !== undefined) bits -= 96; // ::ffff:203.0.113.0/120 is 203.0.113.0/24
  if (bits < 0 || bits > (v4 ? 32 : 128)) return unparsed('bad-prefix-length');
  const from = v4 ? 96 + bits : bits;
  for (let bit = from; bit < 128; bit++) if (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) return unparsed('host-bits-set');
  return parsed(prefixFromBytes(bytes, bits));
}

/** The prefix that holds `address` at `bits` (in the family's own width): host bits are cleared. */
export function prefixOf(address: Address, bits: number): Prefix {
  const bytes = addressBytes(address);
  const from = familyOf(address) === 4 ? 96 + bits : bits;
  for (let bit = from; bit < 128; bit++) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) & ~(0x80 >> (bit & 7));
  return prefixFromBytes(bytes, bits);
}

/** The address as a prefix of its own: /32 or /128. */
export const hostPrefix = (address: Address): Prefix => `${address}/${familyOf(address) === 4 ? 32 : 128}` as Prefix;

/** The prefix widened to `bits`, or itself where it is that wide already. */
export function widen(prefix: Prefix, bits: number): Prefix {
  const parts = prefixParts(prefix);
  return parts.bits <= bits ? prefix : prefixOf(networkOf(prefix), bits);
}

export const familyOf = (text: Address | Prefix): Family => (text.includes(':') ? 6 : 4);
export const networkOf = (prefix: Prefix): Address => prefix.slice(0, prefix.indexOf('/')) as Address;
export const bitsOf = (prefix: Prefix): number => Number(prefix.slice(prefix.indexOf('/') + 1));
export const isHostPrefix = (prefix: Prefix): boolean => bitsOf(prefix) === (familyOf(prefix) === 4 ? 32 : 128);

export function prefixParts(prefix: Prefix): PrefixParts {
  return { family: familyOf(prefix), bytes: addressBytes(networkOf(prefix)), bits: bitsOf(prefix) };
}

/** Whether every address of `inner` lies in `outer`. Families never contain each other. */
export function contains(outer: Prefix, inner: Prefix | Address): boolean {
  const out = prefixParts(outer);
  const isPrefix = inner.includes('/');
  if (familyOf(inner) !== out.family) return false;
  if (isPrefix && bitsOf(inner as Prefix) < out.bits) return false;
  const bytes = addressBytes(isPrefix ? networkOf(inner as Prefix) : (inner as Address));
  const bits = out.family === 4 ? 96 + out.bits : out.bits;
  const whole = bits >> 3;
  for (let at = 0; at < whole; at++) if (bytes[at] !== out.bytes[at]) return false;
  if ((bits & 7) === 0) return true;
  const mask = (0xff << (8 - (bits & 7))) & 0xff;
  return ((bytes[whole] ?? 0) & mask) === ((out.bytes[whole] ?? 0) & mask);
}

export const overlaps = (one: Prefix, other: Prefix): boolean => contains(one, other) || contains(other, one);

/** The 16-byte form of an address that is canonical already. */
export function addressBytes(address: Address): Uint8Array {
  return readBytes(address) ?? new Uint8Array(16);
}

/** Canonical text of 16 bytes (or of 4 bytes of IPv4). */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length === 4) return bytes.join('.') as Address;
  if (isMapped(bytes)) return bytes.subarray(12, 16).join('.') as Address;
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0));
  let bestAt = -1;
  let bestLength = 1; // RFC 5952, 4.2.2: a single zero group is not shortened
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > bestLength) {
      bestAt = at;
      bestLength = length;
    }
    at += length;
  }
  const hex = (part: readonly number[]): string => part.map(group => group.toString(16)).join(':');
  if (bestAt < 0) return hex(groups) as Address;
  return `${hex(groups.slice(0, bestAt))}::${hex(groups.slice(bestAt + bestLength))}` as Address;
}

function prefixFromBytes(bytes: Uint8Array, bits: number): Prefix {
  return `${addressFromBytes(bytes)}/${bits}` as Prefix;
}

function isMapped(bytes: Uint8Array): boolean {
  return MAPPED.every((byte, at) => bytes[at] === byte);
}

function readBytes(text: string): Uint8Array | undefined {
  if (text.length > LONGEST_TEXT) return undefined;
  const bytes = new Uint8Array(16);
  if (!text.includes(':')) {
    bytes.set(MAPPED);
    return readV4(text, bytes, 12) ? bytes : undefined;
  }
  return readV6(text, bytes);
}

function readV4(text: string, into: Uint8Array, at: number): boolean {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return false;
  for (let part = 1; part <= 4; part++) {
    const digits = match[part] ?? '';
    if (Number(digits) > 255 || (digits.length > 1 && digits.startsWith('0'))) return false;
    into[at + part - 1] = Number(digits);
  }
  return true;
}

function readV6(text: string, bytes: Uint8Array): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = readGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? readGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const length = head.length + tail.length;
  if (halves.length === 1 ? length !== 16 : length > 14) return undefined;
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

function readGroups(text: string, mayEndInV4: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [at, group] of groups.entries()) {
    if (mayEndInV4 && at === groups.length - 1 && group.includes('.')) {
      const v4 = new Uint8Array(4);
      if (!readV4(group, v4, 0)) return undefined;
      bytes.push(...v4);
      continue;
    }
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    const value = Number.parseInt(group, 16);
    bytes.push(value >> 8, value & 0xff);
  }
  return bytes.length > 16 ? undefined : bytes;
}
