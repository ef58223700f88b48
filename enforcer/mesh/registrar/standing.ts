/** What `honeymesh mesh status` says, from the parts that know. */
import { hexOf } from '@honeymesh/intel/envelope-bytes';
import { rfc3339, type UnixMs } from '@honeymesh/intel/time';
import type { MeshStatusReport, RegistrarRow } from '../../control/mesh-operations.ts';
import type { MeshReport, MeshTrust, MeshView } from '../port.ts';
import { type NodeCertificate, type RegistrarCertificate, readCertificate } from '../signed/certificates.ts';

export interface StandingFacts {
  readonly report: MeshReport;
  readonly view: MeshView | null;
  readonly own: NodeCertificate | null;
  readonly trust: MeshTrust | null;
  /** Of the registrar on this host. */
  readonly self: RegistrarCertificate | null;
  readonly listensAt: string | null;
  readonly openInvites: number;
  readonly refusals: number;
  readonly renewsAt: UnixMs | null;
  readonly renewsFrom: string | null;
}

export function standingOf({ report, view, own, trust, self, listensAt, openInvites, refusals, renewsAt, renewsFrom }: StandingFacts): MeshStatusReport {
  return {
    state: report.state,
    name: own?.nodeName ?? report.name,
    site: own?.site ?? report.site,
    key: own?.kid ?? null,
    cluster: trust === null ? null : hexOf(trust.clusterId),
    signatures: report.signatures,
    certifiedUntil: own === null ? null : rfc3339(own.notAfter),
    renewsAt: renewsAt === null ? null : rfc3339(renewsAt),
    renewsFrom,
    keyGeneration: view?.keyGeneration ?? null,
    peers: report.peers,
    registrar: self === null ? null : { ...rowOf(self), address: listensAt, openInvites, refusals },
    registrars: rowsOf([...(trust?.registrars ?? []), ...(self === null ? [] : [self.bytes])]),
  };
}

/** Of each key the latest certificate. */
function rowsOf(certificates: readonly Uint8Array[]): readonly RegistrarRow[] {
  const latest = new Map<string, RegistrarCertificate>();
  for (const bytes of certificates) {
    const read = readCertificate(bytes);
    if (!read.ok || read.value.kind !== 'registrar') continue;
    const other = latest.get(read.value.kid);
    if (other === undefined || other.notAfter < read.value.notAfter) latest.set(read.value.kid, read.value);
  }
  return [...latest.values()].map(rowOf);
}

const rowOf = ({ kid, sites, notAfter }: RegistrarCertificate): RegistrarRow => ({ key: kid, sites, until: rfc3339(notAfter) });

export const heardBy = (view: MeshView | null): { readonly datagrams: number; readonly refused: number } | null =>
  view === null ? null : { datagrams: view.counts.datagramsIn ?? 0, refused: view.counts.refused ?? 0 };
