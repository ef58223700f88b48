/** Taking a host or a registrar out: by the registrar that certified it, or by the offline root, whose list the command line brings signed. */
import type { KeyId, Signatures } from '@honeymesh/intel/envelope';
import { rfc3339, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { RevocationDraft, RevocationReport, RotationReport } from '../../control/mesh-operations.ts';
import { HoneyMeshError } from '../../errors.ts';
import type { MeshLink, MeshTrust } from '../port.ts';
import { NODE_LIFE_MS, type NodeCertificate, type RegistrarCertificate, readCertificate } from '../signed/certificates.ts';
import { kidOf } from '../signed/keys.ts';
import { areRevocationsSignedBy, readRevocations } from '../signed/revocations.ts';
import { nodesOf } from './desk.ts';
import type { RegistrarKeeping } from './keeping.ts';
import type { Office } from './office.ts';
import { meshDown } from './rekeying.ts';

export interface RevokingDeps {
  readonly keeping: RegistrarKeeping;
  readonly office: Office;
  readonly link: MeshLink;
  /** Throws HM_REFUSED where this host is no member. */
  readonly requireTrust: () => Promise<MeshTrust>;
  /** This host's own key. */
  readonly ownKey: () => KeyId | null;
  readonly signatures: Signatures;
  readonly now: () => UnixMs;
  readonly tell: (text: string) => void;
}

export interface Revoking {
  revoke(target: string): Promise<RevocationReport>;
  draft(target: string): Promise<RevocationDraft>;
  publish(key: string, list: Uint8Array): Promise<RevocationReport>;
}

export function createRevoking({ keeping, office, link, requireTrust, ownKey, signatures, now, tell }: RevokingDeps): Revoking {
  async function hosts(): Promise<readonly NodeCertificate[]> {
    const known = new Map(keeping.hosts(now()).map(host => [host.kid, host]));
    for (const host of nodesOf((await link.certified()) ?? [])) known.set(host.kid, host);
    return [...known.values()];
  }

  /** Where one name was had by several keys, the latest is meant. */
  async function hostOf(target: string): Promise<NodeCertificate | null> {
    const found = (await hosts()).filter(host => host.nodeName === target || host.kid === target.toLowerCase());
    return found.sort((one, other) => other.notBefore - one.notBefore)[0] ?? null;
  }

  function registrarsOf({ registrars }: MeshTrust): readonly RegistrarCertificate[] {
    const own = keeping.self()?.certificate;
    const read = registrars.flatMap(bytes => {
      const one = readCertificate(bytes);
      return one.ok && one.value.kind === 'registrar' ? [one.value] : [];
    });
    return own === null || own === undefined ? read : [...read, own];
  }

  const notFound = (target: string): HoneyMeshError =>
    new HoneyMeshError('HM_NOT_FOUND', `no host or registrar named ${target.slice(0, 64)} is known here`, {
      fix: 'give a name or a key id: "honeymesh peers list" and "honeymesh mesh status" show them',
    });

  async function rotateIfRegistrar(): Promise<RotationReport | null> {
    const self = office.registrar();
    return self === null || self.certificate.notAfter <= now() ? null : office.rotate(true);
  }

  return {
    async revoke(target) {
      await requireTrust();
      const self = office.require();
      const host = await hostOf(target);
      if (host === null) throw notFound(target);
      if (host.registrar !== self.certificate.kid) {
        throw new HoneyMeshError('HM_REFUSED', `${host.nodeName} was certified by another registrar (${host.registrar})`, {
          fix: 'revoke it there, or here by the root: honeymesh mesh revoke NAME --root-file FILE',
        });
      }
      if (host.kid === ownKey()) {
        throw new HoneyMeshError('HM_REFUSED', `${host.nodeName} is this host: a registrar does not revoke itself`, {
          fix: '"honeymesh mesh leave" to go, or revoke it on another host by the root: honeymesh mesh revoke KEY --root-file FILE',
        });
      }
      return office.revoke(host);
    },
    async draft(target) {
      const trust = await requireTrust();
      const root = kidOf(trust.rootPublic);
      const host = await hostOf(target);
      const registrar = registrarsOf(trust)
        .filter(one => one.kid === target.toLowerCase())
        .sort((one, other) => other.notAfter - one.notAfter)[0];
      if (host === null && registrar === undefined) throw notFound(target);
      const former = trust.revocations.find(bytes => {
        const read = readRevocations(bytes);
        return read.ok && read.value.issuer === root;
      });
      // What a registrar certified may outlive it by a host's whole life.
      const notAfter = host?.notAfter ?? unixMs((registrar?.notAfter ?? now()) + NODE_LIFE_MS);
      const key = host?.kid ?? registrar?.kid ?? '';
      return {
        key,
        name: host?.nodeName ?? null,
        notAfter: rfc3339(notAfter),
        cluster: Buffer.from(trust.clusterId).toString('base64'),
        rootPublic: Buffer.from(trust.rootPublic).toString('base64'),
        former: former === undefined ? null : Buffer.from(former).toString('base64'),
      };
    },
    async publish(key, list) {
      const trust = await requireTrust();
      const read = readRevocations(list);
      const entry = read.ok ? read.value.entries.find(one => one.kid === key) : undefined;
      if (!read.ok || entry === undefined || !areRevocationsSignedBy(read.value, trust.rootPublic, signatures)) {
        throw new HoneyMeshError('HM_REFUSED', 'this list is not signed by the root of this mesh', { fix: 'is it the right root file?' });
      }
      const host = await hostOf(key);
      const fallen = host === null ? (await hosts()).filter(one => one.registrar === key).map(one => one.nodeName) : [];
      const refused = await link.learn([], [list]);
      if (refused === null) throw meshDown();
      if (refused.length > 0)
        throw new HoneyMeshError('HM_REFUSED', `the list was not taken: ${refused.join(', ')}`, {
          fix: 'run the command again: another list may have come first',
        });
      office.spread();
      const who = host === null ? `the registrar ${key}` : `${host.nodeName} (key ${key})`;
      tell(`${who} was revoked by the root, list ${read.value.number}`);
      const own = office.registrar()?.certificate.kid === key;
      return { name: host?.nodeName ?? null, key, by: 'root', number: read.value.number, fallen, rekeyed: own ? null : await rotateIfRegistrar() };
    },
  };
}
