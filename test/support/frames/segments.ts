/** What an IP packet carries: TCP, UDP, ICMP echo, raw bytes; checksums are right unless one is given. */
import { concat, internetChecksum, u16, u32 } from './bytes.ts';

/** The two ends, 4 or 16 bytes each: TCP, UDP and ICMPv6 sum them. */
export interface Ends {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

export interface Segment {
  /** IP protocol number; ICMP differs between the families. */
  readonly protocol: (family: 4 | 6) => number;
  readonly bytes: (ends: Ends) => Uint8Array;
}

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, esp: 50, icmp6: 58, none: 59, sctp: 132 } as const;
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;

const FLAG_LETTERS: Readonly<Record<string, number>> = { F: FIN, S: SYN, R: RST, P: PSH, A: ACK, U: URG, E: 64, C: 128 };

/** `'SA'` as the flag byte of a SYN-ACK; letters as tcpdump and hping3 know them. */
export function tcpFlags(letters: string): number {
  let flags = 0;
  for (const letter of letters) flags |= FLAG_LETTERS[letter] ?? 0;
  return flags;
}

export interface TcpFields {
  readonly from?: number;
  readonly to: number;
  /** Letters (`'S'`, `'FPU'`, `''`) or the flag byte; a SYN where absent. */
  readonly flags?: string | number;
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  /** Padded to a multiple of 4 with end-of-options. */
  readonly options?: Uint8Array;
  /** In 4-byte words; right where absent. */
  readonly dataOffset?: number;
  readonly checksum?: number;
  readonly payload?: Uint8Array;
}

export function tcp(fields: TcpFields): Segment {
  const { from = 40_000, to, flags = SYN, seq = 1, ack = 0, window = 64_240, payload = new Uint8Array(0) } = fields;
  const options = padded(fields.options ?? new Uint8Array(0), 4);
  const dataOffset = fields.dataOffset ?? 5 + options.length / 4;
  const flagByte = typeof flags === 'string' ? tcpFlags(flags) : flags;
  const header = [...u16(from), ...u16(to), ...u32(seq), ...u32(ack), (dataOffset & 15) << 4, flagByte & 0xff, ...u16(window), 0, 0, 0, 0];
  return {
    protocol: () => PROTOCOL.tcp,
    bytes: ends => summed(concat(Uint8Array.from(header), options, payload), 16, pseudoHeader(ends, PROTOCOL.tcp), fields.checksum),
  };
}

export interface UdpFields {
  readonly from?: number;
  readonly to: number;
  readonly payload?: Uint8Array;
  readonly length?: number;
  readonly checksum?: number;
}

export function udp(fields: UdpFields): Segment {
  const { from = 40_000, to, payload = new Uint8Array(0) } = fields;
  const header = [...u16(from), ...u16(to), ...u16(fields.length ?? 8 + payload.length), 0, 0];
  return {
    protocol: () => PROTOCOL.udp,
    bytes: ends => {
      const bytes = summed(concat(Uint8Array.from(header), payload), 6, pseudoHeader(ends, PROTOCOL.udp), fields.checksum);
      if (fields.checksum === undefined && bytes[6] === 0 && bytes[7] === 0) bytes.set([0xff, 0xff], 6); // RFC 768: 0 means none
      return bytes;
    },
  };
}

export interface EchoFields {
  /** A request where absent. */
  readonly reply?: boolean;
  readonly id?: number;
  readonly seq?: number;
  readonly payload?: Uint8Array;
}

/** ICMP echo in IPv4, ICMPv6 echo in IPv6. */
export function echo({ reply = false, id = 1, seq = 1, payload = new Uint8Array(0) }: EchoFields = {}): Segment {
  return icmp(family => (family === 4 ? (reply ? 0 : 8) : reply ? 129 : 128), concat(Uint8Array.from([...u16(id), ...u16(seq)]), payload));
}

/** Any ICMP or ICMPv6 message: the type may depend on the family. `rest` follows the checksum. */
export function icmp(type: number | ((family: 4 | 6) => number), rest: Uint8Array, code = 0): Segment {
  return {
    protocol: family => (family === 4 ? PROTOCOL.icmp : PROTOCOL.icmp6),
    bytes: ends => {
      const family = ends.from.length === 4 ? 4 : 6;
      const bytes = concat(Uint8Array.from([typeof type === 'number' ? type : type(family), code, 0, 0]), rest);
      return summed(bytes, 2, family === 4 ? () => new Uint8Array(0) : pseudoHeader(ends, PROTOCOL.icmp6));
    },
  };
}

export const raw = (protocol: number, bytes: Uint8Array = new Uint8Array(0)): Segment => ({ protocol: () => protocol, bytes: () => bytes });

/** A segment cut to its first `length` bytes, as the IP header's length will say: a tiny fragment, a liar. */
export const cut = (segment: Segment, length: number): Segment => ({ protocol: segment.protocol, bytes: ends => segment.bytes(ends).slice(0, length) });

export function padded(bytes: Uint8Array, to: number): Uint8Array {
  return bytes.length % to === 0 ? bytes : concat(bytes, new Uint8Array(to - (bytes.length % to)));
}

const pseudoHeader =
  ({ from, to }: Ends, protocol: number) =>
  (length: number): Uint8Array =>
    concat(from, to, Uint8Array.from(from.length === 4 ? [0, protocol, ...u16(length)] : [...u32(length), 0, 0, 0, protocol]));

function summed(bytes: Uint8Array, at: number, pseudo: (length: number) => Uint8Array, given?: number): Uint8Array {
  bytes.set(u16(given ?? internetChecksum(pseudo(bytes.length), bytes)), at);
  return bytes;
}
