/**
 * The words that hold, of ourselves and of others, in one file: after a restart what was withdrawn cannot be replayed to us, and we can repair others.
 *
 *     'HMK' | version u8 | count u32 | envelope: u16 length, bytes | SHA-256 of all before
 */
import { LONGEST_ENVELOPE_BYTES } from '@honeymesh/intel/envelope';
import { latin1Bytes, readBytes, sameBytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { sha256 } from '../signed/keys.ts';
import { BOOK_LIMITS } from '../signed/live-book.ts';

const MAGIC = latin1Bytes('HMK');
const VERSION = 1;
const HASH_BYTES = 32;
const HEAD_BYTES = MAGIC.length + 1 + 4;
const LENGTH_BYTES = 2;
const SHORTEST_ENVELOPE_BYTES = 109;

/** What the book holds at the most, and what the file adds to each. */
export const LONGEST_ENVELOPE_FILE = BOOK_LIMITS.bytes + Math.ceil(BOOK_LIMITS.bytes / SHORTEST_ENVELOPE_BYTES) * LENGTH_BYTES + HEAD_BYTES + HASH_BYTES;

/** What would not fit any more is left out: the last ones. */
export function encodeEnvelopes(envelopes: readonly Uint8Array[]): Uint8Array {
  let room = LONGEST_ENVELOPE_FILE - HEAD_BYTES - HASH_BYTES;
  const kept = envelopes.filter(bytes => {
    if (bytes.length > LONGEST_ENVELOPE_BYTES) return false;
    room -= bytes.length + LENGTH_BYTES;
    return room >= 0;
  });
  const writer = writeBytes().bytes(MAGIC).u8(VERSION).u32(kept.length);
  for (const bytes of kept) writer.u16(bytes.length).bytes(bytes);
  const unsigned = writer.take();
  return Buffer.concat([unsigned, sha256(unsigned)]);
}

/** Null: it is not what was written. */
export function decodeEnvelopes(bytes: Uint8Array): readonly Uint8Array[] | null {
  if (bytes.length < HEAD_BYTES + HASH_BYTES || bytes.length > LONGEST_ENVELOPE_FILE) return null;
  const body = bytes.subarray(0, bytes.length - HASH_BYTES);
  if (!sameBytes(body.subarray(0, MAGIC.length), MAGIC) || body[MAGIC.length] !== VERSION) return null;
  if (!sameBytes(sha256(body), bytes.subarray(body.length))) return null;
  const reader = readBytes(body.subarray(MAGIC.length + 1));
  const envelopes: Uint8Array[] = [];
  for (let left = reader.u32(); left > 0 && reader.ok; left--) envelopes.push(Uint8Array.from(reader.bytes(reader.u16())));
  return reader.done ? envelopes : null;
}
