/**
 * Who is who. An offline root certifies registrars, each for named sites; a registrar certifies hosts, each for one of them. So a stolen
 * registrar is worth one vote per site of its own, and the root takes it back.
 *
 *     certificate: 'HMC' | version u8 | kind u8 | clusterId 16 | rest
 *     rest of a host's:      name text | site text | edPub 32 | xPub 32 | notBefore u32 s | notAfter u32 s | registrar 8 | signature 64
 *     rest of a registrar's: count u8, sites text | edPub 32 | notBefore u32 s | notAfter u32 s | signature 64
 *
 * A text is a length in one byte and ASCII. Signed is a domain text and all that precedes the signature.
 */
import { CLUSTER_ID_BYTES, type KeyId, KID_BYTES, kidBytes, kidFromBytes, SIGNATURE_BYTES, type Signatures } from '@honeymesh/intel/envelope';
import { type ByteReader, latin1Bytes, readBytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { DAY_MS, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { KEY_BYTES, kidOf } from './keys.ts';

export interface NodeCertificate {
  readonly kind: 'node';
  readonly kid: KeyId;
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

export interface RegistrarCertificate {
  readonly kind: 'registrar';
  readonly kid: KeyId;
  readonly clusterId: Uint8Array;
  readonly sites: readonly string[];
  readonly edPublic: Uint8Array;
  readonly notBefore: UnixMs;
  readonly notAfter: UnixMs;
  readonly bytes: Uint8Array;
}

export type Certificate = NodeCertificate | RegistrarCertificate;
export type CertificateFailure = 'malformed' | 'unknown-version' | 'bad-name' | 'bad-dates';

export const NODE_LIFE_MS = 90 * DAY_MS;
export const REGISTRAR_LIFE_MS = 30 * DAY_MS;
export const LONGEST_NAME = 63;
export const LONGEST_SITE = 31;
export const MOST_SITES = 32;
export const LONGEST_CERTIFICATE_BYTES = 2_048;

const MAGIC = latin1Bytes('HMC');
const VERSION = 1;
const KINDS = { node: 1, registrar: 2 } as const;
const HEAD_BYTES = MAGIC.length + 2 + CLUSTER_ID_BYTES;
const DOMAIN = latin1Bytes('HoneyMesh HM1 certificate\0');
/** Letters, digits, dots, dashes, underscores: a name ends up in logs, tables and metrics. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export const isNodeName = (text: string): boolean => text.length <= LONGEST_NAME && NAME.test(text);
export const isSiteName = (text: string): boolean => text.length <= LONGEST_SITE && NAME.test(text);

export type NodeRequest = Omit<NodeCertificate, 'kind' | 'kid' | 'bytes' | 'registrar'>;
export type RegistrarRequest = Omit<RegistrarCertificate, 'kind' | 'kid' | 'bytes'>;

/** Certifies a host. Throws a RangeError on a name, site or life that no verifier would take. */
export function issueNodeCertificate(
  request: NodeRequest,
  registrar: { readonly kid: KeyId; readonly secret: Uint8Array },
  signatures: Signatures,
): NodeCertificate {
  const { clusterId, nodeName, site, edPublic, xPublic, notBefore, notAfter } = request;
  const unsigned = writeBytes()
    .bytes(MAGIC)
    .u8(VERSION)
    .u8(KINDS.node)
    .bytes(clusterId)
    .text(nodeName)
    .text(site)
    .bytes(edPublic)
    .bytes(xPublic)
    .u32(Math.floor(notBefore / SECOND_MS))
    .u32(Math.floor(notAfter / SECOND_MS))
    .bytes(kidBytes(registrar.kid))
    .take();
  return issued(unsigned, registrar.secret, signatures) as NodeCertificate;
}

/** Certifies a registrar, with the root's key. Throws a RangeError as above. */
export function issueRegistrarCertificate(request: RegistrarRequest, rootSecret: Uint8Array, signatures: Signatures): RegistrarCertificate {
  const { clusterId, sites, edPublic, notBefore, notAfter } = request;
  const writer = writeBytes().bytes(MAGIC).u8(VERSION).u8(KINDS.registrar).bytes(clusterId).u8(sites.length);
  for (const site of sites) writer.text(site);
  const unsigned = writer
    .bytes(edPublic)
    .u32(Math.floor(notBefore / SECOND_MS))
    .u32(Math.floor(notAfter / SECOND_MS))
    .take();
  return issued(unsigned, rootSecret, signatures) as RegistrarCertificate;
}

function issued(unsigned: Uint8Array, secret: Uint8Array, signatures: Signatures): Certificate {
  const signature = signatures.sign(secret, signedBytes(unsigned));
  const read = readCertificate(writeBytes().bytes(unsigned).bytes(signature).take());
  if (!read.ok) throw new RangeError(`not a certificate that anybody would take: ${read.why}`);
  return read.value;
}

/** Takes a certificate apart; who signed it is not looked at. Never throws. */
export function readCertificate(bytes: Uint8Array): Parsed<Certificate, CertificateFailure> {
  if (bytes.length > LONGEST_CERTIFICATE_BYTES || bytes.length < HEAD_BYTES + SIGNATURE_BYTES) return unparsed('malformed');
  const reader = readBytes(bytes);
  if (!MAGIC.every(byte => byte === reader.u8())) return unparsed('malformed');
  if (reader.u8() !== VERSION) return unparsed('unknown-version');
  const kind = reader.u8();
  const clusterId = reader.bytes(CLUSTER_ID_BYTES);
  if (kind === KINDS.node) return readNode(reader, clusterId, bytes);
  return kind === KINDS.registrar ? readRegistrar(reader, clusterId, bytes) : unparsed('malformed');
}

function readNode(reader: ByteReader, clusterId: Uint8Array, bytes: Uint8Array): Parsed<NodeCertificate, CertificateFailure> {
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
  return parsed({ kind: 'node', kid: kidOf(edPublic), clusterId, nodeName, site, edPublic, xPublic, notBefore, notAfter, registrar, bytes });
}

function readRegistrar(reader: ByteReader, clusterId: Uint8Array, bytes: Uint8Array): Parsed<RegistrarCertificate, CertificateFailure> {
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
  return parsed({ kind: 'registrar', kid: kidOf(edPublic), clusterId, sites, edPublic, notBefore, notAfter, bytes });
}

export function isCertifiedBy(certificate: Certificate, edPublic: Uint8Array, signatures: Signatures): boolean {
  const { bytes } = certificate;
  const unsigned = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  return signatures.verify(edPublic, signedBytes(unsigned), bytes.subarray(bytes.length - SIGNATURE_BYTES));
}

const signedBytes = (unsigned: Uint8Array): Uint8Array => writeBytes().bytes(DOMAIN).bytes(unsigned).take();

/** A host's certificate without what whoever reads it knows already (format, cluster, name): for Meta, where bytes are dear. */
export function certificateCore(certificate: NodeCertificate): Uint8Array {
  return certificate.bytes.slice(HEAD_BYTES + 1 + certificate.nodeName.length);
}

/** The whole again. Never throws; `core` is hostile. */
export function certificateFromCore(core: Uint8Array, nodeName: string, clusterId: Uint8Array): Parsed<NodeCertificate, CertificateFailure> {
  if (!isNodeName(nodeName)) return unparsed('bad-name');
  const bytes = writeBytes().bytes(MAGIC).u8(VERSION).u8(KINDS.node).bytes(clusterId).text(nodeName).bytes(core).take();
  const read = readCertificate(bytes);
  if (!read.ok) return read;
  return read.value.kind === 'node' ? parsed(read.value) : unparsed('malformed');
}
