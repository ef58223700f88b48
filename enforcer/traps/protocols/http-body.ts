/** The body of an HTTP request as it comes (RFC 9112, 6): counted to its end, kept only from its beginning. */
import { headerOf, type RequestHead } from './http-request.ts';
import { LONGEST_PAYLOAD } from './observation.ts';

export interface BodyReader {
  /** Takes from the front of `waiting`; `broken`: what came is no body of that kind. */
  take(waiting: Buffer): { readonly used: number; readonly complete: boolean } | 'broken';
  /** The beginning of the body, one character a byte. */
  readonly kept: () => string;
  readonly bytes: () => number;
}

const LONGEST_CHUNK_LINE = 128;

/** `undefined`: the request has no body. `broken`: it contradicts itself. */
export function bodyOf(request: RequestHead): BodyReader | 'broken' | undefined {
  const coding = headerOf(request, 'transfer-encoding');
  const length = headerOf(request, 'content-length');
  if (coding !== undefined) return /^chunked$/i.test(coding) && length === undefined ? chunked() : 'broken';
  if (length === undefined || length === '0') return undefined;
  return /^\d{1,15}$/.test(length) ? counted(Number(length)) : 'broken';
}

function keeper(): { readonly add: (waiting: Buffer, from: number, to: number) => void; readonly kept: () => string; readonly bytes: () => number } {
  let kept = '';
  let bytes = 0;
  return {
    add(waiting, from, to) {
      bytes += to - from;
      const room = LONGEST_PAYLOAD - kept.length;
      if (room > 0) kept += waiting.toString('latin1', from, Math.min(to, from + room));
    },
    kept: () => kept,
    bytes: () => bytes,
  };
}

function counted(length: number): BodyReader {
  const { add, kept, bytes } = keeper();
  return {
    take(waiting) {
      const used = Math.min(waiting.length, length - bytes());
      add(waiting, 0, used);
      return { used, complete: bytes() === length };
    },
    kept,
    bytes,
  };
}

function chunked(): BodyReader {
  const { add, kept, bytes } = keeper();
  let left = 0;
  let phase: 'size' | 'data' | 'data-end' | 'trailer' = 'size';
  return {
    take(waiting) {
      let at = 0;
      for (;;) {
        if (phase === 'data') {
          const to = Math.min(waiting.length, at + left);
          add(waiting, at, to);
          left -= to - at;
          at = to;
          if (left > 0) return { used: at, complete: false };
          phase = 'data-end';
        }
        const end = waiting.indexOf(0x0a, at);
        if (end < 0) return waiting.length - at > LONGEST_CHUNK_LINE ? 'broken' : { used: at, complete: false };
        const line = waiting.toString('latin1', at, Math.min(end, at + LONGEST_CHUNK_LINE)).trimEnd();
        at = end + 1;
        if (phase === 'data-end') {
          if (line !== '') return 'broken';
          phase = 'size';
        } else if (phase === 'trailer') {
          if (line === '') return { used: at, complete: true };
        } else {
          const digits = /^([0-9a-f]{1,8})(?:\s*;.*)?$/i.exec(line)?.[1];
          if (digits === undefined) return 'broken';
          left = Number.parseInt(digits, 16);
          phase = left === 0 ? 'trailer' : 'data';
        }
      }
    },
    kept,
    bytes,
  };
}
