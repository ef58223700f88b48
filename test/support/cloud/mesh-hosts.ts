/** Hosts of a cluster whose root the deployed hub knows: certified for the mesh by a registrar of this file, and able to sign what they report. */
import { randomBytes } from 'node:crypto';
import type { Prefix } from '@honeymesh/intel/address';
import { type Advice, encodeIntel, type Withdrawal } from '@honeymesh/intel/advisories';
import { type EnvelopeHeader, sealEnvelope } from '@honeymesh/intel/envelope';
import { hexBytes } from '@honeymesh/intel/envelope-bytes';
import { encodeReport } from '@honeymesh/intel/hub-report';
import { DAY_MS, unixMs } from '@honeymesh/intel/time';
import { issueNodeCertificate, issueRegistrarCertificate, NODE_LIFE_MS, type NodeCertificate, REGISTRAR_LIFE_MS } from '#enforcer/mesh/signed/certificates.ts';
import { createEd25519, edPublicOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { prefix } from '#test/support/hm1.ts';
import type { Cloud } from './provided.ts';

const signatures = createEd25519();
const SITES = ['home', 'lab', 'shop'] as const;
export type Site = (typeof SITES)[number];

export interface MeshHost {
  readonly certificate: NodeCertificate;
  /** An envelope with the next number, signed now unless `header` says otherwise. */
  sign(what: { readonly advice?: readonly Advice[]; readonly withdrawals?: readonly Withdrawal[] }, header?: Partial<EnvelopeHeader>): Uint8Array;
  /** Envelopes as they come from sign(), as one message. */
  report(envelopes: readonly Uint8Array[]): Uint8Array;
}

export interface Mesh {
  /** The registrar's certificate. */
  readonly registrar: Uint8Array;
  host(name: string, site: Site): MeshHost;
}

export function createMesh(cloud: Cloud): Mesh {
  const clusterId = hexBytes(cloud.cluster);
  const epoch = Date.now();
  const secret = new Uint8Array(randomBytes(32));
  const notBefore = unixMs(epoch - DAY_MS);
  const request = { clusterId, sites: SITES, edPublic: edPublicOf(secret), notBefore, notAfter: unixMs(notBefore + REGISTRAR_LIFE_MS) };
  const registrar = issueRegistrarCertificate(request, hexBytes(cloud.rootSecret), signatures);

  return {
    registrar: registrar.bytes,
    host(nodeName, site) {
      const edSecret = new Uint8Array(randomBytes(32));
      const keys = { edPublic: edPublicOf(edSecret), xPublic: xPublicOf(new Uint8Array(randomBytes(32))) };
      const host = { clusterId, nodeName, site, ...keys, notBefore, notAfter: unixMs(notBefore + NODE_LIFE_MS) };
      const certificate = issueNodeCertificate(host, { kid: registrar.kid, secret }, signatures);
      const previous = new Map<Uint8Array, number>();
      let seq = 0;
      return {
        certificate,
        sign({ advice = [], withdrawals = [] }, header = {}) {
          const before = seq;
          seq = header.seq ?? seq + 1;
          const full = { kid: certificate.kid, epoch, seq, issuedAt: unixMs(Date.now()), ttlS: 3_600, type: 'intel' as const, ...header };
          const envelope = sealEnvelope(full, encodeIntel({ advice, withdrawals }), { clusterId, secret: edSecret, signatures });
          previous.set(envelope, before);
          return envelope;
        },
        report: envelopes => encodeReport(envelopes.map(envelope => ({ previous: previous.get(envelope) ?? 0, envelope }))),
      };
    },
  };
}

/** An address of a network for documentation, as advice of tier E2: the first of these is urgent. */
export const adviceFor = (address: string, more: Partial<Advice> = {}): Advice => ({
  target: prefix(address) as Prefix,
  tier: 'E2',
  reasons: ['exploit'],
  ttlS: 3_600,
  ...more,
});

export const hexOfAll = (envelopes: readonly Uint8Array[]): readonly string[] => envelopes.map(bytes => Buffer.from(bytes).toString('hex'));
