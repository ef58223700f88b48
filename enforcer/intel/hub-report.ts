/**
 * What a host reports to the hub: envelopes as they were signed, as many as fit in one message.
 *
 *     'HMB' | version u8 | count u8 | entries: previous u64, length u16, envelope
 *
 * `previous` is the sequence number of the envelope before it that the host had for the hub, 0 for the first of an epoch: numbers between them went to the
 * mesh alone (accusations) or ended in the outbox. So the hub can say up to where it has everything.
 */
import { LONGEST_ENVELOPE_BYTES } from './envelope.ts';
import { latin1Bytes, readBytes, sameBytes, writeBytes } from './envelope-bytes.ts';
import { type Parsed, parsed, unparsed } from './parsed.ts';

export interface ReportEntry {
  readonly previous: number;
  readonly envelope: Uint8Array;
}

export type ReportFailure = 'oversize' | 'not-a-report' | 'unknown-version' | 'malformed' | 'empty';

/** The payload that IoT Core takes. */
export const LONGEST_MESSAGE_BYTES = 131_072;
/** Room for topic and MQTT properties. */
export const LONGEST_REPORT_BYTES = LONGEST_MESSAGE_BYTES - 1_024;
export const MOST_REPORTED = 128;
export const REPORT_HEAD_BYTES = 5;
export const REPORT_ENTRY_BYTES = 10;

const MAGIC = latin1Bytes('HMB');
const VERSION = 1;

/** Throws a RangeError on none, more than MOST_REPORTED or more than LONGEST_REPORT_BYTES: the outbox cuts before. */
export function encodeReport(entries: readonly ReportEntry[]): Uint8Array {
  if (entries.length === 0 || entries.length > MOST_REPORTED) throw new RangeError(`${entries.length} envelopes in one report`);
  const writer = writeBytes().bytes(MAGIC).u8(VERSION).u8(entries.length);
  for (const { previous, envelope } of entries) writer.u64(previous).u16(envelope.length).bytes(envelope);
  const bytes = writer.take();
  if (bytes.length > LONGEST_REPORT_BYTES) throw new RangeError(`a report of ${bytes.length} bytes`);
  return bytes;
}

/** Cuts what waits into messages, in the order given. */
export function cutReports(entries: readonly ReportEntry[], longestBytes: number = LONGEST_REPORT_BYTES): readonly (readonly ReportEntry[])[] {
  const reports: ReportEntry[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const more = REPORT_ENTRY_BYTES + entry.envelope.length;
    const open = reports.at(-1);
    if (open !== undefined && open.length < MOST_REPORTED && bytes + more <= longestBytes) {
      open.push(entry);
      bytes += more;
    } else {
      reports.push([entry]);
      bytes = REPORT_HEAD_BYTES + more;
    }
  }
  return reports;
}

/** Takes a report apart, not the envelopes in it. Never throws; `bytes` is hostile and is not copied. */
export function decodeReport(bytes: Uint8Array): Parsed<readonly ReportEntry[], ReportFailure> {
  if (bytes.length > LONGEST_MESSAGE_BYTES) return unparsed('oversize');
  if (!sameBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return unparsed('not-a-report');
  const reader = readBytes(bytes.subarray(MAGIC.length));
  if (reader.u8() !== VERSION) return unparsed('unknown-version');
  const count = reader.u8();
  if (count > MOST_REPORTED) return unparsed('malformed');
  const entries: ReportEntry[] = [];
  for (let at = 0; at < count && reader.ok; at++) {
    const previous = reader.u64();
    const length = reader.u16();
    if (length > LONGEST_ENVELOPE_BYTES) return unparsed('malformed');
    entries.push({ previous, envelope: reader.bytes(length) });
  }
  if (!reader.done) return unparsed('malformed');
  return count === 0 ? unparsed('empty') : parsed(entries);
}
