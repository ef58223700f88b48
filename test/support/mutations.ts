/** Hostile input by the million: fast, seeded, so that a failure can be run again (HONEYMESH_SEED). */

export interface Dice {
  /** A whole number from 0 to below `end`. */
  below(end: number): number;
}

/** xorshift32: quality does not matter here, speed and repetition do. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0 || 1;
  return {
    below(end) {
      state ^= state << 13;
      state >>>= 0;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
      return state % end;
    },
  };
}

const INTERESTING = [0, 1, 2, 4, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xfe, 0xff];

export function noise(dice: Dice, longest: number): Uint8Array {
  const bytes = new Uint8Array(dice.below(longest + 1));
  for (let at = 0; at < bytes.length; at++) bytes[at] = dice.below(4) === 0 ? (INTERESTING[dice.below(INTERESTING.length)] ?? 0) : dice.below(256);
  return bytes;
}

/** `bytes` with some bytes changed, cut out, put in, doubled, or with the end of another. */
export function mutated(dice: Dice, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (let changes = 1 + dice.below(4); changes > 0; changes--) {
    const at = dice.below(result.length + 1);
    switch (dice.below(7)) {
      case 0:
        result[at] = dice.below(256);
        break;
      case 1:
      case 2:
        result[at] = INTERESTING[dice.below(INTERESTING.length)] ?? 0;
        break;
      case 3:
        result = result.slice(0, at);
        break;
      case 4:
        result = Uint8Array.from([...result.subarray(0, at), ...noise(dice, 12), ...result.subarray(at)]);
        break;
      case 5:
        result = Uint8Array.from([...result.subarray(0, at), ...result.subarray(at + dice.below(8))]);
        break;
      default:
        result = Uint8Array.from([...result.subarray(0, at), ...other.subarray(dice.below(other.length + 1))]);
    }
  }
  return result;
}
