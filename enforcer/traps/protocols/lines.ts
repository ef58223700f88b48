/** Lines of text protocols, and text as bytes: one character for each byte both ways, so that nothing an attacker sends is lost or mended. */

const LF = 0x0a;
const CR = 0x0d;

/** Bytes of `latin1` text: each character is one byte. */
export const bytesOf = (latin1: string): Buffer => Buffer.from(latin1, 'latin1');

/** `bytes` as text, one character each. */
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

export interface Line {
  /** Without its end. */
  readonly text: string;
  /** Bytes of the line with its end. */
  readonly used: number;
}

/** The first line of `waiting`, ended by LF or CR LF; `undefined` while there is no end. */
export function firstLine(waiting: Buffer): Line | undefined {
  const end = waiting.indexOf(LF);
  if (end < 0) return undefined;
  return { text: waiting.toString('latin1', 0, end > 0 && waiting[end - 1] === CR ? end - 1 : end), used: end + 1 };
}

/** `verb` in upper case and the rest of a line after the first run of spaces. */
export function verbOf(line: string): { readonly verb: string; readonly rest: string } {
  const trimmed = line.trimStart();
  const space = trimmed.indexOf(' ');
  return space < 0 ? { verb: trimmed.toUpperCase(), rest: '' } : { verb: trimmed.slice(0, space).toUpperCase(), rest: trimmed.slice(space + 1).trim() };
}

/** Base64 as text; what is no base64 gives what can be read of it, as Node's decoder does. */
export const fromBase64 = (encoded: string): string => Buffer.from(encoded, 'base64').toString('latin1');

export const toBase64 = (latin1: string): string => bytesOf(latin1).toString('base64');
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
