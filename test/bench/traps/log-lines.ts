/** Counts lines of a growing file, each read once. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

const CHUNK_BYTES = 1 << 20;

export interface LineCounter {
  /** Whole lines so far that contain the word. */
  total(): number;
  /** Of them, those since the last call. */
  fresh(): number;
}

export function lineCounter(path: string, word: string): LineCounter {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let offset = 0;
  let rest = '';
  let count = 0;
  let told = 0;
  const total = (): number => {
    if (!existsSync(path)) return 0;
    const file = openSync(path, 'r');
    for (let length = readSync(file, chunk, 0, CHUNK_BYTES, offset); length > 0; length = readSync(file, chunk, 0, CHUNK_BYTES, offset)) {
      offset += length;
      const lines = (rest + chunk.toString('latin1', 0, length)).split('\n');
      rest = lines.pop() ?? '';
      count += lines.filter(line => line.includes(word)).length;
    }
    closeSync(file);
    return count;
  };
  return {
    total,
    fresh() {
      const before = told;
      told = total();
      return told - before;
    },
  };
}
