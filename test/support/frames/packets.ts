/** IPv4 and IPv6 packets around a segment: options, extension headers, fragments, and length fields that may lie. */
import { addressToBytes, concat, internetChecksum, u16, u32 } from './bytes.ts';
import { padded, type Segment } from './segments.ts';

export interface Packet {
  readonly etherType: number;
  readonly bytes: Uint8Array;
}

export interface FragmentFields {
  /** In 8-byte units. */
  readonly offset: number;
  readonly more: boolean;
  readonly id?: number;
}

export interface Ipv4Fields {
  readonly from: string;
  readonly to: string;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  /** Padded to a multiple of 4 with end-of-options; at most 40 bytes. */
  readonly options?: Uint8Array;
  readonly fragment?: FragmentFields;
  readonly version?: number;
  /** In 4-byte words; right where absent. */
  readonly headerLength?: number;
  readonly totalLength?: number;
  readonly checksum?: number;
}

export function ipv4(fields: Ipv4Fields, segment: Segment): Packet {
  const ends = { from: addressToBytes(fields.from), to: addressToBytes(fields.to) };
  const options = padded(fields.options ?? new Uint8Array(0), 4);
  const body = segment.bytes(ends);
  const { version = 4, headerLength = 5 + options.length / 4, totalLength = 20 + options.length + body.length, tos = 0, ttl = 64, fragment } = fields;
  const fragmentWord = fragment === undefined ? 0x4000 : (fragment.more ? 0x2000 : 0) | (fragment.offset & 0x1fff);
  const start = [(version << 4) | (headerLength & 15), tos, ...u16(totalLength), ...u16(fragment?.id ?? fields.id ?? 1), ...u16(fragmentWord)];
  const header = concat(Uint8Array.from([...start, ttl, segment.protocol(4), 0, 0]), ends.from, ends.to, options);
  header.set(u16(fields.checksum ?? internetChecksum(header)), 10);
  return { etherType: 0x0800, bytes: concat(header, body) };
}

export interface Ipv6Fields {
  readonly from: string;
  readonly to: string;
  readonly hopLimit?: number;
  readonly extensions?: readonly Extension[];
  readonly version?: number;
  readonly payloadLength?: number;
}

/** An extension header without its first byte (next header), which the packet fills in. */
export interface Extension {
  readonly type: number;
  readonly rest: Uint8Array;
}

export const EXTENSION = { hopByHop: 0, routing: 43, fragment: 44, ah: 51, destination: 60, mobility: 135, hip: 139, shim6: 140 } as const;

/** A header of (units + 1) * 8 bytes: hop-by-hop, routing, destination options, mobility, HIP or shim6. Its content is padding. */
export function extension(type: number, units = 0): Extension {
  const rest = new Uint8Array((units + 1) * 8 - 1);
  rest[0] = units;
  if (type === EXTENSION.hopByHop || type === EXTENSION.destination) rest.set([1, Math.min(255, (units + 1) * 8 - 4)], 1); // PadN
  return { type, rest };
}

/** An authentication header of (units + 2) * 4 bytes (RFC 4302). */
export function authentication(units = 4): Extension {
  const rest = new Uint8Array((units + 2) * 4 - 1);
  rest[0] = units;
  return { type: EXTENSION.ah, rest };
}

/** A fragment header; offset 0 without `more` is an atomic fragment (RFC 6946). */
export const fragmentHeader = ({ offset, more, id = 1 }: FragmentFields): Extension => ({
  type: EXTENSION.fragment,
  rest: Uint8Array.from([0, ...u16((offset << 3) | (more ? 1 : 0)), ...u32(id)]),
});

export function ipv6(fields: Ipv6Fields, segment: Segment): Packet {
  const ends = { from: addressToBytes(fields.from), to: addressToBytes(fields.to) };
  const { extensions = [], hopLimit = 64, version = 6 } = fields;
  const next = (at: number): number => extensions[at]?.type ?? segment.protocol(6);
  const body = concat(...extensions.map(({ rest }, at) => concat(Uint8Array.of(next(at + 1)), rest)), segment.bytes(ends));
  const header = Uint8Array.from([version << 4, 0, 0, 0, ...u16(fields.payloadLength ?? body.length), next(0), hopLimit]);
  return { etherType: 0x86dd, bytes: concat(header, ends.from, ends.to, body) };
}

/** IPv4 or IPv6, as `from` is written. */
export const ip = (from: string, to: string, segment: Segment): Packet => (from.includes(':') ? ipv6({ from, to }, segment) : ipv4({ from, to }, segment));

/** The packet as IPv4 fragments of at most `size` payload bytes (a multiple of 8) each, checksums right: what `nmap -f` sends. */
export function ipv4Fragments(fields: Ipv4Fields, segment: Segment, size: number, id = 1): Packet[] {
  const bytes = segment.bytes({ from: addressToBytes(fields.from), to: addressToBytes(fields.to) });
  return pieces(bytes, size).map(({ piece, offset, more }) =>
    ipv4({ ...fields, fragment: { offset, more, id } }, { protocol: segment.protocol, bytes: () => piece }),
  );
}

/** The same for IPv6; `fields.extensions` stay in front of each fragment header. */
export function ipv6Fragments(fields: Ipv6Fields, segment: Segment, size: number, id = 1): Packet[] {
  const bytes = segment.bytes({ from: addressToBytes(fields.from), to: addressToBytes(fields.to) });
  return pieces(bytes, size).map(({ piece, offset, more }) =>
    ipv6({ ...fields, extensions: [...(fields.extensions ?? []), fragmentHeader({ offset, more, id })] }, { protocol: segment.protocol, bytes: () => piece }),
  );
}

function pieces(bytes: Uint8Array, size: number): { piece: Uint8Array; offset: number; more: boolean }[] {
  const all = [];
  for (let at = 0; at < bytes.length; at += size) all.push({ piece: bytes.slice(at, at + size), offset: at / 8, more: at + size < bytes.length });
  return all;
}
