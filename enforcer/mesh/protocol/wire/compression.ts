/** Message type 9: another message, compressed. LZW is the only algorithm that memberlist knows. */
import { type Parsed, unparsed } from '@honeymesh/intel/parsed';
import { MESSAGE_TYPE } from '../messages.ts';
import { COMPRESSED } from './bodies.ts';
import type { WireFault } from './faults.ts';
import { compressLzw, expandLzw } from './lzw.ts';
import { Cursor, type CursorBounds } from './msgpack-cursor.ts';
import { Writer } from './msgpack-writer.ts';

const LZW = 0;

/** `plain` as a message of type 9, whether or not that is shorter. */
export function compressed(plain: Uint8Array): Uint8Array {
  const writer = new Writer();
  writer.byte(MESSAGE_TYPE.compress);
  COMPRESSED.write(writer, { Algo: LZW, Buf: compressLzw(plain) });
  return writer.written();
}

/** What the message of type 9 at the start of `bytes` holds: at least a byte, at most `limit`. `truncated` where more of it may be on its way. */
export function expanded(bytes: Uint8Array, limit: number, bounds: CursorBounds): Parsed<Uint8Array, WireFault> {
  const cursor = new Cursor(bytes, 1, bounds);
  const { Algo, Buf } = COMPRESSED.read(cursor);
  if (cursor.fault !== null) return unparsed(cursor.fault);
  if (Algo !== LZW) return unparsed('bad-compression');
  const expansion = expandLzw(Buf, limit);
  return expansion.ok && expansion.value.length === 0 ? unparsed('empty-expansion') : expansion;
}
