/** The head of an HTTP request (RFC 9112), and of its relatives RTSP and SIP. Hostile: bounded before it is read, never throws. */

export const LONGEST_HEAD = 12 * 1024;
const MOST_LINES = 100;
const LONGEST_METHOD = 32;

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** Such as `HTTP/1.1`; empty for a request line without one (HTTP/0.9). */
  readonly version: string;
  /** Names in lower case, in the order sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly used: number;
}

export type HeadProblem = 'more' | 'not-a-request' | 'bad-line' | 'bad-header' | 'too-long';

/** Bytes of blank lines before a request: they are skipped (RFC 9112, 2.2). */
export function blankBytes(waiting: Buffer): number {
  let start = 0;
  while (waiting[start] === 0x0d || waiting[start] === 0x0a) start++;
  return start;
}

/** The head at the front of `waiting`, up to and with its empty line. */
export function readHead(waiting: Buffer): RequestHead | HeadProblem {
  if (waiting.length === 0) return 'more';
  if (!isTokenByte(waiting[0] ?? 0)) return 'not-a-request';
  const end = endOfHead(waiting);
  if (end === undefined) {
    const lineEnd = waiting.indexOf(0x0a);
    if (lineEnd < 0) return waiting.length > LONGEST_HEAD ? 'too-long' : 'more';
    const first = requestLine(waiting.toString('latin1', 0, lineEnd));
    if (first === undefined) return 'bad-line';
    if (first.version === '') return { ...first, headers: [], used: lineEnd + 1 };
    return waiting.length > LONGEST_HEAD ? 'too-long' : 'more';
  }
  if (end.at > LONGEST_HEAD) return 'too-long';
  const [first = '', ...lines] = waiting.toString('latin1', 0, end.at).split(/\r?\n/, MOST_LINES + 1);
  const request = requestLine(first);
  if (request === undefined) return 'bad-line';
  if (request.version === '') return { ...request, headers: [], used: waiting.indexOf(0x0a) + 1 };
  const headers: (readonly [string, string])[] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) return 'bad-header';
    headers.push([line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]);
  }
  return { ...request, headers, used: end.used };
}

function endOfHead(waiting: Buffer): { readonly at: number; readonly used: number } | undefined {
  const crlf = waiting.indexOf('\r\n\r\n', 0, 'latin1');
  const bare = waiting.indexOf('\n\n', 0, 'latin1');
  if (crlf >= 0 && (bare < 0 || crlf < bare)) return { at: crlf, used: crlf + 4 };
  return bare < 0 ? undefined : { at: bare, used: bare + 2 };
}

function requestLine(line: string): Pick<RequestHead, 'method' | 'target' | 'version'> | undefined {
  const [method = '', target = '', version = '', ...more] = line.trimEnd().split(' ');
  if (more.length > 0 || target === '' || method.length > LONGEST_METHOD || !/^[A-Za-z][A-Za-z0-9_-]*$/.test(method)) return undefined;
  if (version !== '' && !/^(?:HTTP|RTSP|SIP)\/\d\.\d$/.test(version)) return undefined;
  if (version === '' && method !== 'GET') return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: binary in a request line is what we look for
  return /[\x00-\x1f\x7f]/.test(target) ? undefined : { method, target, version };
}

const isTokenByte = (byte: number): boolean => (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);

/** The first header of that (lower-case) name. */
export function headerOf(request: Pick<RequestHead, 'headers'>, name: string): string | undefined {
  for (const [key, value] of request.headers) if (key === name) return value;
  return undefined;
}
