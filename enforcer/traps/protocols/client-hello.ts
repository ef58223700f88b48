/** The first message of TLS: what a client offers, and to whom it wants to speak. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ByteReader, latin1 } from './bytes.ts';

export interface ClientHello {
  /** The version field of the message itself: 0x0303 also for TLS 1.3, which says so in `supportedVersions`. */
  readonly version: number;
  readonly ciphers: readonly number[];
  /** Types of the extensions, in the order sent. */
  readonly extensions: readonly number[];
  readonly supportedVersions: readonly number[];
  readonly signatureAlgorithms: readonly number[];
  /** Each byte a character. */
  readonly alpn: readonly string[];
  readonly serverName: string | undefined;
}

/** `truncated`: it may become one with more bytes. */
export type ClientHelloFailure = 'truncated' | 'too-long' | 'not-client-hello';

const RECORD_HANDSHAKE = 22;
const MESSAGE_CLIENT_HELLO = 1;
const LONGEST_RECORD = 16_384; // RFC 8446, 5.1
/** A hello with post-quantum key shares has about 2 kB; browsers' longest have stayed under 4 kB. */
export const LONGEST_CLIENT_HELLO = 16_384;

const SERVER_NAME = 0;
const SIGNATURE_ALGORITHMS = 13;
const ALPN = 16;
const SUPPORTED_VERSIONS = 43;

/** Reads a ClientHello from the start of a TLS stream, over as many records as it takes (RFC 8446, 5.1). Never throws. */
export function readClientHello(stream: Uint8Array): Parsed<ClientHello, ClientHelloFailure> {
  const message = unwrapRecords(stream);
  return message.ok ? parseClientHello(message.value) : message;
}

/** Puts the handshake message together that the records carry. */
function unwrapRecords(stream: Uint8Array): Parsed<Uint8Array, ClientHelloFailure> {
  const parts: Uint8Array[] = [];
  let have = 0;
  let at = 0;
  for (;;) {
    const [type, major, , high = 0, low = 0] = stream.subarray(at, at + 5);
    if ((type ?? RECORD_HANDSHAKE) !== RECORD_HANDSHAKE || (major ?? 3) !== 3) return unparsed('not-client-hello');
    if (stream.length < at + 5) return unparsed('truncated');
    const length = high * 0x100 + low;
    if (length === 0) return unparsed('not-client-hello'); // else a stream of empty records would keep us busy
    if (length > LONGEST_RECORD) return unparsed('too-long');
    const part = stream.subarray(at + 5, at + 5 + length);
    if (parts.length === 0 && part.length > 0 && part[0] !== MESSAGE_CLIENT_HELLO) return unparsed('not-client-hello');
    parts.push(part);
    have += part.length;
    const joined = parts.length === 1 ? part : Buffer.concat(parts);
    if (have >= 4) {
      const whole = 4 + (joined[1] ?? 0) * 0x10000 + (joined[2] ?? 0) * 0x100 + (joined[3] ?? 0);
      if (whole > LONGEST_CLIENT_HELLO) return unparsed('too-long');
      if (have >= whole) return parsed(joined.subarray(0, whole));
    }
    if (part.length < length) return unparsed('truncated');
    if (parts.length > 64) return unparsed('too-long');
    at += 5 + length;
  }
}

/** Reads the handshake message alone, its four bytes of header included. Never throws. */
export function parseClientHello(message: Uint8Array): Parsed<ClientHello, ClientHelloFailure> {
  const reader = new ByteReader(message);
  if (reader.u8() !== MESSAGE_CLIENT_HELLO) return unparsed('not-client-hello');
  const body = new ByteReader(reader.take(reader.u24()));
  const version = body.u16();
  body.take(32); // random
  body.take(body.u8()); // session id
  const ciphers = numbers(body.take(body.u16()));
  body.take(body.u8()); // compression methods
  if (reader.truncated || body.truncated) return unparsed('truncated');
  const hello = {
    version,
    ciphers,
    extensions: [] as number[],
    supportedVersions: [] as readonly number[],
    signatureAlgorithms: [] as readonly number[],
    alpn: [] as readonly string[],
    serverName: undefined as string | undefined,
  };
  if (body.left === 0) return parsed(hello); // before TLS 1.3 extensions may be missing altogether
  const extensions = new ByteReader(body.take(body.u16()));
  while (extensions.left > 0) {
    const type = extensions.u16();
    const content = extensions.take(extensions.u16());
    if (extensions.truncated) break;
    hello.extensions.push(type);
    if (type === SERVER_NAME) hello.serverName ??= hostName(content);
    else if (type === ALPN) hello.alpn = names(content);
    else if (type === SIGNATURE_ALGORITHMS) hello.signatureAlgorithms = numbers(content.subarray(2));
    else if (type === SUPPORTED_VERSIONS) hello.supportedVersions = numbers(content.subarray(1));
  }
  return body.truncated || extensions.truncated ? unparsed('truncated') : parsed(hello);
}

function numbers(list: Uint8Array): number[] {
  const read: number[] = [];
  for (let at = 0; at + 1 < list.length; at += 2) read.push((list[at] ?? 0) * 0x100 + (list[at + 1] ?? 0));
  return read;
}

function names(content: Uint8Array): string[] {
  const reader = new ByteReader(content);
  const list = new ByteReader(reader.take(reader.u16()));
  const read: string[] = [];
  while (list.left > 0) {
    const name = list.take(list.u8());
    if (!list.truncated) read.push(latin1(name));
  }
  return read;
}

function hostName(content: Uint8Array): string | undefined {
  const reader = new ByteReader(content);
  const list = new ByteReader(reader.take(reader.u16()));
  const type = list.u8();
  const name = latin1(list.take(list.u16()));
  return list.truncated || type !== 0 || name === '' ? undefined : name;
}
