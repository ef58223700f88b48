/** Every metric with its labels and what it says: the registry and docs/reference/metrics.md are made from this. No label holds an address, and each has a bound. */
import { DEGRADED_PARTS, EVENT_KINDS } from '@honeymesh/intel/events';
import { ORIGINS } from '@honeymesh/intel/evidence';
import { COUNTERS, VERDICTS } from '../kernel/verdicts.ts';
import { MEMBER_STATES } from '../mesh/protocol/messages.ts';

export interface MetricRow {
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  /** Each with its values, or in words how many there can be. */
  readonly labels?: Readonly<Record<string, readonly string[] | string>>;
  readonly buckets?: readonly number[];
}

export const FAMILIES = ['ipv4', 'ipv6'] as const;
export const STAGES = ['kernel', 'mesh'] as const;
export const REFUSED = ['wrong', 'missing', 'limited', 'evidence'] as const;

/** From a millisecond, which is what clocks here resolve, to the seconds after which somebody looks. */
const REACTION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const METRICS = {
  honeymesh_info: { type: 'gauge', help: 'Always 1', labels: { version: 'one', mode: ['observe', 'enforce', 'lockdown'] } },
  honeymesh_start_time_seconds: { type: 'gauge', help: 'When the daemon started, Unix time' },
  honeymesh_paused: { type: 'gauge', help: '1 while a pause drops nothing' },
  honeymesh_degraded: { type: 'gauge', help: 'Complaints of this part that hold now', labels: { part: DEGRADED_PARTS } },
  honeymesh_interface_guarded: {
    type: 'gauge',
    help: '1 where the packet filter is attached',
    labels: { interface: 'those of the configuration, 16 at most' },
  },
  honeymesh_bans_active: {
    type: 'gauge',
    help: 'Bans in the ledger, by the origin of their first evidence',
    labels: { origin: ORIGINS, family: FAMILIES },
  },
  honeymesh_bans_confined: { type: 'gauge', help: 'Of these, sources that are held to the traps for now' },
  honeymesh_bans_capacity: { type: 'gauge', help: 'Room for banned addresses, of each family' },
  honeymesh_shuns_active: { type: 'gauge', help: 'Sources that the kernel shuns for the moment' },
  honeymesh_packets_total: {
    type: 'counter',
    help: 'Packets by verdict since the maps were made; effect "would": decided, not enforced (observe, pause)',
    labels: { verdict: VERDICTS, effect: ['enforced', 'would'] },
  },
  honeymesh_kernel_counters_total: { type: 'counter', help: "The packet filter's counters besides its verdicts", labels: { counter: COUNTERS } },
  honeymesh_events_total: { type: 'counter', help: 'Events stored since the daemon started', labels: { kind: EVENT_KINDS } },
  honeymesh_reaction_seconds: {
    type: 'histogram',
    help: 'From what was seen to what followed: stage "kernel", the ban is enforced; stage "mesh", peers were told of it',
    labels: { stage: STAGES, origin: ORIGINS },
    buckets: REACTION_BUCKETS,
  },
  honeymesh_trap_sessions: { type: 'gauge', help: 'Open sessions with traps' },
  honeymesh_trap_running: { type: 'gauge', help: '1 while the trap process runs' },
  honeymesh_trap_restarts_total: { type: 'counter', help: 'Times that the trap process was started again' },
  honeymesh_trap_observations_lost_total: { type: 'counter', help: 'Observations of traps that could not be told' },
  honeymesh_mesh_joined: { type: 'gauge', help: '1 while at least one other member is reached' },
  honeymesh_mesh_peers: { type: 'gauge', help: 'Other members of the mesh', labels: { state: MEMBER_STATES } },
  honeymesh_store_events: { type: 'gauge', help: 'Events in the log' },
  honeymesh_store_ok: { type: 'gauge', help: '1 while the log can be written' },
  honeymesh_store_bytes: { type: 'gauge', help: 'Size of the log' },
  honeymesh_store_waiting: { type: 'gauge', help: 'Events that wait because the disk refuses them' },
  honeymesh_store_lost_total: { type: 'counter', help: 'Events that were given up when that wait grew too long' },
  honeymesh_dashboard_refused_total: {
    type: 'counter',
    help: 'Requests that were not let in: a wrong token, none, too many wrong ones; "evidence": sources that were handed to the ledger for it',
    labels: { why: REFUSED },
  },
  honeymesh_dashboard_streams: { type: 'gauge', help: 'Open live feeds' },
  honeymesh_event_loop_delay_seconds: {
    type: 'gauge',
    help: "The daemon's event loop since the last reading: the delay beyond its 10 ms timer. The goal is a p99 under 10 ms",
    labels: { quantile: ['0.5', '0.99', '1'] },
  },
  process_resident_memory_bytes: { type: 'gauge', help: 'Memory of the daemon, its threads included' },
  process_cpu_seconds_total: { type: 'counter', help: 'CPU time of the daemon' },
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricName = keyof typeof METRICS;
