/** What convicts peers that broke the rules, kept for whoever must decide about them: anybody with their certificate can check it (signed/misuse.ts). */
import type { NodeCertificate, RegistrarCertificate } from '../signed/certificates.ts';

export interface Proofs {
  /** False: one against this key is kept already. The first is enough. */
  add(signer: NodeCertificate | RegistrarCertificate, proof: readonly [Uint8Array, Uint8Array]): boolean;
  /** Certificate, one envelope, the other; and so on. */
  records(): readonly Uint8Array[];
}

/** Of as many peers; a mesh where more cheat has other troubles. */
export const MOST_PROOFS = 64;
const RECORDS_EACH = 3;

export function createProofs(kept: readonly Uint8Array[], kidOfRecord: (certificate: Uint8Array) => string | null): Proofs {
  const byKid = new Map<string, readonly Uint8Array[]>();
  for (let at = 0; at + RECORDS_EACH <= kept.length && byKid.size < MOST_PROOFS; at += RECORDS_EACH) {
    const [certificate, ...proof] = kept.slice(at, at + RECORDS_EACH);
    const kid = certificate === undefined ? null : kidOfRecord(certificate);
    if (certificate !== undefined && kid !== null) byKid.set(kid, [certificate, ...proof]);
  }
  return {
    add(signer, [one, other]) {
      if (byKid.has(signer.kid) || byKid.size >= MOST_PROOFS) return false;
      byKid.set(
        signer.kid,
        [signer.bytes, one, other].map(bytes => Uint8Array.from(bytes)),
      );
      return true;
    },
    records: () => [...byKid.values()].flat(),
  };
}
