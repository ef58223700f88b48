/** A list of bans as people keep them: a target at the start of each line, whatever follows. */
import { LINES_PER_IMPORT } from '../control/protocol.ts';

export interface BanLine {
  /** In the file, from 1. */
  readonly line: number;
  readonly target: string;
}

/** Longer than any prefix; the rest of a line does not matter. */
const LONGEST_TARGET = 64;

/** The targets with their lines, in pieces that fit a request. Blank lines and those that start with # or ; are left out. */
export function banLines(text: string): BanLine[][] {
  const chunks: BanLine[][] = [];
  let chunk: BanLine[] = [];
  for (const [at, line] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    const target = /^[^\s,;#]*/.exec(line.trimStart().slice(0, LONGEST_TARGET))?.[0] ?? '';
    if (target === '') continue;
    chunk.push({ line: at + 1, target });
    if (chunk.length === LINES_PER_IMPORT) {
      chunks.push(chunk);
      chunk = [];
    }
  }
  return chunk.length === 0 ? chunks : [...chunks, chunk];
}
