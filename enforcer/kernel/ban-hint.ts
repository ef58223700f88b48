/**
 * The map ban4_hint: a bit for each IPv4 ban, by a hash of its address. The kernel asks it first and ban4 only where the bit is set, so a ban without its
 * bit would not hold. Hence: bits are set before a ban is written, what is cleared is computed from the bans that are there, and nothing is remembered
 * here that another process could have changed.
 */
import type { ConfigEntry } from './config-entry.ts';
import { BAN_HINT_BITS, CONFIG_FLAG } from './layouts.ts';
import { indexKey, joined, type KernelMap, word } from './maps.ts';
import { kernelError } from './native.ts';

const WORDS = 1 << (BAN_HINT_BITS - 6);

export interface BanHint {
  /** Sets the bits of bans that are about to be written; keys of ban4, one after the other. */
  set(keys: Uint8Array): void;
  /** Bans were taken out: bits may be left over, which cost look-ups and nothing else. */
  noteGone(): void;
  /** Clears what is left over; the first time in a process it makes all bits anew, and has the kernel go by them. */
  tidy(): void;
}

/** The number of the bit of an address: four bytes as in the packet, read as a little-endian number. The same hash as in honeymesh_bans.h. */
export function banHintBit(address: number): number {
  const once = Math.imul(address, 0x9e37_79b1);
  return Math.imul(once ^ (once >>> 15), 0x85eb_ca77) >>> (32 - BAN_HINT_BITS);
}

export function banHintOn(maps: Readonly<Record<'ban4' | 'ban4_hint', KernelMap>>, config: ConfigEntry): BanHint {
  let made = false;
  let leftOver = false;

  const write = (words: ReadonlyMap<number, bigint>): void => {
    const keys = joined([...words.keys()].map(indexKey), 4);
    const failed = maps.ban4_hint.putMany(keys, joined([...words.values()].map(word), 8)).find(result => result !== 0);
    if (failed !== undefined) throw kernelError('HM_MAP', 'noting which addresses are banned', failed);
  };

  const make = (): void => {
    const words = new Map(Array.from({ length: WORDS }, (_, at) => [at, 0n]));
    addTo(words, maps.ban4.keys());
    write(words);
    config.flag(CONFIG_FLAG.hasBanHint, true);
    [made, leftOver] = [true, false];
  };

  return {
    set(keys) {
      if (!made) make();
      const touched = [...bitsByWord(keys).keys()];
      const { values } = maps.ban4_hint.getMany(joined(touched.map(indexKey), 4));
      const view = new DataView(values.buffer, values.byteOffset);
      const words = new Map(touched.map((at, row) => [at, view.getBigUint64(row * 8, true)]));
      addTo(words, keys);
      write(words);
    },
    noteGone() {
      leftOver = true;
    },
    tidy() {
      if (!made || leftOver) make();
    },
  };
}

function addTo(words: Map<number, bigint>, keys: Uint8Array): void {
  for (const [at, bits] of bitsByWord(keys)) words.set(at, (words.get(at) ?? 0n) | bits);
}

function bitsByWord(keys: Uint8Array): Map<number, bigint> {
  const view = new DataView(keys.buffer, keys.byteOffset, keys.length);
  const words = new Map<number, bigint>();
  for (let at = 0; at < keys.length; at += 4) {
    const bit = banHintBit(view.getUint32(at, true));
    words.set(bit >> 6, (words.get(bit >> 6) ?? 0n) | (1n << BigInt(bit & 63)));
  }
  return words;
}
