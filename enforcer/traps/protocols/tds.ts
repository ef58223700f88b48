/** Packets of Microsoft's Tabular Data Stream ([MS-TDS]): prelogin, both log-ins, the refusal. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ByteReader, bytesOf, latin1, type Part, toUtf16le, u16, u16le, u32le, utf16leAsText } from './bytes.ts';

export const TDS_HEADER_BYTES = 8;
export const TDS_PRELOGIN = 0x12;
export const TDS_LOGIN7 = 0x10;
export const TDS_OLD_LOGIN = 0x02;
const TDS_RESPONSE = 0x04;
export const END_OF_MESSAGE = 0x01;

export const ENCRYPT_NOT_SUPPORTED = 2;

export interface TdsVersion {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
}

export interface TdsLogin {
  /** All text: one character for each byte of its UTF-8. */
  readonly host: string;
  readonly user: string;
  readonly password: string;
  readonly application: string;
  readonly server: string;
  readonly library: string;
  readonly database: string;
  /** Whether it is Windows' log-in (SSPI), which carries no password. */
  readonly integrated: boolean;
}

function response(...parts: readonly Part[]): Uint8Array {
  const body = bytesOf(...parts);
  return bytesOf(TDS_RESPONSE, END_OF_MESSAGE, u16(TDS_HEADER_BYTES + body.length), [0, 0], 1, 0, body);
}

/** What the server answers to PRELOGIN. */
export function preloginPacket({ major, minor, build }: TdsVersion): Uint8Array {
  const options = bytesOf(0, u16(21), u16(6), 1, u16(27), u16(1), 2, u16(28), u16(1), 3, u16(29), u16(0), 0xff);
  return response(options, major, minor, u16(build), [0, 0], ENCRYPT_NOT_SUPPORTED, 0);
}

/** What the client offers in PRELOGIN, if that can be read: its encryption option. Never throws. */
export function preloginEncryption(body: Uint8Array): number | undefined {
  const reader = new ByteReader(body);
  for (let options = 0; options < 16; options++) {
    const token = reader.u8();
    if (token === 0xff) return undefined;
    const [offset, length] = [reader.u16(), reader.u16()];
    if (reader.truncated) return undefined;
    if (token === 1) return length > 0 ? body[offset] : undefined;
  }
  return undefined;
}

/** Reads LOGIN7. Never throws. */
export function parseLogin7(body: Uint8Array): Parsed<TdsLogin, 'truncated'> {
  const reader = new ByteReader(body);
  reader.take(36); // lengths, versions, flags, time zone, locale
  const slot = (): Uint8Array => {
    const [offset, characters] = [reader.u16le(), reader.u16le()];
    return body.subarray(offset, offset + 2 * Math.min(characters, 256));
  };
  const host = utf16leAsText(slot());
  const user = utf16leAsText(slot());
  const password = utf16leAsText(slot().map(reveal));
  const application = utf16leAsText(slot());
  const server = utf16leAsText(slot());
  slot(); // extension
  const library = utf16leAsText(slot());
  slot(); // language
  const database = utf16leAsText(slot());
  reader.take(6 + 2); // the client's MAC address, where its SSPI token is
  const integrated = reader.u16le() > 0;
  if (reader.truncated) return unparsed('truncated');
  return parsed({ host, user, password, application, server, library, database, integrated });
}

/** The password is hidden by swapped nibbles and 0xA5 ([MS-TDS] 2.2.6.4): that is no encryption. */
function reveal(byte: number): number {
  const plain = byte ^ 0xa5;
  return ((plain << 4) | (plain >>> 4)) & 0xff;
}

/** Reads the log-in of TDS 4.2, which old tools and hydra send: fields of 30 bytes, each with its length behind it. Never throws. */
export function parseOldLogin(body: Uint8Array): Parsed<TdsLogin, 'truncated'> {
  const field = (at: number): string => latin1(body.subarray(at, at + Math.min(body[at + 30] ?? 0, 30)));
  if (body.length < 3 * 31) return unparsed('truncated');
  return parsed({
    host: field(0),
    user: field(31),
    password: field(62),
    application: field(140),
    server: field(171),
    library: '',
    database: '',
    integrated: false,
  });
}

/** ERROR and DONE: a log-in that failed. `user` has one character for each byte of its UTF-8. */
export function loginFailedPacket(user: string, serverName: string): Uint8Array {
  const message = toUtf16le(`Login failed for user '${Buffer.from(user.slice(0, 128), 'latin1').toString('utf8')}'.`);
  const server = toUtf16le(serverName);
  const [number, state, severity, line] = [18_456, 1, 14, 1];
  const error = bytesOf(u32le(number), state, severity, u16le(message.length / 2), message, server.length / 2, server, 0, u32le(line));
  const done = bytesOf(0xfd, u16le(2), u16le(0), new Uint8Array(8));
  return response(0xaa, u16le(error.length), error, done);
}
