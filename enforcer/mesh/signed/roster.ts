/**
 * Whom we know: certified hosts by key and by name, their registrars, and who was revoked. Everything in here was signed by the root or by one
 * whom it certified, and is judged again each time it is asked for: certificates end, revocations arrive.
 */
import { CLOCK_SKEW_MS, type KeyId, type Signatures } from '@honeymesh/intel/envelope';
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import type { UnixMs } from '@honeymesh/intel/time';
import { type Certificate, isCertifiedBy, NODE_LIFE_MS, type NodeCertificate, type RegistrarCertificate } from './certificates.ts';
import { kidOf } from './keys.ts';
import { areRevocationsSignedBy, type RevocationList } from './revocations.ts';

export interface RosterOptions {
  readonly clusterId: Uint8Array;
  /** The offline root's Ed25519 key. */
  readonly rootPublic: Uint8Array;
  readonly mostNodes: number;
  readonly mostRegistrars: number;
}

/** A host's 90 days reach over four lives of its registrar's key. */
const MOST_RENEWALS = 5;

export const ROSTER_LIMITS = { mostNodes: 8_192, mostRegistrars: 64 } as const;

export type RosterFailure =
  | 'other-cluster'
  | 'unknown-registrar'
  | 'other-site'
  | 'outside-registrar-life'
  | 'not-yet-valid'
  | 'expired'
  | 'revoked'
  | 'bad-signature'
  | 'key-taken'
  | 'name-taken'
  | 'stale'
  | 'full';

export interface Roster {
  /** Takes in what holds. Learning the same again costs no signature check. */
  learn(certificate: Certificate, now: UnixMs): Parsed<Certificate, RosterFailure>;
  learnRevocations(list: RevocationList, now: UnixMs): Parsed<RevocationList, RosterFailure>;
  /** The host of this key, if its certificate holds at `now`. */
  node(kid: KeyId, now: UnixMs): Parsed<NodeCertificate, 'unknown-key' | 'revoked' | 'expired'>;
  registrar(kid: KeyId, now: UnixMs): Parsed<RegistrarCertificate, 'unknown-key' | 'revoked' | 'expired'>;
  /** The latest certificate of this name, whether it still holds or not, until it is pruned. */
  named(nodeName: string): NodeCertificate | null;
  /** Whether this name ever had a certificate: then it is never taken unsigned again, though the certificate has ended. */
  wasCertified(nodeName: string): boolean;
  nodes(now: UnixMs): readonly NodeCertificate[];
  /** Names that were certified once, the latest last: to be kept over a restart. */
  names(): readonly string[];
  knowNames(names: readonly string[]): void;
  /** Goes up with all that changes here: whoever keeps it compares. */
  readonly revision: number;
  /** What a peer needs in order to judge as we do. */
  registrars(): readonly RegistrarCertificate[];
  revocationLists(): readonly RevocationList[];
  /** Forgets what has ended, but for the names. */
  prune(now: UnixMs): void;
}

