/**
 * How much the hub may publish: a broker delivers each message to every subscriber, and the account's quota (20,000 a second) counts those. 1,000 hosts that
 * report twice a second, each passed on to all, would be 2 million. What is over the budget waits for the digest, of which there is one a minute.
 */
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';

/** So many urgent messages at once, for a wave that comes after a calm. */
export const URGENT_BURST = 8;
/** However few listen. */
export const LEAST_URGENT_MS = 100;

export interface Budget {
  /** Deliveries a second. */
  readonly deliveriesPerSecond: number;
  readonly subscribers: number;
}

export const urgentLimits = ({ deliveriesPerSecond, subscribers }: Budget): BucketLimits => ({
  burst: URGENT_BURST,
  everyMs: Math.max(LEAST_URGENT_MS, Math.ceil((1_000 * Math.max(1, subscribers)) / deliveriesPerSecond)),
});

export interface Spent {
  readonly within: boolean;
  readonly bucket: Bucket;
}

export function spend(bucket: Bucket, budget: Budget, nowMs: number): Spent {
  const poured = pour(bucket, urgentLimits(budget), nowMs);
  return { within: poured.admitted, bucket: poured.bucket };
}

export { emptyBucket as unspent };
