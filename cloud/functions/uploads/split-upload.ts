/** An upload is reports one after the other: length u32, report. Its name says whose it is, for only the hub gives names out. */
import { isNodeName } from '@honeymesh/intel/certificates';
import { readBytes } from '@honeymesh/intel/envelope-bytes';
import { LONGEST_MESSAGE_BYTES } from '@honeymesh/intel/hub-report';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';

export const LONGEST_UPLOAD_BYTES = 8 * 1_048_576;

/** `uploads/THING/NAME`; null: none of ours. */
export function thingOfUpload(key: string): string | null {
  const [first, thing, name, ...more] = key.split('/');
  return first === 'uploads' && thing !== undefined && isNodeName(thing) && name !== undefined && more.length === 0 ? thing : null;
}

/** Never throws; `bytes` is hostile. */
export function splitUpload(bytes: Uint8Array): Parsed<readonly Uint8Array[], 'oversize' | 'malformed'> {
  if (bytes.length > LONGEST_UPLOAD_BYTES) return unparsed('oversize');
  const reader = readBytes(bytes);
  const reports: Uint8Array[] = [];
  while (reader.ok && reader.left > 0) {
    const length = reader.u32();
    if (length > LONGEST_MESSAGE_BYTES) return unparsed('malformed');
    reports.push(reader.bytes(length));
  }
  return reader.ok ? parsed(reports) : unparsed('malformed');
}

/** Keys of the objects that an S3 event names: form-encoded. */
export function keysOfEvent(event: unknown): readonly string[] {
  const records = (event as { readonly Records?: unknown } | null)?.Records;
  if (!Array.isArray(records)) return [];
  return records.flatMap(record => {
    const key: unknown = (record as { readonly s3?: { readonly object?: { readonly key?: unknown } } } | null)?.s3?.object?.key;
    return typeof key === 'string' ? [decoded(key)] : [];
  });
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return '';
  }
}
