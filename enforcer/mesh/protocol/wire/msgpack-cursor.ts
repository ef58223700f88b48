/**
 * Reads memberlist's msgpack: old spec as sent, and all that go-msgpack 0.5 and 2.x accept beyond. Values are hostile: lengths, counts and nesting are
 * bounded before anything is read or allocated, and nothing throws. A fault stops the reading: from then on each value is the zero of its kind. A refusal
 * does not: the value is well-formed but more than we take, the structure's end is still found, and its reader decides what becomes of it.
 */
import { copyOf, NO_BYTES, textOfBytes, u16At, u32At } from './bytes.ts';
import type { WireFault } from './faults.ts';
import { DEEPEST_VALUE } from './limits.ts';

export interface CursorBounds {
  /** Bytes of one text or byte string. */
  readonly longestRaw: number;
  /** Values, all together. */
  readonly mostValues: number;
}

export type Collection = { readonly kind: 'map' | 'array'; readonly count: number } | { readonly kind: 'nil' };

const LONGEST_KEY = 16;
const NIL = 0xc0;
const FALSE = 0xc2;
const TRUE = 0xc3;
const TWO_TO_32 = 2 ** 32;
/** Bytes that follow the head of a value of fixed size, and that nobody looks at: floats, integers, extensions with their type. */
const FIXED_SIZES: Readonly<Record<number, number>> = {
  192: 0,
  194: 0,
  195: 0,
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
  212: 2,
  213: 3,
  214: 5,
  215: 9,
  216: 17,
};

export class Cursor {
  readonly #bytes: Uint8Array;
  readonly #bounds: CursorBounds;
  #at: number;
  #valuesLeft: number;
  #fault: WireFault | null = null;
  #refusal: WireFault | null = null;

  constructor(bytes: Uint8Array, at: number, bounds: CursorBounds) {
    this.#bytes = bytes;
    this.#at = at;
    this.#bounds = bounds;
    this.#valuesLeft = bounds.mostValues;
  }

  get at(): number {
    return this.#at;
  }

  /** Why reading stopped. `truncated` may mean that the rest is still on its way. */
  get fault(): WireFault | null {
    return this.#fault;
  }

  get refusal(): WireFault | null {
    return this.#refusal;
  }

  refuse(why: WireFault): void {
    this.#refusal ??= why;
  }

  fail(why: WireFault): void {
    this.#fault ??= why;
  }

  collection(): Collection {
    const head = this.#head();
    if (head === NIL) return { kind: 'nil' };
    const count = this.#count(head);
    if (count === null) {
      this.fail('malformed');
      return { kind: 'nil' };
    }
    return { kind: isMap(head) ? 'map' : 'array', count };
  }

  /** An integer of any form from 0 to `largest`; nil is zero. Go fails the whole message over any other. */
  unsigned(largest: number): number {
    const value = this.integer();
    if (value >= 0 && value <= largest) return value;
    this.fail('bad-integer');
    return 0;
  }

