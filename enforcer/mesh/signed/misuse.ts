/**
 * Which two envelopes of one key prove that it breaks the rules. Judged on what was signed, in the order of seq: backlog, jitter and repair of an
 * honest peer never look guilty, and nobody can make another look so.
 */
import { type Envelope, type EnvelopeType, isSignedBy, openEnvelope, SIGNATURE_BYTES, type Signatures } from '@honeymesh/intel/envelope';
import { sameBytes } from '@honeymesh/intel/envelope-bytes';

export type Misuse = 'too-fast' | 'two-contents';

/** The least time between two envelopes of one type and epoch, on the signer's clock. Accusations, goodbyes and keys do not wait for intel. */
export const SPACING_MS: Readonly<Record<EnvelopeType, number>> = { intel: 500, accusation: 500, leave: 500, rekey: 50 };
/** A tenth is forgiven: 50 ms of 500. */
const leastMs = (type: EnvelopeType): number => 0.9 * SPACING_MS[type];

/** What these two prove against their signer; both signatures have been verified. */
export function misuseOf(one: Envelope, other: Envelope): Misuse | null {
  if (one.kid !== other.kid || one.epoch !== other.epoch) return null;
  if (one.seq === other.seq) return sameContent(one, other) ? null : 'two-contents';
  if (one.type !== other.type) return null;
  const [earlier, later] = one.seq < other.seq ? [one, other] : [other, one];
  return later.issuedAt - earlier.issuedAt < leastMs(one.type) ? 'too-fast' : null;
}

/** What a kept proof says to anybody who has the signer's certificate; null: nothing. Never throws. */
export function verdictOf(
  proof: readonly [Uint8Array, Uint8Array],
  signer: { readonly edPublic: Uint8Array; readonly clusterId: Uint8Array },
  signatures: Signatures,
): Misuse | null {
  const [one, other] = [openEnvelope(proof[0]), openEnvelope(proof[1])];
  if (!one.ok || !other.ok) return null;
  const signed = [one.value, other.value].every(envelope => isSignedBy(envelope, signer.edPublic, signer.clusterId, signatures));
  return signed ? misuseOf(one.value, other.value) : null;
}

/** Two signatures under the same words are no second content. */
export function sameContent(one: Envelope, other: Envelope): boolean {
  return sameBytes(one.bytes.subarray(0, -SIGNATURE_BYTES), other.bytes.subarray(0, -SIGNATURE_BYTES));
}
