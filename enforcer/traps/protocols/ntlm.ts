/** NTLMSSP ([MS-NLMP]): our challenge, and what a client proves itself with. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ByteReader, bytesOf, latin1, type Part, toUtf16le, u16le, u32le, u64le, utf16leAsText } from './bytes.ts';

export const NTLM_SIGNATURE = 'NTLMSSP\0';
const NEGOTIATE = 1;
const CHALLENGE = 2;
const AUTHENTICATE = 3;
const UNICODE = 0x1;

const LONGEST_FIELD = 2048;

/** Unicode, sign, NTLM, target type server, target info, extended session security, 128 bits, key exchange, 56 bits, version. */
const CHALLENGE_FLAGS = 0xe28a_8215;

export type NtlmMessage =
  | { readonly kind: 'negotiate' }
  | {
      readonly kind: 'authenticate';
      /** All text: one character for each byte of its UTF-8. */
      readonly domain: string;
      readonly user: string;
      readonly workstation: string;
      readonly lmResponse: Uint8Array;
      readonly ntResponse: Uint8Array;
    };

/** Finds the NTLMSSP message in a security token, inside SPNEGO or bare, and reads it. Never throws. */
export function readNtlm(token: Uint8Array): Parsed<NtlmMessage, 'no-ntlm' | 'truncated'> {
  const at = Buffer.from(token.buffer, token.byteOffset, token.length).indexOf(NTLM_SIGNATURE, 0, 'latin1');
  if (at < 0) return unparsed('no-ntlm');
  const message = token.subarray(at);
  const reader = new ByteReader(message);
  reader.take(8);
  const type = reader.u32le();
  if (type === NEGOTIATE) return parsed({ kind: 'negotiate' });
  if (type !== AUTHENTICATE) return unparsed('no-ntlm');
  const field = (): Uint8Array => {
    const length = reader.u16le();
    reader.u16le(); // allocated
    const offset = reader.u32le();
    return message.subarray(offset, offset + Math.min(length, LONGEST_FIELD));
  };
  const [lmResponse, ntResponse, domain, user, workstation] = [field(), field(), field(), field(), field()];
  field(); // session key
  const unicode = reader.left < 4 || (reader.u32le() & UNICODE) !== 0;
  if (reader.truncated) return unparsed('truncated');
  const text = unicode ? utf16leAsText : latin1;
  return parsed({ kind: 'authenticate', domain: text(domain), user: text(user), workstation: text(workstation), lmResponse, ntResponse });
}

export interface NtlmChallenge {
  /** 8 bytes. */
  readonly challenge: Uint8Array;
  readonly hostName: string;
  readonly domain: string;
  /** As Windows counts: 100 ns since 1601. */
  readonly fileTime: bigint;
}

/** CHALLENGE_MESSAGE as Samba sends it: a host that is nobody's domain member names itself as the target. */
export function ntlmChallenge({ challenge, hostName, domain, fileTime }: NtlmChallenge): Uint8Array {
  const netbios = hostName.toUpperCase().slice(0, 15);
  const target = toUtf16le(netbios);
  const pair = (id: number, ...value: readonly Part[]): Uint8Array => {
    const bytes = bytesOf(...value);
    return bytesOf(u16le(id), u16le(bytes.length), bytes);
  };
  const info = bytesOf(
    pair(2, target),
    pair(1, target),
    pair(4, toUtf16le(domain)),
    pair(3, toUtf16le(`${hostName}.${domain}`)),
    pair(7, u64le(fileTime)),
    pair(0),
  );
  const header = 56;
  return bytesOf(
    NTLM_SIGNATURE,
    u32le(CHALLENGE),
    slot(target.length, header),
    u32le(CHALLENGE_FLAGS),
    challenge.subarray(0, 8),
    new Uint8Array(8),
    slot(info.length, header + target.length),
    [6, 1, 0, 0, 0, 0, 0, 15], // the Windows that Samba says it is, NTLM revision 15
    target,
    info,
  );
}

const slot = (length: number, offset: number): Uint8Array => bytesOf(u16le(length), u16le(length), u32le(offset));

/** Windows' file time of a Unix time. */
export const fileTimeOf = (unixMs: number): bigint => (BigInt(Math.trunc(unixMs)) + 11_644_473_600_000n) * 10_000n;
