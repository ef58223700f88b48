/** The hub's pinned keys: ECDSA on P-256, SPKI in base64. Two during a rotation. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { advisoryMessage, type SignedAdvisory } from '@honeymesh/intel/hub-advisory';

/** null: it is no such key. */
export function readSigner(base64: string): KeyObject | null {
  try {
    const key = createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : null;
  } catch {
    return null;
  }
}

/** Whether one of the keys signed it, for this cluster. */
export function createSigners(pinned: readonly string[], clusterId: Uint8Array): (advisory: SignedAdvisory) => boolean {
  const keys = pinned.flatMap(base64 => readSigner(base64) ?? []);
  return ({ unsigned, signature }) => {
    const message = advisoryMessage(clusterId, unsigned);
    return keys.some(key => verify('sha256', message, key, signature));
  };
}
