/** The rings of events on Node's loop: one call for a batch of records, bounded in size; a batch at most in each turn of the loop. */
import { HoneyMeshBug } from '../errors.ts';
import { LAYOUTS } from './layouts.ts';
import { addon, kernelError } from './native.ts';

const RECORD_BYTES = LAYOUTS.hm_event.size;
const BATCH_RECORDS = 1024;

export interface RingReader {
  /** Hands over what is there now without waiting for the loop; returns the number of records. */
  drain(): number;
  /** The loop is held alive no longer. Idempotent. */
  stop(): void;
}

/**
 * Reads rings, the first one with precedence: while a batch is full of it the others wait. `onBatch` gets the records behind each other in one
 * buffer, which is overwritten by the next batch. Works without capabilities on rings that the process may open.
 */
export function readRings(fds: readonly number[], onBatch: (records: Uint8Array) => void): RingReader {
  if (fds.length === 0) throw new HoneyMeshBug('no ring to read');
  const buffer = new Uint8Array(BATCH_RECORDS * RECORD_BYTES);
  const deliver = (count: number): void => {
    if (count < 0) throw kernelError('HM_MAP', 'reading the event rings', count);
    if (count > 0) onBatch(buffer.subarray(0, count * RECORD_BYTES));
  };
  const started = addon().startRing(fds, buffer, RECORD_BYTES, deliver);
  if (typeof started === 'number') throw kernelError('HM_MAP', 'opening the event rings', started);
  return {
    drain() {
      const count = started.drain();
      deliver(count);
      return count;
    },
    stop: started.stop,
  };
}

/** The records of a batch, each a view that lives until the next batch. */
export function* recordsOf(batch: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < batch.length; at += RECORD_BYTES) yield batch.subarray(at, at + RECORD_BYTES);
}
