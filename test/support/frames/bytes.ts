/** Bytes in network order, addresses and the Internet checksum (RFC 1071): what all layers of the frame builder stand on. */
import ipaddr from 'ipaddr.js';

export const concat = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

export const u16 = (value: number): readonly [number, number] => [(value >> 8) & 0xff, value & 0xff];
export const u32 = (value: number): readonly [number, number, number, number] => [
  (value >>> 24) & 0xff,
  (value >>> 16) & 0xff,
  (value >>> 8) & 0xff,
  value & 0xff,
];

/** 4 or 16 bytes of an address in text. Throws on nonsense: only tests call it. An IPv4-mapped IPv6 address stays 16 bytes. */
export const addressToBytes = (text: string): Uint8Array => Uint8Array.from(ipaddr.parse(text).toByteArray());

/** `02:00:00:00:00:01` as 6 bytes. */
export const macToBytes = (text: string): Uint8Array => Uint8Array.from(text.split(':'), part => Number.parseInt(part, 16));

/** One's complement sum of all parts, complemented. An odd part is padded with a zero byte, so only the last may be odd. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
