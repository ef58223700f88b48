/** Writes msgpack as memberlist 0.5 does: raw for texts and bytes, never str8 or binary, and the smallest unsigned integer. Both generations of Go read it. */
/** Nearly all messages are written one after the other: they share this room, and only what they measure is allocated. Null while one is being written. */
let spare: Uint8Array | null = new Uint8Array(2_048);
const LARGEST_SPARE = 65_536;

export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor() {
    this.#bytes = spare ?? new Uint8Array(256);
    spare = null;
  }

  /** All of it so far, as bytes of their own. */
  written(): Uint8Array {
    const written = this.#bytes.slice(0, this.#length);
    if (this.#bytes.length > this.#length && this.#bytes.length <= LARGEST_SPARE) spare = this.#bytes;
    this.#bytes = written; // full: what is written next makes room elsewhere
    return written;
  }

  nil(): void {
    this.byte(0xc0);
  }

  boolean(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  /** Whole numbers from 0 to 2^32 - 1. Never a float: no Go decoder takes one for an integer. */
  unsigned(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new RangeError(`not an unsigned 32-bit integer: ${value}`);
    if (value <= 0x7f) this.byte(value);
    else if (value <= 0xff) this.#head(0xcc, value, 1);
    else if (value <= 0xffff) this.#head(0xcd, value, 2);
    else this.#head(0xce, value, 4);
  }

  /** Throws on a character beyond Latin-1: such a text never came from the wire, and cut to bytes it would be another name. */
  text(value: string): void {
    this.#rawHead(value.length);
    this.#grow(value.length);
    for (let at = 0; at < value.length; at++) {
      const code = value.charCodeAt(at);
      if (code > 0xff) throw new RangeError(`not a Latin-1 text of bytes: ${JSON.stringify(value)}`);
      this.#bytes[this.#length++] = code;
    }
  }

  bytes(value: Uint8Array): void {
    this.#rawHead(value.length);
    this.raw(value);
  }

  /** The head of a map of fewer than 16 pairs: no structure of memberlist's has more than eight. */
  map(pairs: number): void {
    this.byte(0x80 | pairs);
  }

  byte(value: number): void {
    this.#grow(1);
    this.#bytes[this.#length++] = value;
  }

  raw(value: Uint8Array): void {
    this.#grow(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #rawHead(length: number): void {
    if (length < 32) this.byte(0xa0 | length);
    else if (length <= 0xffff) this.#head(0xda, length, 2);
    else this.#head(0xdb, length, 4);
  }

  #head(head: number, value: number, size: 1 | 2 | 4): void {
    this.byte(head);
    for (let shift = 8 * (size - 1); shift >= 0; shift -= 8) this.byte((value >>> shift) & 0xff);
  }

  #grow(by: number): void {
    if (this.#length + by <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + by));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
