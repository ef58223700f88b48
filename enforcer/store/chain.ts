/** The hash chain: each link is SHA-256 over the link before it and one unambiguous encoding of the values it stands for. */
import { hash } from 'node:crypto';

/** What a column of the log may hold. Texts may come as their UTF-8 bytes: both hash alike. */
export type ChainValue = null | number | string | Uint8Array;

/** The link before the first, one for each chain, so that no link of one fits into another. */
export const GENESIS = {
  events: hash('sha256', 'HoneyMesh events 1', 'buffer'),
  seals: hash('sha256', 'HoneyMesh seals 1', 'buffer'),
  retired: hash('sha256', 'HoneyMesh retired 1', 'buffer'),
} as const;

const TAG_NULL = 0;
const TAG_NUMBER = 1;
const TAG_BYTES = 2;
const SHORT_TEXT = 32; // characters

let scratch = Buffer.allocUnsafe(64 * 1024);

/** The link after `before` that stands for `values`. Tags and lengths keep `["ab", "c"]` and `["a", "bc"]` apart. */
export function link(before: Uint8Array, values: readonly ChainValue[]): Buffer {
  let at = 0;
  const room = (bytes: number): void => {
    if (at + bytes <= scratch.length) return;
    const wider = Buffer.allocUnsafe((at + bytes) * 2);
    scratch.copy(wider, 0, 0, at);
    scratch = wider;
  };
  room(before.length);
  scratch.set(before, at);
  at += before.length;
  for (const value of values) {
    if (value === null) {
      room(1);
      scratch[at++] = TAG_NULL;
    } else if (typeof value === 'number') {
      room(9);
      scratch[at++] = TAG_NUMBER;
      at = scratch.writeDoubleBE(value, at);
    } else {
      room(5 + (typeof value === 'string' ? value.length * 3 : value.length));
      const start = at + 5;
      scratch[at] = TAG_BYTES;
      at = typeof value === 'string' ? writeText(value, start) : writeBytes(value, start);
      scratch.writeUInt32BE(at - start, start - 4);
    }
  }
  return hash('sha256', scratch.subarray(0, at), 'buffer');
}

function writeBytes(bytes: Uint8Array, at: number): number {
  scratch.set(bytes, at);
  return at + bytes.length;
}

/** As UTF-8. Most texts of a row are short words of closed lists, for which a call into the runtime costs more than the loop. */
function writeText(text: string, at: number): number {
  if (text.length > SHORT_TEXT) return at + scratch.write(text, at);
  for (let nth = 0; nth < text.length; nth++) {
    const code = text.charCodeAt(nth);
    if (code > 0x7f) return at + scratch.write(text, at);
    scratch[at + nth] = code;
  }
  return at + text.length;
}

export const sameHash = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
