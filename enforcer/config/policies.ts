/** What the kernel, the ledger and the traps take from the configuration. */
import { unreachable } from '@honeymesh/intel/parsed';
import type { KernelConfig } from '../kernel/port.ts';
import { ADVICE_POLICY } from '../ledger/advice/advice.ts';
import type { LedgerPolicy } from '../ledger/decisions.ts';
import type { TrapLimits } from '../traps/messages.ts';
import type { Config } from './config.ts';

/** A reply to a datagram of ours is one for so long: nf_conntrack_udp_timeout_stream's default. */
const FLOW_MS = 120_000;
/** Steering stops when the traps' process did not beat for so long: a dead trap is a closed port, not a hang. */
const HEARTBEAT_MS = 3_000;

/** What only the launcher knows when the kernel is configured. */
export interface TrapSocket {
  /** The trap's listener: its port and the mark of its sockets; both 0 where traps are off. */
  readonly trapPort: number;
  readonly trapMark: number;
  /** The port of the traps' UDP sockets; 0: none. */
  readonly trapUdpPort: number;
  readonly ephemeralPorts: readonly [low: number, high: number];
}

export function kernelConfigOf(config: Config, trap: TrapSocket): KernelConfig {
  const { detect } = config;
  return {
    mode: config.mode,
    fastPorts: detect.fast.ports,
    fastWindowMs: detect.fast.windowMs,
    slowPorts: detect.slow.ports,
    slowWindowMs: detect.slow.windowMs,
    shunMs: detect.shun.ttlMs,
    longestShunMs: detect.shun.longestMs,
    provenMs: detect.provenMs,
    flowMs: FLOW_MS,
    graceMs: config.services.graceMs,
    heartbeatMs: HEARTBEAT_MS,
    synPerSecond: detect.flood.synPerSecond,
    udpPerSecond: detect.flood.udpPerSecond,
    echoPerSecond: detect.flood.echoPerSecond,
    openUdpPerSecond: detect.flood.openUdpPerSecond,
    newSourcesPerSecond: detect.newSourcesPerSecond,
    eventsPerSecond: detect.eventsPerSecond,
    egressDrop: config.egress === 'drop',
    ...trap,
  };
}

/** HM_BANS_EXACT6 and HM_RULES of bpf/honeymesh_consts.h: not the operator's to choose. */
const EXACT_IPV6 = 16_384;
const RULES = 1_024;

/** `capacity`: what the kernel's maps really hold (Kernel.banCapacity), where it is known. */
export function ledgerPolicyOf(
  config: Config,
  capacity: LedgerPolicy['capacity'] = { ipv4: config.bans.capacity, ipv6: config.bans.capacity, ipv6Exact: EXACT_IPV6, rules: RULES },
): LedgerPolicy {
  const { bans, mode } = config;
  return {
    mode,
    touchMs: bans.touchMs,
    contentMs: bans.contentMs,
    longestMs: bans.longestMs,
    memoryMs: bans.memoryMs,
    capacity,
    reservedShare: 0.2,
    watermark: 0.8,
    aggregateAt: bans.aggregateAt,
    widenAt: bans.widenAt,
    patience: patienceOf(config.traps),
    advice: { ...ADVICE_POLICY, quorum: config.mesh?.quorum.sites ?? ADVICE_POLICY.quorum, never: config.share.never },
  };
}

function patienceOf({ patience, sessionMs, study }: Config['traps']): LedgerPolicy['patience'] {
  switch (patience) {
    case 'instant':
      return { kind: patience, longestMs: 0 };
    case 'listen':
      return { kind: patience, longestMs: sessionMs };
    case 'study':
      return { kind: patience, longestMs: study.longestMs };
    default:
      return unreachable(patience);
  }
}

/** nmap waits 3 s for a greeting, from when it sees the connection, and takes who hangs up before for a wrapped service: a busy host must not lose that race. */
const MOST_SLACK_MS = 400;

/** The limits of the traps that are the operator's to choose; the others are the traps' own. */
export function trapLimitsOf({ traps }: Config): Pick<TrapLimits, 'sessions' | 'sessionsPerSource' | 'deadlineMs' | 'sessionMs'> {
  return {
    sessions: traps.sessions,
    sessionsPerSource: traps.sessionsPerSource,
    deadlineMs: traps.deadlineMs + Math.min(MOST_SLACK_MS, traps.deadlineMs / 8),
    sessionMs: traps.sessionMs,
  };
}
