/** Identities on disk, certified now by one registrar of one root: for processes, which live by the real clock. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { issueNodeCertificate, issueRegistrarCertificate, NODE_LIFE_MS, REGISTRAR_LIFE_MS } from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { type Host, real } from '#test/support/hm1.ts';

export interface Identity extends Host {
  /** What `-identity` takes. */
  readonly directory: string;
}

const secret = (): Uint8Array => Uint8Array.from(randomBytes(32));

export function createIdentities(sites: readonly string[]) {
  const folders: string[] = [];
  const clusterId = Uint8Array.from(randomBytes(16));
  const rootSecret = secret();
  const registrarSecret = secret();
  const issuedAt: UnixMs = unixMs(Date.now() - HOUR_MS);
  const edPublic = edPublicOf(registrarSecret);
  const registrar = issueRegistrarCertificate(
    { clusterId, sites, edPublic, notBefore: issuedAt, notAfter: unixMs(issuedAt + REGISTRAR_LIFE_MS) },
    rootSecret,
    real,
  );

  return {
    clusterId,
    async issue(nodeName: string, site: string): Promise<Identity> {
      const [edSecret, xSecret] = [secret(), secret()];
      const request = { clusterId, nodeName, site, edPublic: edPublicOf(edSecret), xPublic: xPublicOf(xSecret) };
      const dates = { notBefore: issuedAt, notAfter: unixMs(issuedAt + NODE_LIFE_MS) };
      const certificate = issueNodeCertificate({ ...request, ...dates }, { kid: registrar.kid, secret: registrarSecret }, real);
      const folder = await mkdtemp(join(tmpdir(), 'honeymesh-identity-'));
      folders.push(folder);
      const directory = join(folder, 'mesh');
      const state = createMeshState(directory);
      await state.keepIdentity({ nodeName, edSecret, xSecret });
      await state.keepTrust({
        clusterId,
        rootPublic: edPublicOf(rootSecret),
        certificate: certificate.bytes,
        registrars: [registrar.bytes],
        revocations: [],
        names: [],
      });
      return { certificate, edSecret, xSecret, directory };
    },
    async remove(): Promise<void> {
      await Promise.all(folders.splice(0).map(folder => rm(folder, { recursive: true, force: true })));
    },
  };
}
