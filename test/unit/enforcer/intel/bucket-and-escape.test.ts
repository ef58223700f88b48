import { fc, test } from '@fast-check/vitest';
import { emptyBucket, pour } from '@honeymesh/intel/bucket';
import { escapeBytes } from '@honeymesh/intel/escape';
import { describe, expect } from 'vitest';

describe('a leaky bucket', () => {
  test.prop([fc.array(fc.nat(2_000), { maxLength: 200 }), fc.integer({ min: 1, max: 5 })])(
    'never admits more than burst + elapsed / everyMs',
    (gapsMs, burst) => {
      let bucket = emptyBucket;
      let nowMs = 0;
      let admitted = 0;
      for (const gapMs of gapsMs) {
        nowMs += gapMs;
        const poured = pour(bucket, { burst, everyMs: 500 }, nowMs);
        bucket = poured.bucket;
        if (poured.admitted) admitted++;
        else expect(pour(bucket, { burst, everyMs: 500 }, nowMs + poured.retryInMs).admitted).toBe(true);
      }
      expect(admitted).toBeLessThanOrEqual(burst + nowMs / 500);
    },
  );

  test('gains nothing from a clock that went back', () => {
    const full = pour(emptyBucket, { burst: 1, everyMs: 1_000 }, 10_000).bucket;
    expect(pour(full, { burst: 1, everyMs: 1_000 }, 5_000).admitted).toBe(false);
    expect(pour(pour(full, { burst: 1, everyMs: 1_000 }, 5_000).bucket, { burst: 1, everyMs: 1_000 }, 10_500).admitted).toBe(false);
  });
});

describe('bytes of an attacker', () => {
  test.prop([fc.uint8Array({ maxLength: 300 }), fc.nat(200)])('become printable ASCII of bounded length, from which they can be told', (bytes, longest) => {
    const text = escapeBytes(bytes, longest);
    expect(text).toMatch(/^[\x20-\x7e]*$/);
    expect(text.length).toBeLessThanOrEqual(4 * longest + 3);
    const shown = bytes.length > longest ? text.slice(0, -3) : text;
    const named: Record<string, number> = { '\\\\': 0x5c, '\\n': 10, '\\r': 13, '\\t': 9 };
    const back = (shown.match(/\\x[0-9a-f]{2}|\\.|[^\\]/g) ?? []).map(
      part => named[part] ?? (part.startsWith('\\x') ? Number.parseInt(part.slice(2), 16) : part.charCodeAt(0)),
    );
    expect(back).toEqual([...bytes.subarray(0, longest)]);
  });
});
