/** Time as values: wall-clock instants in milliseconds since 1970, durations in milliseconds, and their texts. */
import { type Parsed, parsed, unparsed } from './parsed.ts';

/** Milliseconds since 1970-01-01T00:00:00Z on the wall clock. */
export type UnixMs = number & { readonly __brand: 'UnixMs' };

export const unixMs = (ms: number): UnixMs => ms as UnixMs;

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };
const LONGEST_MS = 3650 * DAY_MS;

/** Reads `500ms`, `60s`, `5m`, `24h`, `30d` and sums such as `1h30m`. A bare number has no unit and is refused. */
export function parseDuration(text: string): Parsed<number, 'no-unit' | 'not-a-duration' | 'too-long'> {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return unparsed('no-unit');
  if (trimmed.length > 32 || !/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(trimmed)) return unparsed('not-a-duration');
  let totalMs = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  }
  if (totalMs > LONGEST_MS) return unparsed('too-long');
  return parsed(Math.round(totalMs));
}

/** The shortest exact text of a duration: `24h`, `90s`, `1h30m`, `0s`. */
export function formatDuration(ms: number): string {
  let rest = Math.max(0, Math.round(ms));
  if (rest === 0) return '0s';
  let text = '';
  for (const [unit, size] of [
    ['d', DAY_MS],
    ['h', HOUR_MS],
    ['m', MINUTE_MS],
    ['s', SECOND_MS],
    ['ms', 1],
  ] as const) {
    if (unit === 'd' && rest % DAY_MS !== 0) continue; // 36h reads better than 1d12h, and 24h is the contract's word
    if (unit === 'd' && rest < 2 * DAY_MS) continue;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

/** RFC 3339 in UTC with milliseconds. */
// biome-ignore lint/style/noRestrictedGlobals: a format of the time given, not the clock
export const rfc3339 = (at: UnixMs): string => new Date(at).toISOString();
