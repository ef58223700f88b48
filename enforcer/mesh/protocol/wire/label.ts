/**
 * The label header: which cluster a packet or a connection is meant for, in clear, before all else. The label is no secret, but it is authenticated with what
 * is encrypted, even where the header itself is not sent (replies on streams).
 */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { MESSAGE_TYPE } from '../messages.ts';
import { equal, joined, NO_BYTES } from './bytes.ts';
import type { WireFault } from './faults.ts';

export const LONGEST_LABEL = 255;

/** Throws RangeError on a label beyond LONGEST_LABEL; the configuration has bounded it before. */
export function labelHeader(label: Uint8Array): Uint8Array {
  if (label.length === 0) return NO_BYTES;
  if (label.length > LONGEST_LABEL) throw new RangeError(`a label of ${label.length} bytes`);
  return joined(Uint8Array.of(MESSAGE_TYPE.label, label.length), label);
}

export const labelOverhead = (label: Uint8Array): number => (label.length === 0 ? 0 : 2 + label.length);

export interface Labelled {
  readonly label: Uint8Array;
  /** Where that begins which the label is on. */
  readonly end: number;
}

/** The header at the start of `bytes`, or an empty label where there is none. `truncated` where more of it may be on its way. */
export function readLabel(bytes: Uint8Array): Parsed<Labelled, WireFault> {
  if (bytes[0] !== MESSAGE_TYPE.label) return parsed({ label: NO_BYTES, end: 0 });
  const length = bytes[1];
  if (length === 0) return unparsed('label-malformed');
  if (length === undefined || bytes.length < 2 + length) return unparsed('truncated');
  return parsed({ label: bytes.subarray(2, 2 + length), end: 2 + length });
}

export interface LabelCheck {
  /** Our label; empty for none. */
  readonly label: Uint8Array;
  /** Something before us (a proxy) takes the header off: none may be there, and the label counts for what is authenticated all the same. */
  readonly skipLabelCheck?: boolean;
}

/** Where the labelled bytes begin, if the label is ours. */
export function passLabel(bytes: Uint8Array, check: LabelCheck): Parsed<number, WireFault> {
  const read = readLabel(bytes);
  if (!read.ok) return read;
  const { label, end } = read.value;
  const expected = check.skipLabelCheck === true ? NO_BYTES : check.label;
  if (equal(label, expected)) return parsed(end);
  if (label.length === 0) return unparsed('label-missing');
  return unparsed(expected.length === 0 ? 'label-unexpected' : 'label-differs');
}
