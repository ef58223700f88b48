/** Ed25519 and X25519 with keys as 32 raw bytes, and their names. Deterministic: secrets come in as arguments, whoever has randomness makes them. */
import { createPrivateKey, createPublicKey, diffieHellman, hash, type KeyObject, sign, verify } from 'node:crypto';
import { KEY_BYTES, kidMessage } from '@honeymesh/intel/certificates';
import type { KeyId, Signatures } from '@honeymesh/intel/envelope';
import { KID_BYTES, kidFromBytes, SIGNATURE_BYTES } from '@honeymesh/intel/envelope';
import { hexOf } from '@honeymesh/intel/envelope-bytes';

export { KEY_BYTES } from '@honeymesh/intel/certificates';

// RFC 8410: what stands before the 32 bytes in PKCS #8 and in SubjectPublicKeyInfo.
const ED25519 = { secret: '302e020100300506032b657004220420', open: '302a300506032b6570032100' } as const;
const X25519 = { secret: '302e020100300506032b656e04220420', open: '302a300506032b656e032100' } as const;
type Curve = typeof ED25519 | typeof X25519;

/** The name of an Ed25519 public key: 64 bits of a hash. Who finds a second key of one name has gained nothing: the first one known keeps it. */
export function kidOf(edPublic: Uint8Array): KeyId {
  return kidFromBytes(sha256(kidMessage(edPublic)).subarray(0, KID_BYTES));
}

export const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');

export const edPublicOf = (secret: Uint8Array): Uint8Array => publicOf(ED25519, secret);
export const xPublicOf = (secret: Uint8Array): Uint8Array => publicOf(X25519, secret);

/** X25519. Null where the other side's point is of small order: the secret would be known to everybody (RFC 7748, 6.1). */
export function sharedSecret(secret: Uint8Array, otherPublic: Uint8Array): Uint8Array | null {
  try {
    return diffieHellman({ privateKey: secretKey(X25519, secret), publicKey: openKey(X25519, otherPublic) });
  } catch {
    return null;
  }
}

/** Real signatures. Importing a key costs a fifth of a verification, so the last `keptKeys` are kept. */
export function createEd25519(options: { readonly keptKeys: number } = { keptKeys: 4_096 }): Signatures {
  const secrets = new Map<string, KeyObject>();
  const opens = new Map<string, KeyObject>();

  function kept(among: Map<string, KeyObject>, bytes: Uint8Array, load: () => KeyObject): KeyObject {
    const name = hexOf(bytes);
    const known = among.get(name);
    if (known !== undefined) return known;
    const loaded = load();
    if (among.size >= options.keptKeys) for (const oldest of among.keys()) if (among.delete(oldest)) break;
    among.set(name, loaded);
    return loaded;
  }

  return {
    sign: (secret, message) =>
      sign(
        null,
        message,
        kept(secrets, secret, () => secretKey(ED25519, secret)),
      ),
    verify(publicKey, message, signature) {
      if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
      try {
        return verify(
          null,
          message,
          kept(opens, publicKey, () => openKey(ED25519, publicKey)),
          signature,
        );
      } catch {
        return false; // not a point of the curve
      }
    },
  };
}

function publicOf(curve: Curve, secret: Uint8Array): Uint8Array {
  const der = createPublicKey(secretKey(curve, secret)).export({ format: 'der', type: 'spki' });
  return Uint8Array.from(der.subarray(der.length - KEY_BYTES));
}

function secretKey(curve: Curve, secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([Buffer.from(curve.secret, 'hex'), secret]), format: 'der', type: 'pkcs8' });
}

function openKey(curve: Curve, bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([Buffer.from(curve.open, 'hex'), bytes]), format: 'der', type: 'spki' });
}
