/** Frames from a few sources to a few ports, in every layer-2 shape, whole, fragmented, lying, cut and damaged. */
import {
  arp,
  authentication,
  concat,
  cut,
  EXTENSION,
  type Extension,
  echo,
  ethernet,
  everyTruncation,
  extension,
  fragmentHeader,
  icmp,
  ipv4,
  ipv6,
  type Packet,
  payload,
  raw,
  type Segment,
  type Tag,
  tcp,
  tcpFlags,
  truncated,
  udp,
  VLAN_TYPES,
} from '../frames/frames.ts';
import type { Random } from './random.ts';
import { DESTINATIONS, PORTS, SOURCES4, SOURCES6 } from './random-scenarios.ts';
import { CONNECTED_TCP, CONNECTED_UDP, OWN4, OWN6, PEER, PEER_TCP_PORT, PEER_TRAP_PORT, PEER_UDP_PORT } from './real-sockets.ts';

const FLAGS = ['S', 'S', 'S', 'S', 'A', 'A', 'FA', 'PA', '', 'F', 'FPU', 'SF', 'SR', 'SA', 'R', 'RA', 'SEC', 'SPU', 'UA', 'E'] as const;
const FROM_PORTS = [40_000, 40_001, 53, 67, 547, PEER_TCP_PORT, PEER_UDP_PORT] as const;
/** Exempt, and one that only looks like it. */
const QUIET_PORTS = [
  { from: 67, to: 68 },
  { from: 547, to: 546 },
  { from: 67, to: 546 },
  { from: 40_000, to: 1_900 },
  { from: 40_000, to: 5_353 },
] as const;
const CHAINED = [EXTENSION.hopByHop, EXTENSION.routing, EXTENSION.destination, EXTENSION.mobility, EXTENSION.hip, EXTENSION.shim6];

/** What one sequence of frames draws from: few sources, so that their state matters. */
export interface Cast {
  readonly sources4: readonly string[];
  readonly sources6: readonly string[];
}

export const randomCast = (random: Random): Cast => ({
  sources4: [random.pick(SOURCES4), random.pick(SOURCES4), ...(random.chance(0.3) ? [PEER] : [])],
  sources6: [random.pick(SOURCES6), random.pick(SOURCES6)],
});

/** Frames with bursts of the same one in between, as floods and retransmissions are. */
export function randomSequence(random: Random, length: number): Uint8Array[] {
  const cast = randomCast(random);
  const frames: Uint8Array[] = [];
  while (frames.length < length) {
    const frame = random.chance(0.1) && frames.length > 0 ? random.pick(frames) : randomFrame(random, cast);
    for (let copies = random.chance(0.1) ? random.between(2, 12) : 1; copies > 0 && frames.length < length; copies--) frames.push(frame);
  }
  return frames;
}

export function randomFrame(random: Random, cast: Cast): Uint8Array {
  const frame = ethernet(randomPacket(random, cast), { tags: randomTags(random) });
  const padded = random.chance(0.3) ? concat(frame, new Uint8Array(random.below(30))) : frame;
  const damage = random.below(100);
  if (damage < 6) return truncated(padded, random.between(14, padded.length));
  if (damage < 12) return flipped(random, padded);
  return padded.length < 14 ? concat(padded, new Uint8Array(14)) : padded;
}

function randomTags(random: Random): Tag[] {
  const count = random.pick([0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6]);
  return Array.from({ length: count }, () => ({ type: random.pick(VLAN_TYPES), id: random.below(4096), priority: random.below(8) }));
}

/** One or two bits of the headers, where most of what is decided lies. */
function flipped(random: Random, frame: Uint8Array): Uint8Array {
  const damaged = frame.slice();
  for (let flips = random.between(1, 2); flips > 0; flips--) {
    const at = random.between(12, Math.min(damaged.length - 1, 90));
    damaged[at] = (damaged[at] ?? 0) ^ (1 << random.below(8));
  }
  return damaged;
}

