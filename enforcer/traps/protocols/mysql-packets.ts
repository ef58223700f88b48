/** Packets of the MySQL client/server protocol ("Connection Phase", protocol version 10). */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ByteReader, bytesOf, latin1, u16le, u32le } from './bytes.ts';

export const SCRAMBLE_BYTES = 20;
export const NATIVE_PASSWORD = 'mysql_native_password';
export const CACHING_SHA2 = 'caching_sha2_password';

const CLIENT_CONNECT_WITH_DB = 0x8;
const CLIENT_PROTOCOL_41 = 0x200;
const CLIENT_SSL = 0x800;
const CLIENT_SECURE_CONNECTION = 0x8000;
const CLIENT_PLUGIN_AUTH = 0x80000;
const CLIENT_CONNECT_ATTRS = 0x100000;
const CLIENT_PLUGIN_AUTH_LENENC = 0x200000;
const MOST_ATTRIBUTES = 16;

/** A packet's header is a length of three bytes and a sequence number. */
export function packet(sequence: number, body: Uint8Array): Uint8Array {
  return bytesOf(body.length & 0xff, (body.length >> 8) & 0xff, 0, sequence & 0xff, body);
}

export interface Greeting {
  readonly version: string;
  readonly flavour: 'mariadb' | 'mysql';
  readonly connectionId: number;
  readonly scramble: Uint8Array;
  readonly plugin: string;
  readonly tls: boolean;
}

/** HandshakeV10: what the server says first. */
export function greetingPacket({ version, flavour, connectionId, scramble, plugin, tls }: Greeting): Uint8Array {
  const mariadb = flavour === 'mariadb';
  const lowCapabilities = (mariadb ? 0xf7fe : 0xf7ff) | (tls ? CLIENT_SSL : 0);
  const body = bytesOf(
    10,
    version,
    0,
    u32le(connectionId),
    scramble.subarray(0, 8),
    0,
    u16le(lowCapabilities),
    mariadb ? 45 : 255, // utf8mb4_general_ci, utf8mb4_0900_ai_ci
    u16le(2), // autocommit
    u16le(mariadb ? 0x81ff : 0xdfff),
    SCRAMBLE_BYTES + 1,
    [0, 0, 0, 0, 0, 0],
    mariadb ? u32le(0x1d) : [0, 0, 0, 0], // MariaDB's own capabilities stand where MySQL has zeros
    scramble.subarray(8),
    0,
    plugin,
    0,
  );
  return packet(0, body);
}

export type ClientFirst =
  | { readonly kind: 'tls-request' }
  | {
      readonly kind: 'login';
      /** Each byte a character, as all text here. */
      readonly user: string;
      readonly answer: Uint8Array;
      readonly database: string | undefined;
      readonly plugin: string | undefined;
      readonly attributes: readonly (readonly [name: string, value: string])[];
    };

/** Reads HandshakeResponse41, its SSLRequest, or HandshakeResponse320. Never throws. */
export function parseClientFirst(body: Uint8Array): Parsed<ClientFirst, 'truncated'> {
  const reader = new ByteReader(body);
  const low = reader.u16le();
  if ((low & CLIENT_PROTOCOL_41) === 0) return parseOldLogin(reader, low);
  const capabilities = low + reader.u16le() * 0x10000;
  const has = (flag: number): boolean => (capabilities & flag) !== 0;
  reader.take(4 + 1 + 23); // longest packet, character set, filler
  if (reader.truncated) return unparsed('truncated');
  if (has(CLIENT_SSL) && reader.left === 0) return parsed({ kind: 'tls-request' });
  const user = latin1(reader.untilNul());
  const answer = has(CLIENT_PLUGIN_AUTH_LENENC)
    ? reader.take(lengthEncoded(reader))
    : has(CLIENT_SECURE_CONNECTION)
      ? reader.take(reader.u8())
      : reader.untilNul();
  if (reader.truncated) return unparsed('truncated');
  // What follows may be missing: old connectors set flags that they do not keep.
  const database = has(CLIENT_CONNECT_WITH_DB) ? optionalText(reader) : undefined;
  const plugin = has(CLIENT_PLUGIN_AUTH) ? optionalText(reader) : undefined;
  const attributes = has(CLIENT_CONNECT_ATTRS) ? attributesOf(reader) : [];
  return parsed({ kind: 'login', user, answer, database, plugin, attributes });
}

function parseOldLogin(reader: ByteReader, capabilities: number): Parsed<ClientFirst, 'truncated'> {
  reader.take(3); // longest packet
  const user = latin1(reader.untilNul());
  if (reader.truncated) return unparsed('truncated');
  const withDatabase = (capabilities & CLIENT_CONNECT_WITH_DB) !== 0;
  const rest = reader.take(reader.left);
  const end = withDatabase ? rest.indexOf(0) : -1;
  const answer = end < 0 ? rest.subarray(0, rest.at(-1) === 0 ? rest.length - 1 : rest.length) : rest.subarray(0, end);
  const database = end < 0 ? undefined : latin1(rest.subarray(end + 1)).replace(/\0.*$/s, '');
  return parsed({ kind: 'login', user, answer, database, plugin: undefined, attributes: [] });
}

function optionalText(reader: ByteReader): string | undefined {
  if (reader.left === 0) return undefined;
  const text = latin1(reader.untilNul());
  return reader.truncated ? undefined : text;
}

/** A length-encoded integer; those of 8 bytes are longer than any packet here and read as such. */
function lengthEncoded(reader: ByteReader): number {
  const first = reader.u8();
  if (first < 0xfb) return first;
  if (first === 0xfc) return reader.u16le();
  if (first === 0xfd) return reader.u16le() + reader.u8() * 0x10000;
  return Number.MAX_SAFE_INTEGER;
}

function attributesOf(reader: ByteReader): [string, string][] {
  const list = new ByteReader(reader.take(lengthEncoded(reader)));
  const attributes: [string, string][] = [];
  while (list.left > 0 && attributes.length < MOST_ATTRIBUTES) {
    const name = latin1(list.take(lengthEncoded(list)));
    const value = latin1(list.take(lengthEncoded(list)));
    if (!list.truncated) attributes.push([name, value]);
  }
  return attributes;
}

/** ERR_Packet. `state` is the SQLSTATE, five characters. */
export function errorPacket(sequence: number, code: number, state: string, message: string): Uint8Array {
  return packet(sequence, bytesOf(0xff, u16le(code), '#', state, message));
}

/** Asks the client to answer by another plugin. */
export function authSwitchPacket(sequence: number, plugin: string, scramble: Uint8Array): Uint8Array {
  return packet(sequence, bytesOf(0xfe, plugin, 0, scramble, 0));
}

/** AuthMoreData of caching_sha2_password: "I have no hash of this user in memory, send the password itself". */
export const fullAuthenticationPacket = (sequence: number): Uint8Array => packet(sequence, Uint8Array.of(1, 4));
