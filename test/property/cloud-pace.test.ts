import { fc, test } from '@fast-check/vitest';
import { emptyBucket, pour } from '@honeymesh/intel/bucket';
import { describe, expect } from 'vitest';
import { keepsPace, type Paced } from '#cloud/hub/pace.ts';

const PACE_MS = 500;
const PACE_SLACK_MS = 50;

/** The oracle is the bucket itself, poured in the order of numbers: what keeps the pace is what it would have let through. */
function bucketTakes(stream: readonly Paced[]): boolean {
  let bucket = emptyBucket;
  const burst = 1 + PACE_SLACK_MS / PACE_MS + 1e-9; // sums of tenths
  let lastAt = Number.NEGATIVE_INFINITY;
  for (const { issuedAt } of [...stream].sort((one, other) => one.seq - other.seq)) {
    if (issuedAt < lastAt) return false;
    lastAt = issuedAt;
    const poured = pour(bucket, { burst, everyMs: PACE_MS }, issuedAt);
    if (!poured.admitted) return false;
    bucket = poured.bucket;
  }
  return true;
}

/** Takes one after the other as they come. */
function admit(arrivals: readonly Paced[]): Paced[] {
  let admitted: Paced[] = [];
  for (const one of arrivals) {
    if (keepsPace(admitted, one)) admitted = [...admitted, one].sort((a, b) => a.seq - b.seq);
  }
  return admitted;
}

const START = 1_795_521_600_000;
const streamOf = (gapsMs: readonly number[]): Paced[] => {
  let issuedAt = START;
  return gapsMs.map((gapMs, at) => {
    issuedAt += gapMs;
    return { seq: at + 1, issuedAt };
  });
};
const shuffled = <T>(all: readonly T[], keys: readonly number[]): T[] =>
  all
    .map((one, at) => ({ one, key: keys[at % keys.length] ?? 0 }))
    .sort((a, b) => a.key - b.key)
    .map(({ one }) => one);
/** Also such as are just within the slack, or just not. */
const gap = fc.oneof(fc.integer({ min: -300, max: 900 }), fc.integer({ min: 450, max: 530 }), fc.constantFrom(450, 475, 500));
const keys = fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 60 });

describe('the pace', () => {
  test.prop([fc.array(gap, { maxLength: 60 }), keys])('admits of whatever comes only what the bucket would have let through, in any order', (gapsMs, order) => {
    expect(bucketTakes(admit(shuffled(streamOf(gapsMs), order)))).toBe(true);
  });

  test.prop([fc.array(gap, { maxLength: 40 }), keys])('refuses only what the bucket would not have let through', (gapsMs, order) => {
    let admitted: Paced[] = [];
    for (const one of shuffled(streamOf(gapsMs), order)) {
      const joined = [...admitted, one].sort((a, b) => a.seq - b.seq);
      expect(keepsPace(admitted, one)).toBe(bucketTakes(joined));
      if (keepsPace(admitted, one)) admitted = joined;
    }
  });

  test.prop([fc.array(fc.integer({ min: 500, max: 5_000 }), { maxLength: 60 }), keys, fc.array(fc.boolean(), { minLength: 1, maxLength: 60 })])(
    'never refuses an honest host, whatever was lost and however late the rest comes',
    (gapsMs, order, lost) => {
      const sent = streamOf(gapsMs).filter((_, at) => lost[at % lost.length] !== true);
      expect(admit(shuffled(sent, order))).toHaveLength(sent.length);
    },
  );

  test.prop([fc.integer({ min: 0, max: 400 }), fc.integer({ min: 100, max: 600 }), keys])(
    'admits in any stretch no more than one each 500 ms and one',
    (everyMs, count, order) => {
      const stream = streamOf(Array.from({ length: Math.min(count, 300) }, () => everyMs));
      const admitted = admit(shuffled(stream, order));
      const [first, last] = [stream[0]?.issuedAt ?? 0, stream.at(-1)?.issuedAt ?? 0];
      expect(admitted.length).toBeLessThanOrEqual(1 + Math.floor((last - first + PACE_SLACK_MS) / PACE_MS));
    },
  );

  test.prop([fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 60 })])(
    'takes in order exactly what a bucket takes that is poured as they come',
    gapsMs => {
      const stream = streamOf(gapsMs);
      let bucket = emptyBucket;
      const expected = stream.filter(({ issuedAt }) => {
        const poured = pour(bucket, { burst: 1 + PACE_SLACK_MS / PACE_MS + 1e-9, everyMs: PACE_MS }, issuedAt);
        bucket = poured.bucket;
        return poured.admitted;
      });
      expect(admit(stream).map(({ seq }) => seq)).toEqual(expected.map(({ seq }) => seq));
    },
  );
});
