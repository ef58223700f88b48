/** How much a peer may ask of us. memberlist's own limits came late (v0.6.0, v0.7.0) and are wide; ours bound what one packet or connection can cost. */

export interface WireLimits {
  /** What the compressed parts of one packet may expand to, all together, in bytes. */
  readonly packetExpansion: number;
  /** Messages and refused parts of one packet. A compound has at most 255, but compounds nest. */
  readonly packetMessages: number;
  /** Compounds and compressions around one message. */
  readonly depth: number;
  /** An encrypted frame on a stream, or all of an unencrypted stream, in bytes. */
  readonly streamBytes: number;
  readonly streamExpansion: number;
  readonly userState: number;
  readonly userMessage: number;
  /** Members in one push/pull. */
  readonly members: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** 128 push/pulls at once hold half a gigabyte at the worst, and only while their senders hold the key. 4 MiB are some 6,000 members with full meta. */
export const WIRE_LIMITS: WireLimits = {
  packetExpansion: 2 * MIB,
  packetMessages: 1024,
  depth: 4,
  streamBytes: 4 * MIB,
  streamExpansion: 8 * MIB,
  userState: 4 * MIB,
  userMessage: 4 * MIB,
  members: 65_536,
};

/** What memberlist v0.7.0 takes on a stream (net.go, util.go): for whoever must take all that Go takes. */
export const MEMBERLIST_STREAM_LIMITS: Partial<WireLimits> = {
  streamBytes: 20 * MIB,
  streamExpansion: 40 * MIB,
  userState: 20 * MIB,
  userMessage: 20 * MIB,
  members: 1_048_576,
};

/** In bytes. Go bounds its own meta, but no name: 512 is twice the longest host name. */
export const LONGEST_NAME = 512;
export const LONGEST_META = 512;
export const LONGEST_ADDRESS = 16;
/** Six are used (messages.ts, versions); some more may come one day. */
export const LONGEST_VERSIONS = 16;
export const LONGEST_ERROR = 1024;

/** The longest text or byte string in a message's structure, known or not, unless a field says otherwise: what fits in a datagram. */
export const LONGEST_RAW = 65_535;
/** Values in one structure of a packet. On a stream there are fewer: it is read again with each chunk until it is complete. */
export const MOST_VALUES_OF_PACKET = 65_536;
export const MOST_VALUES_OF_STREAM = 4096;
/** Values inside of values that nobody knows. */
export const DEEPEST_VALUE = 8;
