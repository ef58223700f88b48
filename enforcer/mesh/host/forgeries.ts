/** Whoever handed over so many forged claims is not believed a word for a while: each cost us a signature check. */
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import type { UnixMs } from '@honeymesh/intel/time';

export interface Forgeries {
  mayGoOn(source: string, now: UnixMs): boolean;
  add(source: string, now: UnixMs): void;
}

/** Some 5 ms at once. */
const LIMITS: BucketLimits = { burst: 64, everyMs: 500 };
const MOST_SOURCES = 1_024;

export function createForgeries(): Forgeries {
  const buckets = new Map<string, Bucket>();
  return {
    mayGoOn: (source, now) => pour(buckets.get(source) ?? emptyBucket, LIMITS, now).admitted,
    add(source, now) {
      const { bucket } = pour(buckets.get(source) ?? emptyBucket, LIMITS, now);
      buckets.delete(source);
      if (buckets.size >= MOST_SOURCES) for (const oldest of buckets.keys()) if (buckets.delete(oldest)) break;
      buckets.set(source, bucket);
    },
  };
}
