/**
 * What the hub passes on: envelopes as their hosts signed them, with the certificates of who did, numbered and signed by the hub. The signature says only
 * that these are the hub's numbers; whose word counts is for the receiver to judge by the envelopes.
 *
 *     'HMA' | version u8 | kind u8 | flags u8 | epoch u64 | number u64 | head u64 | issuedAt u64, ms
 *           | count u16, certificates: length u16, bytes | count u32, envelopes: length u16, bytes | length u8, signature
 *
 * Signed (ECDSA on P-256, SHA-256, DER) is a domain text, the cluster's id and all that precedes the signature's length. Flag 1: the hub was over its
 * budget since the digest before, so urgent advice came by digest.
 */
import { LONGEST_CERTIFICATE_BYTES } from './certificates.ts';
import { CLUSTER_ID_BYTES, LONGEST_ENVELOPE_BYTES } from './envelope.ts';
import { latin1Bytes, readBytes, sameBytes, writeBytes } from './envelope-bytes.ts';
import { type Parsed, parsed, unparsed } from './parsed.ts';
import { type UnixMs, unixMs } from './time.ts';

/** Numbers are those of the wire, for good. */
export const ADVISORY_KINDS = { urgent: 1, digest: 2, snapshot: 3 } as const;
export type AdvisoryKind = keyof typeof ADVISORY_KINDS;

const KIND_OF_NUMBER = new Map<number, AdvisoryKind>(Object.entries(ADVISORY_KINDS).map(([kind, number]) => [number, kind as AdvisoryKind]));

export interface Advisory {
  readonly kind: AdvisoryKind;
  readonly overBudget: boolean;
  /** Which numbering: when the hub's began, ms. Another one: all that was known of numbers is void, ask for a snapshot. */
  readonly epoch: number;
  /** From 1 on, each once in an epoch; 0: it says the head only (an empty digest, a snapshot). */
  readonly number: number;
  /** The highest number that was given by then. */
  readonly head: number;
  readonly issuedAt: UnixMs;
  /** Of those who signed the envelopes, registrars first. */
  readonly certificates: readonly Uint8Array[];
  readonly envelopes: readonly Uint8Array[];
}

export interface SignedAdvisory extends Advisory {
  /** What was signed, without domain and cluster. */
  readonly unsigned: Uint8Array;
  readonly signature: Uint8Array;
}

export type AdvisoryFailure = 'too-long' | 'not-an-advisory' | 'unknown-version' | 'malformed';

/** In one message; base64 in an answer stays below what IoT takes. */
export const LONGEST_ADVISORY_BYTES = 96_000;
/** Fetched from a presigned URL. */
export const LONGEST_OBJECT_BYTES = 16 * 1_048_576;
export const LONGEST_HUB_SIGNATURE = 72;
/** All but certificates and envelopes, which take 2 bytes more than they have. */
export const ADVISORY_OVERHEAD_BYTES = 3 + 1 + 1 + 1 + 8 * 4 + 2 + 4 + 1 + LONGEST_HUB_SIGNATURE;
const MOST_CERTIFICATES = 65_535;

const MAGIC = latin1Bytes('HMA');
const LIST_MAGIC = latin1Bytes('HML');
const VERSION = 1;
const OVER_BUDGET = 1;
const DOMAIN = latin1Bytes('HoneyMesh hub advisory\0');

/** What is hashed and signed. Throws a RangeError on a cluster id of another length. */
export function advisoryMessage(clusterId: Uint8Array, unsigned: Uint8Array): Uint8Array {
  if (clusterId.length !== CLUSTER_ID_BYTES) throw new RangeError(`a cluster id of ${clusterId.length} bytes`);
  return writeBytes().bytes(DOMAIN).bytes(clusterId).bytes(unsigned).take();
}

