/** Text to the forms in which the model keeps addresses: hex, strings of bits, source keys. Parsing text is ipaddr.js's work. */
import ipaddr from 'ipaddr.js';

const hex = (bytes: readonly number[] | Uint8Array): string => Buffer.from(bytes).toString('hex');

/** 8 or 32 hex digits. */
export const hexOf = (address: string): string => hex(ipaddr.parse(address).toByteArray());

/** 32 hex digits: IPv4 as ::ffff:a.b.c.d. */
export const wide = (hexAddress: string): string => (hexAddress.length === 8 ? `00000000000000000000ffff${hexAddress}` : hexAddress);

export const bitsOfHex = (hexAddress: string): string => [...hexAddress].map(digit => Number.parseInt(digit, 16).toString(2).padStart(4, '0')).join('');

/** The bits that a source must start with, as '0' and '1'. */
export function prefixBits(prefix: string): { readonly family: 4 | 6; readonly bits: string } {
  const [address = '', length = ''] = prefix.split('/');
  const digits = hexOf(address);
  return { family: digits.length === 8 ? 4 : 6, bits: bitsOfHex(digits).slice(0, Number(length)) };
}

/** The 64-bit source key: the /64 of an IPv6 source, 0x0000ffff_aabbccdd of an IPv4 source. */
export const keyOfHex = (hexAddress: string): bigint => BigInt(`0x${hexAddress.length === 8 ? `0000ffff${hexAddress}` : hexAddress.slice(0, 16)}`);
export const keyOf = (address: string): bigint => keyOfHex(hexOf(address));

/** The /16s that an IPv4 prefix touches. */
export function touchedSixteens(prefix: string): number[] {
  const { family, bits } = prefixBits(prefix);
  if (family === 6) return [];
  const first = Number.parseInt(bits.padEnd(32, '0').slice(0, 16), 2);
  const count = bits.length >= 16 ? 1 : 2 ** (16 - bits.length);
  return Array.from({ length: count }, (_, at) => first + at);
}
