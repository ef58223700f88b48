/** Bytes of the HM1 formats, big-endian: a reader that cannot overrun and a writer that grows. No Buffer: browsers and the hub read these too. */

export const NOTHING: Uint8Array = new Uint8Array(0);

/** Reads on from one place to the next. Once it wanted more than there was, it gives zeros and `ok` stays false: one check at the end is enough. */
export interface ByteReader {
  readonly ok: boolean;
  /** Everything was read and nothing was missing. */
  readonly done: boolean;
  readonly left: number;
  u8(): number;
  u16(): number;
  u32(): number;
  /** Up to 2^53 - 1; more is not `ok`: no counter of an honest peer gets there. */
  u64(): number;
  /** A view, not a copy. */
  bytes(length: number): Uint8Array;
  /** A length in one byte, then Latin-1. */
  text(longest: number): string;
  fail(): void;
}

export function readBytes(source: Uint8Array): ByteReader {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  let at = 0;
  let ok = true;

  const take = (length: number): number => {
    if (!ok || length > source.length - at) {
      ok = false;
      return -1;
    }
    at += length;
    return at - length;
  };

  const reader: ByteReader = {
    get ok() {
      return ok;
    },
    get done() {
      return ok && at === source.length;
    },
    get left() {
      return source.length - at;
    },
    u8() {
      const from = take(1);
      return from < 0 ? 0 : view.getUint8(from);
    },
    u16() {
      const from = take(2);
      return from < 0 ? 0 : view.getUint16(from);
    },
    u32() {
      const from = take(4);
      return from < 0 ? 0 : view.getUint32(from);
    },
    u64() {
      const from = take(8);
      if (from < 0) return 0;
      const value = view.getUint32(from) * 0x1_0000_0000 + view.getUint32(from + 4);
      if (Number.isSafeInteger(value)) return value;
      ok = false;
      return 0;
    },
    bytes(length) {
      const from = take(length);
      return from < 0 ? NOTHING : source.subarray(from, from + length);
    },
    text(longest) {
      const length = reader.u8();
      if (length > longest) ok = false;
      return latin1(reader.bytes(length));
    },
    fail() {
      ok = false;
    },
  };
  return reader;
}

export interface ByteWriter {
  u8(value: number): ByteWriter;
  u16(value: number): ByteWriter;
  u32(value: number): ByteWriter;
  u64(value: number): ByteWriter;
  bytes(value: Uint8Array): ByteWriter;
  /** Throws on a text beyond Latin-1 or longer than 255: the caller's mistake, never a peer's. */
  text(value: string): ByteWriter;
  take(): Uint8Array;
}

export function writeBytes(): ByteWriter {
  let bytes = new Uint8Array(256);
  let view = new DataView(bytes.buffer);
  let length = 0;

  const room = (more: number): number => {
    if (length + more > bytes.length) {
      const larger = new Uint8Array(Math.max(bytes.length * 2, length + more));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
      view = new DataView(bytes.buffer);
    }
    length += more;
    return length - more;
  };

  const writer: ByteWriter = {
    u8(value) {
      const at = room(1);
      view.setUint8(at, value);
      return writer;
    },
    u16(value) {
      const at = room(2);
      view.setUint16(at, value);
      return writer;
    },
    u32(value) {
      const at = room(4);
      view.setUint32(at, value);
      return writer;
    },
    u64(value) {
      if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a counter: ${value}`);
      const at = room(8);
      view.setUint32(at, Math.floor(value / 0x1_0000_0000));
      view.setUint32(at + 4, value >>> 0);
      return writer;
    },
    bytes(value) {
      const at = room(value.length);
      bytes.set(value, at);
      return writer;
    },
    text(value) {
      if (value.length > 255) throw new RangeError(`${value.length} characters in a text of at most 255`);
      writer.u8(value.length);
      return writer.bytes(latin1Bytes(value));
    },
    take: () => bytes.slice(0, length),
  };
  return writer;
}

export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

export function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0xff) throw new RangeError(`not Latin-1: ${JSON.stringify(text)}`);
    bytes[at] = code;
  }
  return bytes;
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

/** The bytes of a text that `hexOf` made. */
export function hexBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1);
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}
