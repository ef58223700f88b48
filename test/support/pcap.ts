/**
 * Reads captures, classic pcap and pcapng, in both byte orders, and hands every packet over as an Ethernet frame: raw IP and Linux cooked
 * captures get a header made up. A capture is hostile too: what cannot be read ends the reading with a reason, and throws nothing.
 */
export interface CapturedFrame {
  readonly frame: Uint8Array;
  /** Since the epoch; 0 where the file does not say. */
  readonly atNs: bigint;
}

export interface Capture {
  readonly frames: readonly CapturedFrame[];
  /** Packets of a link type that has no Ethernet form, or longer than a frame can be. */
  readonly skipped: number;
  /** Why the reading ended before the end of the file; what came before it counts. */
  readonly problem: string | null;
}

export const LINK_TYPE = { ethernet: 1, rawBsd: 12, rawOpenBsd: 14, raw: 101, sll: 113, ipv4: 228, ipv6: 229, sll2: 276 } as const;
const LONGEST_FRAME = 65_535;
const LONGEST_RECORD = 1 << 20; // tcpdump's largest snapshot length is 256 kB
const MOST_FRAMES = 5_000_000;

class Refused extends Error {}

interface Reading {
  readonly frames: CapturedFrame[];
  skipped: number;
}

export function readCapture(bytes: Uint8Array): Capture {
  const reading: Reading = { frames: [], skipped: 0 };
  try {
    if (bytes.length < 4) throw new Refused('shorter than any magic number');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(0) === 0x0a0d0d0a) readPcapng(view, reading);
    else readPcap(view, reading);
    return { ...reading, problem: null };
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    return { ...reading, problem: problem.message };
  }
}

function readPcap(view: DataView, reading: Reading): void {
  const magics = new Map([
    [0xa1b2c3d4, 1_000n],
    [0xa1b23c4d, 1n],
  ]);
  const little = magics.has(view.getUint32(0, true));
  const unitNs = magics.get(view.getUint32(0, little));
  if (unitNs === undefined) throw new Refused('neither pcap nor pcapng');
  if (view.byteLength < 24) throw new Refused('the file header is cut short');
  const linkType = view.getUint32(20, little) & 0xffff; // above it: FCS length and flags
  for (let at = 24; at < view.byteLength; ) {
    if (view.byteLength - at < 16) throw new Refused(`record header cut short at byte ${at}`);
    const length = view.getUint32(at + 8, little);
    if (length > LONGEST_RECORD) throw new Refused(`a record of ${length} bytes at byte ${at}`);
    if (view.byteLength - at - 16 < length) throw new Refused(`record cut short at byte ${at}`);
    const atNs = BigInt(view.getUint32(at, little)) * 1_000_000_000n + BigInt(view.getUint32(at + 4, little)) * unitNs;
    take(reading, linkType, slice(view, at + 16, length), atNs);
    at += 16 + length;
  }
}

interface Interface {
  readonly linkType: number;
  /** Nanoseconds of one unit of time, as a fraction. */
  readonly unit: readonly [numerator: bigint, denominator: bigint];
  readonly snapLength: number;
}

const BLOCK = { section: 0x0a0d0d0a, interface: 1, obsoletePacket: 2, simplePacket: 3, enhancedPacket: 6 } as const;

/** draft-ietf-opsawg-pcapng: blocks of (type, length, body, length); interfaces belong to their section. */
function readPcapng(view: DataView, reading: Reading): void {
  let little = false;
  let interfaces: Interface[] = [];
  for (let at = 0; at < view.byteLength; ) {
    if (view.byteLength - at < 12) throw new Refused(`block cut short at byte ${at}`);
    const isSection = view.getUint32(at) === BLOCK.section;
    if (isSection) {
      little = view.getUint32(at + 8, true) === 0x1a2b3c4d;
      if (!little && view.getUint32(at + 8) !== 0x1a2b3c4d) throw new Refused(`section without a byte-order magic at byte ${at}`);
      interfaces = [];
    }
    const type = view.getUint32(at, little);
    const length = view.getUint32(at + 4, little);
    if (length < 12 || length % 4 !== 0 || length > view.byteLength - at) throw new Refused(`a block of ${length} bytes at byte ${at}`);
    if (view.getUint32(at + length - 4, little) !== length) throw new Refused(`the two lengths of the block at byte ${at} differ`);
    const body = new DataView(view.buffer, view.byteOffset + at + 8, length - 12);
    if (isSection && body.byteLength < 16) throw new Refused('the section header is cut short');
    if (type === BLOCK.interface) interfaces.push(readInterface(body, little));
    else if (type === BLOCK.enhancedPacket || type === BLOCK.obsoletePacket) takePacket(body, little, type, interfaces, reading);
    else if (type === BLOCK.simplePacket) takeSimplePacket(body, little, interfaces, reading);
    at += length;
  }
}

