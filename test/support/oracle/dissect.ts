/** Section 1 and 4 of docs/packet-path.md: from a frame's bytes to who sends what to whom, as far as the kernel would look. */

export interface L3 {
  readonly family: 4 | 6;
  /** Hex of 4 or 16 bytes. */
  readonly from: string;
  readonly to: string;
  /** 1.4: the IPv4 total length is below the header's length. */
  readonly clipped: boolean;
  readonly headerAt: number;
  /** First byte behind the fixed IPv6 header or the whole IPv4 header. */
  readonly bodyAt: number;
  /** First byte that no longer belongs to the packet. */
  readonly limit: number;
}

export type L3Outcome = { readonly what: 'not-ip' } | { readonly what: 'malformed' } | { readonly what: 'ip'; readonly l3: L3 };

export type L4Outcome =
  | { readonly what: 'malformed' }
  | { readonly what: 'pass' }
  /** A first fragment whose TCP header is not whole, but whose ports are there. */
  | { readonly what: 'tiny-fragment'; readonly fromPort: number; readonly toPort: number }
  | { readonly what: 'tcp'; readonly fromPort: number; readonly toPort: number; readonly firstFragment: boolean; readonly flags: number }
  | { readonly what: 'udp'; readonly fromPort: number; readonly toPort: number; readonly firstFragment: boolean }
  /** Neighbour solicitation or advertisement, whole. */
  | { readonly what: 'discovery' }
  | { readonly what: 'echo' };

const NOT_IP = { what: 'not-ip' } as const;
const MALFORMED = { what: 'malformed' } as const;
const PASS = { what: 'pass' } as const;
const VLAN = [0x8100, 0x88a8, 0x9100, 0x9200];
const EXTENSIONS = [0, 43, 44, 60, 51, 135, 139, 140];
const FRAGMENT = 44;
const AH = 51;

const u8 = (frame: Uint8Array, at: number): number => {
  const byte = frame[at];
  if (byte === undefined) throw new Error(`the oracle read byte ${at} of a frame of ${frame.length}`);
  return byte;
};
const u16 = (frame: Uint8Array, at: number): number => u8(frame, at) * 256 + u8(frame, at + 1);
const hex = (frame: Uint8Array, at: number, length: number): string => Buffer.from(frame.subarray(at, at + length)).toString('hex');

export function dissectL3(frame: Uint8Array): L3Outcome {
  if (frame.length < 14) return NOT_IP;
  let etherType = u16(frame, 12);
  let at = 14;
  for (let tags = 0; VLAN.includes(etherType); tags++) {
    if (tags === 4 || frame.length - at < 4) return NOT_IP;
    etherType = u16(frame, at + 2);
    at += 4;
  }
  if (etherType === 0x0800) return dissectIpv4(frame, at);
  if (etherType === 0x86dd) return dissectIpv6(frame, at);
  return NOT_IP;
}

function dissectIpv4(frame: Uint8Array, at: number): L3Outcome {
  if (frame.length - at < 20) return MALFORMED;
  const headerBytes = (u8(frame, at) & 15) * 4;
  if (u8(frame, at) >> 4 !== 4 || headerBytes < 20 || frame.length - at < headerBytes) return MALFORMED;
  const total = u16(frame, at + 2);
  const limit = total === 0 ? frame.length : Math.min(frame.length, at + total);
  const ends = { from: hex(frame, at + 12, 4), to: hex(frame, at + 16, 4) };
  return { what: 'ip', l3: { family: 4, ...ends, clipped: total !== 0 && total < headerBytes, headerAt: at, bodyAt: at + headerBytes, limit } };
}

function dissectIpv6(frame: Uint8Array, at: number): L3Outcome {
  if (frame.length - at < 40 || u8(frame, at) >> 4 !== 6) return MALFORMED;
  const length = u16(frame, at + 4);
  const limit = length === 0 ? frame.length : Math.min(frame.length, at + 40 + length);
  return { what: 'ip', l3: { family: 6, from: hex(frame, at + 8, 16), to: hex(frame, at + 24, 16), clipped: false, headerAt: at, bodyAt: at + 40, limit } };
}

export function dissectL4(frame: Uint8Array, l3: L3): L4Outcome {
  return l3.family === 4 ? afterIpv4(frame, l3) : afterIpv6(frame, l3);
}

function afterIpv4(frame: Uint8Array, l3: L3): L4Outcome {
  const word = u16(frame, l3.headerAt + 6);
  const protocol = u8(frame, l3.headerAt + 9);
  const offset = word & 0x1fff;
  if (offset > 0) return protocol === 6 && offset === 1 ? MALFORMED : PASS;
  return segmentAt(frame, l3, l3.bodyAt, protocol, (word & 0x2000) !== 0);
}

function afterIpv6(frame: Uint8Array, l3: L3): L4Outcome {
  let next = u8(frame, l3.headerAt + 6);
  let at = l3.bodyAt;
  let firstFragment = false;
  for (let walked = 0; EXTENSIONS.includes(next); walked++) {
    if (walked === 10 || l3.limit - at < 8) return MALFORMED; // no extension header is shorter than 8
    const length = next === FRAGMENT ? 8 : next === AH ? (u8(frame, at + 1) + 2) * 4 : (u8(frame, at + 1) + 1) * 8;
    if (l3.limit - at < length) return MALFORMED;
    if (next === FRAGMENT) {
      const word = u16(frame, at + 2);
      if (word >> 3 > 0) return PASS;
      if ((word & 1) === 1) firstFragment = true;
    }
    next = u8(frame, at);
    at += length;
  }
  return segmentAt(frame, l3, at, next, firstFragment);
}

function segmentAt(frame: Uint8Array, l3: L3, at: number, protocol: number, firstFragment: boolean): L4Outcome {
  const left = l3.limit - at;
  const ports = () => ({ fromPort: u16(frame, at), toPort: u16(frame, at + 2), firstFragment });
  if (protocol === 6) {
    const words = left >= 20 ? u8(frame, at + 12) >> 4 : 0;
    if (left >= 20 && words >= 5 && words * 4 <= left) return { what: 'tcp', ...ports(), flags: u8(frame, at + 13) & 63 };
    return firstFragment && left >= 4 ? { what: 'tiny-fragment', fromPort: u16(frame, at), toPort: u16(frame, at + 2) } : MALFORMED;
  }
  if (protocol === 17) return left >= 8 ? { what: 'udp', ...ports() } : MALFORMED;
  const echoType = l3.family === 4 && protocol === 1 ? 8 : l3.family === 6 && protocol === 58 ? 128 : undefined;
  if (l3.family === 6 && protocol === 58 && !firstFragment && left >= 8 && [135, 136].includes(u8(frame, at))) return { what: 'discovery' };
  return echoType !== undefined && left >= 8 && u8(frame, at) === echoType ? { what: 'echo' } : PASS;
}
