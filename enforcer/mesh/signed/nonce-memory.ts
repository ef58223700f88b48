/**
 * Exact replays of encrypted packets, dropped by their nonce: an honest sender never uses one twice under one key. Two generations in turn, so that
 * memory is bounded and forgetting costs nothing: the last `mostNonces` at least, twice as many at the most.
 */
import { readBytes } from '@honeymesh/intel/envelope-bytes';

/** About two minutes at a thousand packets a second. */
export const MOST_NONCES = 200_000;
export const NONCE_BYTES = 12;

export interface NonceMemory {
  /** False: this nonce came before, under this key. Ask only once the packet was decrypted, or anybody could fill it. `key`: any name of the key. */
  first(key: string, nonce: Uint8Array): boolean;
  forgetKey(key: string): void;
}

export function createNonceMemory(mostNonces: number = MOST_NONCES): NonceMemory {
  const memories = new Map<string, { recent: Set<bigint>; older: Set<bigint> }>();
  return {
    first(key, nonce) {
      const reader = readBytes(nonce);
      const name = (BigInt(reader.u32()) << 64n) | (BigInt(reader.u32()) << 32n) | BigInt(reader.u32());
      const memory = memories.get(key) ?? { recent: new Set<bigint>(), older: new Set<bigint>() };
      memories.set(key, memory);
      if (memory.recent.has(name) || memory.older.has(name)) return false;
      memory.recent.add(name);
      if (memory.recent.size >= mostNonces) {
        memory.older = memory.recent;
        memory.recent = new Set();
      }
      return true;
    },
    forgetKey: key => void memories.delete(key),
  };
}
