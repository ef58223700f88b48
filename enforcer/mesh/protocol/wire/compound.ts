/** Message type 7: several messages in one packet. Their number in a byte, their lengths in two bytes each, then the messages. */
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { MESSAGE_TYPE } from '../messages.ts';
import { joined, u16At } from './bytes.ts';
import type { WireFault } from './faults.ts';

export const MOST_PARTS = 255;
export const LONGEST_PART = 65_535;

/** Throws RangeError on more than MOST_PARTS or a part beyond LONGEST_PART: the number would wrap, and Go would read something else. */
export function compound(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length > MOST_PARTS) throw new RangeError(`${parts.length} parts in one compound`);
  const head = new Uint8Array(2 + 2 * parts.length);
  head[0] = MESSAGE_TYPE.compound;
  head[1] = parts.length;
  for (const [index, { length }] of parts.entries()) {
    if (length > LONGEST_PART) throw new RangeError(`a part of ${length} bytes in a compound`);
    head[2 + 2 * index] = length >>> 8;
    head[3 + 2 * index] = length & 0xff;
  }
  return joined(head, ...parts);
}

export interface Parts {
  readonly parts: readonly Uint8Array[];
  /** Parts that did not fit into the packet any more. Those before them count, as in Go. */
  readonly cutOff: number;
}

/** Takes the compound at the start of `bytes` apart, without copying. */
export function partsOf(bytes: Uint8Array): Parsed<Parts, WireFault> {
  const count = bytes[1];
  if (count === undefined) return unparsed('truncated');
  let at = 2 + 2 * count;
  if (at > bytes.length) return unparsed('truncated');
  const parts: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    const end = at + u16At(bytes, 2 + 2 * index);
    if (end > bytes.length) return parsed({ parts, cutOff: count - index });
    parts.push(bytes.subarray(at, end));
    at = end;
  }
  return parsed({ parts, cutOff: 0 });
}
