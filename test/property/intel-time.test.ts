import { fc, test } from '@fast-check/vitest';
import { DAY_MS, formatDuration, HOUR_MS, parseDuration } from '@honeymesh/intel/time';
import { expect } from 'vitest';

const LONGEST_MS = 3650 * DAY_MS;
const ms = fc.oneof(
  fc.integer({ min: 0, max: LONGEST_MS }),
  fc.nat(100_000),
  fc.nat(3650).map(days => days * DAY_MS),
  fc.nat(1_000).map(hours => hours * HOUR_MS),
);

test.prop([ms], { numRuns: 2_000 })('a duration survives the way through its text', value => {
  expect(parseDuration(formatDuration(value))).toEqual({ ok: true, value });
});

test.prop([fc.string({ unit: fc.constantFrom(...'0123456789.msh d-'), maxLength: 40 })], { numRuns: 3_000 })(
  'whatever is read is bounded and reads the same when written again',
  text => {
    const read = parseDuration(text);
    if (!read.ok) return;
    expect(Number.isSafeInteger(read.value) && read.value >= 0 && read.value <= LONGEST_MS).toBe(true);
    expect(parseDuration(formatDuration(read.value))).toEqual(read);
  },
);