function randomPacket(random: Random, cast: Cast): Packet {
  const kind = random.below(100);
  if (kind < 2) return arp(random.pick(cast.sources4), OWN4, { reply: random.chance(0.5) });
  if (kind < 4) return payload(random.pick([0x0800, 0x86dd, 0x0806, 0x88cc, 60, 0]), random.bytes(random.below(80)));
  if (kind < 7) {
    const [fromTcp, fromUdp] = [
      { from: random.pick([PEER_TCP_PORT, PEER_TRAP_PORT]), to: CONNECTED_TCP },
      { from: PEER_UDP_PORT, to: CONNECTED_UDP },
    ];
    return ipv4({ from: PEER, to: OWN4 }, random.chance(0.5) ? udp(fromUdp) : tcp({ ...fromTcp, flags: tcpFlags(random.pick(FLAGS)) }));
  }
  const to = random.chance(0.06) ? random.pick(['198.51.100.255', '224.0.0.1', '192.0.2.1', 'ff02::1', '2001:db8::99']) : random.pick(DESTINATIONS);
  const segment = randomSegment(random, to.includes(':') ? 6 : 4);
  return to.includes(':') ? randomIpv6(random, random.pick(cast.sources6), to, segment) : randomIpv4(random, random.pick(cast.sources4), to, segment);
}

function randomSegment(random: Random, family: 4 | 6): Segment {
  const kind = random.below(100);
  const ports = { from: random.pick(FROM_PORTS), to: random.pick(PORTS) };
  const body = new Uint8Array(random.pick([0, 0, 0, 1, 8, 100]));
  if (kind < 60) {
    const lie = random.chance(0.05) ? { dataOffset: random.below(16) } : {};
    return tcp({ ...ports, ...lie, flags: tcpFlags(random.pick(FLAGS)), options: new Uint8Array(random.pick([0, 0, 4, 20, 40])).fill(1), payload: body });
  }
  if (kind < 64) return udp(random.pick(QUIET_PORTS));
  if (kind < 85) return udp({ ...ports, payload: body, ...(random.chance(0.1) ? { length: random.below(65_536) } : {}) });
  if (kind < 93) return echo({ reply: random.chance(0.2), payload: body });
  if (kind < 96) return icmp(random.pick(family === 4 ? [0, 3, 5, 8, 11] : [1, 128, 133, 135, 136]), random.bytes(random.below(12)));
  if (kind < 97) return raw(family === 4 ? 58 : 1, Uint8Array.of(random.pick([8, 128]), 0, 0, 0, 0, 0, 0, 0)); // the other family's echo
  return raw(random.pick([0, 1, 2, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 139, 140, 255]), random.bytes(random.below(60)));
}

function randomIpv4(random: Random, from: string, to: string, segment: Segment): Packet {
  const lies = random.chance(0.08);
  const fragment = random.chance(0.12) ? { offset: random.pick([0, 0, 0, 1, 2, 100]), more: random.chance(0.6) } : undefined;
  const carried = fragment !== undefined && random.chance(0.5) ? cut(segment, random.pick([0, 3, 4, 7, 8, 16, 19, 20, 24])) : segment;
  return ipv4(
    {
      from,
      to,
      options: new Uint8Array(random.pick([0, 0, 0, 0, 4, 8, 40])).fill(1),
      ...(fragment === undefined ? {} : { fragment }),
      ...(lies && random.chance(0.4) ? { totalLength: random.pick([0, 1, 19, 20, 24, 27, 28, 39, 40, 41, 60, 1_500, 65_535]) } : {}),
      ...(lies && random.chance(0.3) ? { headerLength: random.below(16) } : {}),
      ...(lies && random.chance(0.2) ? { version: random.below(16) } : {}),
    },
    carried,
  );
}

