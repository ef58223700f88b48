/**
 * A member's meta under HM1: its certificate and its signature over name, address, port, incarnation and epoch, so that nobody else can raise its
 * incarnation, move it or speak for it. memberlist's own nodes pass meta on as it is.
 *
 *     'HMM' | version u8 | epoch u64 | certificate (its core, below 250 B) u8 length | the owner's own meta u8 length | signature 64
 */
import { SIGNATURE_BYTES, type Signatures } from '@honeymesh/intel/envelope';
import { latin1Bytes, readBytes, sameBytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { certificateCore, certificateFromCore, type NodeCertificate } from './certificates.ts';

/** What a member says of itself in `alive`, as the base protocol has it: address bytes as they came, 4 or 16. */
export interface SelfClaim {
  readonly node: string;
  readonly address: Uint8Array;
  readonly port: number;
  readonly incarnation: number;
}

export interface SignedMeta {
  readonly certificate: NodeCertificate;
  readonly epoch: number;
  /** What the owner wants known of itself; nothing of ours reads it. */
  readonly extra: Uint8Array;
}

export type MetaFailure = 'unsigned' | 'malformed' | 'unknown-version' | 'bad-certificate';

export const MOST_META_BYTES = 512;
/** What is left of 512 beside the longest certificate, and what one byte counts. */
export const LONGEST_EXTRA = 255;

const MAGIC = latin1Bytes('HMM');
const VERSION = 1;
const DOMAIN = latin1Bytes('HoneyMesh HM1 meta\0');

/** Throws a RangeError where `extra` is longer than LONGEST_EXTRA. */
export function signMeta({ certificate, epoch, extra }: SignedMeta, claim: SelfClaim, secret: Uint8Array, signatures: Signatures): Uint8Array {
  if (extra.length > LONGEST_EXTRA) throw new RangeError(`own meta of ${extra.length} bytes, of at most ${LONGEST_EXTRA}`);
  const core = certificateCore(certificate);
  const unsigned = writeBytes().bytes(MAGIC).u8(VERSION).u64(epoch).u8(core.length).bytes(core).u8(extra.length).bytes(extra).take();
  return writeBytes()
    .bytes(unsigned)
    .bytes(signatures.sign(secret, signedBytes(certificate.clusterId, claim, unsigned)))
    .take();
}

/** Takes meta apart: the certificate is neither verified nor is the signature. Never throws; `meta` and `nodeName` are hostile. */
export function readMeta(meta: Uint8Array, nodeName: string, clusterId: Uint8Array): Parsed<SignedMeta, MetaFailure> {
  if (!isSignedMeta(meta)) return unparsed('unsigned');
  if (meta.length > MOST_META_BYTES) return unparsed('malformed');
  const reader = readBytes(meta.subarray(MAGIC.length));
  if (reader.u8() !== VERSION) return unparsed('unknown-version');
  const epoch = reader.u64();
  const core = reader.bytes(reader.u8());
  const extra = reader.bytes(reader.u8());
  reader.bytes(SIGNATURE_BYTES);
  if (!reader.done) return unparsed('malformed');
  const certificate = certificateFromCore(core, nodeName, clusterId);
  return certificate.ok ? parsed({ certificate: certificate.value, epoch, extra }) : unparsed('bad-certificate');
}

/** Whether these bytes mean to be signed meta. */
export const isSignedMeta = (meta: Uint8Array): boolean => sameBytes(meta.subarray(0, MAGIC.length), MAGIC);

/** Whether the holder of the certificate's key said just this of itself. */
export function isMetaOf(meta: Uint8Array, certificate: NodeCertificate, claim: SelfClaim, signatures: Signatures): boolean {
  const unsigned = meta.subarray(0, meta.length - SIGNATURE_BYTES);
  return signatures.verify(certificate.edPublic, signedBytes(certificate.clusterId, claim, unsigned), meta.subarray(meta.length - SIGNATURE_BYTES));
}

function signedBytes(clusterId: Uint8Array, { node, address, port, incarnation }: SelfClaim, unsigned: Uint8Array): Uint8Array {
  return writeBytes().bytes(DOMAIN).bytes(clusterId).text(node).u8(address.length).bytes(address).u16(port).u32(incarnation).bytes(unsigned).take();
}
