/** Packets of remote desktop ([MS-RDPBCGR]) up to the client's log-in: X.224, MCS (T.125), GCC (T.124). */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ber, berInteger } from './ber.ts';
import { ByteReader, bytesOf, fromHex, latin1, type Part, u16, u16le, u32le, utf16leAsText } from './bytes.ts';

export const TPKT_VERSION = 3;
export const TPKT_HEADER_BYTES = 4;
export const X224_CONNECTION_REQUEST = 0xe0;
export const X224_DATA = 0xf0;
const X224_CONNECTION_CONFIRM = 0xd0;

export const PROTOCOL_RDP = 0;
export const PROTOCOL_TLS = 1;
const NEGOTIATION_REQUEST = 1;
const NEGOTIATION_RESPONSE = 2;

const MCS_CONNECT_INITIAL = 0x7f65;
const MCS_ATTACH_USER_REQUEST = 0x28;
const MCS_CHANNEL_JOIN_REQUEST = 0x38;
const MCS_SEND_DATA_REQUEST = 0x64;
const MCS_ERECT_DOMAIN_REQUEST = 0x04;
const MCS_DISCONNECT = 0x20;
const FIRST_USER = 1001;
const USER = 1007;
const IO_CHANNEL = 1003;
const MOST_CHANNELS = 31;
const LONGEST_LOGIN_FIELD = 512;

const SEC_INFO = 0x0040;
const INFO_UNICODE = 0x0010;

const tpkt = (...parts: readonly Part[]): Uint8Array => {
  const body = bytesOf(...parts);
  return bytesOf(TPKT_VERSION, 0, u16(TPKT_HEADER_BYTES + body.length), body);
};
const mcs = (...parts: readonly Part[]): Uint8Array => tpkt(2, X224_DATA, 0x80, ...parts);

export interface ConnectionRequest {
  /** Of `Cookie: mstshash=`: the name that the client is going to log in with, cut to nine characters by Microsoft's. */
  readonly cookie: string | undefined;
  /** Security protocols that the client offers; absent in those before RDP 5.2. */
  readonly protocols: number | undefined;
}

/** Reads X.224's connection request; `body` follows the TPKT header. Never throws. */
export function parseConnectionRequest(body: Uint8Array): ConnectionRequest {
  const rest = body.subarray(7);
  const text = latin1(rest);
  const cookie = /Cookie: mstshash=([^\r\n]*)/.exec(text)?.[1];
  const line = text.indexOf('\r\n');
  const negotiation = new ByteReader(rest.subarray(line < 0 ? 0 : line + 2));
  const type = negotiation.u8();
  negotiation.u8(); // flags
  const length = negotiation.u16le();
  const protocols = negotiation.u32le();
  return { cookie, protocols: negotiation.truncated || type !== NEGOTIATION_REQUEST || length !== 8 ? undefined : protocols };
}

/** X.224's confirmation: with the protocol that was chosen, if the client negotiates. */
export function connectionConfirm(chosen: number | undefined): Uint8Array {
  const negotiation = chosen === undefined ? [] : bytesOf(NEGOTIATION_RESPONSE, 1, u16le(8), u32le(chosen));
  return tpkt(6 + negotiation.length, X224_CONNECTION_CONFIRM, u16(0), u16(0), 0, negotiation);
}

export type McsRequest =
  | { readonly kind: 'connect'; readonly clientName: string; readonly clientBuild: number; readonly channels: readonly string[] }
  | { readonly kind: 'erect-domain' }
  | { readonly kind: 'attach-user' }
  | { readonly kind: 'join'; readonly channel: number }
  | { readonly kind: 'data'; readonly content: Uint8Array }
  | { readonly kind: 'disconnect' };

/** Reads what X.224 carries. Never throws. */
export function parseMcs(payload: Uint8Array): Parsed<McsRequest, 'not-mcs'> {
  const reader = new ByteReader(payload);
  const type = reader.u8();
  if (type * 0x100 + (payload[1] ?? 0) === MCS_CONNECT_INITIAL) return parsed(parseConnect(payload));
  switch (type & 0xfc) {
    case MCS_ERECT_DOMAIN_REQUEST:
      return parsed({ kind: 'erect-domain' });
    case MCS_ATTACH_USER_REQUEST:
      return parsed({ kind: 'attach-user' });
    case MCS_CHANNEL_JOIN_REQUEST:
      reader.u16();
      return parsed({ kind: 'join', channel: reader.u16() });
    case MCS_DISCONNECT:
      return parsed({ kind: 'disconnect' });
    case MCS_SEND_DATA_REQUEST: {
      reader.take(5); // user, channel, priority
      const length = reader.u8();
      if (length >= 0x80) reader.u8(); // PER: lengths from 128 on take two bytes
      return reader.truncated ? unparsed('not-mcs') : parsed({ kind: 'data', content: reader.rest() });
    }
    default:
      return unparsed('not-mcs');
  }
}