function randomIpv6(random: Random, from: string, to: string, segment: Segment): Packet {
  const count = random.pick([0, 0, 0, 0, 1, 1, 2, 3, 9, 10, 11, 12]);
  const extensions = Array.from({ length: count }, () => randomExtension(random));
  const lies = random.chance(0.08);
  return ipv6(
    {
      from,
      to,
      extensions,
      ...(lies && random.chance(0.7) ? { payloadLength: random.pick([0, 1, 7, 8, 16, 19, 20, 28, 60, 1_500, 65_535]) } : {}),
      ...(lies && random.chance(0.2) ? { version: random.below(16) } : {}),
    },
    random.chance(0.1) ? cut(segment, random.below(24)) : segment,
  );
}

function randomExtension(random: Random): Extension {
  const kind = random.below(10);
  if (kind === 0) return authentication(random.pick([0, 1, 4, 5]));
  if (kind === 1) return fragmentHeader({ offset: random.pick([0, 0, 0, 0, 0, 1, 30]), more: random.chance(0.5) });
  if (kind === 2) {
    const liar = extension(random.pick(CHAINED), 0);
    liar.rest[0] = random.pick([0, 1, 2, 31, 255]);
    return liar;
  }
  return extension(random.pick(CHAINED), random.pick([0, 0, 0, 1, 3]));
}

/** Every count and type of tags, whole and cut, around a SYN; and a set of base frames cut at each byte. */
export function shapes(): Uint8Array[] {
  const packets = [ipv4({ from: SOURCES4[0], to: OWN4 }, tcp({ to: 22 })), ipv6({ from: SOURCES6[0], to: OWN6 }, tcp({ to: 22 }))];
  const tagged = [0, 1, 2, 3, 4, 5].flatMap(count =>
    VLAN_TYPES.flatMap((_, first) =>
      packets.map(packet =>
        ethernet(packet, { tags: Array.from({ length: count }, (_tag, at) => ({ type: VLAN_TYPES[(first + at * (first + 1)) % 4] ?? 0x8100, id: at })) }),
      ),
    ),
  );
  return [...tagged, ...baseFrames().flatMap(frame => [...everyTruncation(frame), frame])];
}

function baseFrames(): Uint8Array[] {
  const four = { from: SOURCES4[0], to: OWN4 };
  const six = { from: SOURCES6[0], to: OWN6 };
  const options = new Uint8Array(12).fill(1);
  const chain = [extension(EXTENSION.hopByHop), authentication(4), extension(EXTENSION.routing, 1), fragmentHeader({ offset: 0, more: true })];
  return [
    ethernet(ipv4({ ...four, options }, tcp({ to: 22, options })), { tags: [{ type: 0x88a8, id: 1 }, 2] }),
    ethernet(ipv4(four, tcp({ to: 23, flags: 'FPU' }))),
    ethernet(ipv4({ ...four, totalLength: 0 }, tcp({ to: 80, flags: 'A' }))),
    ethernet(ipv4({ ...four, totalLength: 0, fragment: { offset: 0, more: true } }, tcp({ to: 443 }))),
    ethernet(ipv4(four, udp({ to: 53, payload: options }))),
    ethernet(ipv4(four, echo({ payload: options }))),
    ethernet(ipv6({ ...six, payloadLength: 0, extensions: chain }, tcp({ to: 22, options })), { tags: [1, 2, 3, 4] }),
    ethernet(ipv6({ ...six, extensions: [extension(EXTENSION.destination, 2)] }, udp({ to: 9999, payload: options }))),
    ethernet(ipv6({ ...six, payloadLength: 0 }, echo({ payload: options })), { tags: [5] }),
    ethernet(ipv6({ ...six, payloadLength: 0, extensions: [fragmentHeader({ offset: 0, more: false })] }, tcp({ to: 9999, flags: 'F' }))),
    ethernet(arp(SOURCES4[0], OWN4)),
  ];
}
