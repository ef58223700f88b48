/** A cluster for tests of HM1: a root, registrars, hosts, all from fixed secrets; real Ed25519 or, where thousands are signed, a keyed hash in its place. */
import { createHash, hash } from 'node:crypto';
import { type Prefix, parsePrefix } from '@honeymesh/intel/address';
import type { Advice } from '@honeymesh/intel/advisories';
import { type EnvelopeHeader, type EnvelopeType, LONGEST_ENVELOPE_BYTES, type Signatures, sealEnvelope } from '@honeymesh/intel/envelope';
import { DAY_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { ANTI_ENTROPY_LIMITS } from '#enforcer/mesh/signed/anti-entropy.ts';
import {
  issueNodeCertificate,
  issueRegistrarCertificate,
  NODE_LIFE_MS,
  type NodeCertificate,
  REGISTRAR_LIFE_MS,
  type RegistrarCertificate,
} from '#enforcer/mesh/signed/certificates.ts';
import { createEd25519, edPublicOf, kidOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { BOOK_LIMITS } from '#enforcer/mesh/signed/live-book.ts';
import { createRoster, ROSTER_LIMITS, type Roster } from '#enforcer/mesh/signed/roster.ts';
import { createSignedLayer, type SignedLayer, type SignedLayerOptions } from '#enforcer/mesh/signed/signed-layer.ts';

export const CLUSTER = Uint8Array.from({ length: 16 }, (_, at) => 0xc0 + at);
/** 2026-11-24T12:00:00Z. */
export const NOON = unixMs(1_795_521_600_000);

export const secretOf = (name: string): Uint8Array => Uint8Array.from(createHash('sha256').update(`secret of ${name}`).digest());

export const real = createEd25519();

/** Signs with a hash keyed by what belongs to the secret; verifying takes a hash, not an exponentiation. Only who has the secret is asked to sign. */
export function keyedHash(): Signatures & { readonly checks: number } {
  const publics = new WeakMap<Uint8Array, Uint8Array>();
  let checks = 0;
  const tag = (key: Uint8Array, message: Uint8Array): Uint8Array => hash('sha512', Buffer.concat([key, message]), 'buffer');
  return {
    sign(secret, message) {
      const known = publics.get(secret) ?? edPublicOf(secret);
      publics.set(secret, known);
      return Uint8Array.from(tag(known, message));
    },
    verify(publicKey, message, signature) {
      checks++;
      return Buffer.compare(tag(publicKey, message), signature) === 0;
    },
    get checks() {
      return checks;
    },
  };
}

export interface Host {
  readonly certificate: NodeCertificate;
  readonly edSecret: Uint8Array;
  readonly xSecret: Uint8Array;
}

export interface Trust {
  readonly signatures: Signatures;
  readonly rootSecret: Uint8Array;
  readonly registrar: RegistrarCertificate;
  readonly registrarSecret: Uint8Array;
  /** `life`: set up anew, with new keys. */
  host(name: string, site?: string, at?: UnixMs, life?: number): Host;
  roster(now?: UnixMs): Roster;
}

export function trust(signatures: Signatures, sites: readonly string[] = ['home', 'lab', 'shop']): Trust {
  const rootSecret = secretOf('root');
  const registrarSecret = secretOf('registrar');
  const rootPublic = edPublicOf(rootSecret);
  const dates = { notBefore: unixMs(NOON - DAY_MS), notAfter: unixMs(NOON - DAY_MS + REGISTRAR_LIFE_MS) };
  const registrar = issueRegistrarCertificate({ clusterId: CLUSTER, sites, edPublic: edPublicOf(registrarSecret), ...dates }, rootSecret, signatures);
  return {
    signatures,
    rootSecret,
    registrar,
    registrarSecret,
    host(nodeName, site = 'home', at = unixMs(NOON - DAY_MS), life = 1) {
      const name = life === 1 ? nodeName : `${nodeName} ${life}`;
      const edSecret = secretOf(`${name} ed`);
      const xSecret = secretOf(`${name} x`);
      const request = {
        clusterId: CLUSTER,
        nodeName,
        site,
        edPublic: edPublicOf(edSecret),
        xPublic: xPublicOf(xSecret),
        notBefore: at,
        notAfter: unixMs(at + NODE_LIFE_MS),
      };
      return { certificate: issueNodeCertificate(request, { kid: registrar.kid, secret: registrarSecret }, signatures), edSecret, xSecret };
    },
    roster(now = NOON) {
      const roster = createRoster({ clusterId: CLUSTER, rootPublic, ...ROSTER_LIMITS }, { signatures });
      roster.learn(registrar, now);
      return roster;
    },
  };
}

export const rootKid = kidOf(edPublicOf(secretOf('root')));

export function prefix(text: string): Prefix {
  const read = parsePrefix(text);
  if (!read.ok) throw new Error(`${text}: ${read.why}`);
  return read.value;
}

export const advice = (target: string, more: Partial<Advice> = {}): Advice => ({
  target: prefix(target),
  tier: 'E1',
  reasons: ['trap-touch'],
  ttlS: 3_600,
  ...more,
});

/** An envelope as `host` would sign it, or as a host that does not keep the rules would. */
export function signedBy(
  host: Host,
  body: Uint8Array,
  signatures: Signatures,
  header: Partial<EnvelopeHeader> & { readonly type?: EnvelopeType } = {},
): Uint8Array {
  const full = { kid: host.certificate.kid, epoch: 1, seq: 1, issuedAt: NOON, ttlS: 3_600, type: 'intel' as const, ...header };
  return sealEnvelope(full, body, { clusterId: CLUSTER, secret: host.edSecret, signatures });
}

/** A whole HM1 layer of a host that has started; its epoch is written down at once. */
export function layerOf(
  trusted: Trust,
  host: Host,
  more: Partial<SignedLayerOptions> = {},
  now: UnixMs = NOON,
): { readonly layer: SignedLayer; readonly roster: Roster } {
  const roster = trusted.roster(now);
  const options: SignedLayerOptions = {
    mode: 'required',
    clusterId: CLUSTER,
    identity: host,
    advertise: { address: Uint8Array.of(198, 51, 100, 7), port: 7946 },
    lastEpoch: 0,
    longestEnvelopeBytes: LONGEST_ENVELOPE_BYTES,
    keys: [new Uint8Array(32)],
    keyGeneration: 0,
    accusers: 2,
    book: BOOK_LIMITS,
    antiEntropy: ANTI_ENTROPY_LIMITS,
    ...more,
  };
  const layer = createSignedLayer(options, { roster, signatures: trusted.signatures });
  for (const output of layer.start(now)) if (output.kind === 'persist-epoch') layer.persisted(output.epoch, now);
  return { layer, roster };
}
