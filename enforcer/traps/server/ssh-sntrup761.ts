/**
 * Streamlined NTRU Prime 761 (Bernstein and others, NTRU Prime round 3), the sending half: what an OpenSSH server from 8.9 on does with the public key of
 * its client. A trap keeps no secrets, so nothing here runs in constant time.
 */
import { hash } from 'node:crypto';

const P = 761;
const Q = 4591;
const WEIGHT = 286;
const HALF = (Q - 1) / 2;
const ROUNDED = (Q + 2) / 3;
const HASH_BYTES = 32;

export const PUBLIC_KEY_BYTES = 1158;
export const CIPHERTEXT_BYTES = 1039;
/** Random bytes that one encapsulation uses: four for each coefficient. */
export const RANDOM_BYTES = 4 * P;

export interface Encapsulation {
  readonly ciphertext: Buffer;
  readonly sharedKey: Buffer;
}

/** `publicKey` is hostile and PUBLIC_KEY_BYTES long, `random` is fresh and RANDOM_BYTES long. Never throws. */
export function encapsulate(publicKey: Uint8Array, random: Uint8Array): Encapsulation {
  const short = shortPolynomial(random);
  const key = decode(publicKey, new Array<number>(P).fill(Q)).map(coefficient => coefficient - HALF);
  const rounded = multiply(key, short).map(coefficient => (coefficient - centred(coefficient, 3) + HALF) / 3);
  const input = packed(short);
  const inputHash = prefixed(3, input);
  const ciphertext = Buffer.concat([
    Buffer.from(encode(rounded, new Array<number>(P).fill(ROUNDED))),
    prefixed(2, Buffer.concat([inputHash, prefixed(4, publicKey)])), // confirms to the other side that it has the same input
  ]);
  return { ciphertext, sharedKey: prefixed(1, Buffer.concat([inputHash, ciphertext])) };
}

function prefixed(prefix: number, bytes: Uint8Array): Buffer {
  return hash('sha512', Buffer.concat([Buffer.of(prefix), bytes]), 'buffer').subarray(0, HASH_BYTES);
}

/** WEIGHT coefficients of 1 or -1, the rest 0, shuffled by sorting random keys. */
function shortPolynomial(random: Uint8Array): Int8Array {
  const view = new DataView(random.buffer, random.byteOffset, random.byteLength);
  const keys = Uint32Array.from({ length: P }, (_none, at) => {
    const key = view.getUint32(4 * at);
    return at < WEIGHT ? (key & ~1) >>> 0 : ((key & ~3) | 1) >>> 0;
  }).sort();
  return Int8Array.from(keys, key => (key & 3) - 1);
}

/** In Z[x] / (x^761 - x - 1), modulo 4591, centred. */
function multiply(key: readonly number[], short: Int8Array): number[] {
  const product = new Int32Array(2 * P - 1);
  for (const [shift, sign] of short.entries()) {
    if (sign === 0) continue;
    for (let at = 0; at < P; at++) product[at + shift] = (product[at + shift] ?? 0) + sign * (key[at] ?? 0);
  }
  for (let at = 2 * P - 2; at >= P; at--) {
    const high = product[at] ?? 0;
    product[at - P] = (product[at - P] ?? 0) + high;
    product[at - P + 1] = (product[at - P + 1] ?? 0) + high;
  }
  return Array.from(product.subarray(0, P), coefficient => centred(coefficient, Q));
}

function centred(value: number, modulus: number): number {
  const half = (modulus - 1) / 2;
  return ((((value + half) % modulus) + modulus) % modulus) - half;
}

/** Four coefficients of -1, 0, 1 to a byte. */
function packed(short: Int8Array): Buffer {
  const bytes = Buffer.alloc((P + 3) >> 2);
  for (const [at, coefficient] of short.entries()) bytes[at >> 2] = (bytes[at >> 2] ?? 0) | ((coefficient + 1) << (2 * (at & 3)));
  return bytes;
}

/** Numbers below their moduli as bytes, two at a time: pairs are merged into one number below the product, and its low bytes put out while it is large. */
function encode(values: readonly number[], moduli: readonly number[]): number[] {
  const bytes: number[] = [];
  let numbers = values;
  let bounds = moduli;
  while (numbers.length > 1) {
    const merged: number[] = [];
    const mergedBounds: number[] = [];
    for (let at = 0; at < numbers.length; at += 2) {
      const low = bounds[at] ?? 1;
      const paired = at + 1 < numbers.length;
      let value = (numbers[at] ?? 0) + (paired ? (numbers[at + 1] ?? 0) * low : 0);
      let bound = paired ? low * (bounds[at + 1] ?? 1) : low;
      while (paired && bound >= 16384) {
        bytes.push(value & 255);
        value >>>= 8;
        bound = (bound + 255) >>> 8;
      }
      merged.push(value);
      mergedBounds.push(bound);
    }
    numbers = merged;
    bounds = mergedBounds;
  }
  let [value = 0] = numbers;
  for (let bound = bounds[0] ?? 1; bound > 1; bound = (bound + 255) >>> 8) {
    bytes.push(value & 255);
    value >>>= 8;
  }
  return bytes;
}

/** The reverse of `encode`. Bytes that are no encoding give numbers below their moduli all the same. */
function decode(bytes: Uint8Array, moduli: readonly number[], from = 0): number[] {
  if (moduli.length === 1) {
    const bound = moduli[0] ?? 1;
    return [((bytes[from] ?? 0) + (bound > 256 ? 256 * (bytes[from + 1] ?? 0) : 0)) % bound];
  }
  let at = from;
  const low: { readonly value: number; readonly scale: number }[] = [];
  const bounds: number[] = [];
  for (let pair = 0; pair < moduli.length; pair += 2) {
    if (pair + 1 === moduli.length) {
      bounds.push(moduli[pair] ?? 1);
      break;
    }
    let bound = (moduli[pair] ?? 1) * (moduli[pair + 1] ?? 1);
    let value = 0;
    let scale = 1;
    while (bound >= 16384) {
      value += scale * (bytes[at++] ?? 0);
      scale *= 256;
      bound = (bound + 255) >>> 8;
    }
    low.push({ value, scale });
    bounds.push(bound);
  }
  const high = decode(bytes, bounds, at);
  return moduli.map((bound, index) => {
    const pair = low[index >> 1];
    const merged = high[index >> 1] ?? 0;
    if (pair === undefined) return merged;
    const value = pair.value + pair.scale * merged;
    const first = moduli[index & ~1] ?? 1;
    return index % 2 === 0 ? value % bound : Math.floor(value / first) % bound;
  });
}
