/**
 * Group keys for single members: sealed to each one's X25519 key, never under the key that they replace, which whoever is to be shut out holds. Each
 * recipient's cipher key comes from one Diffie-Hellman with an ephemeral key of the envelope's (RFC 5869, HKDF-SHA-256), so a nonce is never used twice.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { type KeyId, kidBytes } from '@honeymesh/intel/envelope';
import { MOST_RECIPIENTS, type Rekey, type SealedKey } from '@honeymesh/intel/envelope-bodies';
import { latin1Bytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import type { UnixMs } from '@honeymesh/intel/time';
import type { NodeCertificate } from './certificates.ts';
import { sharedSecret, xPublicOf } from './keys.ts';

export interface GroupKey {
  readonly generation: number;
  /** 16, 24 or 32 bytes. */
  readonly key: Uint8Array;
  readonly useAt: UnixMs;
  readonly dropOldAt: UnixMs;
}

export interface Sealing {
  readonly clusterId: Uint8Array;
  /** The registrar that signs the envelope. */
  readonly issuer: KeyId;
  /** 32 random bytes, used for this one envelope. */
  readonly ephemeralSecret: Uint8Array;
}

const DOMAIN = latin1Bytes('HoneyMesh HM1 rekey\0');
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** For at most MOST_RECIPIENTS; those whose X25519 key is no key are left out. */
export function sealGroupKey(group: GroupKey, recipients: readonly NodeCertificate[], sealing: Sealing): Rekey {
  if (recipients.length > MOST_RECIPIENTS) throw new RangeError(`${recipients.length} recipients in one envelope`);
  const ephemeralPublic = xPublicOf(sealing.ephemeralSecret);
  const sealed: SealedKey[] = [];
  for (const { kid, xPublic } of recipients) {
    const secret = sharedSecret(sealing.ephemeralSecret, xPublic);
    if (secret === null) continue;
    const { key, nonce, context } = keysFor(secret, { ...sealing, generation: group.generation, recipient: kid, xPublic, ephemeralPublic });
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context);
    sealed.push({ recipient: kid, bytes: Uint8Array.from(Buffer.concat([cipher.update(group.key), cipher.final(), cipher.getAuthTag()])) });
  }
  const { generation, useAt, dropOldAt } = group;
  return { generation, useAt, dropOldAt, ephemeralPublic, sealed };
}

/** For as many as there are: an envelope's body for each MOST_RECIPIENTS of them, with an ephemeral key of its own. */
export function sealForAll(
  group: GroupKey,
  recipients: readonly NodeCertificate[],
  sealing: Omit<Sealing, 'ephemeralSecret'>,
  /** 32 random bytes for each body, see `bodiesFor`. */
  ephemeralSecrets: readonly Uint8Array[],
): readonly Rekey[] {
  if (ephemeralSecrets.length < bodiesFor(recipients.length)) throw new RangeError('an ephemeral key is used once');
  const bodies: Rekey[] = [];
  for (let at = 0; at < recipients.length; at += MOST_RECIPIENTS) {
    const ephemeralSecret = ephemeralSecrets[bodies.length] ?? new Uint8Array(0);
    bodies.push(sealGroupKey(group, recipients.slice(at, at + MOST_RECIPIENTS), { ...sealing, ephemeralSecret }));
  }
  return bodies.filter(({ sealed }) => sealed.length > 0);
}

export const bodiesFor = (recipients: number): number => Math.ceil(recipients / MOST_RECIPIENTS);

/** The key in there for us; null: none, or not one that we can open. */
export function openGroupKey(
  rekey: Rekey,
  own: { readonly kid: KeyId; readonly xSecret: Uint8Array },
  from: { readonly clusterId: Uint8Array; readonly issuer: KeyId },
): GroupKey | null {
  const mine = rekey.sealed.find(({ recipient }) => recipient === own.kid);
  if (mine === undefined) return null;
  const secret = sharedSecret(own.xSecret, rekey.ephemeralPublic);
  if (secret === null) return null;
  const parties = { ...from, generation: rekey.generation, recipient: own.kid, xPublic: xPublicOf(own.xSecret), ephemeralPublic: rekey.ephemeralPublic };
  const { key, nonce, context } = keysFor(secret, parties);
  const { generation, useAt, dropOldAt } = rekey;
  try {
    const opener = createDecipheriv('aes-256-gcm', key, nonce).setAAD(context).setAuthTag(mine.bytes.subarray(-TAG_BYTES));
    const opened = Buffer.concat([opener.update(mine.bytes.subarray(0, -TAG_BYTES)), opener.final()]);
    return { generation, useAt, dropOldAt, key: Uint8Array.from(opened) };
  } catch {
    return null; // sealed for another cluster, generation or key, or not sealed at all
  }
}

interface Parties {
  readonly clusterId: Uint8Array;
  readonly issuer: KeyId;
  readonly generation: number;
  readonly recipient: KeyId;
  readonly xPublic: Uint8Array;
  readonly ephemeralPublic: Uint8Array;
}

function keysFor(secret: Uint8Array, parties: Parties): { readonly key: Uint8Array; readonly nonce: Uint8Array; readonly context: Uint8Array } {
  const context = writeBytes()
    .bytes(DOMAIN)
    .bytes(parties.clusterId)
    .bytes(kidBytes(parties.issuer))
    .u32(parties.generation)
    .bytes(kidBytes(parties.recipient))
    .bytes(parties.ephemeralPublic)
    .bytes(parties.xPublic)
    .take();
  const derived = new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), context, KEY_BYTES + NONCE_BYTES));
  return { key: derived.subarray(0, KEY_BYTES), nonce: derived.subarray(KEY_BYTES), context };
}
