/** ASN.1 in basic encoding, as much of it as LDAP and SNMP use: definite lengths, tags of one byte, bounded depth by not recursing. */
import { bytesOf, type Part } from './bytes.ts';

export interface BerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Header and content. */
  readonly bytes: number;
}

export const BER_INTEGER = 0x02;
export const BER_OCTETS = 0x04;
export const BER_NULL = 0x05;
export const BER_OID = 0x06;
export const BER_ENUMERATED = 0x0a;
export const BER_BOOLEAN = 0x01;
export const BER_SEQUENCE = 0x30;
export const BER_SET = 0x31;

/** The element at the start of `bytes`; `more` if it is cut short, `malformed` if no more bytes could mend it. Never throws. */
export function berElement(bytes: Uint8Array): BerElement | 'more' | 'malformed' {
  const [tag, first] = bytes;
  if (tag === undefined) return 'more';
  if ((tag & 0x1f) === 0x1f) return 'malformed'; // tags of several bytes: neither protocol has any
  if (first === undefined) return 'more';
  let length = first;
  let at = 2;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4) return 'malformed';
    length = 0;
    for (; octets > at - 2; at++) {
      const octet = bytes[at];
      if (octet === undefined) return 'more';
      length = length * 0x100 + octet;
    }
  }
  if (bytes.length < at + length) return length > MOST_BYTES ? 'malformed' : 'more';
  return { tag, content: bytes.subarray(at, at + length), bytes: at + length };
}

const MOST_BYTES = 1 << 24;
const MOST_ELEMENTS = 64;

/** The elements one after the other in `content`, as many as are whole; no more than 64. Never throws. */
export function berElements(content: Uint8Array): BerElement[] {
  const elements: BerElement[] = [];
  let at = 0;
  while (at < content.length && elements.length < MOST_ELEMENTS) {
    const element = berElement(content.subarray(at));
    if (typeof element === 'string') break;
    elements.push(element);
    at += element.bytes;
  }
  return elements;
}

/** A non-negative integer of at most four bytes; others are -1. */
export function berNumber(element: BerElement | undefined): number {
  if (element === undefined || element.content.length === 0 || element.content.length > 5 || (element.content[0] ?? 0) > 0x7f) return -1;
  return element.content.reduce((number, octet) => number * 0x100 + octet, 0);
}

/** An element in the shortest encoding. */
export function ber(tag: number, ...parts: readonly Part[]): Uint8Array {
  const content = bytesOf(...parts);
  const { length } = content;
  if (length < 0x80) return bytesOf(tag, length, content);
  if (length < 0x100) return bytesOf(tag, 0x81, length, content);
  return bytesOf(tag, 0x82, length >>> 8, length & 0xff, content);
}

/** An integer from 0 to 2^31 - 1. */
export function berInteger(value: number, tag: number = BER_INTEGER): Uint8Array {
  const octets: number[] = [];
  let left = value;
  do {
    octets.unshift(left & 0xff);
    left >>>= 8;
  } while (left > 0);
  if ((octets[0] ?? 0) > 0x7f) octets.unshift(0);
  return ber(tag, octets);
}
