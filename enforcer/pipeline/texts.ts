/** What an operator writes, read once and with the refusal that helps: targets, durations, instants. */
import { type Address, isHostPrefix, networkOf, type Prefix, parseAddress, parsePrefix, prefixOf } from '@honeymesh/intel/address';
import { parseDuration, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { HoneyMeshError } from '../errors.ts';

/** An address or a prefix. A single IPv6 address stays a /128: who writes one means one. */
export function readTarget(text: string): Prefix {
  const target = parsePrefix(text.trim());
  if (target.ok) return target.value;
  if (target.why === 'host-bits-set')
    throw new HoneyMeshError('HM_USAGE', `"${text}" has host bits set`, { fix: `write the network, ${networkText(text)}, or the address without its length` });
  throw new HoneyMeshError('HM_USAGE', `"${text}" is not an address or a prefix`, {
    fix: 'write it such as 203.0.113.7, 203.0.113.0/24, 2001:db8::7 or 2001:db8::/48',
  });
}

function networkText(text: string): string {
  const [address = '', bits = ''] = text.trim().split('/');
  const parsed = parseAddress(address);
  return parsed.ok ? prefixOf(parsed.value, Number(bits)) : 'with its host bits zero';
}

/** When something that starts at `now` and lasts for `ttl` ends; null without a ttl. */
export function endOf(ttl: string | undefined, now: UnixMs): UnixMs | null {
  if (ttl === undefined) return null;
  const duration = parseDuration(ttl);
  if (duration.ok && duration.value > 0) return unixMs(now + duration.value);
  const why = duration.ok
    ? 'is no time at all'
    : duration.why === 'no-unit'
      ? 'has no unit'
      : duration.why === 'too-long'
        ? 'is longer than ten years'
        : 'is not a duration';
  throw new HoneyMeshError('HM_USAGE', `"${ttl}" ${why}`, { fix: 'write it such as 90s, 5m, 24h, 30d; leave it out for no end' });
}

/** An instant: RFC 3339, or a duration back from now such as `24h`. */
export function readInstant(text: string, now: UnixMs): UnixMs {
  const ago = parseDuration(text);
  if (ago.ok) return unixMs(now - ago.value);
  const at = /^\d{4}-\d\d-\d\d([T ]|$)/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new HoneyMeshError('HM_USAGE', `"${text}" is not a time`, {
      fix: 'write it in RFC 3339, such as 2026-11-24T12:00:00Z, or as a time back from now, such as 24h',
    });
  return unixMs(at);
}

/** One address; a prefix is refused. */
export function readAddress(text: string): Address {
  const address = parseAddress(text.trim());
  if (address.ok) return address.value;
  const target = parsePrefix(text.trim());
  if (target.ok && isHostPrefix(target.value)) return networkOf(target.value);
  throw new HoneyMeshError('HM_USAGE', `"${text}" is not an address`, { fix: 'write one address such as 203.0.113.7 or 2001:db8::7' });
}
