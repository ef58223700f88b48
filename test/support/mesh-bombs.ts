/** Small messages that claim, or expand to, a great deal. Plaintext: whoever sends them holds the cluster's key. */
import { createCipheriv } from 'node:crypto';
import { joined, u32Bytes } from '#enforcer/mesh/protocol/wire/bytes.ts';
import { compound } from '#enforcer/mesh/protocol/wire/compound.ts';
import { compressed } from '#enforcer/mesh/protocol/wire/compression.ts';

/** A datagram of encryption version 0 whose last byte says how much padding to cut off, which is more than there is, or none. */
export function badPadding({ key, label, last }: { readonly key: Uint8Array; readonly label: string; readonly last: number }): Uint8Array {
  const nonce = Buffer.alloc(12, last);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(label));
  const body = Buffer.concat([cipher.update(Buffer.alloc(16, last)), cipher.final()]);
  const head = label === '' ? [] : [Buffer.of(244, label.length), Buffer.from(label)];
  return Buffer.concat([...head, Buffer.of(0), nonce, body, cipher.getAuthTag()]);
}

export type Bomb = readonly [name: string, plain: Uint8Array];

const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
const raw = (text: string): Uint8Array => joined(Uint8Array.of(0xa0 + text.length), Buffer.from(text));
const TYPE = { alive: 4, pushPull: 6, user: 8, compress: 9 } as const;
/** In one datagram on loopback, with label and encryption. */
const MOST = 65_000;

const compressMessage = (packed: Uint8Array): Uint8Array =>
  joined(Uint8Array.of(TYPE.compress, 0x82), raw('Algo'), Uint8Array.of(0), raw('Buf'), Uint8Array.of(0xda), u16(packed.length), packed);

/** Codes of rising width, least significant bit first; each the longest string that the table has: 2558 bytes for one in the long run. */
function neverCleared(codes: number): Uint8Array {
  const bytes: number[] = [];
  let [held, bits] = [0, 0];
  for (let at = 0; at < codes; at++) {
    const width = Math.min(12, Math.max(9, Math.floor(Math.log2(257 + at)) + 1));
    held |= (at === 0 ? 0 : Math.min(4095, 257 + at)) << bits;
    for (bits += width; bits >= 8; bits -= 8) {
      bytes.push(held & 255);
      held >>>= 8;
    }
  }
  return Uint8Array.from([...bytes, held & 255]);
}

function nested(levels: number, wrap: (inner: Uint8Array) => Uint8Array): Uint8Array {
  let message: Uint8Array = Uint8Array.of(TYPE.user, 0x78);
  for (let level = 0; level < levels; level++) message = wrap(message);
  return message;
}

/** 16 MiB of nothing in 12 KiB: what Go's own encoder makes of it, 1355 to one. */
const packedZeros = compressed(new Uint8Array(16 * 1024 * 1024));

export const PACKET_BOMBS: readonly Bomb[] = [
  ['LZW as Go writes it, 1355 to one', packedZeros],
  ['LZW that never clears its table, to 160 MB', compressMessage(neverCleared(43_000))],
  ['several of these beside each other', compound(Array.from({ length: 4 }, () => packedZeros))],
  ['LZW in LZW', compressed(packedZeros)],
  ['compounds thousands deep', nested(8000, inner => (inner.length > MOST ? inner : compound([inner])))],
  ['compounds of compounds of compounds', nested(3, inner => compound(Array.from({ length: 23 }, () => inner)))],
  ['a map of four thousand million pairs', Uint8Array.of(TYPE.alive, 0xdf, 0xff, 0xff, 0xff, 0xff)],
  ['an array of four thousand million', Uint8Array.of(TYPE.alive, 0xdd, 0xff, 0xff, 0xff, 0xff)],
  ['a text of four gigabytes', joined(Uint8Array.of(TYPE.alive, 0x81), raw('Node'), Uint8Array.of(0xdb, 0xff, 0xff, 0xff, 0xff, 0x78))],
  ['arrays in arrays, thousands deep', joined(Uint8Array.of(TYPE.alive, 0x81), raw('Else'), new Uint8Array(60_000).fill(0x91))],
  ['sixty thousand unknown values', joined(Uint8Array.of(TYPE.alive, 0xde, 0x75, 0x30), new Uint8Array(60_000).fill(0xa0))],
];

const header = (nodes: Uint8Array, userState: Uint8Array): Uint8Array =>
  joined(Uint8Array.of(TYPE.pushPull, 0x83), raw('Join'), Uint8Array.of(0xc3), raw('Nodes'), nodes, raw('UserStateLen'), userState);
const u32 = (value: number): Uint8Array => joined(Uint8Array.of(0xce), u32Bytes(value));

export const STREAM_BOMBS: readonly Bomb[] = [
  ['LZW as Go writes it, 1355 to one', packedZeros],
  ['LZW that never clears its table, to 160 MB', compressMessage(neverCleared(43_000))],
  ['a table of ten million members', header(u32(10_000_000), Uint8Array.of(0))],
  ['a table of a million members that are nothing', joined(header(u32(1_048_576), Uint8Array.of(0)), new Uint8Array(60_000).fill(0x80))],
  ['a state of 30 MB', header(Uint8Array.of(0), u32(30_000_000))],
  ['a message of four gigabytes', joined(Uint8Array.of(TYPE.user, 0x81), raw('UserMsgLen'), u32(0xffff_ffff))],
  ['a member of arrays in arrays', joined(header(Uint8Array.of(1), Uint8Array.of(0)), Uint8Array.of(0x81), raw('Else'), new Uint8Array(60_000).fill(0x91))],
];
