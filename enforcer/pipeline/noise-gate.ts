/**
 * Spoofed floods must not fill the disk: of what can be spoofed, only so much is written one by one; the rest is counted and told
 * in one event a period. Nothing that is enforced or proven ever passes through here.
 */
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import type { NewEvent } from '@honeymesh/intel/events';
import type { UnixMs } from '@honeymesh/intel/time';

export interface NoiseGate {
  /** Whether this one may be written by itself; if not, it is counted. */
  admit(kind: 'touch' | 'scan' | 'flood', now: UnixMs): boolean;
  /** What was left out since the last summary, as one event, or null. */
  summary(now: UnixMs): NewEvent | null;
}

const LIMITS: Readonly<Record<'touch' | 'scan' | 'flood', BucketLimits>> = {
  touch: { burst: 1_000, everyMs: 20 }, // 50 a second for good
  scan: { burst: 2_000, everyMs: 10 },
  flood: { burst: 2_000, everyMs: 10 },
};

export function createNoiseGate(): NoiseGate {
  const buckets: Record<'touch' | 'scan' | 'flood', Bucket> = { touch: emptyBucket, scan: emptyBucket, flood: emptyBucket };
  let left = { touch: 0, scan: 0, flood: 0 };
  return {
    admit(kind, now) {
      const poured = pour(buckets[kind], LIMITS[kind], now);
      buckets[kind] = poured.bucket;
      if (!poured.admitted) left[kind]++;
      return poured.admitted;
    },
    summary(now) {
      const total = left.touch + left.scan + left.flood;
      if (total === 0) return null;
      const counted = left;
      left = { touch: 0, scan: 0, flood: 0 };
      return {
        at: now,
        kind: counted.flood > 0 ? 'flood' : counted.scan > 0 ? 'scan' : 'touch',
        source: null,
        port: null,
        protocol: null,
        tier: 'E0',
        reasons: [],
        origin: 'kernel',
        summary: `${total} more sightings that can be spoofed were enforced and counted, not written one by one`,
        detail: counted,
      };
    },
  };
}
