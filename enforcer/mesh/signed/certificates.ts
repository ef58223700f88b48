/**
 * Who is who. An offline root certifies registrars, each for named sites; a registrar certifies hosts, each for one of them. So a stolen
 * registrar is worth one vote per site of its own, and the root takes it back. The format is in intel, for the hub reads it too.
 */
import {
  CERTIFICATE_HEAD_BYTES,
  CERTIFICATE_KINDS,
  CERTIFICATE_MAGIC,
  CERTIFICATE_VERSION,
  type CertificateFailure,
  certificateMessage,
  isNodeName,
  type NodeCertificateFields,
  type RegistrarCertificateFields,
  readCertificateFields,
} from '@honeymesh/intel/certificates';
import { type KeyId, kidBytes, type Signatures } from '@honeymesh/intel/envelope';
import { writeBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { SECOND_MS } from '@honeymesh/intel/time';
import { kidOf } from './keys.ts';

export {
  type CertificateFailure,
  isCertifiedBy,
  isNodeName,
  isSiteName,
  LONGEST_CERTIFICATE_BYTES,
  LONGEST_NAME,
  LONGEST_SITE,
  MOST_SITES,
  NODE_LIFE_MS,
  REGISTRAR_LIFE_MS,
} from '@honeymesh/intel/certificates';

export interface NodeCertificate extends NodeCertificateFields {
  readonly kid: KeyId;
}

export interface RegistrarCertificate extends RegistrarCertificateFields {
  readonly kid: KeyId;
}

export type Certificate = NodeCertificate | RegistrarCertificate;

const MAGIC = CERTIFICATE_MAGIC;
const VERSION = CERTIFICATE_VERSION;
const KINDS = CERTIFICATE_KINDS;

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
  const signature = signatures.sign(secret, certificateMessage(unsigned));
  const read = readCertificate(writeBytes().bytes(unsigned).bytes(signature).take());
  if (!read.ok) throw new RangeError(`not a certificate that anybody would take: ${read.why}`);
  return read.value;
}

/** Takes a certificate apart; who signed it is not looked at. Never throws. */
export function readCertificate(bytes: Uint8Array): Parsed<Certificate, CertificateFailure> {
  const read = readCertificateFields(bytes);
  return read.ok ? parsed({ ...read.value, kid: kidOf(read.value.edPublic) }) : read;
}

/** A host's certificate without what whoever reads it knows already (format, cluster, name): for Meta, where bytes are dear. */
export function certificateCore(certificate: NodeCertificate): Uint8Array {
  return certificate.bytes.slice(CERTIFICATE_HEAD_BYTES + 1 + certificate.nodeName.length);
}

/** The whole again. Never throws; `core` is hostile. */
export function certificateFromCore(core: Uint8Array, nodeName: string, clusterId: Uint8Array): Parsed<NodeCertificate, CertificateFailure> {
  if (!isNodeName(nodeName)) return unparsed('bad-name');
  const bytes = writeBytes().bytes(MAGIC).u8(VERSION).u8(KINDS.node).bytes(clusterId).text(nodeName).bytes(core).take();
  const read = readCertificate(bytes);
  if (!read.ok) return read;
  return read.value.kind === 'node' ? parsed(read.value) : unparsed('malformed');
}
