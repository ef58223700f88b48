/**
 * The format of certificates, without what needs a hash: whoever reads one names its key (`mesh/signed/keys`, the hub's `keys`). An offline root certifies
 * registrars, each for named sites; a registrar certifies hosts, each for one of them.
 *
 *     certificate: 'HMC' | version u8 | kind u8 | clusterId 16 | rest
 *     rest of a host's:      name text | site text | edPub 32 | xPub 32 | notBefore u32 s | notAfter u32 s | registrar 8 | signature 64
 *     rest of a registrar's: count u8, sites text | edPub 32 | notBefore u32 s | notAfter u32 s | signature 64
 *
 * A text is a length in one byte and ASCII. Signed is a domain text and all that precedes the signature.
 */
import { CLUSTER_ID_BYTES, type KeyId, KID_BYTES, kidFromBytes, SIGNATURE_BYTES, type Signatures } from './envelope.ts';
import { type ByteReader, latin1Bytes, readBytes, writeBytes } from './envelope-bytes.ts';
import { type Parsed, parsed, unparsed } from './parsed.ts';
import { DAY_MS, SECOND_MS, type UnixMs, unixMs } from './time.ts';

export interface NodeCertificateFields {
  readonly kind: 'node';
  readonly clusterId: Uint8Array;
  readonly nodeName: string;
  readonly site: string;
  readonly edPublic: Uint8Array;
  readonly xPublic: Uint8Array;
  /** Whole seconds. */
  readonly notBefore: UnixMs;
  readonly notAfter: UnixMs;
  readonly registrar: KeyId;
  readonly bytes: Uint8Array;
}

export interface RegistrarCertificateFields {
  readonly kind: 'registrar';
  readonly clusterId: Uint8Array;
  readonly sites: readonly string[];
  readonly edPublic: Uint8Array;
  readonly notBefore: UnixMs;
  readonly notAfter: UnixMs;
  readonly bytes: Uint8Array;
}

export type CertificateFields = NodeCertificateFields | RegistrarCertificateFields;
export type CertificateFailure = 'malformed' | 'unknown-version' | 'bad-name' | 'bad-dates';

/** Of Ed25519 and X25519 keys. */
export const KEY_BYTES = 32;
export const NODE_LIFE_MS = 90 * DAY_MS;
export const REGISTRAR_LIFE_MS = 30 * DAY_MS;
export const LONGEST_NAME = 63;
export const LONGEST_SITE = 31;
export const MOST_SITES = 32;
export const LONGEST_CERTIFICATE_BYTES = 2_048;

export const CERTIFICATE_MAGIC = latin1Bytes('HMC');
export const CERTIFICATE_VERSION = 1;
export const CERTIFICATE_KINDS = { node: 1, registrar: 2 } as const;
export const CERTIFICATE_HEAD_BYTES = CERTIFICATE_MAGIC.length + 2 + CLUSTER_ID_BYTES;
const DOMAIN = latin1Bytes('HoneyMesh HM1 certificate\0');
const KID_DOMAIN = latin1Bytes('HoneyMesh HM1 kid\0');
/** Letters, digits, dots, dashes, underscores: a name ends up in logs, tables, metrics, topics. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export const isNodeName = (text: string): boolean => text.length <= LONGEST_NAME && NAME.test(text);
export const isSiteName = (text: string): boolean => text.length <= LONGEST_SITE && NAME.test(text);

/** What is hashed (SHA-256, the first KID_BYTES of it) for the name of an Ed25519 public key. */
export const kidMessage = (edPublic: Uint8Array): Uint8Array => writeBytes().bytes(KID_DOMAIN).bytes(edPublic).take();

/** What a certificate's signature is made over. */
export const certificateMessage = (unsigned: Uint8Array): Uint8Array => writeBytes().bytes(DOMAIN).bytes(unsigned).take();

export function isCertifiedBy(certificate: { readonly bytes: Uint8Array }, edPublic: Uint8Array, signatures: Pick<Signatures, 'verify'>): boolean {
  const { bytes } = certificate;
  const unsigned = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  return signatures.verify(edPublic, certificateMessage(unsigned), bytes.subarray(bytes.length - SIGNATURE_BYTES));
}

/** Takes a certificate apart; who signed it is not looked at. Never throws. */
export function readCertificateFields(bytes: Uint8Array): Parsed<CertificateFields, CertificateFailure> {
  if (bytes.length > LONGEST_CERTIFICATE_BYTES || bytes.length < CERTIFICATE_HEAD_BYTES + SIGNATURE_BYTES) return unparsed('malformed');
  const reader = readBytes(bytes);
  if (!CERTIFICATE_MAGIC.every(byte => byte === reader.u8())) return unparsed('malformed');
  if (reader.u8() !== CERTIFICATE_VERSION) return unparsed('unknown-version');
  const kind = reader.u8();
  const clusterId = reader.bytes(CLUSTER_ID_BYTES);
  if (kind === CERTIFICATE_KINDS.node) return readNode(reader, clusterId, bytes);
  return kind === CERTIFICATE_KINDS.registrar ? readRegistrar(reader, clusterId, bytes) : unparsed('malformed');
}

function readNode(reader: ByteReader, clusterId: Uint8Array, bytes: Uint8Array): Parsed<NodeCertificateFields, CertificateFailure> {
  const nodeName = reader.text(LONGEST_NAME);
  const site = reader.text(LONGEST_SITE);
  const edPublic = reader.bytes(KEY_BYTES);
  const xPublic = reader.bytes(KEY_BYTES);
  const notBefore = unixMs(reader.u32() * SECOND_MS);
  const notAfter = unixMs(reader.u32() * SECOND_MS);
  const registrar = kidFromBytes(reader.bytes(KID_BYTES));
  reader.bytes(SIGNATURE_BYTES);
  if (!reader.done) return unparsed('malformed');
  if (!isNodeName(nodeName) || !isSiteName(site)) return unparsed('bad-name');
  if (notAfter <= notBefore || notAfter - notBefore > NODE_LIFE_MS) return unparsed('bad-dates');
  return parsed({ kind: 'node', clusterId, nodeName, site, edPublic, xPublic, notBefore, notAfter, registrar, bytes });
}

function readRegistrar(reader: ByteReader, clusterId: Uint8Array, bytes: Uint8Array): Parsed<RegistrarCertificateFields, CertificateFailure> {
  const sites: string[] = [];
  const count = reader.u8();
  if (count === 0 || count > MOST_SITES) return unparsed('malformed');
  for (let at = 0; at < count; at++) sites.push(reader.text(LONGEST_SITE));
  const edPublic = reader.bytes(KEY_BYTES);
  const notBefore = unixMs(reader.u32() * SECOND_MS);
  const notAfter = unixMs(reader.u32() * SECOND_MS);
  reader.bytes(SIGNATURE_BYTES);
  if (!reader.done) return unparsed('malformed');
  if (!sites.every(isSiteName)) return unparsed('bad-name');
  if (notAfter <= notBefore || notAfter - notBefore > REGISTRAR_LIFE_MS) return unparsed('bad-dates');
  return parsed({ kind: 'registrar', clusterId, sites, edPublic, notBefore, notAfter, bytes });
}
