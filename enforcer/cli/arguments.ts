/** What an operator may write on a command line, checked before anybody is asked. */
import { isHostPrefix, networkOf, parseAddress, parsePrefix } from '@honeymesh/intel/address';
import { EVENT_KINDS } from '@honeymesh/intel/events';
import { TIERS, type Tier } from '@honeymesh/intel/evidence';
import { parseDuration, rfc3339, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { nearest } from '../config/nearest.ts';
import { prefixProblem, shown } from '../config/wording.ts';
import { usage } from './failures.ts';

/** An address or prefix, in its canonical form. */
export function readTarget(text: string): string {
  const read = parsePrefix(text.trim());
  if (read.ok) return read.value;
  throw usage(prefixProblem(text.trim(), read.why), 'write it such as 203.0.113.7, 203.0.113.0/24, 2001:db8::7 or 2001:db8::/48');
}

export function readAddress(text: string): string {
  const read = parseAddress(text.trim());
  if (read.ok) return read.value;
  const target = parsePrefix(text.trim()); // as lists show a single address: 203.0.113.7/32
  if (target.ok && isHostPrefix(target.value)) return networkOf(target.value);
  throw usage(`${shown(text)} is not ${target.ok ? 'one address' : 'an address'}`, 'write one address such as 203.0.113.7 or 2001:db8::7');
}

/** A duration, passed on as it was written. */
export function readDuration(text: string): string {
  const read = parseDuration(text);
  if (read.ok && read.value > 0) return text.trim();
  const why = read.ok
    ? 'is no time at all'
    : read.why === 'no-unit'
      ? 'has no unit'
      : read.why === 'too-long'
        ? 'is longer than ten years'
        : 'is not a duration';
  throw usage(`${shown(text)} ${why}`, 'write it such as 90s, 5m, 24h or 30d');
}

/** An instant as RFC 3339: written so, or as a time back from now such as `24h`. */
export function readInstant(text: string, now: UnixMs): string {
  const ago = parseDuration(text);
  if (ago.ok) return rfc3339(unixMs(now - ago.value));
  const at = /^\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:?\d\d)?)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return rfc3339(unixMs(at));
  throw usage(`${shown(text)} is not a time`, 'write it in RFC 3339, such as 2026-11-24T12:00:00Z, or as a time back from now, such as 24h');
}

export function readWhole(text: string, { min, max, what }: { readonly min: number; readonly max: number; readonly what: string }): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usage(`${shown(text)} is no ${what}`, `give a whole number from ${min} to ${max}`);
}

export function readTier(text: string): Tier {
  const tier = TIERS.find(known => known.toLowerCase() === text.toLowerCase());
  if (tier !== undefined) return tier;
  throw usage(`${shown(text)} is no evidence tier`, `give one of ${TIERS.join(', ')}`);
}

/** Event kinds, separated by commas or given one by one. */
export function readKinds(texts: readonly string[]): string[] {
  const kinds = texts.flatMap(text => text.split(',')).map(text => text.trim());
  for (const kind of kinds) {
    if ((EVENT_KINDS as readonly string[]).includes(kind)) continue;
    const near = nearest(kind, EVENT_KINDS);
    throw usage(`${shown(kind)} is no event kind`, near === undefined ? `the kinds are ${EVENT_KINDS.join(', ')}` : `did you mean ${near}?`);
  }
  return [...new Set(kinds)];
}

export function readNote(text: string): string {
  if (text.length <= 500) return text;
  throw usage('the note is too long', 'at most 500 characters');
}
