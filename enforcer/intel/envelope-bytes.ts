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

export const readBytes = (source: Uint8Array): ByteReader => new Reader(source);

// Classes, as each envelope and each look at one makes some: with closures in their place half the time went into making these.
class Reader implements ByteReader {
  readonly #source: Uint8Array;
  #at = 0;
  #ok = true;

  constructor(source: Uint8Array) {
    this.#source = source;
  }

  get ok(): boolean {
    return this.#ok;
  }

  get done(): boolean {
    return this.#ok && this.#at === this.#source.length;
  }

  get left(): number {
    return this.#source.length - this.#at;
  }

  u8(): number {
    return this.#number(1);
  }

  u16(): number {
    return this.#number(2);
  }

  u32(): number {
    return this.#number(4);
  }

  u64(): number {
    const value = this.#number(8);
    if (Number.isSafeInteger(value)) return value;
    this.#ok = false;
    return 0;
  }

  bytes(length: number): Uint8Array {
    const from = this.#take(length);
    return from < 0 ? NOTHING : this.#source.subarray(from, from + length);
  }

  text(longest: number): string {
    const length = this.u8();
    if (length > longest) this.#ok = false;
    return latin1(this.bytes(length));
  }

  fail(): void {
    this.#ok = false;
  }

  #number(size: number): number {
    const from = this.#take(size);
    if (from < 0) return 0;
    let value = 0;
    for (let at = from; at < from + size; at++) value = value * 0x100 + (this.#source[at] ?? 0);
    return value;
  }

  #take(length: number): number {
    if (!this.#ok || length > this.#source.length - this.#at) {
      this.#ok = false;
      return -1;
    }
    this.#at += length;
    return this.#at - length;
  }
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

export const writeBytes = (): ByteWriter => new Writer();

class Writer implements ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  u8(value: number): ByteWriter {
    return this.#number(value, 1);
  }

  u16(value: number): ByteWriter {
    return this.#number(value, 2);
  }

  u32(value: number): ByteWriter {
    return this.#number(value, 4);
  }

  u64(value: number): ByteWriter {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a counter: ${value}`);
    return this.#number(Math.floor(value / 0x1_0000_0000), 4).u32(value);
  }

  bytes(value: Uint8Array): ByteWriter {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  text(value: string): ByteWriter {
    if (value.length > 255) throw new RangeError(`${value.length} characters in a text of at most 255`);
    return this.u8(value.length).bytes(latin1Bytes(value));
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #number(value: number, size: 1 | 2 | 4): ByteWriter {
    let at = this.#room(size);
    for (let shift = 8 * (size - 1); shift >= 0; shift -= 8) this.#bytes[at++] = value >>> shift;
    return this;
  }

  #room(more: number): number {
    if (this.#length + more > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#length += more;
    return this.#length - more;
  }
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
