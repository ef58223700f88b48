/**
 * LZW as in Go's compress/lzw with order LSB and literals of 8 bits: GIF's, without its blocks. Codes of 9 to 12 bits, least significant bit first; 256
 * clears the table, 257 ends. A code grows one bit when the next code to be given would not fit, not one earlier (as TIFF does).
 */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import type { WireFault } from './faults.ts';

const CLEAR = 256;
const END = 257;
const NARROWEST = 9;
const WIDEST = 12;
const LAST_CODE = 2 ** WIDEST - 1;
const CODES = 2 ** WIDEST;

/** The very bytes that Go writes: a full table is cleared when code 4095 would be given. */
export function compressLzw(plain: Uint8Array): Uint8Array {
  // At the worst each byte costs a code of 12 bits and each table a clear code; the margin is for what begins and ends.
  const out = new Uint8Array(Math.ceil(plain.length * 1.51) + 16);
  let [at, held, heldBits] = [0, 0, 0];
  let [width, newest] = [NARROWEST, END];
  const table = createPairTable(Math.min(plain.length, CODES));

  const put = (code: number): void => {
    held |= code << heldBits;
    heldBits += width;
    for (; heldBits >= 8; heldBits -= 8) {
      out[at++] = held & 0xff;
      held >>>= 8;
    }
  };
  /** The next code is taken; true where the table is full and was cleared. */
  const advance = (): boolean => {
    newest++;
    if (newest === 1 << width) width++;
    if (newest !== LAST_CODE) return false;
    put(CLEAR);
    [width, newest] = [NARROWEST, END];
    table.clear();
    return true;
  };

  put(CLEAR);
  let code = plain[0];
  for (let next = 1; next < plain.length && code !== undefined; next++) {
    const literal = plain[next] ?? 0;
    const pair = (code << 8) | literal;
    const known = table.codeOf(pair);
    if (known !== 0) {
      code = known;
      continue;
    }
    put(code);
    code = literal;
    if (!advance()) table.set(pair, newest);
  }
  if (code !== undefined) {
    put(code);
    advance();
  }
  put(END);
  if (heldBits > 0) out[at++] = held & 0xff;
  return out.slice(0, at);
}

interface PairTable {
  /** The code of a pair; 0 where it has none. */
  codeOf(pair: number): number;
  set(pair: number, code: number): void;
  clear(): void;
}

/** Pairs (code and literal, 20 bits) and their codes (12 bits) in one word each; a Map takes four times as long, and each packet that goes out is compressed. */
function createPairTable(most: number): PairTable {
  const bits = Math.max(4, 34 - Math.clz32(most));
  const words = new Uint32Array(1 << bits);
  const slotOf = (pair: number): number => {
    let slot = Math.imul(pair, 0x9e37_79b1) >>> (32 - bits);
    for (;;) {
      const word = words[slot] ?? 0;
      if (word === 0 || word >>> WIDEST === pair) return slot;
      slot = (slot + 1) & (words.length - 1);
    }
  };
  return {
    codeOf: pair => (words[slotOf(pair)] ?? 0) & LAST_CODE,
    set(pair, code) {
      words[slotOf(pair)] = (pair << WIDEST) | code;
    },
    clear: () => words.fill(0),
  };
}

/**
 * Expands hostile bytes to at most `limit` bytes, whatever they claim. What follows the end code is ignored and a full table is kept until it is cleared, both
 * as in Go. A code stands for a stretch of what was written already, so no chain is followed and no table of strings is kept.
 */
export function expandLzw(packed: Uint8Array, limit: number): Parsed<Uint8Array, WireFault> {
  let out = new Uint8Array(Math.min(limit, Math.max(256, packed.length * 4)));
  let length = 0;
  const starts = new Int32Array(CODES);
  const lengths = new Int32Array(CODES);
  let [at, held, heldBits] = [0, 0, 0];
  let [width, newest] = [NARROWEST, END];
  /** Where the last code's stretch begins; -1 where there is none to go on from. */
  let [lastStart, lastLength] = [-1, 0];

  for (;;) {
    while (heldBits < width) {
      const byte = packed[at++];
      if (byte === undefined) return unparsed('bad-compression');
      held |= byte << heldBits;
      heldBits += 8;
    }
    const code = held & ((1 << width) - 1);
    held >>>= width;
    heldBits -= width;

    if (code === END) return parsed(out.slice(0, length));
    if (code === CLEAR) {
      [width, newest, lastStart] = [NARROWEST, END, -1];
      continue;
    }
    if (code > newest) return unparsed('bad-compression');
    // The newest code is the last stretch and the first byte of this one: where it is used at once, it reads what it writes.
    if (lastStart >= 0) {
      starts[newest] = lastStart;
      lengths[newest] = lastLength + 1;
    }
    const literal = code < CLEAR;
    const stretch = literal ? 1 : (lengths[code] ?? 0);
    if (length + stretch > limit) return unparsed('expands-too-far');
    if (length + stretch > out.length) out = grown(out, Math.min(limit, Math.max(2 * out.length, length + stretch)));
    if (literal) out[length] = code;
    else copyForward(out, starts[code] ?? 0, length, stretch);
    [lastStart, lastLength] = [length, stretch];
    length += stretch;

    newest++;
    if (newest < 1 << width) continue;
    if (width < WIDEST) width++;
    else [newest, lastStart] = [LAST_CODE, -1];
  }
}

function grown(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size);
  larger.set(bytes);
  return larger;
}

/** Byte by byte from the front: source and target may overlap, and the copy is then of what was just written. */
function copyForward(bytes: Uint8Array, from: number, to: number, length: number): void {
  for (let offset = 0; offset < length; offset++) bytes[to + offset] = bytes[from + offset] ?? 0;
}
