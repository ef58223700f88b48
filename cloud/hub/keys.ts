/** Names of keys and checks of signatures, as the mesh has them; the hub signs nothing itself in Ed25519. */
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { KEY_BYTES, kidMessage } from '@honeymesh/intel/certificates';
import { type KeyId, KID_BYTES, kidFromBytes, SIGNATURE_BYTES, type Signatures } from '@honeymesh/intel/envelope';
import { hexOf } from '@honeymesh/intel/envelope-bytes';

export type Verifier = Pick<Signatures, 'verify'>;

/** RFC 8410: what stands before the 32 bytes in SubjectPublicKeyInfo. */
const SPKI_HEAD = '302a300506032b6570032100';
/** Importing a key costs a fifth of a check. */
const MOST_KEPT_KEYS = 4_096;

export const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');
export const kidOf = (edPublic: Uint8Array): KeyId => kidFromBytes(sha256(kidMessage(edPublic)).subarray(0, KID_BYTES));

export function createEd25519Verifier(): Verifier {
  const keys = new Map<string, KeyObject>();

  function keyOf(edPublic: Uint8Array): KeyObject {
    const name = hexOf(edPublic);
    const known = keys.get(name);
    if (known !== undefined) return known;
    const key = createPublicKey({ key: Buffer.from(SPKI_HEAD + name, 'hex'), format: 'der', type: 'spki' });
    if (keys.size >= MOST_KEPT_KEYS) keys.clear();
    keys.set(name, key);
    return key;
  }

  return {
    verify(edPublic, message, signature) {
      if (edPublic.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
      try {
        return verify(null, message, keyOf(edPublic), signature);
      } catch {
        return false; // not a point of the curve
      }
    },
  };
}