export function encodeAdvisory(advisory: Advisory): Uint8Array {
  const { kind, overBudget, epoch, number, head, issuedAt, certificates, envelopes } = advisory;
  if (certificates.length > MOST_CERTIFICATES) throw new RangeError(`${certificates.length} certificates in one advisory`);
  const writer = writeBytes()
    .bytes(MAGIC)
    .u8(VERSION)
    .u8(ADVISORY_KINDS[kind])
    .u8(overBudget ? OVER_BUDGET : 0)
    .u64(epoch)
    .u64(number)
    .u64(head)
    .u64(issuedAt)
    .u16(certificates.length);
  for (const bytes of certificates) writer.u16(bytes.length).bytes(bytes);
  writer.u32(envelopes.length);
  for (const bytes of envelopes) writer.u16(bytes.length).bytes(bytes);
  return writer.take();
}

export function withSignature(unsigned: Uint8Array, signature: Uint8Array): Uint8Array {
  if (signature.length > LONGEST_HUB_SIGNATURE) throw new RangeError(`a signature of ${signature.length} bytes`);
  return writeBytes().bytes(unsigned).u8(signature.length).bytes(signature).take();
}

/** Takes an advisory apart; who signed it is not looked at. Never throws; `bytes` is hostile and is not copied. */
export function decodeAdvisory(bytes: Uint8Array, longestBytes: number = LONGEST_ADVISORY_BYTES): Parsed<SignedAdvisory, AdvisoryFailure> {
  if (bytes.length > longestBytes) return unparsed('too-long');
  if (!sameBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return unparsed('not-an-advisory');
  const reader = readBytes(bytes.subarray(MAGIC.length));
  if (reader.u8() !== VERSION) return unparsed('unknown-version');
  const kind = KIND_OF_NUMBER.get(reader.u8());
  const flags = reader.u8();
  const epoch = reader.u64();
  const number = reader.u64();
  const head = reader.u64();
  const issuedAt = unixMs(reader.u64());
  const certificates = pieces(reader, reader.u16(), LONGEST_CERTIFICATE_BYTES);
  const envelopes = pieces(reader, reader.u32(), LONGEST_ENVELOPE_BYTES);
  const unsigned = bytes.subarray(0, bytes.length - reader.left);
  const signature = reader.bytes(reader.u8());
  if (!reader.done || kind === undefined || signature.length > LONGEST_HUB_SIGNATURE || number > head) return unparsed('malformed');
  return parsed({ kind, overBudget: (flags & OVER_BUDGET) !== 0, epoch, number, head, issuedAt, certificates, envelopes, unsigned, signature });
}

/** The count is hostile: what is not there is not made room for. */
function pieces(reader: ReturnType<typeof readBytes>, count: number, longest: number): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < count && reader.ok; at++) {
    const length = reader.u16();
    if (length > longest) reader.fail();
    found.push(reader.bytes(length));
  }
  return found;
}

/** Advisories one after the other, each with its own signature: 'HML' | version u8 | length u32, advisory ... For what is too long for one answer. */
export function encodeAdvisoryList(advisories: readonly Uint8Array[]): Uint8Array {
  const writer = writeBytes().bytes(LIST_MAGIC).u8(VERSION);
  for (const bytes of advisories) writer.u32(bytes.length).bytes(bytes);
  return writer.take();
}

export function decodeAdvisoryList(bytes: Uint8Array): Parsed<readonly Uint8Array[], AdvisoryFailure> {
  if (bytes.length > LONGEST_OBJECT_BYTES) return unparsed('too-long');
  if (!sameBytes(bytes.subarray(0, LIST_MAGIC.length), LIST_MAGIC)) return unparsed('not-an-advisory');
  const reader = readBytes(bytes.subarray(LIST_MAGIC.length));
  if (reader.u8() !== VERSION) return unparsed('unknown-version');
  const found: Uint8Array[] = [];
  while (reader.ok && reader.left > 0) {
    const length = reader.u32();
    if (length > LONGEST_ADVISORY_BYTES) reader.fail();
    found.push(reader.bytes(length));
  }
  return reader.ok ? parsed(found) : unparsed('malformed');
}
