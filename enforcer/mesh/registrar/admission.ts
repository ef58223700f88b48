/**
 * Who may ask how often, by connection: in all, and from one source. Secrets have 128 bits and need no such thing; it is the daemon's time that is spared.
 * Pure: the caller owns the clock.
 */
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';

export interface AdmissionLimits {
  readonly total: BucketLimits;
  readonly each: BucketLimits;
  readonly mostSources: number;
}

/** A TLS handshake takes a millisecond or two of the daemon's loop. A site of a hundred hosts behind one address joins in two minutes. */
export const ADMISSION_LIMITS: AdmissionLimits = { total: { burst: 64, everyMs: 50 }, each: { burst: 16, everyMs: 1_000 }, mostSources: 1_024 };

export interface Admission {
  /** Takes one of this source's. `source`: an address as text. */
  admit(source: string, nowMs: number): boolean;
}

export function createAdmission(limits: AdmissionLimits = ADMISSION_LIMITS): Admission {
  let total: Bucket = emptyBucket;
  const sources = new Map<string, Bucket>();
  return {
    admit(source, nowMs) {
      const name = groupOf(source);
      const own = pour(sources.get(name) ?? emptyBucket, limits.each, nowMs);
      sources.delete(name);
      if (sources.size >= limits.mostSources) for (const oldest of sources.keys()) if (sources.delete(oldest)) break;
      sources.set(name, own.bucket);
      if (!own.admitted) return false;
      // Poured after a source's own: one that asks too much does not use up what is for all.
      const all = pour(total, limits.total, nowMs);
      total = all.bucket;
      return all.admitted;
    },
  };
}

/** An IPv6 host has a /64 to choose from. */
export function groupOf(source: string): string {
  if (!source.includes(':') || source.startsWith('::ffff:')) return source;
  const [head = ''] = source.split('%');
  const left = (head.split('::')[0] ?? '').split(':');
  return left.slice(0, 4).join(':');
}
