/** Names of items in the hub's tables that sort as their numbers do, and the name of a batch. */
import type { KeyId } from '@honeymesh/intel/envelope';
import { hexOf, latin1Bytes } from '@honeymesh/intel/envelope-bytes';
import { sha256 } from './keys.ts';

/** Of 2^53 - 1 in hex. */
const DIGITS = 14;

export const numberText = (number: number): string => number.toString(16).padStart(DIGITS, '0');

/** Within one key: by epoch, then by seq. */
export const itemId = (epoch: number, seq: number): string => `${numberText(epoch)}-${numberText(seq)}`;

/** An envelope among all. */
export interface EnvelopeRef {
  readonly kid: KeyId;
  readonly id: string;
}

export const refText = ({ kid, id }: EnvelopeRef): string => `${kid}#${id}`;

/** The same events make the same batch, in whatever order. */
export const batchName = (events: readonly string[]): string => hexOf(sha256(latin1Bytes([...events].sort().join('\n'))));