/** Of the client's blocks (2.2.1.3) those that tell who it is and which channels it wants. They follow GCC's key "Duca". */
function parseConnect(payload: Uint8Array): McsRequest {
  const key = latin1(payload).indexOf('Duca');
  const reader = new ByteReader(key < 0 ? payload.subarray(payload.length) : payload.subarray(key + 4));
  if (reader.u8() >= 0x80) reader.u8();
  let [clientName, clientBuild] = ['', 0];
  const channels: string[] = [];
  for (let blocks = 0; blocks < 16 && reader.left >= 4; blocks++) {
    const type = reader.u16le();
    const block = new ByteReader(reader.take(reader.u16le() - 4));
    if (type === 0xc001) {
      block.take(16); // version, size, colour depth, keys, keyboard layout
      clientBuild = block.u32le();
      clientName = utf16leAsText(block.take(32)).replace(/\0.*$/s, '');
    } else if (type === 0xc003) {
      const count = block.u32le();
      while (channels.length < Math.min(count, MOST_CHANNELS) && block.left >= 12) {
        channels.push(latin1(block.take(8)).replace(/\0.*$/s, ''));
        block.u32le();
      }
    }
  }
  return { kind: 'connect', clientName, clientBuild, channels };
}

/** MCS Connect Response: no encryption of RDP's own, so that the log-in comes readable where there is no TLS. */
export function connectResponse(channels: number, requestedProtocols: number): Uint8Array {
  const block = (type: number, ...parts: readonly Part[]): Uint8Array => {
    const content = bytesOf(...parts);
    return bytesOf(u16le(type), u16le(4 + content.length), content);
  };
  const ids = Array.from({ length: channels }, (_, index) => u16le(IO_CHANNEL + 1 + index)).flat();
  const blocks = bytesOf(
    block(0x0c01, u32le(0x0008_0004), u32le(requestedProtocols)),
    block(0x0c02, u32le(0), u32le(0)),
    block(0x0c03, u16le(IO_CHANNEL), u16le(channels), ids, channels % 2 === 1 ? [0, 0] : []),
  );
  const length = blocks.length < 0x80 ? [blocks.length] : u16(0x8000 | blocks.length);
  const conference = bytesOf(fromHex('00 05 00 14 7c 00 01 2a 14 76 0a 01 01 00 01 c0 00'), 'McDn', length, blocks);
  const parameters = ber(0x30, ...[22, 3, 0, 1, 0, 1, 0xfff8, 2].map(value => berInteger(value)));
  const response = ber(0x66, ber(0x0a, [0]), berInteger(0), parameters, ber(0x04, conference));
  return mcs(0x7f, response); // the tag is 0x7f66, of two bytes
}

export const attachUserConfirm = (): Uint8Array => mcs(0x2e, 0, u16(USER - FIRST_USER));
export const channelJoinConfirm = (channel: number): Uint8Array => mcs(0x3e, 0, u16(USER - FIRST_USER), u16(channel), u16(channel));
/** By which xrdp ends a session. */
export const disconnectUltimatum = (): Uint8Array => mcs(0x21, 0x80);

export interface RdpLogin {
  /** All text: one character for each byte of its UTF-8. */
  readonly domain: string;
  readonly user: string;
  readonly password: string;
  readonly shell: string;
}

/** Reads the Client Info PDU (2.2.1.11) with the log-in in it. Never throws. */
export function parseClientInfo(content: Uint8Array): Parsed<RdpLogin, 'not-client-info' | 'truncated'> {
  const reader = new ByteReader(content);
  const security = reader.u16le();
  reader.u16le();
  if ((security & SEC_INFO) === 0) return unparsed('not-client-info');
  reader.u32le(); // code page
  const unicode = (reader.u32le() & INFO_UNICODE) !== 0;
  const lengths = [reader.u16le(), reader.u16le(), reader.u16le(), reader.u16le()];
  reader.u16le(); // working directory
  const [domain = '', user = '', password = '', shell = ''] = lengths.map(length => {
    const text = reader.take(length).subarray(0, LONGEST_LOGIN_FIELD);
    reader.take(unicode ? 2 : 1); // its NUL is not counted
    return unicode ? utf16leAsText(text) : latin1(text);
  });
  return reader.truncated ? unparsed('truncated') : parsed({ domain, user, password, shell });
}
