/** Writes msgpack as memberlist 0.5 does: raw for texts and bytes, never str8 or binary, and the smallest unsigned integer. Both generations of Go read it. */
import { bytesOfText } from './bytes.ts';

export class Writer {
  #bytes = new Uint8Array(256);
  #length = 0;

  written(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
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

  text(value: string): void {
    this.bytes(bytesOfText(value));
  }

  bytes(value: Uint8Array): void {
    if (value.length < 32) this.byte(0xa0 | value.length);
    else if (value.length <= 0xffff) this.#head(0xda, value.length, 2);
    else this.#head(0xdb, value.length, 4);
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
