/** Fields of binary protocols: a reader that cannot run over, and a writer. */

/**
 * Reads fields one after the other. Asking for more than there is throws nothing: it yields zero or nothing and sets `truncated`, which stays set, so a
 * parser reads what it wants and asks once at the end.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #truncated = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  get left(): number {
    return this.#truncated ? 0 : this.#bytes.length - this.#at;
  }

  take(length: number): Uint8Array {
    if (this.#truncated || length < 0 || length > this.#bytes.length - this.#at) {
      this.#truncated = true;
      return NOTHING;
    }
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }

  /** What has not been taken yet; it stays. */
  rest(): Uint8Array {
    return this.#truncated ? NOTHING : this.#bytes.subarray(this.#at);
  }

  u8(): number {
    return this.take(1)[0] ?? 0;
  }

  u16(): number {
    const [high = 0, low = 0] = this.take(2);
    return high * 0x100 + low;
  }

  u24(): number {
    const [high = 0, middle = 0, low = 0] = this.take(3);
    return high * 0x10000 + middle * 0x100 + low;
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  u16le(): number {
    const [low = 0, high = 0] = this.take(2);
    return high * 0x100 + low;
  }

  u32le(): number {
    return this.u16le() + this.u16le() * 0x10000;
  }

  /** Up to and without the next NUL, which is skipped. */
  untilNul(): Uint8Array {
    const end = this.#truncated ? -1 : this.#bytes.indexOf(0, this.#at);
    if (end < 0) return this.take(this.#bytes.length + 1);
    const taken = this.take(end - this.#at);
    this.take(1);
    return taken;
  }
}

const NOTHING = new Uint8Array(0);

/** What `bytesOf` puts together: a byte, bytes, or text of which each character is a byte. */
export type Part = number | string | Uint8Array | readonly number[];

/** One array of bytes out of parts. */
export function bytesOf(...parts: readonly Part[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += typeof part === 'number' ? 1 : part.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'number') bytes[at++] = part;
    else if (typeof part === 'string') for (let index = 0; index < part.length; index++) bytes[at++] = part.charCodeAt(index);
    else {
      bytes.set(part, at);
      at += part.length;
    }
  }
  return bytes;
}

export const u16 = (value: number): readonly number[] => [(value >>> 8) & 0xff, value & 0xff];
export const u24 = (value: number): readonly number[] => [(value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
export const u32 = (value: number): readonly number[] => [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
export const u16le = (value: number): readonly number[] => [value & 0xff, (value >>> 8) & 0xff];
export const u32le = (value: number): readonly number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff];

export function u64le(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/** Each byte a character. */
export const latin1 = (bytes: Uint8Array): string => viewOf(bytes).toString('latin1');
/** UTF-8; what is none becomes the replacement character. */
export const utf8 = (bytes: Uint8Array): string => viewOf(bytes).toString('utf8');
/** UTF-16 little-endian, as Microsoft's protocols write text; an odd byte at the end is left out. */
export const utf16le = (bytes: Uint8Array): string => viewOf(bytes).toString('utf16le');
export const toUtf16le = (text: string): Uint8Array => Buffer.from(text, 'utf16le');
export const toUtf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
export const hex = (bytes: Uint8Array): string => viewOf(bytes).toString('hex');
export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** UTF-16 as observations carry text: the UTF-8 of it, each byte a character. */
export const utf16leAsText = (bytes: Uint8Array): string => latin1(toUtf8(utf16le(bytes)));
