/**
 * What an operator carries from a registrar to a host that is to join: where the registrar listens, by which key it is known, a secret that works once.
 * Nothing of it is worth anything after an hour, or after it was used.
 *
 *     'hmj1_' and, in base64url: clusterId 16 | pin 32 | secret 16 | expiry u32 s | site text | count u8, addresses text | checksum 4
 *
 * The checksum (of SHA-256) tells a token that was cut or mistyped from one that is not good any more.
 */
import { hash } from 'node:crypto';
import { CLUSTER_ID_BYTES } from '@honeymesh/intel/envelope';
import { latin1Bytes, readBytes, sameBytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { REGISTRAR_PORT } from '../../config/mesh-fields.ts';
import { parseTarget } from '../node/places.ts';
import { isSiteName, LONGEST_SITE } from '../signed/certificates.ts';

export interface JoinToken {
  readonly clusterId: Uint8Array;
  /** SHA-256 of the registrar's HTTPS key (SubjectPublicKeyInfo). */
  readonly pin: Uint8Array;
  readonly secret: Uint8Array;
  /** Whole seconds. */
  readonly expiresAt: UnixMs;
  readonly site: string;
  /** `HOST:PORT`, to be tried in this order. */
  readonly addresses: readonly string[];
}

export type TokenFailure = 'not-a-token' | 'other-version' | 'cut-or-mistyped';

export const PIN_BYTES = 32;
export const SECRET_BYTES = 16;
export const MOST_ADDRESSES = 4;
export const LONGEST_ADDRESS = 255;
export const LONGEST_TOKEN = 2_048;

const PREFIX = 'hmj1_';
const CHECKSUM_BYTES = 4;
const DOMAIN = latin1Bytes('HoneyMesh join token\0');

/** Throws a RangeError on an address longer than LONGEST_ADDRESS or beyond MOST_ADDRESSES. */
export function encodeToken({ clusterId, pin, secret, expiresAt, site, addresses }: JoinToken): string {
  if (addresses.length === 0 || addresses.length > MOST_ADDRESSES) throw new RangeError(`${addresses.length} addresses in a token`);
  const writer = writeBytes()
    .bytes(clusterId)
    .bytes(pin)
    .bytes(secret)
    .u32(Math.floor(expiresAt / SECOND_MS))
    .text(site)
    .u8(addresses.length);
  for (const address of addresses) writer.text(address);
  const body = writer.take();
  return PREFIX + Buffer.concat([body, checksumOf(body)]).toString('base64url');
}

/** Takes what an operator pasted, blanks and line breaks around and inside it left out: terminals wrap. Never throws. */
export function decodeToken(text: string): Parsed<JoinToken, TokenFailure> {
  if (text.length > LONGEST_TOKEN) return unparsed('not-a-token');
  const compact = text.replace(/\s+/g, '');
  if (!compact.startsWith(PREFIX)) return unparsed(/^hmj\d+_/.test(compact) ? 'other-version' : 'not-a-token');
  const encoded = compact.slice(PREFIX.length);
  if (!/^[\w-]*$/.test(encoded)) return unparsed('cut-or-mistyped');
  const bytes = Uint8Array.from(Buffer.from(encoded, 'base64url'));
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  if (!sameBytes(checksumOf(body), bytes.subarray(body.length))) return unparsed('cut-or-mistyped');
  return readBody(body);
}

function readBody(body: Uint8Array): Parsed<JoinToken, TokenFailure> {
  const reader = readBytes(body);
  const clusterId = reader.bytes(CLUSTER_ID_BYTES);
  const pin = reader.bytes(PIN_BYTES);
  const secret = reader.bytes(SECRET_BYTES);
  const expiresAt = unixMs(reader.u32() * SECOND_MS);
  const site = reader.text(LONGEST_SITE);
  const addresses: string[] = [];
  for (let left = reader.u8(); left > 0 && reader.ok && addresses.length < MOST_ADDRESSES; left--) addresses.push(reader.text(LONGEST_ADDRESS));
  const sound = reader.done && addresses.length > 0 && isSiteName(site) && addresses.every(address => parseTarget(address, REGISTRAR_PORT).ok);
  return sound ? parsed({ clusterId, pin, secret, expiresAt, site, addresses }) : unparsed('not-a-token');
}

const checksumOf = (body: Uint8Array): Uint8Array => hash('sha256', Buffer.concat([DOMAIN, body]), 'buffer').subarray(0, CHECKSUM_BYTES);