export function createRoster(options: RosterOptions, { signatures }: { readonly signatures: Signatures }): Roster {
  const rootKid = kidOf(options.rootPublic);
  const nodes = new Map<KeyId, NodeCertificate>();
  const byName = new Map<string, NodeCertificate>();
  const names = new Set<string>();
  /** One key's certificates, the latest last: renewed, it must still answer for what it signed under the one before. */
  const registrars = new Map<KeyId, readonly RegistrarCertificate[]>();
  const lists = new Map<KeyId, RevocationList>();
  let revision = 0;
  const revokedBy = new Map<KeyId, ReadonlySet<KeyId>>();

  const revoked = (kid: KeyId, registrar: KeyId | null): boolean =>
    revokedBy.get(rootKid)?.has(kid) === true || (registrar !== null && revokedBy.get(registrar)?.has(kid) === true);

  const goodRegistrar = (certificate: RegistrarCertificate): boolean => !revoked(certificate.kid, null);

  /** A host outlives its registrar's key, unless that was revoked: then whatever it signed may be a thief's. */
  const revokedNode = (certificate: NodeCertificate): boolean => revoked(certificate.kid, certificate.registrar) || revoked(certificate.registrar, null);

  function learnRegistrar(certificate: RegistrarCertificate, now: UnixMs): Parsed<Certificate, RosterFailure> {
    const known = registrars.get(certificate.kid) ?? [];
    const same = known.find(one => sameBytes(one.bytes, certificate.bytes));
    if (same !== undefined) return parsed(same);
    if (certificate.notBefore > now + CLOCK_SKEW_MS) return unparsed('not-yet-valid');
    if (certificate.notAfter + NODE_LIFE_MS <= now) return unparsed('expired');
    if (!goodRegistrar(certificate)) return unparsed('revoked');
    if (!isCertifiedBy(certificate, options.rootPublic, signatures)) return unparsed('bad-signature');
    if (known.some(one => !sameBytes(one.edPublic, certificate.edPublic))) return unparsed('key-taken');
    if (known.length === 0 && registrars.size >= options.mostRegistrars) return unparsed('full');
    const all = [...known, own(certificate)].sort((one, other) => one.notAfter - other.notAfter);
    registrars.set(certificate.kid, all.slice(-MOST_RENEWALS));
    revision++;
    return parsed(certificate);
  }

  /** The certificate of its registrar's key under which this host's was made. */
  function issuerOf(certificate: NodeCertificate): Parsed<RegistrarCertificate, RosterFailure> {
    const known = registrars.get(certificate.registrar);
    if (known === undefined) return unparsed('unknown-registrar');
    const then = known.filter(one => certificate.notBefore >= one.notBefore && certificate.notBefore <= one.notAfter);
    if (then.length === 0) return unparsed('outside-registrar-life');
    const issuer = then.find(one => one.sites.includes(certificate.site));
    return issuer === undefined ? unparsed('other-site') : parsed(issuer);
  }

  /**
   * Whether another certificate that holds stands in the way. A later one takes over from its like: a renewal, or a host set up anew with new keys.
   * But name and key stay with their site: the registrar of one site cannot make itself a host of another's.
   */
  function obstacleTo(certificate: NodeCertificate, now: UnixMs): RosterFailure | null {
    for (const holder of [nodes.get(certificate.kid), byName.get(certificate.nodeName)]) {
      if (holder === undefined || holder.notAfter <= now || revokedNode(holder)) continue;
      if (holder.site !== certificate.site) return 'name-taken';
      if (holder.kid === certificate.kid && (!sameBytes(holder.edPublic, certificate.edPublic) || holder.nodeName !== certificate.nodeName)) return 'key-taken';
      if (holder.notBefore > certificate.notBefore) return 'stale';
    }
    return null;
  }

  function learnNode(certificate: NodeCertificate, now: UnixMs): Parsed<Certificate, RosterFailure> {
    const known = nodes.get(certificate.kid);
    const repeated = known !== undefined && sameBytes(known.bytes, certificate.bytes);
    if (certificate.notBefore > now + CLOCK_SKEW_MS) return unparsed('not-yet-valid');
    if (certificate.notAfter <= now) return unparsed('expired');
    if (revokedNode(certificate)) return unparsed('revoked');
    if (repeated) return parsed(known);
    const issuer = issuerOf(certificate);
    if (!issuer.ok) return issuer;
    if (!isCertifiedBy(certificate, issuer.value.edPublic, signatures)) return unparsed('bad-signature');
    const obstacle = obstacleTo(certificate, now);
    if (obstacle !== null) return unparsed(obstacle);
    if (known === undefined && nodes.size >= options.mostNodes) return unparsed('full');
    const kept = own(certificate);
    nodes.set(kept.kid, kept);
    byName.set(kept.nodeName, kept);
    know(kept.nodeName);
    revision++;
    return parsed(kept);
  }

  function know(nodeName: string): void {
    names.delete(nodeName);
    names.add(nodeName);
    if (names.size > 2 * options.mostNodes) for (const oldest of names) if (names.delete(oldest)) break;
  }

  return {
    get revision() {
      return revision;
    },
    names: () => [...names],
    knowNames(known) {
      for (const nodeName of known) know(nodeName);
    },
    learn(certificate, now) {
      if (!sameBytes(certificate.clusterId, options.clusterId)) return unparsed('other-cluster');
      return certificate.kind === 'node' ? learnNode(certificate, now) : learnRegistrar(certificate, now);
    },
    learnRevocations(list, now) {
      if (!sameBytes(list.clusterId, options.clusterId)) return unparsed('other-cluster');
      const known = lists.get(list.issuer);
      if (known !== undefined && (known.number > list.number || sameBytes(known.bytes, list.bytes))) return unparsed('stale');
      const issuerKey = list.issuer === rootKid ? options.rootPublic : registrars.get(list.issuer)?.[0]?.edPublic;
      if (issuerKey === undefined) return unparsed('unknown-registrar');
      if (list.issuer !== rootKid && revoked(list.issuer, null)) return unparsed('revoked');
      if (!areRevocationsSignedBy(list, issuerKey, signatures)) return unparsed('bad-signature');
      // Two of one number: an issuer's mistake. All take the same one, whichever came first.
      if (known !== undefined && known.number === list.number && !isAfter(list.bytes, known.bytes)) return unparsed('stale');
      const kept = { ...list, bytes: list.bytes.slice() };
      lists.set(list.issuer, kept);
      revokedBy.set(list.issuer, new Set(list.entries.filter(entry => entry.notAfter > now).map(entry => entry.kid)));
      revision++;
      return parsed(kept);
    },
    node(kid, now) {
      const certificate = nodes.get(kid);
      if (certificate === undefined) return unparsed('unknown-key');
      if (revokedNode(certificate)) return unparsed('revoked');
      return certificate.notAfter <= now ? unparsed('expired') : parsed(certificate);
    },
    registrar(kid, now) {
      const certificate = registrars.get(kid)?.at(-1);
      if (certificate === undefined) return unparsed('unknown-key');
      if (!goodRegistrar(certificate)) return unparsed('revoked');
      return certificate.notAfter <= now ? unparsed('expired') : parsed(certificate);
    },
    named: nodeName => byName.get(nodeName) ?? null,
    wasCertified: nodeName => names.has(nodeName),
    nodes: now => [...nodes.values()].filter(certificate => !revokedNode(certificate) && certificate.notAfter > now),
    registrars: () => [...registrars.values()].flat(),
    revocationLists: () => [...lists.values()],
    prune(now) {
      for (const [kid, certificate] of nodes) {
        if (certificate.notAfter > now) continue;
        nodes.delete(kid);
        if (byName.get(certificate.nodeName) === certificate) byName.delete(certificate.nodeName);
      }
      const needed = new Set([...nodes.values()].map(certificate => certificate.registrar));
      for (const [kid, certificates] of registrars) if (certificates.every(one => one.notAfter <= now) && !needed.has(kid)) registrars.delete(kid);
    },
  };
}

/** A copy: what came in may be a view of a datagram that is reused. */
function own<T extends Certificate>(certificate: T): T {
  const copy = { ...certificate, bytes: certificate.bytes.slice(), clusterId: certificate.clusterId.slice(), edPublic: certificate.edPublic.slice() };
  return copy.kind === 'node' ? { ...copy, xPublic: (certificate as NodeCertificate).xPublic.slice() } : copy;
}

function isAfter(one: Uint8Array, other: Uint8Array): boolean {
  for (let at = 0; at < Math.min(one.length, other.length); at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return one.length > other.length;
}
