/** Ranges with a meaning of their own (IANA special-purpose registries, RFC 6890 and its updates). */
import { overlaps, type Prefix } from './address.ts';

export interface SpecialRange {
  readonly prefix: Prefix;
  readonly name: string;
}

const ranges = (rows: readonly (readonly [string, string])[]): readonly SpecialRange[] => rows.map(([prefix, name]) => ({ prefix: prefix as Prefix, name }));

/** No ban may touch these: they name this host, everybody, or the link's own infrastructure. */
export const NEVER_BANNED = ranges([
  ['0.0.0.0/8', 'this network (RFC 791)'],
  ['127.0.0.0/8', 'loopback (RFC 1122)'],
  ['169.254.0.0/16', 'IPv4 link-local (RFC 3927)'],
  ['224.0.0.0/4', 'multicast (RFC 1112)'],
  ['255.255.255.255/32', 'limited broadcast (RFC 919)'],
  ['::/128', 'unspecified (RFC 4291)'],
  ['::1/128', 'loopback (RFC 4291)'],
  ['fe80::/10', 'IPv6 link-local (RFC 4291)'],
  ['ff00::/8', 'multicast (RFC 4291)'],
]);

/** May be banned here, is by default not advised to others: it means something else on each network. */
export const NOT_SHARED_BY_DEFAULT = ranges([
  ['10.0.0.0/8', 'private use (RFC 1918)'],
  ['172.16.0.0/12', 'private use (RFC 1918)'],
  ['192.168.0.0/16', 'private use (RFC 1918)'],
  ['100.64.0.0/10', 'carrier-grade NAT (RFC 6598)'],
  ['192.0.0.0/24', 'IETF protocol assignments (RFC 6890)'],
  ['192.0.2.0/24', 'documentation (RFC 5737)'],
  ['198.51.100.0/24', 'documentation (RFC 5737)'],
  ['203.0.113.0/24', 'documentation (RFC 5737)'],
  ['198.18.0.0/15', 'benchmarking (RFC 2544)'],
  ['240.0.0.0/4', 'reserved (RFC 1112)'],
  ['fc00::/7', 'unique local (RFC 4193)'],
  ['2001:db8::/32', 'documentation (RFC 3849)'],
  ['3fff::/20', 'documentation (RFC 9637)'],
]);

/** The first of `among` that `target` touches. */
export function specialRange(target: Prefix, among: readonly SpecialRange[]): SpecialRange | undefined {
  return among.find(range => overlaps(range.prefix, target));
}
