import { DAY_MS, formatDuration, HOUR_MS, MINUTE_MS, parseDuration, rfc3339, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';

describe('a duration', () => {
  test.each([
    ['500ms', 500],
    ['60s', MINUTE_MS],
    ['1.5h', 90 * MINUTE_MS],
    ['1h30m', 90 * MINUTE_MS],
    [' 24h ', DAY_MS],
    ['0s', 0],
    ['3650d', 3650 * DAY_MS],
  ])('%j is read', (text, ms) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: ms });
  });

  test.each([
    ['60', 'no-unit'],
    ['1.5', 'no-unit'],
    ['', 'not-a-duration'],
    ['h', 'not-a-duration'],
    ['-5m', 'not-a-duration'],
    ['5 m', 'not-a-duration'],
    ['5M', 'not-a-duration'],
    ['1e3s', 'not-a-duration'],
    ['1h30', 'not-a-duration'],
    ['.5h', 'not-a-duration'],
    ['5m'.repeat(1_000), 'not-a-duration'],
    ['3651d', 'too-long'],
    ['99999999999999999999d', 'too-long'],
  ])('%j is refused: %s', (text, why) => {
    expect(parseDuration(text)).toEqual({ ok: false, why });
  });

  test.each([
    [0, '0s'],
    [-5, '0s'],
    [90 * SECOND_MS, '1m30s'],
    [24 * HOUR_MS, '24h'],
    [36 * HOUR_MS, '36h'],
    [30 * DAY_MS, '30d'],
    [DAY_MS + 1, '24h1ms'],
  ])('%d ms is written %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

test('an instant is written in UTC with milliseconds', () => {
  expect(rfc3339(unixMs(0))).toBe('1970-01-01T00:00:00.000Z');
});
