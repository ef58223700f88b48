/** Fresh bytes for each connection, drawn from the kernel by the pool: a draw each would be a system call each. */
import { randomFillSync } from 'node:crypto';

const RANDOM_BYTES = 32;
const POOL_BYTES = 16 * 1024;

/** 32 bytes at each call, never the same ones. */
export function createRandomness(): () => Uint8Array {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return () => {
    if (used === POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    used += RANDOM_BYTES;
    return pool.slice(used - RANDOM_BYTES, used);
  };
}
