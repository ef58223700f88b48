/**
 * What members tell each other in push/pull state and in the bundles that answer it: sections of a type each, of which unknown ones are skipped.
 *
 *     'HMS' | version u8 | sections: tag u8, length u32, bytes
 *     digest: partial u8 | speakers: kid 8, epochs u8: epoch u64, ranges u16: gap varint, length - 1 varint
 *     holdings (trust that the sender has): count u8, lists: issuer 8, number u32, hash u32 | count u8, registrars' certificates: hash 8
 */
import { type KeyId, KID_BYTES, kidBytes, kidFromBytes, LONGEST_ENVELOPE_BYTES } from '@honeymesh/intel/envelope';
import { type ByteReader, type ByteWriter, hexBytes, hexOf, latin1Bytes, readBytes, sameBytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { LONGEST_CERTIFICATE_BYTES } from './certificates.ts';
import { LONGEST_REVOCATIONS_BYTES } from './revocations.ts';
import { MOST_RANGES, type Range } from './seen.ts';
import { type EpochNumbers, MOST_EPOCHS } from './speakers.ts';

export interface Digest {
  /** Not all speakers are in it: of those that are not, nothing is known to be missing. */
  readonly partial: boolean;
  readonly speakers: ReadonlyMap<KeyId, readonly EpochNumbers[]>;
}

export interface Holdings {
  readonly lists: ReadonlyMap<KeyId, { readonly number: number; readonly hash: number }>;
  /** Hashes of registrars' certificates, in hex. */
  readonly registrars: ReadonlySet<string>;
}

export interface ExchangeParts {
  /** Absent in an answer: it asks for nothing. */
  readonly digest: Digest | null;
  readonly holdings: Holdings | null;
  readonly certificates: readonly Uint8Array[];
  readonly revocations: readonly Uint8Array[];
  readonly envelopes: readonly Uint8Array[];
}

export const MOST_EXCHANGE_BYTES = 1_048_576;
const MOST_SECTIONS = 16_384;
const MOST_SPEAKERS = 16_384;
export const SECTION_HEAD_BYTES = 5;

const MAGIC = latin1Bytes('HMS');
const VERSION = 1;
const TAGS = { digest: 1, holdings: 2, certificate: 3, revocations: 4, envelope: 5 } as const;

export const isExchange = (bytes: Uint8Array): boolean => sameBytes(bytes.subarray(0, MAGIC.length), MAGIC);

export function encodeExchange(parts: ExchangeParts): Uint8Array {
  const writer = writeBytes().bytes(MAGIC).u8(VERSION);
  const section = (tag: number, bytes: Uint8Array): unknown => writer.u8(tag).u32(bytes.length).bytes(bytes);
  if (parts.digest !== null) section(TAGS.digest, digestBytes(parts.digest));
  if (parts.holdings !== null) section(TAGS.holdings, holdingsBytes(parts.holdings));
  for (const bytes of parts.certificates) section(TAGS.certificate, bytes);
  for (const bytes of parts.revocations) section(TAGS.revocations, bytes);
  for (const bytes of parts.envelopes) section(TAGS.envelope, bytes);
  return writer.take();
}

/** Never throws; `bytes` is hostile. Sections are views into it. */
export function decodeExchange(bytes: Uint8Array): Parsed<ExchangeParts, 'too-long' | 'not-ours' | 'malformed'> {
  if (bytes.length > MOST_EXCHANGE_BYTES) return unparsed('too-long');
  if (!isExchange(bytes) || bytes[MAGIC.length] !== VERSION) return unparsed('not-ours');
  const reader = readBytes(bytes.subarray(MAGIC.length + 1));
  let digest: Digest | null = null;
  let holdings: Holdings | null = null;
  const certificates: Uint8Array[] = [];
  const revocations: Uint8Array[] = [];
  const envelopes: Uint8Array[] = [];
  for (let count = 0; reader.ok && reader.left > 0; count++) {
    const tag = reader.u8();
    const body = reader.bytes(reader.u32());
    if (!reader.ok || count >= MOST_SECTIONS) return unparsed('malformed');
    if (tag === TAGS.digest) {
      digest = readDigest(body);
      if (digest === null) return unparsed('malformed');
    } else if (tag === TAGS.holdings) {
      holdings = readHoldings(body);
      if (holdings === null) return unparsed('malformed');
    } else if (tag === TAGS.certificate && body.length <= LONGEST_CERTIFICATE_BYTES) certificates.push(body);
    else if (tag === TAGS.revocations && body.length <= LONGEST_REVOCATIONS_BYTES) revocations.push(body);
    else if (tag === TAGS.envelope && body.length <= LONGEST_ENVELOPE_BYTES) envelopes.push(body);
  }
  return reader.ok ? parsed({ digest, holdings, certificates, revocations, envelopes }) : unparsed('malformed');
}

export function digestBytes(digest: Digest): Uint8Array {
  const writer = writeBytes().u8(digest.partial ? 1 : 0);
  for (const [kid, epochs] of digest.speakers) putSpeaker(writer, kid, epochs);
  return writer.take();
}

export function speakerBytes(epochs: readonly EpochNumbers[]): number {
  let bytes = KID_BYTES + 1;
  for (const { ranges } of epochs) {
    bytes += 8 + 2;
    let after = 0;
    for (const [from, to] of ranges) {
      bytes += varintBytes(from - after) + varintBytes(to - from);
      after = to;
    }
  }
  return bytes;
}

function putSpeaker(writer: ByteWriter, kid: KeyId, epochs: readonly EpochNumbers[]): void {
  writer.bytes(kidBytes(kid)).u8(epochs.length);
  for (const { epoch, ranges } of epochs) {
    writer.u64(epoch).u16(ranges.length);
    let after = 0;
    for (const [from, to] of ranges) {
      putVarint(writer, from - after);
      putVarint(writer, to - from);
      after = to;
    }
  }
}

function readDigest(bytes: Uint8Array): Digest | null {
  const reader = readBytes(bytes);
  const partial = reader.u8() !== 0;
  const speakers = new Map<KeyId, readonly EpochNumbers[]>();
  while (reader.ok && reader.left > 0) {
    const kid = kidFromBytes(reader.bytes(KID_BYTES));
    const epochs: EpochNumbers[] = [];
    const count = reader.u8();
    if (count > MOST_EPOCHS || speakers.size >= MOST_SPEAKERS) return null;
    for (let at = 0; at < count && reader.ok; at++) epochs.push({ epoch: reader.u64(), ranges: takeRanges(reader) });
    speakers.set(kid, epochs);
  }
  return reader.ok ? { partial, speakers } : null;
}

function takeRanges(reader: ByteReader): readonly Range[] {
  const ranges: Range[] = [];
  const count = reader.u16();
  if (count > MOST_RANGES) reader.fail();
  let after = 0;
  for (let at = 0; at < count && reader.ok; at++) {
    const from = after + takeVarint(reader);
    const to = from + takeVarint(reader);
    if (!Number.isSafeInteger(to)) reader.fail();
    ranges.push([from, to]);
    after = to;
  }
  return ranges;
}

function holdingsBytes({ lists, registrars }: Holdings): Uint8Array {
  const writer = writeBytes().u8(lists.size);
  for (const [issuer, { number, hash }] of lists) writer.bytes(kidBytes(issuer)).u32(number).u32(hash);
  writer.u8(registrars.size);
  for (const hash of registrars) writer.bytes(hexBytes(hash));
  return writer.take();
}

function readHoldings(bytes: Uint8Array): Holdings | null {
  const reader = readBytes(bytes);
  const lists = new Map<KeyId, { readonly number: number; readonly hash: number }>();
  for (let left = reader.u8(); left > 0 && reader.ok; left--) lists.set(kidFromBytes(reader.bytes(KID_BYTES)), { number: reader.u32(), hash: reader.u32() });
  const registrars = new Set<string>();
  for (let left = reader.u8(); left > 0 && reader.ok; left--) registrars.add(hexOf(reader.bytes(8)));
  return reader.done ? { lists, registrars } : null;
}

/** Seven bits a byte, low ones first, as in protocol buffers; up to 2^53 - 1. */
function putVarint(writer: ByteWriter, value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    writer.u8((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  writer.u8(rest);
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

function takeVarint(reader: ByteReader): number {
  let value = 0;
  for (let scale = 1; reader.ok; scale *= 0x80) {
    const byte = reader.u8();
    value += (byte & 0x7f) * scale;
    if (!Number.isSafeInteger(value) || scale > Number.MAX_SAFE_INTEGER) reader.fail();
    if (byte < 0x80) break;
  }
  return value;
}
