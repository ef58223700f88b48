/** What envelopes of the other types hold: accusations, a goodbye, sealed group keys. Intel has a file of its own (advisories). */

import { type KeyId, KID_BYTES, kidBytes, kidFromBytes, LONGEST_BODY_BYTES } from './envelope.ts';
import { readBytes, writeBytes } from './envelope-bytes.ts';
import { type Parsed, parsed, unparsed } from './parsed.ts';
import { type UnixMs, unixMs } from './time.ts';

/** Somebody who does not answer the signer's probes. The base protocol's suspect and dead bear no signature, these do. */
export interface Accusation {
  /** The accused member's name as memberlist has it: bytes as Latin-1, at most 255. */
  readonly subject: string;
  readonly incarnation: number;
}

/** The signer leaves; holds for its life up to this incarnation, so that it is not held against a later one. */
export interface Leave {
  readonly incarnation: number;
}

/** A group key for some of the members, sealed to each. `generation` counts up for the whole cluster: an old key never comes back. */
export interface Rekey {
  readonly generation: number;
  /** From then on the key encrypts; it is accepted at once. */
  readonly useAt: UnixMs;
  /** From then on the keys of older generations are not accepted any more. */
  readonly dropOldAt: UnixMs;
  readonly ephemeralPublic: Uint8Array;
  readonly sealed: readonly SealedKey[];
}

export interface SealedKey {
  readonly recipient: KeyId;
  /** AES-256-GCM of the group key, tag included: 32, 40 or 48 bytes. */
  readonly bytes: Uint8Array;
}

export type BodyFailure = 'malformed';

export const MOST_ACCUSATIONS = 32;
export const X25519_BYTES = 32;
const REKEY_HEAD_BYTES = 4 + 8 + 8 + X25519_BYTES + 1;
const SEALED_LENGTHS: readonly number[] = [32, 40, 48];
/** Recipients of one envelope, for keys of 32 bytes. */
export const MOST_RECIPIENTS = Math.floor((LONGEST_BODY_BYTES - REKEY_HEAD_BYTES) / (KID_BYTES + 1 + 48));

/** Throws a RangeError beyond MOST_ACCUSATIONS; names of 255 bytes fit four times only, so the caller cuts by `accusationBytes`. */
export function encodeAccusations(accusations: readonly Accusation[]): Uint8Array {
  if (accusations.length === 0 || accusations.length > MOST_ACCUSATIONS) throw new RangeError(`${accusations.length} accusations in one envelope`);
  const writer = writeBytes().u8(accusations.length);
  for (const { subject, incarnation } of accusations) writer.text(subject).u32(incarnation);
  return writer.take();
}

export const accusationBytes = (accusation: Accusation): number => 1 + accusation.subject.length + 4;

export function decodeAccusations(bytes: Uint8Array): Parsed<readonly Accusation[], BodyFailure> {
  const reader = readBytes(bytes);
  const count = reader.u8();
  if (count === 0 || count > MOST_ACCUSATIONS) return unparsed('malformed');
  const accusations: Accusation[] = [];
  for (let at = 0; at < count && reader.ok; at++) {
    const subject = reader.text(255);
    const incarnation = reader.u32();
    if (subject === '') return unparsed('malformed');
    accusations.push({ subject, incarnation });
  }
  return reader.done ? parsed(accusations) : unparsed('malformed');
}

export const encodeLeave = ({ incarnation }: Leave): Uint8Array => writeBytes().u32(incarnation).take();

export function decodeLeave(bytes: Uint8Array): Parsed<Leave, BodyFailure> {
  const reader = readBytes(bytes);
  const incarnation = reader.u32();
  return reader.done ? parsed({ incarnation }) : unparsed('malformed');
}

/** Throws a RangeError beyond MOST_RECIPIENTS. */
export function encodeRekey({ generation, useAt, dropOldAt, ephemeralPublic, sealed }: Rekey): Uint8Array {
  if (sealed.length === 0 || sealed.length > MOST_RECIPIENTS) throw new RangeError(`${sealed.length} recipients in one envelope`);
  const writer = writeBytes().u32(generation).u64(useAt).u64(dropOldAt).bytes(ephemeralPublic).u8(sealed.length);
  for (const { recipient, bytes } of sealed) writer.bytes(kidBytes(recipient)).u8(bytes.length).bytes(bytes);
  return writer.take();
}

export function decodeRekey(bytes: Uint8Array): Parsed<Rekey, BodyFailure> {
  const reader = readBytes(bytes);
  const generation = reader.u32();
  const useAt = unixMs(reader.u64());
  const dropOldAt = unixMs(reader.u64());
  const ephemeralPublic = reader.bytes(X25519_BYTES);
  const count = reader.u8();
  if (!reader.ok || count === 0 || count > MOST_RECIPIENTS || dropOldAt < useAt) return unparsed('malformed');
  const sealed: SealedKey[] = [];
  for (let at = 0; at < count; at++) {
    const recipient = kidFromBytes(reader.bytes(KID_BYTES));
    const length = reader.u8();
    if (!SEALED_LENGTHS.includes(length)) return unparsed('malformed');
    sealed.push({ recipient, bytes: reader.bytes(length) });
  }
  return reader.done ? parsed({ generation, useAt, dropOldAt, ephemeralPublic, sealed }) : unparsed('malformed');
}
