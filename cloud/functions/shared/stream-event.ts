/** Records of a table's stream. They come from our own tables; what is not as it should be is left out, for a poisoned record would come back for ever. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { bytesOfBase64 } from '@honeymesh/intel/json-shape';
import { fromAttributes } from '../../store/attribute-values.ts';
import type { Item } from '../../store/port.ts';

export interface StreamRecord {
  /** The same in each delivery. */
  readonly event: string;
  readonly sequence: string;
  readonly item: Item;
}

/** Inserts and changes with their new image; removals (TTL) are none. */
export function readStreamEvent(event: unknown): readonly StreamRecord[] {
  const records = (event as { readonly Records?: unknown } | null)?.Records;
  if (!Array.isArray(records)) return [];
  return records.flatMap(record => recordOf(record) ?? []);
}

function recordOf(record: unknown): StreamRecord | undefined {
  const { eventID, eventName, dynamodb } = (record ?? {}) as Record<string, unknown>;
  const { NewImage, SequenceNumber } = (dynamodb ?? {}) as Record<string, unknown>;
  if (eventName === 'REMOVE' || typeof NewImage !== 'object' || NewImage === null) return undefined;
  const image = NewImage as Readonly<Record<string, AttributeValue>>;
  const item = fromAttributes(Object.fromEntries(Object.entries(image).map(([name, value]) => [name, withBytes(value)])));
  // Emulators leave the id away in some versions: the sequence number is as unique.
  return { event: String(eventID ?? SequenceNumber ?? ''), sequence: String(SequenceNumber ?? ''), item };
}

/** In an event, binary is base64. */
function withBytes(value: AttributeValue): AttributeValue {
  const encoded: unknown = value.B;
  return typeof encoded === 'string' ? { B: bytesOfBase64(encoded) ?? new Uint8Array(0) } : value;
}

/** The answer of a handler that could not do its batch: from this record on it is delivered again. */
export interface BatchAnswer {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

export const allDone: BatchAnswer = { batchItemFailures: [] };
export const againFrom = (records: readonly StreamRecord[]): BatchAnswer => ({
  batchItemFailures: records.slice(0, 1).map(one => ({ itemIdentifier: one.sequence })),
});
