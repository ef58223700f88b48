/**
 * Which algorithms a client and this server settle on (RFC 4253, 7.1). We offer what the release's sshd offers, which is more than ssh2 knows; so the choice
 * is made here, and ssh2 is told of a client that wants just that.
 */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { bytesOf, type Part, u32 } from '../protocols/bytes.ts';
import type { KexInit } from '../protocols/kexinit.ts';
import { HYBRID, type SshOffer } from './ssh-algorithms.ts';

export interface Settled {
  readonly kex: string;
  /** The client guessed, and guessed wrong: its next packet is to be ignored. */
  readonly wrongGuess: boolean;
  /** The client's KEXINIT as ssh2 shall see it. */
  readonly asked: Uint8Array;
}

const SSH_MSG_KEXINIT = 20;
const COOKIE_BYTES = 16;
/** Flags that travel in the list of key exchanges and are none. */
const FLAGS: readonly string[] = ['ext-info-s', 'kex-strict-s-v00@openssh.com'];
const CLIENT_FLAGS: readonly string[] = ['ext-info-c', 'kex-strict-c-v00@openssh.com'];
/** The half of the hybrid exchange that ssh2 knows; ssh-exchanges.ts adds the other. */
const CURVE = 'curve25519-sha256';

/** `payload` is the client's KEXINIT, `kexInit` what is in it. `no-...`: there is nothing that both know, or we offer it and cannot do it. */
export function settle(payload: Uint8Array, kexInit: KexInit, offer: SshOffer, hostKeys: readonly string[]): Parsed<Settled, 'no-common' | 'no-umac'> {
  const exchanges = offer.kex.filter(name => !FLAGS.includes(name));
  const hostKeyNames = offer.hostKeys.filter(name => hostKeys.includes(name));
  const kex = firstOf(kexInit.kex, exchanges);
  const hostKey = firstOf(kexInit.hostKey, hostKeyNames);
  const ciphers = [firstOf(kexInit.encryptionToServer, offer.ciphers), firstOf(kexInit.encryptionToClient, offer.ciphers)];
  const macs = [firstOf(kexInit.macToServer, offer.macs), firstOf(kexInit.macToClient, offer.macs)];
  const compression = [firstOf(kexInit.compressionToServer, offer.compression), firstOf(kexInit.compressionToClient, offer.compression)];
  const needed = ciphers.map((cipher, way) => (isAuthenticated(cipher) ? 'hmac-sha2-256' : macs[way]));
  if ([kex, hostKey, ...ciphers, ...needed, ...compression].includes(undefined)) return unparsed('no-common');
  if (needed.some(mac => mac?.startsWith('umac'))) return unparsed('no-umac');
  const flags = names(kexInit.kex).filter(name => CLIENT_FLAGS.includes(name));
  const lists = [[kex === HYBRID ? CURVE : (kex ?? ''), ...flags].join(','), hostKey, ...ciphers, ...needed, ...compression, '', ''];
  const asked = bytesOf(payload.subarray(0, 1 + COOKIE_BYTES), ...lists.flatMap(list => [u32((list ?? '').length), list ?? '']), [0], u32(0));
  const wrongGuess = guesses(payload) && (names(kexInit.kex)[0] !== exchanges[0] || names(kexInit.hostKey)[0] !== hostKeyNames[0]);
  return parsed({ kex: kex ?? '', wrongGuess, asked });
}

/** Our KEXINIT: `lists` as ssh-algorithms.ts has them. */
export function kexInitOf(lists: readonly string[], cookie: Uint8Array): Uint8Array {
  const parts: readonly Part[] = lists.flatMap(list => [u32(list.length), list]);
  return bytesOf(SSH_MSG_KEXINIT, cookie, ...parts, 0, u32(0));
}

const names = (list: string): readonly string[] => (list === '' ? [] : list.split(','));
const firstOf = (wanted: string, offered: readonly string[]): string | undefined => names(wanted).find(name => offered.includes(name));
const isAuthenticated = (cipher: string | undefined): boolean => cipher !== undefined && /gcm|poly1305/.test(cipher);

/** Whether first_kex_packet_follows, which stands behind the lists, before the last four bytes. */
const guesses = (payload: Uint8Array): boolean => payload.at(-5) === 1;
