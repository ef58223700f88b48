/** As whom this host takes part: what it keeps, judged as its peers will judge it. */
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshKept, Signatures } from '../port.ts';
import { type NodeCertificate, readCertificate } from '../signed/certificates.ts';
import { createEd25519, edPublicOf, xPublicOf } from '../signed/keys.ts';
import { readRevocations } from '../signed/revocations.ts';
import { createRoster, ROSTER_LIMITS, type Roster } from '../signed/roster.ts';
import type { Complaint } from './complaints.ts';

/** Who signs: with a roster that knows all that was kept of trust. */
export interface Signer {
  readonly mode: Exclude<Signatures, 'off'>;
  readonly certificate: NodeCertificate;
  readonly edSecret: Uint8Array;
  readonly xSecret: Uint8Array;
  readonly roster: Roster;
  readonly signatures: ReturnType<typeof createEd25519>;
  readonly clusterId: Uint8Array;
  readonly rootPublic: Uint8Array;
}

export type Who = { readonly ok: true; readonly signer: Signer | null; readonly complaint: Complaint | null } | ({ readonly ok: false } & Complaint);

const JOIN = '"honeymesh mesh join TOKEN", with a token of "honeymesh mesh invite" on a registrar, gets a certificate; "honeymesh mesh init" begins a new mesh';

export function whoWeAre(signatures: Signatures, kept: MeshKept, now: UnixMs): Who {
  if (signatures === 'off') return { ok: true, signer: null, complaint: null };
  const signer = signerFrom(signatures, kept, now);
  if (typeof signer !== 'string') return { ok: true, signer, complaint: null };
  if (signatures === 'required') return { ok: false, why: `mesh.signatures is required, and ${signer}`, fix: JOIN };
  return { ok: true, signer: null, complaint: { why: `${signer}: it is a member, but nobody takes its advice and it takes nobody's`, fix: JOIN } };
}

/** Or why not, as a clause. */
function signerFrom(mode: Signer['mode'], { identity, trust }: MeshKept, now: UnixMs): Signer | string {
  if (identity === null || trust === null) return 'this host has no certificate';
  const read = readCertificate(trust.certificate);
  if (!read.ok || read.value.kind !== 'node') return 'the certificate of this host is damaged';
  const certificate = read.value;
  const ownKeys = sameBytes(certificate.edPublic, edPublicOf(identity.edSecret)) && sameBytes(certificate.xPublic, xPublicOf(identity.xSecret));
  if (!ownKeys) return 'the certificate of this host is for other keys than it has';
  const signaturesOf = createEd25519();
  const { clusterId, rootPublic } = trust;
  const roster = createRoster({ clusterId, rootPublic, ...ROSTER_LIMITS }, { signatures: signaturesOf });
  for (const bytes of trust.registrars) {
    const one = readCertificate(bytes);
    if (one.ok && one.value.kind === 'registrar') roster.learn(one.value, now);
  }
  for (const bytes of trust.revocations) {
    const list = readRevocations(bytes);
    if (list.ok) roster.learnRevocations(list.value, now);
  }
  roster.knowNames(trust.names);
  const learnt = roster.learn(certificate, now);
  // What has ended can be renewed while we run, and a clock that is wrong be set: both are told, and peers judge for themselves.
  if (!learnt.ok && learnt.why !== 'expired' && learnt.why !== 'not-yet-valid') return `the certificate of this host does not hold (${learnt.why})`;
  return { mode, certificate, edSecret: identity.edSecret, xSecret: identity.xSecret, roster, signatures: signaturesOf, clusterId, rootPublic };
}
