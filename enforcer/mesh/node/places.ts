/** Places on the network as the core has them (bytes and port), as sockets want them (text), and as people write them (`host:port`). */
import { isIPv6 } from 'node:net';
import { addressBytes, addressFromBytes, parseAddress } from '@honeymesh/intel/address';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import type { Endpoint } from '../protocol/core/endpoint.ts';

export const DEFAULT_PORT = 7946;

const MAPPED_HEAD = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255);

/** `::ffff:a.b.c.d`, as a socket of both families shows an IPv4 peer, becomes 4 bytes: one form for one host. Null for what is no address. */
export function endpointFrom(text: string, port: number): Endpoint | null {
  const zone = text.indexOf('%');
  const address = parseAddress(zone < 0 ? text : text.slice(0, zone));
  if (!address.ok) return null;
  const bytes = addressBytes(address.value);
  return { address: address.value.includes(':') ? bytes : bytes.slice(12), port };
}

/** Canonical text of the address: an IPv4 one is dotted in whichever form it came. */
export function hostOf({ address }: Endpoint): string {
  return addressFromBytes(address.length === 4 ? Uint8Array.of(...MAPPED_HEAD, ...address) : address);
}

/** `203.0.113.7:7946`, `[2001:db8::7]:7946`. */
export function textOfEndpoint(endpoint: Endpoint): string {
  const host = hostOf(endpoint);
  return host.includes(':') ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

export type TargetFault = 'no-host' | 'bad-port' | 'too-long';

/** A name of DNS has 253 characters at the most, a member's name before the slash 255. */
const LONGEST_TARGET = 600;

/** One entry of a join list: `[NAME/]HOST[:PORT]`; an IPv6 address with a port stands in brackets. NAME (memberlist's) only tells people who is meant. */
export function parseTarget(text: string, defaultPort: number = DEFAULT_PORT): Parsed<Target, TargetFault> {
  if (text.length > LONGEST_TARGET) return unparsed('too-long');
  const place = text.slice(text.indexOf('/') + 1).trim();
  if (isIPv6(place)) return parsed({ host: place, port: defaultPort });
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(place) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) return unparsed(place.startsWith(':') ? 'no-host' : 'bad-port');
  if (host === '' || (bracketed !== undefined && !isIPv6(bracketed))) return unparsed('no-host');
  const port = digits === undefined ? defaultPort : Number(digits);
  return port < 1 || port > 65_535 ? unparsed('bad-port') : parsed({ host, port });
}
