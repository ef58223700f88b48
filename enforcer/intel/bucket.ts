/** A leaky bucket: at most `burst` at once, one more each `everyMs`. Pure: the caller owns the clock. */
export interface Bucket {
  readonly level: number;
  readonly atMs: number;
}

export const emptyBucket: Bucket = { level: 0, atMs: 0 };

export interface BucketLimits {
  readonly burst: number;
  readonly everyMs: number;
}

export type Pour = { readonly admitted: true; readonly bucket: Bucket } | { readonly admitted: false; readonly bucket: Bucket; readonly retryInMs: number };

/** Pours one message in. A clock that went back drains nothing: nobody may gain from our NTP step. */
export function pour(bucket: Bucket, limits: BucketLimits, nowMs: number): Pour {
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  const level = Math.max(0, bucket.level - elapsedMs / limits.everyMs);
  const drained: Bucket = { level, atMs: Math.max(nowMs, bucket.atMs) };
  if (level + 1 > limits.burst) {
    return { admitted: false, bucket: drained, retryInMs: Math.ceil((level + 1 - limits.burst) * limits.everyMs) };
  }
  return { admitted: true, bucket: { ...drained, level: level + 1 } };
}
