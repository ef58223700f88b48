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
  // A dotted quad that is accepted is canonical as it stands; each observation of a trap is read so.
  if (!text.includes(':')) return text.length <= LONGEST_TEXT && readV4(text, 0, text.length) >= 0 ? parsed(text as Address) : unparsed('not-an-address');
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
  const family = familyOf(outer);
  if (familyOf(inner) !== family) return false;
  const outerSlash = outer.indexOf('/');
  const innerSlash = inner.indexOf('/');
  const bits = Number(outer.slice(outerSlash + 1));
  if (innerSlash >= 0 && Number(inner.slice(innerSlash + 1)) < bits) return false;
  if (family === 4) {
    // Asked tens of thousands of times in a row (who is proven in this prefix?): no bytes are made for IPv4.
    const shift = 32 - bits;
    return shift === 32 || readV4(outer, 0, outerSlash) >>> shift === readV4(inner, 0, innerSlash < 0 ? inner.length : innerSlash) >>> shift;
  }
  const network = readV6(outer, outerSlash);
  const bytes = readV6(inner, innerSlash < 0 ? inner.length : innerSlash);
  return network !== undefined && bytes !== undefined && commonBits(network, bytes, bits) === bits;
}

/** How many leading bits two 16-byte forms share, at most `limit`. */
export function commonBits(one: Uint8Array, other: Uint8Array, limit: number): number {
  for (let at = 0; at * 8 < limit; at++) {
    const differing = (one[at] ?? 0) ^ (other[at] ?? 0);
    if (differing !== 0) return Math.min(limit, at * 8 + Math.clz32(differing) - 24);
  }
  return limit;
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
  if (text.includes(':')) return readV6(text, text.length);
  const value = readV4(text, 0, text.length);
  if (value < 0) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(MAPPED);
  putV4(bytes, 12, value);
  return bytes;
}

function putV4(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** The 32 bits of the dotted quad in [from, to), or -1. */
function readV4(text: string, from: number, to: number): number {
  let value = 0;
  let part = -1; // -1: no digit of this part yet
  let dots = 0;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit === DOT) {
      if (part < 0 || ++dots > 3) return -1;
      value = value * 256 + part;
      part = -1;
    } else if (digit < 0 || digit > 9 || part === 0) {
      return -1; // a zero leads: an octal to some, a slip to others
    } else {
      part = part < 0 ? digit : part * 10 + digit;
      if (part > 255) return -1;
    }
  }
  return dots === 3 && part >= 0 ? value * 256 + part : -1;
}

const DOT = 46 - 48;

/** The 16 bytes of the IPv6 address in [0, to). */
function readV6(text: string, to: number): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  let length = 0;
  let gapAt = -1; // where `::` stands, in bytes
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (to < 2 || text.charCodeAt(1) !== COLON) return undefined;
    gapAt = 0;
    at = 2;
  }
  while (at < to) {
    const start = at;
    let group = 0;
    let digit = at < to ? hexDigit(text.charCodeAt(at)) : -1;
    while (digit >= 0 && at - start < 4) {
      group = group * 16 + digit;
      at++;
      digit = at < to ? hexDigit(text.charCodeAt(at)) : -1;
    }
    if (at === start || length > 14) return undefined;
    if (at < to && text.charCodeAt(at) === DOT + 48) {
      const value = length > 12 ? -1 : readV4(text, start, to);
      if (value < 0) return undefined;
      putV4(bytes, length, value);
      length += 4;
      break;
    }
    bytes[length++] = group >> 8;
    bytes[length++] = group;
    if (at === to) break;
    if (text.charCodeAt(at++) !== COLON || at === to) return undefined; // a fifth digit, a zone, or a colon that ends the text
    if (text.charCodeAt(at) === COLON) {
      if (gapAt >= 0) return undefined;
      gapAt = length;
      at++;
    }
  }
  if (gapAt < 0) return length === 16 ? bytes : undefined;
  if (length > 14) return undefined;
  bytes.copyWithin(16 - (length - gapAt), gapAt, length);
  bytes.fill(0, gapAt, 16 - (length - gapAt));
  return bytes;
}

const COLON = 58;

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
