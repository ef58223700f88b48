/**
 * Exact replays of encrypted packets, dropped by their nonce: an honest sender never uses one twice under one key. Two generations in turn, so that
 * memory is bounded and forgetting costs nothing: the last `mostNonces` at least, twice as many at the most.
 */

/** About two minutes at a thousand packets a second. */
export const MOST_NONCES = 200_000;
export const NONCE_BYTES = 12;

export interface NonceMemory {
  /** False: this nonce came before, under this key. Ask only once the packet was decrypted, or anybody could fill it. `key`: any name of the key. */
  first(key: string, nonce: Uint8Array): boolean;
  forgetKey(key: string): void;
}

export function createNonceMemory(mostNonces: number = MOST_NONCES): NonceMemory {
  const memories = new Map<string, { recent: NonceTable; older: NonceTable }>();
  return {
    first(key, nonce) {
      const memory = memories.get(key) ?? { recent: new NonceTable(), older: new NonceTable() };
      memories.set(key, memory);
      const [one, two, three] = [wordOf(nonce, 0), wordOf(nonce, 4), wordOf(nonce, 8)];
      if (memory.older.has(one, two, three) || !memory.recent.add(one, two, three)) return false;
      if (memory.recent.size >= mostNonces) {
        memory.older = memory.recent;
        memory.recent = new NonceTable();
      }
      return true;
    },
    forgetKey: key => void memories.delete(key),
  };
}

const wordOf = (nonce: Uint8Array, at: number): number =>
  (((nonce[at] ?? 0) << 24) | ((nonce[at + 1] ?? 0) << 16) | ((nonce[at + 2] ?? 0) << 8) | (nonce[at + 3] ?? 0)) >>> 0;

const FIRST_SLOTS = 1_024;
const WORDS = 3;
/**
 * Nonces are random, so places next to each other are hardly ever taken so far. Who holds the key may choose its own to be: then the last place is
 * taken from whoever had it, and no packet costs more than this.
 */
const MOST_STEPS = 64;

/** Open addressing in one array: a set of bigints took six times the memory, and each packet adds one. */
class NonceTable {
  #slots = FIRST_SLOTS;
  #words = new Uint32Array(FIRST_SLOTS * WORDS);
  /** An empty place is all zeros; the nonce of zeros is told apart here. */
  #hasZero = false;
  size = 0;

  has(one: number, two: number, three: number): boolean {
    if ((one | two | three) === 0) return this.#hasZero;
    return this.#placeOf(one, two, three) < 0;
  }

  /** False: it is there. */
  add(one: number, two: number, three: number): boolean {
    if ((one | two | three) === 0) {
      const before = this.#hasZero;
      this.#hasZero = true;
      if (!before) this.size++;
      return !before;
    }
    const at = this.#placeOf(one, two, three);
    if (at < 0) return false;
    this.#put(at, one, two, three);
    this.size++;
    if (2 * this.size > this.#slots) this.#grow();
    return true;
  }

  /** Where to put it; below 0: it is there. */
  #placeOf(one: number, two: number, three: number): number {
    const words = this.#words;
    const mask = this.#slots - 1;
    let slot = mixed(one, two, three) & mask;
    for (let step = 1; ; step++) {
      const at = slot * WORDS;
      const first = words[at] ?? 0;
      const second = words[at + 1] ?? 0;
      const third = words[at + 2] ?? 0;
      if (first === one && second === two && third === three) return -1;
      if (step === MOST_STEPS || (first | second | third) === 0) return at;
      slot = (slot + 1) & mask;
    }
  }

  #put(at: number, one: number, two: number, three: number): void {
    this.#words[at] = one;
    this.#words[at + 1] = two;
    this.#words[at + 2] = three;
  }

  #grow(): void {
    const before = this.#words;
    this.#slots *= 2;
    this.#words = new Uint32Array(this.#slots * WORDS);
    for (let at = 0; at < before.length; at += WORDS) {
      const [one, two, three] = [before[at] ?? 0, before[at + 1] ?? 0, before[at + 2] ?? 0];
      if ((one | two | three) !== 0) this.#put(this.#placeOf(one, two, three), one, two, three);
    }
  }
}

function mixed(one: number, two: number, three: number): number {
  let hash = Math.imul(one ^ Math.imul(two, 0x9e3779b1) ^ Math.imul(three, 0x85ebca77), 0xc2b2ae3d);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x27d4eb2f);
  return (hash ^ (hash >>> 13)) >>> 0;
}
