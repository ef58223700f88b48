/**
 * Lists of keys that are good no more: one of the root, which may name any key, and one of each registrar, which may name hosts of its own. The
 * higher number of an issuer wins; an entry stays until its certificate would have ended anyway.
 *
 *     'HMR' | version u8 | clusterId 16 | issuer 8 | number u32 | count u16 | entries: kid 8, notAfter u32 s | signature 64
 */
import { CLUSTER_ID_BYTES, type KeyId, KID_BYTES, kidBytes, kidFromBytes, SIGNATURE_BYTES, type Signatures } from '@honeymesh/intel/envelope';
import { latin1Bytes, readBytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';

export interface Revocation {
  readonly kid: KeyId;
  /** Of the certificate: whole seconds. */
  readonly notAfter: UnixMs;
}

export interface RevocationList {
  readonly clusterId: Uint8Array;
  /** The root's key or a registrar's. */
  readonly issuer: KeyId;
  readonly number: number;
  readonly entries: readonly Revocation[];
  readonly bytes: Uint8Array;
}

export const MOST_REVOCATIONS = 4_096;

const MAGIC = latin1Bytes('HMR');
const VERSION = 1;
const ENTRY_BYTES = KID_BYTES + 4;
const HEAD_BYTES = MAGIC.length + 1 + CLUSTER_ID_BYTES + KID_BYTES + 4 + 2;
const DOMAIN = latin1Bytes('HoneyMesh HM1 revocations\0');
export const LONGEST_REVOCATIONS_BYTES = HEAD_BYTES + MOST_REVOCATIONS * ENTRY_BYTES + SIGNATURE_BYTES;

/** The next list of an issuer. Entries that have ended at `now` are left out. Throws a RangeError beyond MOST_REVOCATIONS. */
export function issueRevocations(
  list: { readonly clusterId: Uint8Array; readonly number: number; readonly entries: readonly Revocation[] },
  by: { readonly kid: KeyId; readonly secret: Uint8Array },
  signatures: Signatures,
  now: UnixMs,
): RevocationList {
  const entries = list.entries.filter(entry => entry.notAfter > now);
  if (entries.length > MOST_REVOCATIONS) throw new RangeError(`${entries.length} revocations in one list`);
  const writer = writeBytes().bytes(MAGIC).u8(VERSION).bytes(list.clusterId).bytes(kidBytes(by.kid)).u32(list.number).u16(entries.length);
  for (const { kid, notAfter } of entries) writer.bytes(kidBytes(kid)).u32(Math.floor(notAfter / SECOND_MS));
  const unsigned = writer.take();
  const read = readRevocations(
    writeBytes()
      .bytes(unsigned)
      .bytes(signatures.sign(by.secret, signedBytes(unsigned)))
      .take(),
  );
  if (!read.ok) throw new RangeError('not a list that anybody would take');
  return read.value;
}

/** Takes a list apart; who signed it is not looked at. Never throws. */
export function readRevocations(bytes: Uint8Array): Parsed<RevocationList, 'malformed'> {
  if (bytes.length > LONGEST_REVOCATIONS_BYTES || bytes.length < HEAD_BYTES + SIGNATURE_BYTES) return unparsed('malformed');
  const reader = readBytes(bytes);
  if (!MAGIC.every(byte => byte === reader.u8()) || reader.u8() !== VERSION) return unparsed('malformed');
  const clusterId = reader.bytes(CLUSTER_ID_BYTES);
  const issuer = kidFromBytes(reader.bytes(KID_BYTES));
  const number = reader.u32();
  const count = reader.u16();
  if (reader.left !== count * ENTRY_BYTES + SIGNATURE_BYTES) return unparsed('malformed');
  const entries: Revocation[] = [];
  for (let at = 0; at < count; at++) entries.push({ kid: kidFromBytes(reader.bytes(KID_BYTES)), notAfter: unixMs(reader.u32() * SECOND_MS) });
  return parsed({ clusterId, issuer, number, entries, bytes });
}

export function areRevocationsSignedBy(list: RevocationList, edPublic: Uint8Array, signatures: Signatures): boolean {
  const unsigned = list.bytes.subarray(0, list.bytes.length - SIGNATURE_BYTES);
  return signatures.verify(edPublic, signedBytes(unsigned), list.bytes.subarray(list.bytes.length - SIGNATURE_BYTES));
}

const signedBytes = (unsigned: Uint8Array): Uint8Array => writeBytes().bytes(DOMAIN).bytes(unsigned).take();