  /** A Go int: signed 64 bits, in which an unsigned one from 2^63 wraps. Beyond 2^53 the value is rounded: nobody takes so large a one. */
  integer(): number {
    const head = this.#head();
    if (head <= 0x7f) return head;
    if (head >= 0xe0) return head - 0x100;
    if (head === NIL || this.#fault !== null) return 0;
    if (head < 0xcc || head > 0xd3) {
      this.fail('bad-integer');
      return 0;
    }
    const size = 2 ** (head & 3);
    const signed = head >= 0xd0;
    const at = this.#at;
    if (!this.#advance(size)) return 0;
    switch (size) {
      case 1:
        return extend(this.#bytes[at] ?? 0, signed ? 0x80 : Infinity);
      case 2:
        return extend(u16At(this.#bytes, at), signed ? 0x8000 : Infinity);
      case 4:
        return extend(u32At(this.#bytes, at), signed ? 0x8000_0000 : Infinity);
      default:
        return (u32At(this.#bytes, at) | 0) * TWO_TO_32 + u32At(this.#bytes, at + 4);
    }
  }

  boolean(): boolean {
    const head = this.#head();
    if (head === TRUE || head === 1) return true;
    if (head !== FALSE && head !== 0 && head !== NIL) this.fail('malformed');
    return false;
  }

  /** A key of a map. Go wants a text; one that is longer than any name of a field is as good as unknown. */
  key(): string {
    const raw = this.#raw(this.#head());
    return raw.length <= LONGEST_KEY ? textOfBytes(raw) : '';
  }

  /** Goes past the next value where it is written as exactly these bytes. */
  passes(written: Uint8Array): boolean {
    const at = this.#at;
    if (this.#fault !== null || this.#valuesLeft <= 0 || written.length > this.#bytes.length - at) return false;
    for (let offset = 0; offset < written.length; offset++) if (this.#bytes[at + offset] !== written[offset]) return false;
    this.#valuesLeft--;
    this.#at += written.length;
    return true;
  }

  /** A text of at most `longest` bytes, one character for each; nil is empty. */
  text(longest: number): string {
    const head = this.#head();
    if (head === NIL) return '';
    return textOfBytes(this.#within(this.#raw(head), longest));
  }

  /** Bytes (a copy: a message does not keep a whole frame alive) as text, binary or a list of numbers. */
  bytesOrNil(longest: number): Uint8Array | null {
    const head = this.#head();
    if (head === NIL || this.#fault !== null) return null;
    if (isArray(head)) return this.#listed(this.#count(head) ?? 0, longest);
    return copyOf(this.#within(this.#raw(head), longest));
  }

  skip(): void {
    const left = [1];
    while (left.length > 0 && this.#fault === null) {
      const inner = left.length - 1;
      if (left[inner] === 0) {
        left.pop();
        continue;
      }
      left[inner] = (left[inner] ?? 0) - 1;
      const within = this.#skipOne();
      if (within > 0) left.push(within);
      if (left.length > DEEPEST_VALUE) this.fail('too-deep');
    }
  }

  /** Passes one value, or the head of a collection: how many values it has. */
  #skipOne(): number {
    const head = this.#head();
    if (head <= 0x7f || head >= 0xe0) return 0;
    const count = this.#count(head);
    if (count !== null) return isMap(head) ? count * 2 : count;
    const fixed = FIXED_SIZES[head];
    if (fixed !== undefined) this.#advance(fixed);
    else if (head >= 0xc7 && head <= 0xc9) this.#extension(head);
    else this.#raw(head);
    return 0;
  }

  #extension(head: number): void {
    const length = this.#length(2 ** (head - 0xc7));
    if (length > this.#bounds.longestRaw) this.fail('too-long');
    else this.#advance(1 + length);
  }

  #listed(count: number, longest: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count && this.#fault === null; at++) bytes[at] = this.unsigned(0xff);
    return this.#within(bytes, longest);
  }

  #within(bytes: Uint8Array, longest: number): Uint8Array {
    if (bytes.length <= longest) return bytes;
    this.refuse('too-long');
    return NO_BYTES;
  }

  #raw(head: number): Uint8Array {
    const length = this.#rawLength(head);
    if (length > this.#bounds.longestRaw) this.fail('too-long');
    const at = this.#at;
    return this.#advance(length) ? this.#bytes.subarray(at, at + length) : NO_BYTES;
  }

  #rawLength(head: number): number {
    if (head >= 0xa0 && head <= 0xbf) return head & 0x1f;
    if (head >= 0xd9 && head <= 0xdb) return this.#length(2 ** (head - 0xd9));
    if (head >= 0xc4 && head <= 0xc6) return this.#length(2 ** (head - 0xc4));
    this.fail('malformed');
    return 0;
  }

  /** The number of a collection's elements or pairs; null where `head` begins no collection. */
  #count(head: number): number | null {
    if (!isMap(head) && !isArray(head)) return null;
    const count = head <= 0x9f ? head & 0x0f : this.#length((head & 1) === 0 ? 2 : 4);
    if ((isMap(head) ? 2 * count : count) <= this.#valuesLeft) return count;
    this.fail('too-many');
    return 0;
  }

  #length(size: number): number {
    const at = this.#at;
    if (!this.#advance(size)) return 0;
    if (size === 1) return this.#bytes[at] ?? 0;
    return size === 2 ? u16At(this.#bytes, at) : u32At(this.#bytes, at);
  }

  #head(): number {
    if (this.#valuesLeft-- <= 0) this.fail('too-many');
    const at = this.#at;
    return this.#advance(1) ? (this.#bytes[at] ?? NIL) : NIL;
  }

  #advance(length: number): boolean {
    if (this.#fault !== null) return false;
    if (length > this.#bytes.length - this.#at) {
      this.fail('truncated');
      return false;
    }
    this.#at += length;
    return true;
  }
}

const isMap = (head: number): boolean => (head >= 0x80 && head <= 0x8f) || head === 0xde || head === 0xdf;
const isArray = (head: number): boolean => (head >= 0x90 && head <= 0x9f) || head === 0xdc || head === 0xdd;
const extend = (value: number, sign: number): number => (value >= sign ? value - 2 * sign : value);
