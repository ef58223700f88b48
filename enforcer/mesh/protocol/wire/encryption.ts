/**
 * AES-GCM under a key of the cluster: version, nonce of 12 bytes, ciphertext, tag of 16 bytes. Version 0 pads with PKCS#7 first, for no reason but history;
 * members that speak protocol 1 still send it, and both are always taken. The version itself is not authenticated: on its way, a message can gain its
 * padding or lose what looks like some. Whatever must not change is signed within (HM1).
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { copyOf, joined, NO_BYTES } from './bytes.ts';
import type { WireFault } from './faults.ts';
import type { ClusterKey, Keyring } from './keyring.ts';

export type EncryptionVersion = 0 | 1;

/** What a member that speaks `protocol` sends. */
export const encryptionVersionOf = (protocol: number): EncryptionVersion => (protocol === 1 ? 0 : 1);

export const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES;
const BLOCK_BYTES = 16;

/** The most that encryption adds, in bytes: what memberlist's budgets count. Version 0 pads by 1 to 16. */
export const ENCRYPTION_OVERHEAD: Readonly<Record<EncryptionVersion, number>> = { 0: HEAD_BYTES + BLOCK_BYTES + TAG_BYTES, 1: HEAD_BYTES + TAG_BYTES };

export interface Sealing {
  readonly key: ClusterKey;
  readonly version: EncryptionVersion;
  /** 12 bytes, never twice under one key: the caller draws them. */
  readonly nonce: Uint8Array;
  /** Authenticated along with it, but not sent: the label; on a stream the frame's head before it. */
  readonly context: Uint8Array;
}

export function sealed(plain: Uint8Array, { key, version, nonce, context }: Sealing): Uint8Array {
  if (nonce.length !== NONCE_BYTES) throw new RangeError(`a nonce of ${nonce.length} bytes`);
  const cipher = createCipheriv(key.cipher, key.secret, nonce).setAAD(context);
  const body = cipher.update(version === 0 ? padded(plain) : plain);
  cipher.final();
  return joined(Uint8Array.of(version), nonce, body, cipher.getAuthTag());
}

/** The length of what `sealed` makes of `length` bytes. */
export const sealedLength = (length: number, version: EncryptionVersion): number =>
  HEAD_BYTES + TAG_BYTES + (version === 0 ? length + BLOCK_BYTES - (length % BLOCK_BYTES) : length);

export interface Opened {
  readonly plain: Uint8Array;
  readonly key: ClusterKey;
  readonly nonce: Uint8Array;
}

/** Decrypts hostile bytes with whichever key fits. What it yields is at least one byte long. */
export function open(blob: Uint8Array, keyring: Keyring, context: Uint8Array, source: string | undefined): Parsed<Opened, WireFault> {
  const version = blob[0];
  if (version === undefined) return unparsed('empty');
  if (version !== 0 && version !== 1) return unparsed('encryption-version');
  if (blob.length < ENCRYPTION_OVERHEAD[version]) return unparsed('ciphertext-too-short');
  const nonce = blob.subarray(1, HEAD_BYTES);
  const body = blob.subarray(HEAD_BYTES, blob.length - TAG_BYTES);
  const tag = blob.subarray(blob.length - TAG_BYTES);
  for (const key of keyring.inOrderFor(source)) {
    const decrypted = decrypt(key, nonce, body, tag, context);
    if (decrypted === null) continue;
    keyring.fitted(source, key);
    const plain = version === 0 ? unpadded(decrypted) : decrypted;
    if (plain === null) return unparsed('bad-padding');
    if (plain.length === 0) return unparsed('empty-plaintext');
    return parsed({ plain, key, nonce: copyOf(nonce) });
  }
  return unparsed('no-key-fits');
}

function decrypt(key: ClusterKey, nonce: Uint8Array, body: Uint8Array, tag: Uint8Array, context: Uint8Array): Uint8Array | null {
  const decipher = createDecipheriv(key.cipher, key.secret, nonce, { authTagLength: TAG_BYTES }).setAAD(context).setAuthTag(tag);
  const plain = decipher.update(body);
  try {
    decipher.final();
  } catch {
    return null; // not authentic: node:crypto says so by throwing
  }
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
}

function padded(plain: Uint8Array): Uint8Array {
  const padding = BLOCK_BYTES - (plain.length % BLOCK_BYTES);
  return joined(plain, new Uint8Array(padding).fill(padding));
}

/** Go cuts off as many bytes as the last one says, unchecked, and panics where there are fewer. */
function unpadded(bytes: Uint8Array): Uint8Array | null {
  const padding = bytes.at(-1) ?? 0;
  if (padding === 0 || padding > BLOCK_BYTES || padding > bytes.length) return null;
  for (let at = bytes.length - padding; at < bytes.length; at++) if (bytes[at] !== padding) return null;
  return bytes.length === padding ? NO_BYTES : bytes.subarray(0, bytes.length - padding);
}
