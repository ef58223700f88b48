/** Packets of SMB 2 and 3 ([MS-SMB2]), and of SMB 1 as much as it takes to refuse it ([MS-CIFS]). */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ber } from './ber.ts';
import { ByteReader, bytesOf, fromHex, latin1, type Part, u16le, u32le, u64le } from './bytes.ts';

export const SMB1_MARK = 0xff;
export const SMB2_MARK = 0xfe;
export const SMB1_NEGOTIATE = 0x72;
export const SMB2_NEGOTIATE = 0;
export const SMB2_SESSION_SETUP = 1;
export const SMB2_LOGOFF = 2;
export const SMB2_ECHO = 13;
const SMB2_HEADER_BYTES = 64;
const SMB2_IS_RESPONSE = 1;

export const MORE_PROCESSING_REQUIRED = 0xc000_0016;
export const LOGON_FAILURE = 0xc000_006d;
export const ACCESS_DENIED = 0xc000_0022;
export const USER_SESSION_DELETED = 0xc000_0203;
export const INVALID_PARAMETER = 0xc000_000d;

export const SMB2_WILDCARD = 0x02ff;
const SMB_3_1_1 = 0x0311;
/** What Samba speaks, the best last. */
const DIALECTS: readonly number[] = [0x0202, 0x0210, 0x0300, 0x0302, SMB_3_1_1];
const LARGEST_TRANSFER = 0x80_0000;
const MOST_DIALECTS = 32;

/** NetBIOS' session message around it (RFC 1002, 4.3.1), the same on port 445. */
export const framed = (message: Uint8Array): Uint8Array =>
  bytesOf(0, (message.length >>> 16) & 0xff, (message.length >>> 8) & 0xff, message.length & 0xff, message);

/** The dialects of an SMB 1 negotiation. Never throws. */
export function smb1Dialects(message: Uint8Array): string[] {
  const reader = new ByteReader(message);
  reader.take(32);
  reader.take(2 * reader.u8());
  const list = new ByteReader(reader.take(reader.u16le()));
  const names: string[] = [];
  while (list.left > 0 && names.length < MOST_DIALECTS) {
    list.u8();
    const name = latin1(list.untilNul());
    if (!list.truncated) names.push(name);
  }
  return names;
}

/** "None of these dialects": what Samba answers where SMB 1 is off. Process and multiplex id are the client's. */
export function smb1Refusal(request: Uint8Array): Uint8Array {
  const ids = Buffer.alloc(8);
  ids.set(request.subarray(24, 32));
  const header = bytesOf(SMB1_MARK, 'SMB', SMB1_NEGOTIATE, u32le(0), 0x88, u16le(0xc803), new Uint8Array(12), ids);
  return framed(bytesOf(header, 1, u16le(0xffff), u16le(0)));
}

export interface Smb2Request {
  readonly command: number;
  readonly messageId: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly processAndTree: Uint8Array;
  readonly creditsAsked: number;
  readonly body: Uint8Array;
}

/** Never throws. */
export function parseSmb2(message: Uint8Array): Parsed<Smb2Request, 'malformed'> {
  if (message.length < SMB2_HEADER_BYTES + 2 || latin1(message.subarray(0, 4)) !== '\xfeSMB') return unparsed('malformed');
  const reader = new ByteReader(message);
  reader.take(12);
  const command = reader.u16le();
  const creditsAsked = reader.u16le();
  reader.take(8); // flags, next command: of compounded requests the first is answered
  return parsed({
    command,
    creditsAsked,
    messageId: reader.take(8),
    processAndTree: reader.take(8),
    sessionId: reader.take(8),
    body: message.subarray(SMB2_HEADER_BYTES),
  });
}

/** What an SMB 2 answer to an SMB 1 negotiation answers to. */
export const ANSWERS_SMB1: Smb2Request = {
  command: SMB2_NEGOTIATE,
  messageId: new Uint8Array(8),
  sessionId: new Uint8Array(8),
  processAndTree: new Uint8Array(8),
  creditsAsked: 1,
  body: new Uint8Array(0),
};

export function smb2Response(request: Smb2Request, status: number, sessionId: Uint8Array, ...body: readonly Part[]): Uint8Array {
  const credits = Math.min(Math.max(request.creditsAsked, 1), 64);
  const header = bytesOf(
    '\xfeSMB',
    u16le(SMB2_HEADER_BYTES),
    u16le(request.command === SMB2_NEGOTIATE ? 0 : 1),
    u32le(status),
    u16le(request.command),
    u16le(credits),
  );
  return framed(bytesOf(header, u32le(SMB2_IS_RESPONSE), u32le(0), request.messageId, request.processAndTree, sessionId, new Uint8Array(16), ...body));
}

/** The error response that any command may get. */
export const smb2Error = (request: Smb2Request, status: number): Uint8Array => smb2Response(request, status, request.sessionId, u16le(9), [0, 0], u32le(0), 0);

