/** A span's record as the bytes of one attribute: 20 bytes an envelope, so that five minutes of the fastest honest host stay a small item. */

import { readBytes, writeBytes } from '@honeymesh/intel/envelope-bytes';
import { REPORT_REFUSALS, type ReportRefusal } from '@honeymesh/intel/hub-messages';
import { emptySpan, type Numbered, type Refused, type SpanRecord } from '../hub/admit.ts';
import { numberText } from '../hub/numbers.ts';
import { SPAN_MS, type Span } from '../hub/pace.ts';

const WHYS = Object.keys(REPORT_REFUSALS) as readonly ReportRefusal[];

/** Sorts by epoch, then by time. */
export const spanText = ({ epoch, index }: Span): string => `${numberText(epoch)}#${numberText(index)}`;

export function spanOfText(text: string): Span | null {
  const [epoch, index, ...more] = text.split('#');
  if (epoch === undefined || index === undefined || more.length > 0) return null;
  const span = { epoch: Number.parseInt(epoch, 16), index: Number.parseInt(index, 16) };
  return Number.isSafeInteger(span.epoch) && Number.isSafeInteger(span.index) ? span : null;
}

export function encodeSpan({ index }: Span, { taken, refused }: SpanRecord): Uint8Array {
  const writer = writeBytes().u16(taken.length);
  for (const { seq, previous, issuedAt } of taken)
    writer
      .u64(previous)
      .u64(seq)
      .u32(issuedAt - index * SPAN_MS);
  writer.u16(refused.length);
  for (const { seq, previous, why } of refused) writer.u64(previous).u64(seq).u8(WHYS.indexOf(why));
  return writer.take();
}

/** Of bytes that `encodeSpan` made; anything else is an empty span. */
export function decodeSpan({ index }: Span, bytes: Uint8Array): SpanRecord {
  const reader = readBytes(bytes);
  const taken: Numbered[] = [];
  for (let left = reader.u16(); left > 0 && reader.ok; left--) {
    const previous = reader.u64();
    taken.push({ previous, seq: reader.u64(), issuedAt: index * SPAN_MS + reader.u32() });
  }
  const refused: Refused[] = [];
  for (let left = reader.u16(); left > 0 && reader.ok; left--) {
    const previous = reader.u64();
    refused.push({ previous, seq: reader.u64(), why: WHYS[reader.u8()] ?? 'bad-body' });
  }
  return reader.done ? { taken, refused } : emptySpan;
}
