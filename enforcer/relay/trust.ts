/** Whom this host believes, as the mesh keeps it: read anew now and then, for certificates are renewed and revocations come in while the relay runs. */
import { hash } from 'node:crypto';
import type { KeyId, Signatures } from '@honeymesh/intel/envelope';
import { hexOf, writeBytes } from '@honeymesh/intel/envelope-bytes';
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshTrust } from '../mesh/port.ts';
import { readCertificate } from '../mesh/signed/certificates.ts';
import { readRevocations } from '../mesh/signed/revocations.ts';
import { createRoster, ROSTER_LIMITS, type Roster } from '../mesh/signed/roster.ts';

export interface Believed {
  readonly kid: KeyId;
  readonly nodeName: string;
  readonly clusterId: Uint8Array;
  /** For the hub: this host's registrar's certificates and its own. */
  readonly introduction: readonly Uint8Array[];
  readonly roster: Roster;
  /** The same as long as nothing of it changed. */
  readonly version: string;
}

/** null: this host has no certificate that holds. */
export function believed(trust: MeshTrust | null, signatures: Signatures, now: UnixMs): Believed | null {
  if (trust === null) return null;
  const own = readCertificate(trust.certificate);
  if (!own.ok || own.value.kind !== 'node' || own.value.notAfter <= now) return null;
  const { kid, nodeName, registrar, notBefore } = own.value;
  const roster = createRoster({ clusterId: trust.clusterId, rootPublic: trust.rootPublic, ...ROSTER_LIMITS }, { signatures });
  const introduction: Uint8Array[] = [];
  for (const bytes of trust.registrars) {
    const read = readCertificate(bytes);
    if (!read.ok || read.value.kind !== 'registrar') continue;
    roster.learn(read.value, now);
    if (read.value.kid === registrar && notBefore >= read.value.notBefore && notBefore <= read.value.notAfter) introduction.splice(0, 1, bytes);
  }
  for (const bytes of trust.revocations) {
    const read = readRevocations(bytes);
    if (read.ok) roster.learnRevocations(read.value, now);
  }
  const writer = writeBytes().bytes(trust.certificate);
  for (const bytes of [...trust.registrars, ...trust.revocations]) writer.bytes(bytes);
  const version = hexOf(hash('sha256', writer.take(), 'buffer'));
  return { kid, nodeName, clusterId: trust.clusterId, introduction: [...introduction, trust.certificate], roster, version };
}