export interface Smb2Host {
  /** 16 bytes. */
  readonly guid: Uint8Array;
  readonly fileTime: bigint;
  /** 32 bytes, fresh. */
  readonly salt: Uint8Array;
}

/** The dialects that a client offers in SMB2 NEGOTIATE. Never throws. */
export function smb2Dialects(body: Uint8Array): number[] {
  const reader = new ByteReader(body);
  reader.u16le();
  const count = Math.min(reader.u16le(), MOST_DIALECTS);
  reader.take(32);
  const dialects: number[] = [];
  while (dialects.length < count && reader.left >= 2) dialects.push(reader.u16le());
  return dialects;
}

/** The best dialect of both sides; undefined if there is none. */
export const bestDialect = (offered: readonly number[]): number | undefined => DIALECTS.findLast(dialect => offered.includes(dialect));

/** SMB2 NEGOTIATE's answer. */
export function negotiated(request: Smb2Request, dialect: number, { guid, fileTime, salt }: Smb2Host): Uint8Array {
  const token = spnegoOffer();
  const contexts = dialect === SMB_3_1_1 ? negotiateContexts(salt) : NOTHING;
  const tokenAt = SMB2_HEADER_BYTES + 64;
  const padding = contexts.length > 0 ? (8 - ((tokenAt + token.length) % 8)) % 8 : 0;
  const capabilities = dialect === 0x0202 || dialect === SMB2_WILDCARD ? 1 : 7; // DFS; leasing and large transfers from 2.1 on
  const fixed = bytesOf(
    u16le(65),
    u16le(1), // signing is possible
    u16le(dialect),
    u16le(contexts.length > 0 ? 2 : 0),
    guid,
    u32le(capabilities),
    u32le(dialect === 0x0202 ? 0x1_0000 : LARGEST_TRANSFER),
    u32le(dialect === 0x0202 ? 0x1_0000 : LARGEST_TRANSFER),
    u32le(dialect === 0x0202 ? 0x1_0000 : LARGEST_TRANSFER),
    u64le(fileTime),
    u64le(0n),
    u16le(tokenAt),
    u16le(token.length),
    u32le(contexts.length > 0 ? tokenAt + token.length + padding : 0),
  );
  return smb2Response(request, 0, new Uint8Array(8), fixed, token, new Uint8Array(padding), contexts);
}

/** Pre-authentication integrity by SHA-512, encryption by AES-128-GCM. */
function negotiateContexts(salt: Uint8Array): Uint8Array {
  const integrity = bytesOf(u16le(1), u16le(salt.length), u16le(1), salt);
  const encryption = bytesOf(u16le(1), u16le(2));
  const padding = new Uint8Array((8 - ((8 + integrity.length) % 8)) % 8);
  return bytesOf(u16le(1), u16le(integrity.length), u32le(0), integrity, padding, u16le(2), u16le(encryption.length), u32le(0), encryption);
}

/** The security token of SMB2 SESSION_SETUP. Never throws. */
export function sessionSetupToken(body: Uint8Array): Uint8Array {
  const reader = new ByteReader(body);
  reader.take(12);
  const [offset, length] = [reader.u16le(), reader.u16le()];
  return reader.truncated || offset < SMB2_HEADER_BYTES ? NOTHING : body.subarray(offset - SMB2_HEADER_BYTES, offset - SMB2_HEADER_BYTES + length);
}

/** SMB2 SESSION_SETUP's answer that asks for the next step. */
export function sessionSetupContinues(request: Smb2Request, sessionId: Uint8Array, token: Uint8Array): Uint8Array {
  return smb2Response(request, MORE_PROCESSING_REQUIRED, sessionId, u16le(9), u16le(0), u16le(SMB2_HEADER_BYTES + 8), u16le(token.length), token);
}

const NOTHING = new Uint8Array(0);
const SPNEGO = fromHex('06 06 2b 06 01 05 05 02');
const NTLMSSP = fromHex('06 0a 2b 06 01 04 01 82 37 02 02 0a');

/** NegTokenInit2 as Samba sends it outside a domain: NTLMSSP only. */
function spnegoOffer(): Uint8Array {
  const mechanisms = ber(0xa0, ber(0x30, NTLMSSP));
  const hint = ber(0xa3, ber(0x30, ber(0xa0, ber(0x1b, 'not_defined_in_RFC4178@please_ignore'))));
  return ber(0x60, SPNEGO, ber(0xa0, ber(0x30, mechanisms, hint)));
}

/** NegTokenResp with a challenge: accept-incomplete. */
export const spnegoChallenge = (challenge: Uint8Array): Uint8Array =>
  ber(0xa1, ber(0x30, ber(0xa0, ber(0x0a, [1])), ber(0xa1, NTLMSSP), ber(0xa2, ber(0x04, challenge))));
