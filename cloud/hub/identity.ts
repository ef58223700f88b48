/**
 * Who a host is. Its thing name comes from the broker (mutual TLS), its key id from the IoT registry, where enrolment put it; its certificate ties both to a
 * key and a site, and leads over its registrar to the offline root. Only when all of it agrees are its reports heard.
 */
import { isCertifiedBy, type NodeCertificateFields, type RegistrarCertificateFields, readCertificateFields } from '@honeymesh/intel/certificates';
import { CLOCK_SKEW_MS, type KeyId } from '@honeymesh/intel/envelope';
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import type { QuestionRefusal } from '@honeymesh/intel/hub-messages';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { DAY_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { kidOf, type Verifier } from './keys.ts';

export interface Trust {
  readonly clusterId: Uint8Array;
  /** The offline root's Ed25519 key. */
  readonly rootPublic: Uint8Array;
}

export interface Identity {
  readonly thing: string;
  readonly kid: KeyId;
  readonly site: string;
  readonly edPublic: Uint8Array;
  readonly notAfter: UnixMs;
  /** From when on it counts towards a quorum. A host that enrolled by claim waits a day, or for approval. */
  readonly votesFrom: UnixMs;
  readonly certificate: Uint8Array;
  readonly registrar: Uint8Array;
}

/** What the IoT registry knows of a thing. */
export interface Registered {
  readonly kid: string | null;
  readonly enrolledAt: UnixMs | null;
  readonly by: 'operator' | 'claim';
  readonly approved: boolean;
}

/** How long the advice of a host that enrolled by claim has no vote. */
export const CLAIM_WAIT_MS = DAY_MS;

/** The attributes of a thing, as enrolment wrote them: `kid`, `enrolledAt` (ms), `enrolledBy` (operator, claim), `approved` (yes). */
export function registeredFrom(attributes: Readonly<Record<string, string>>): Registered {
  const at = Number(attributes.enrolledAt ?? Number.NaN);
  return {
    kid: attributes.kid ?? null,
    enrolledAt: Number.isSafeInteger(at) && at > 0 ? unixMs(at) : null,
    by: attributes.enrolledBy === 'operator' ? 'operator' : 'claim',
    approved: attributes.approved === 'yes',
  };
}

/** Checks what a host says of itself. The order of `certificates` does not matter. */
export function introduce(
  thing: string,
  certificates: readonly Uint8Array[],
  registered: Registered,
  { clusterId, rootPublic }: Trust,
  { verifier, now }: { readonly verifier: Verifier; readonly now: UnixMs },
): Parsed<Identity, QuestionRefusal> {
  const read = certificates.map(bytes => readCertificateFields(bytes));
  const fields = read.flatMap(one => (one.ok ? [one.value] : []));
  if (fields.length < read.length || fields.some(one => !sameBytes(one.clusterId, clusterId))) return unparsed('bad-certificate');
  const node = fields.find((one): one is NodeCertificateFields => one.kind === 'node');
  const registrars = fields.filter((one): one is RegistrarCertificateFields => one.kind === 'registrar');
  if (node === undefined || registrars.length === 0) return unparsed('unknown-certificate');
  if (node.nodeName !== thing) return unparsed('other-name');
  const kid = kidOf(node.edPublic);
  if (registered.kid !== kid) return unparsed('other-key');
  if (node.notBefore > now + CLOCK_SKEW_MS || node.notAfter <= now) return unparsed('bad-certificate');
  const registrar = registrars.find(one => certifies(one, node, rootPublic, verifier));
  if (registrar === undefined) return unparsed('no-trust');
  const votesFrom = registered.by === 'operator' || registered.approved ? 0 : (registered.enrolledAt ?? now) + CLAIM_WAIT_MS;
  return parsed({
    thing,
    kid,
    site: node.site,
    edPublic: node.edPublic,
    notAfter: node.notAfter,
    votesFrom: unixMs(votesFrom),
    certificate: node.bytes,
    registrar: registrar.bytes,
  });
}

/** A certificate is good if its registrar's key was valid when it was made, named its site, and the root says so. */
function certifies(registrar: RegistrarCertificateFields, node: NodeCertificateFields, rootPublic: Uint8Array, verifier: Verifier): boolean {
  if (kidOf(registrar.edPublic) !== node.registrar || !registrar.sites.includes(node.site)) return false;
  if (node.notBefore < registrar.notBefore || node.notBefore > registrar.notAfter) return false;
  return isCertifiedBy(registrar, rootPublic, verifier) && isCertifiedBy(node, registrar.edPublic, verifier);
}
