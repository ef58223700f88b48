/** The requests of Redis (RESP2 arrays of bulk strings, and inline lines). Hostile: bounded before it is read, never throws. */
import { firstLine } from './lines.ts';

export const MOST_ARGUMENTS = 64;
const LONGEST_NUMBER_LINE = 32;

export type RedisRequest =
  | { readonly kind: 'more' }
  /** `words` are in latin1; the first is the command. */
  | { readonly kind: 'command'; readonly words: readonly string[]; readonly used: number }
  | { readonly kind: 'broken'; readonly answer: string };

const STAR = 0x2a;
const DOLLAR = 0x24;

/** The request at the front of `waiting`; a bulk string longer than `longest` is refused. */
export function readRedisRequest(waiting: Buffer, longest: number): RedisRequest {
  return waiting[0] === STAR ? readArray(waiting, longest) : readInline(waiting);
}

function readInline(waiting: Buffer): RedisRequest {
  const line = firstLine(waiting);
  if (line === undefined) return { kind: 'more' };
  const words = line.text.trim().split(/\s+/, MOST_ARGUMENTS + 1);
  if (words.length > MOST_ARGUMENTS) return { kind: 'broken', answer: '-ERR Protocol error: too big inline request\r\n' };
  return { kind: 'command', words: words[0] === '' ? [] : words, used: line.used };
}

function readArray(waiting: Buffer, longest: number): RedisRequest {
  const head = numberLine(waiting, 0);
  if (head === undefined)
    return waiting.length > LONGEST_NUMBER_LINE ? { kind: 'broken', answer: '-ERR Protocol error: invalid multibulk length\r\n' } : { kind: 'more' };
  if (!(head.value <= MOST_ARGUMENTS)) return { kind: 'broken', answer: '-ERR Protocol error: invalid multibulk length\r\n' };
  const words: string[] = [];
  let at = head.next;
  for (let left = head.value; left > 0; left--) {
    if (at >= waiting.length) return { kind: 'more' };
    if (waiting[at] !== DOLLAR) return { kind: 'broken', answer: `-ERR Protocol error: expected '$', got '${printable(waiting[at])}'\r\n` };
    const size = numberLine(waiting, at);
    if (size === undefined)
      return waiting.length - at > LONGEST_NUMBER_LINE ? { kind: 'broken', answer: '-ERR Protocol error: invalid bulk length\r\n' } : { kind: 'more' };
    if (!(size.value >= 0 && size.value <= longest)) return { kind: 'broken', answer: '-ERR Protocol error: invalid bulk length\r\n' };
    if (size.next + size.value + 2 > waiting.length) return { kind: 'more' };
    words.push(waiting.toString('latin1', size.next, size.next + size.value));
    at = size.next + size.value + 2;
  }
  return { kind: 'command', words, used: at };
}

/** `*3 CR LF` or `$5 CR LF` at `at`. NaN where it is no number, `undefined` where its end is missing. */
function numberLine(waiting: Buffer, at: number): { readonly value: number; readonly next: number } | undefined {
  const end = waiting.subarray(at, at + LONGEST_NUMBER_LINE).indexOf('\r\n');
  if (end < 0) return undefined;
  const digits = waiting.toString('latin1', at + 1, at + end);
  return { value: /^-?\d{1,10}$/.test(digits) ? Number(digits) : Number.NaN, next: at + end + 2 };
}

const printable = (byte: number | undefined): string => (byte !== undefined && byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?');
