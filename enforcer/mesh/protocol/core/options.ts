/** What a member is told at its start, and memberlist's three sets of timings. */
import type { Endpoint } from './endpoint.ts';
import type { Versions } from './versions.ts';

/** Intervals and timeouts in ms. What memberlist has goes by its names and defaults; the rest says why it is there. */
export interface Tuning {
  /** Whole stream exchanges: push/pull, user messages. */
  readonly tcpTimeoutMs: number;
  readonly indirectChecks: number;
  readonly retransmitMult: number;
  readonly suspicionMult: number;
  readonly suspicionMaxTimeoutMult: number;
  /** 0: no push/pull but at joining. */
  readonly pushPullIntervalMs: number;
  /** 0: no probes. */
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly disableTcpPings: boolean;
  readonly awarenessMaxMultiplier: number;
  readonly gossipNodes: number;
  /** 0: no gossip of its own; broadcasts still ride on pings and acks. */
  readonly gossipIntervalMs: number;
  readonly gossipToTheDeadMs: number;
  /** 0: the name of a dead member is never given to another address. */
  readonly deadNodeReclaimMs: number;
  /** A datagram before CRC (memberlist's UDPBufferSize). */
  readonly packetBytes: number;
  readonly handoffQueueDepth: number;
  /** A helper reports a missing ack after this share of the probe timeout: at the whole of it, with memberlist's defaults, its nack comes too late to count. */
  readonly nackShare: number;
  /** How often the list of peers to join is resolved and tried again, so that no partition is for ever; 0: never. */
  readonly rejoinIntervalMs: number;
  /** How often one lost member is tried over a stream; 0: never. */
  readonly announceIntervalMs: number;
  /** How long a lost member is tried, after the table forgot it. */
  readonly rememberLostMs: number;
  readonly maxMembers: number;
  /** Up to so many live members a pushed message goes to all at once, beyond to the square root of their number; 0: no eager push. */
  readonly eagerPeers: number;
  readonly userQueueItems: number;
  /** Share of a datagram that waiting user messages get beside member news: churn must not starve them. */
  readonly userShare: number;
}

export const MAX_META_BYTES = 512;
/** Names are ours and foreign: one that fills a datagram could never be gossiped. */
export const MAX_NAME_BYTES = 255;
/** No remote value takes an incarnation to where adding one would wrap to 0 in a 32-bit peer. */
export const MAX_INCARNATION = 2 ** 31 - 1;

const lan: Tuning = {
  tcpTimeoutMs: 10_000,
  indirectChecks: 3,
  retransmitMult: 4,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  pushPullIntervalMs: 30_000,
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  disableTcpPings: false,
  awarenessMaxMultiplier: 8,
  gossipNodes: 3,
  gossipIntervalMs: 200,
  gossipToTheDeadMs: 30_000,
  deadNodeReclaimMs: 0,
  packetBytes: 1400,
  handoffQueueDepth: 1024,
  nackShare: 0.8,
  rejoinIntervalMs: 60_000,
  announceIntervalMs: 30_000,
  rememberLostMs: 24 * 3_600_000,
  maxMembers: 16_384,
  eagerPeers: 256,
  userQueueItems: 4096,
  userShare: 0.5,
};

export const PROFILES: Readonly<Record<'lan' | 'wan' | 'local', Tuning>> = {
  lan,
  wan: {
    ...lan,
    tcpTimeoutMs: 30_000,
    suspicionMult: 6,
    pushPullIntervalMs: 60_000,
    probeIntervalMs: 5000,
    probeTimeoutMs: 3000,
    gossipNodes: 4,
    gossipIntervalMs: 500,
    gossipToTheDeadMs: 60_000,
  },
  local: {
    ...lan,
    tcpTimeoutMs: 1000,
    indirectChecks: 1,
    retransmitMult: 2,
    suspicionMult: 3,
    pushPullIntervalMs: 15_000,
    probeTimeoutMs: 200,
    gossipIntervalMs: 100,
    gossipToTheDeadMs: 15_000,
  },
};

export interface MemberOptions extends Tuning {
  /** Latin-1 text of the name's bytes. */
  readonly name: string;
  /** What others are told. IPv4 as 4 bytes. */
  readonly advertise: Endpoint;
  readonly meta: Uint8Array;
  /** Six bytes; [1, 5, 2, 0, 0, 0] by default. */
  readonly versions: Versions;
  /** What is announced at the start: one more than the last that was kept, else 1. An alive with 0 would be ignored by all. */
  readonly incarnation: number;
}

export const DEFAULT_VERSIONS: Versions = Uint8Array.of(1, 5, 2, 0, 0, 0);

export function memberOptions(
  profile: keyof typeof PROFILES,
  own: Pick<MemberOptions, 'name' | 'advertise'> & { readonly [Key in keyof MemberOptions]?: MemberOptions[Key] },
): MemberOptions {
  return { ...PROFILES[profile], meta: new Uint8Array(), versions: DEFAULT_VERSIONS, incarnation: 1, ...own };
}
