/** The first binary message of SSH: the algorithms that a side can speak. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { ByteReader, latin1 } from './bytes.ts';

/** The ten name-lists of SSH_MSG_KEXINIT (RFC 4253, 7.1), in the order sent; each comma-separated, as it came. */
export interface KexInit {
  readonly kex: string;
  readonly hostKey: string;
  readonly encryptionToServer: string;
  readonly encryptionToClient: string;
  readonly macToServer: string;
  readonly macToClient: string;
  readonly compressionToServer: string;
  readonly compressionToClient: string;
  readonly languagesToServer: string;
  readonly languagesToClient: string;
}

export type KexInitFailure = 'truncated' | 'too-long' | 'not-kexinit';

const SSH_MSG_KEXINIT = 20;
const COOKIE_BYTES = 16;
const LONGEST_NAME_LIST = 4096; // RFC 4253 sets no bound; OpenSSH's longest is under 1 kB
const LONGEST_PACKET = 35_000; // RFC 4253, 6.1

/** Reads the payload of a packet. Never throws; `payload` is hostile. */
export function parseKexInit(payload: Uint8Array): Parsed<KexInit, KexInitFailure> {
  if (payload[0] !== SSH_MSG_KEXINIT) return unparsed('not-kexinit');
  const reader = new ByteReader(payload);
  reader.take(1 + COOKIE_BYTES);
  const lists: string[] = [];
  while (lists.length < 10) {
    const length = reader.u32();
    if (length > LONGEST_NAME_LIST) return unparsed('too-long');
    lists.push(latin1(reader.take(length)));
  }
  if (reader.truncated) return unparsed('truncated');
  const [kex = '', hostKey = '', encryptionToServer = '', encryptionToClient = '', macToServer = '', macToClient = ''] = lists;
  const [compressionToServer = '', compressionToClient = '', languagesToServer = '', languagesToClient = ''] = lists.slice(6);
  return parsed({
    kex,
    hostKey,
    encryptionToServer,
    encryptionToClient,
    macToServer,
    macToClient,
    compressionToServer,
    compressionToClient,
    languagesToServer,
    languagesToClient,
  });
}

/** Reads the unencrypted packet around it (RFC 4253, 6), which follows the identification line. `truncated`: more bytes may complete it. Never throws. */
export function readKexInit(packet: Uint8Array): Parsed<KexInit, KexInitFailure> {
  const reader = new ByteReader(packet);
  const length = reader.u32();
  const padding = reader.u8();
  if (reader.truncated) return unparsed('truncated');
  if (length > LONGEST_PACKET) return unparsed('too-long');
  if (padding + 1 > length) return unparsed('not-kexinit');
  const payload = reader.take(length - padding - 1);
  reader.take(padding);
  return reader.truncated ? unparsed('truncated') : parseKexInit(payload);
}
