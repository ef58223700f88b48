/**
 * Builds frames for tests and benches, layer by layer, with right checksums; every length can be made to lie.
 *
 *     ethernet(ipv4({ from: '203.0.113.7', to: '198.51.100.1' }, tcp({ to: 22 })))
 *     ethernet(ipv6({ from, to, extensions: [extension(EXTENSION.destination)] }, udp({ to: 53 })), { tags: [5, { type: 0x88a8, id: 7 }] })
 *     syn('203.0.113.7', '198.51.100.1', 22)
 */
import { addressToBytes, concat, macToBytes, u16 } from './bytes.ts';
import { ip, type Packet } from './packets.ts';
import { echo, tcp, udp } from './segments.ts';

export { addressToBytes, concat, fromHex, internetChecksum, macToBytes, toHex } from './bytes.ts';
export * from './packets.ts';
export * from './segments.ts';

/** A VLAN tag: the id alone means 802.1Q (0x8100), priority 0. */
export type Tag = number | { readonly type?: number; readonly id: number; readonly priority?: number };

export interface EthernetFields {
  readonly from?: string;
  readonly to?: string;
  /** Outermost first. */
  readonly tags?: readonly Tag[];
}

export const VLAN_TYPES = [0x8100, 0x88a8, 0x9100, 0x9200] as const;

/** A frame around a packet. Not padded to 60 bytes: veth does not, and truncation tests want the exact end. */
export function ethernet(packet: Packet, { from = '02:00:00:00:00:01', to = '02:00:00:00:00:02', tags = [] }: EthernetFields = {}): Uint8Array {
  const tagBytes = tags.flatMap(tag => {
    const { type = 0x8100, id, priority = 0 } = typeof tag === 'number' ? { id: tag } : tag;
    return [...u16(type), ...u16((priority << 13) | id)];
  });
  return concat(macToBytes(to), macToBytes(from), Uint8Array.from([...tagBytes, ...u16(packet.etherType)]), packet.bytes);
}

/** A payload of any EtherType, garbage included. */
export const payload = (etherType: number, bytes: Uint8Array): Packet => ({ etherType, bytes });

/** An ARP request (or reply) for IPv4. */
export function arp(from: string, to: string, { mac = '02:00:00:00:00:01', reply = false } = {}): Packet {
  const head = Uint8Array.from([0, 1, 8, 0, 6, 4, 0, reply ? 2 : 1]);
  return payload(0x0806, concat(head, macToBytes(mac), addressToBytes(from), new Uint8Array(6), addressToBytes(to)));
}

/** Whole frames, family by the address. */
export const syn = (from: string, to: string, port: number, fromPort = 40_000): Uint8Array => ethernet(ip(from, to, tcp({ from: fromPort, to: port })));
export const segment = (from: string, to: string, port: number, flags: string, fromPort = 40_000): Uint8Array =>
  ethernet(ip(from, to, tcp({ from: fromPort, to: port, flags })));
export const datagram = (from: string, to: string, port: number, fromPort = 40_000, bytes: Uint8Array = new Uint8Array(0)): Uint8Array =>
  ethernet(ip(from, to, udp({ from: fromPort, to: port, payload: bytes })));
export const ping = (from: string, to: string): Uint8Array => ethernet(ip(from, to, echo()));

/** The frame padded with zeros to the 60 bytes that a wire's shortest frame has. */
export const toShortest = (frame: Uint8Array): Uint8Array => (frame.length >= 60 ? frame : concat(frame, new Uint8Array(60 - frame.length)));

export const truncated = (frame: Uint8Array, length: number): Uint8Array => frame.slice(0, length);

/** The frame cut at each of its bytes, shortest first. PROG_TEST_RUN refuses fewer than 14 bytes. */
export const everyTruncation = (frame: Uint8Array, from = 14): Uint8Array[] =>
  Array.from({ length: Math.max(0, frame.length - from) }, (_, at) => frame.slice(0, from + at));
