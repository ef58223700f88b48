/**
 * The HM1 envelope: what one host says to all others, signed, over mesh and hub alike. One is named by (kid, epoch, seq) wherever it came from;
 * it is stored and passed on byte for byte. Big-endian:
 *
 *     'HM1' | version u8 | kid 8 | epoch u64 | seq u64 | issuedAt u64, ms | ttl u32, s | type u8 | body | Ed25519 64
 *
 * Signed is a domain text, the cluster's id and all that precedes the signature: no envelope of another cluster, and nothing else that was ever
 * signed, is taken for one.
 */
import { hexBytes, hexOf, latin1Bytes, readBytes, sameBytes, writeBytes } from './envelope-bytes.ts';
import { type Parsed, parsed, unparsed } from './parsed.ts';
import { DAY_MS, SECOND_MS, type UnixMs, unixMs } from './time.ts';

/** The first 8 bytes of a hash of an Ed25519 public key, in hex. */
export type KeyId = string & { readonly __brand: 'KeyId' };

/** Numbers are those of the wire, for good; 0 is none. */
export const ENVELOPE_TYPES = { intel: 1, accusation: 2, leave: 3, rekey: 4 } as const;
export type EnvelopeType = keyof typeof ENVELOPE_TYPES;

const TYPE_OF_NUMBER = new Map<number, EnvelopeType>(Object.entries(ENVELOPE_TYPES).map(([type, number]) => [number, type as EnvelopeType]));

export interface EnvelopeHeader {
  readonly kid: KeyId;
  /** The sender's persisted boot counter. */
  readonly epoch: number;
  /** From 1 on, each once in an epoch. */
  readonly seq: number;
  readonly issuedAt: UnixMs;
  readonly ttlS: number;
  readonly type: EnvelopeType;
}

export interface Envelope extends EnvelopeHeader {
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
  /** The whole, as it came and as it is passed on. */
  readonly bytes: Uint8Array;
}

export type EnvelopeFailure = 'too-long' | 'truncated' | 'not-hm1' | 'unknown-version' | 'unknown-type' | 'bad-number';

/** Signs and verifies: Ed25519 in a daemon (`mesh/signed/keys`), SubtleCrypto's in a browser, a keyed hash in simulations. */
export interface Signatures {
  sign(secret: Uint8Array, message: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

export const MAGIC = latin1Bytes('HM1');
export const ENVELOPE_VERSION = 1;
export const KID_BYTES = 8;
export const CLUSTER_ID_BYTES = 16;
export const SIGNATURE_BYTES = 64;
export const HEADER_BYTES = MAGIC.length + 1 + KID_BYTES + 8 + 8 + 8 + 4 + 1;
export const ENVELOPE_OVERHEAD_BYTES = HEADER_BYTES + SIGNATURE_BYTES;
/** The largest user broadcast in a datagram of 1,400 bytes under the label "honeymesh" and AES-256-GCM (gossip.md, 1.12). */
export const LONGEST_ENVELOPE_BYTES = 1_355;
/** For a longer label, or a path with a smaller MTU, the sender is told less. */
export const LONGEST_BODY_BYTES = LONGEST_ENVELOPE_BYTES - ENVELOPE_OVERHEAD_BYTES;
/** Nothing that was said holds longer, whatever its TTL. */
export const LONGEST_LIFE_MS = DAY_MS;
/** How far ahead of ours the clock of an honest peer may be. */
export const CLOCK_SKEW_MS = 30 * SECOND_MS;

const DOMAIN = latin1Bytes('HoneyMesh HM1 envelope\0');

export const kidBytes = (kid: KeyId): Uint8Array => hexBytes(kid);
export const kidFromBytes = (bytes: Uint8Array): KeyId => hexOf(bytes) as KeyId;

/** Until when it holds: absolute, so that being passed on late or twice gains nothing. */
export function expiryOf(envelope: EnvelopeHeader): UnixMs {
  return unixMs(envelope.issuedAt + Math.min(envelope.ttlS * SECOND_MS, LONGEST_LIFE_MS));
}

/** Signs and encodes. Throws a RangeError on what would not fit: the caller cuts batches to `longestBytes` before. */
export function sealEnvelope(
  header: EnvelopeHeader,
  body: Uint8Array,
  by: { readonly clusterId: Uint8Array; readonly secret: Uint8Array; readonly signatures: Signatures },
): Uint8Array {
  if (body.length > LONGEST_BODY_BYTES) throw new RangeError(`a body of ${body.length} bytes, of at most ${LONGEST_BODY_BYTES}`);
  if (header.seq < 1 || header.ttlS < 1) throw new RangeError('seq and ttl begin at 1');
  const unsigned = writeBytes()
    .bytes(MAGIC)
    .u8(ENVELOPE_VERSION)
    .bytes(kidBytes(header.kid))
    .u64(header.epoch)
    .u64(header.seq)
    .u64(header.issuedAt)
    .u32(header.ttlS)
    .u8(ENVELOPE_TYPES[header.type])
    .bytes(body)
    .take();
  return writeBytes()
    .bytes(unsigned)
    .bytes(by.signatures.sign(by.secret, signedBytes(by.clusterId, unsigned)))
    .take();
}

/** Takes an envelope apart; says nothing of who signed it. Never throws; `bytes` is hostile and is not copied. */
export function openEnvelope(bytes: Uint8Array): Parsed<Envelope, EnvelopeFailure> {
  if (bytes.length > LONGEST_ENVELOPE_BYTES) return unparsed('too-long');
  if (!isEnvelope(bytes)) return unparsed('not-hm1');
  if (bytes.length < ENVELOPE_OVERHEAD_BYTES) return unparsed('truncated');
  const reader = readBytes(bytes.subarray(MAGIC.length));
  if (reader.u8() !== ENVELOPE_VERSION) return unparsed('unknown-version');
  const kid = kidFromBytes(reader.bytes(KID_BYTES));
  const epoch = reader.u64();
  const seq = reader.u64();
  const issuedAt = unixMs(reader.u64());
  const ttlS = reader.u32();
  const type = TYPE_OF_NUMBER.get(reader.u8());
  if (!reader.ok || seq === 0 || ttlS === 0) return unparsed('bad-number');
  if (type === undefined) return unparsed('unknown-type');
  const body = reader.bytes(reader.left - SIGNATURE_BYTES);
  return parsed({ kid, epoch, seq, issuedAt, ttlS, type, body, signature: reader.bytes(SIGNATURE_BYTES), bytes });
}

/** Whether these bytes mean to be an envelope. */
export const isEnvelope = (bytes: Uint8Array): boolean => sameBytes(bytes.subarray(0, MAGIC.length), MAGIC);

export function isSignedBy(envelope: Envelope, publicKey: Uint8Array, clusterId: Uint8Array, signatures: Pick<Signatures, 'verify'>): boolean {
  const unsigned = envelope.bytes.subarray(0, envelope.bytes.length - SIGNATURE_BYTES);
  return signatures.verify(publicKey, signedBytes(clusterId, unsigned), envelope.signature);
}

function signedBytes(clusterId: Uint8Array, unsigned: Uint8Array): Uint8Array {
  if (clusterId.length !== CLUSTER_ID_BYTES) throw new RangeError(`a cluster id of ${clusterId.length} bytes`);
  return writeBytes().bytes(DOMAIN).bytes(clusterId).bytes(unsigned).take();
}
