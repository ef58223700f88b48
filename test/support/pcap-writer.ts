/** Writes captures of the shapes that `pcap.ts` reads: for its tests, and to look at generated frames in a sniffer. */
import { concat } from './frames/frames.ts';

export interface PcapOptions {
  readonly little?: boolean;
  readonly nanoseconds?: boolean;
  readonly linkType?: number;
}

/** Classic pcap; packet n at n seconds and n units. */
export function writePcap(packets: readonly Uint8Array[], { little = true, nanoseconds = false, linkType = 1 }: PcapOptions = {}): Uint8Array {
  const words = (...values: readonly number[]): Uint8Array => uint32s(values, little);
  const version = uint16s([2, 4], little);
  const header = concat(words(nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4), version, words(0, 0, 262_144, linkType));
  return concat(header, ...packets.map((packet, at) => concat(words(at, at, packet.length, packet.length), packet)));
}

export interface PcapngOptions {
  readonly little?: boolean;
  readonly linkType?: number;
  /** if_tsresol; microseconds where absent. */
  readonly resolution?: number;
  readonly simple?: boolean;
}

/** pcapng of one section and one interface; packet n at n units. */
export function writePcapng(packets: readonly Uint8Array[], { little = true, linkType = 1, resolution, simple = false }: PcapngOptions = {}): Uint8Array {
  const words = (...values: readonly number[]): Uint8Array => uint32s(values, little);
  const block = (type: number, body: Uint8Array): Uint8Array => {
    const padded = concat(body, new Uint8Array((4 - (body.length % 4)) % 4));
    return concat(words(type, padded.length + 12), padded, words(padded.length + 12));
  };
  const options = resolution === undefined ? new Uint8Array(0) : concat(uint16s([9, 1], little), Uint8Array.of(resolution, 0, 0, 0), words(0));
  const section = block(0x0a0d0d0a, concat(words(0x1a2b3c4d), uint16s([1, 0], little), words(0xffff_ffff, 0xffff_ffff)));
  const link = block(1, concat(uint16s([linkType, 0], little), words(0), options));
  const blocks = packets.map((packet, at) =>
    simple ? block(3, concat(words(packet.length), packet)) : block(6, concat(words(0, 0, at, packet.length, packet.length), packet)),
  );
  return concat(section, link, ...blocks);
}

function uint32s(values: readonly number[], little: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [at, value] of values.entries()) view.setUint32(at * 4, value, little);
  return new Uint8Array(view.buffer);
}

function uint16s(values: readonly number[], little: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 2));
  for (const [at, value] of values.entries()) view.setUint16(at * 2, value, little);
  return new Uint8Array(view.buffer);
}