function readInterface(body: DataView, little: boolean): Interface {
  if (body.byteLength < 8) throw new Refused('an interface block is cut short');
  let unit: Interface['unit'] = [1_000n, 1n];
  for (let at = 8; at + 4 <= body.byteLength; ) {
    const [code, length] = [body.getUint16(at, little), body.getUint16(at + 2, little)];
    if (code === 0 || at + 4 + length > body.byteLength) break;
    if (code === 9 && length === 1) unit = unitOf(body.getUint8(at + 4));
    at += 4 + ((length + 3) & ~3);
  }
  return { linkType: body.getUint16(0, little), unit, snapLength: body.getUint32(4, little) };
}

/** if_tsresol: a negative power of 10, or of 2 where the top bit is set. */
function unitOf(resolution: number): Interface['unit'] {
  const power = BigInt(resolution & 0x7f);
  return [1_000_000_000n, resolution & 0x80 ? 2n ** power : 10n ** power];
}

function takePacket(body: DataView, little: boolean, type: number, interfaces: readonly Interface[], reading: Reading): void {
  if (body.byteLength < 20) throw new Refused('a packet block is cut short');
  const number = type === BLOCK.enhancedPacket ? body.getUint32(0, little) : body.getUint16(0, little);
  const found = interfaces[number];
  if (found === undefined) throw new Refused(`a packet of interface ${number}, which the section does not have`);
  const length = body.getUint32(12, little);
  if (length > body.byteLength - 20) throw new Refused('a packet is longer than its block');
  const ticks = (BigInt(body.getUint32(4, little)) << 32n) | BigInt(body.getUint32(8, little));
  take(reading, found.linkType, slice(body, 20, length), (ticks * found.unit[0]) / found.unit[1]);
}

function takeSimplePacket(body: DataView, little: boolean, interfaces: readonly Interface[], reading: Reading): void {
  const [found] = interfaces;
  if (body.byteLength < 4 || found === undefined) throw new Refused('a simple packet without a length or an interface');
  const original = body.getUint32(0, little);
  const captured = Math.min(original, body.byteLength - 4, found.snapLength === 0 ? Number.POSITIVE_INFINITY : found.snapLength);
  take(reading, found.linkType, slice(body, 4, captured), 0n);
}

const slice = (view: DataView, at: number, length: number): Uint8Array => new Uint8Array(view.buffer, view.byteOffset + at, length).slice();

function take(reading: Reading, linkType: number, bytes: Uint8Array, atNs: bigint): void {
  if (reading.frames.length >= MOST_FRAMES) throw new Refused(`more than ${MOST_FRAMES} packets`);
  const frame = asEthernet(linkType, bytes);
  if (frame === undefined || frame.length > LONGEST_FRAME) reading.skipped++;
  else reading.frames.push({ frame, atNs });
}

/** https://www.tcpdump.org/linktypes.html */
function asEthernet(linkType: number, bytes: Uint8Array): Uint8Array | undefined {
  switch (linkType) {
    case LINK_TYPE.ethernet:
      return bytes;
    case LINK_TYPE.raw:
    case LINK_TYPE.rawBsd:
    case LINK_TYPE.rawOpenBsd:
    case LINK_TYPE.ipv4:
    case LINK_TYPE.ipv6:
      return withHeader((bytes[0] ?? 0) >> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00], bytes);
    case LINK_TYPE.sll: // packet type, ARPHRD, address length, address, protocol
      return bytes.length < 16 ? undefined : withHeader(bytes.subarray(14, 16), bytes.subarray(16));
    case LINK_TYPE.sll2: // protocol, reserved, interface, ARPHRD, packet type, address length, address
      return bytes.length < 20 ? undefined : withHeader(bytes.subarray(0, 2), bytes.subarray(20));
    default:
      return undefined;
  }
}

function withHeader(etherType: ArrayLike<number>, packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + packet.length);
  frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
  frame.set(etherType, 12);
  frame.set(packet, 14);
  return frame;
}
