/**
 * Spoofed floods must not fill the disk: of what can be spoofed, only so much is written one by one; the rest is counted and told
 * in one event a period. Nothing that is enforced or proven ever passes through here.
 */
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import type { NewEvent } from '@honeymesh/intel/events';
import type { UnixMs } from '@honeymesh/intel/time';

/** `datagram`: what reached a trap over UDP. */
export type Noise = 'touch' | 'scan' | 'flood' | 'datagram';

export interface NoiseGate {
  /** Whether this one may be written by itself; if not, it is counted. */
  admit(kind: Noise, now: UnixMs): boolean;
  /** What was left out since the last summary, as one event, or null. */
  summary(now: UnixMs): NewEvent | null;
}

const LIMITS: Readonly<Record<Noise, BucketLimits>> = {
  touch: { burst: 1_000, everyMs: 20 }, // 50 a second for good
  scan: { burst: 2_000, everyMs: 10 },
  flood: { burst: 2_000, everyMs: 10 },
  datagram: { burst: 1_000, everyMs: 20 },
};

const NONE: Readonly<Record<Noise, number>> = { touch: 0, scan: 0, flood: 0, datagram: 0 };
/** The kind of the summary: that of the worst that it counts. */
const KINDS = [
  ['flood', 'flood'],
  ['scan', 'scan'],
  ['touch', 'touch'],
  ['datagram', 'payload'],
] as const;

export function createNoiseGate(): NoiseGate {
  const buckets: Record<Noise, Bucket> = { touch: emptyBucket, scan: emptyBucket, flood: emptyBucket, datagram: emptyBucket };
  let left = { ...NONE };
  return {
    admit(kind, now) {
      const poured = pour(buckets[kind], LIMITS[kind], now);
      buckets[kind] = poured.bucket;
      if (!poured.admitted) left[kind]++;
      return poured.admitted;
    },
    summary(now) {
      const kind = KINDS.find(([noise]) => left[noise] > 0)?.[1];
      if (kind === undefined) return null;
      const counted = Object.fromEntries(Object.entries(left).filter(([, count]) => count > 0));
      const total = Object.values(counted).reduce((sum, count) => sum + count, 0);
      left = { ...NONE };
      return {
        at: now,
        kind,
        source: null,
        port: null,
        protocol: null,
        tier: 'E0',
        reasons: [],
        origin: kind === 'payload' ? 'trap' : 'kernel',
        summary: `${total} more sightings that can be spoofed were counted, not written one by one`,
        detail: counted,
      };
    },
  };
}
