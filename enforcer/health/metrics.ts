/** What this host measures, for Prometheus: read when somebody asks, but for what is counted as it happens. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { familyOf, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import type { StoredEvent } from '@honeymesh/intel/events';
import type { Origin } from '@honeymesh/intel/evidence';
import type { UnixMs } from '@honeymesh/intel/time';
import type { StatusReport } from '../control/operations.ts';
import { COUNTERS, VERDICTS } from '../kernel/verdicts.ts';
import type { Decision } from '../ledger/decisions.ts';
import type { PeerRow } from '../mesh/port.ts';
import type { StoreStatus } from '../store/port.ts';
import { METRICS, type MetricName, type MetricRow } from './metrics-table.ts';

export interface MetricsDeps {
  readonly status: () => Promise<StatusReport>;
  readonly bans: () => readonly Ban[];
  readonly peers: () => readonly PeerRow[];
  readonly store: () => StoreStatus;
  readonly dashboard: () => { readonly refused: Readonly<Record<string, number>>; readonly streams: number };
  readonly now: () => UnixMs;
}

export interface Metrics {
  /** Prometheus' text format. */
  text(): Promise<string>;
  /** Decisions that were carried out just now: how long after what was seen. */
  decided(decisions: readonly Decision[]): void;
  /** An event was stored. */
  stored(event: StoredEvent): void;
  stop(): void;
}

/** Bans of which it is still to be seen when peers are told. */
const MOST_WAITING = 4_096;
const LOOP_RESOLUTION_MS = 10;
const NANOSECONDS = 1e9;

type Labels = Readonly<Record<string, string>>;
interface Series {
  set(labels: Labels, value: number): void;
  observe(labels: Labels, value: number): void;
  add(labels: Labels): void;
  reset(): void;
}

export async function createMetrics({ status, bans, peers, store, dashboard, now }: MetricsDeps): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry } = await import('prom-client');
  const registry = new Registry();
  const series = Object.fromEntries(Object.entries<MetricRow>(METRICS).map(([name, row]) => [name, seriesOf(name, row)])) as Record<MetricName, Series>;
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loop.enable();
  const waiting = new Map<Prefix, { readonly seenAt: UnixMs; readonly origin: Origin }>();

  function seriesOf(name: string, { type, help, labels = {}, buckets = [] }: MetricRow): Series {
    const options = { name, help, labelNames: Object.keys(labels), registers: [registry] };
    const nothing = (): void => {};
    if (type === 'histogram') {
      const histogram = new Histogram({ ...options, buckets: [...buckets] });
      return { set: nothing, observe: (given, value) => histogram.observe({ ...given }, value), add: nothing, reset: nothing };
    }
    if (type === 'gauge') {
      const gauge = new Gauge(options);
      return { set: (given, value) => gauge.set({ ...given }, value), observe: nothing, add: nothing, reset: () => gauge.reset() };
    }
    const counter = new Counter(options);
    return {
      // What is counted elsewhere, since longer than this process lives perhaps.
      set(given, value) {
        counter.remove({ ...given });
        counter.inc({ ...given }, Math.max(0, value));
      },
      observe: nothing,
      add: given => counter.inc({ ...given }),
      reset: nothing,
    };
  }

  async function read(): Promise<void> {
    const report = await status();
    const set = (name: MetricName, value: number | boolean, labels: Labels = {}): void => series[name].set(labels, Number(value));
    for (const name of LISTED) series[name].reset(); // what is not there any more is not told any more
    set('honeymesh_info', 1, { version: report.version, mode: report.mode });
    set('honeymesh_start_time_seconds', Date.parse(report.since) / 1_000);
    set('honeymesh_paused', report.pausedUntil !== null);
    for (const part of METRICS.honeymesh_degraded.labels.part) set('honeymesh_degraded', report.degraded.filter(one => one.part === part).length, { part });
    for (const { name, xdp } of report.interfaces) set('honeymesh_interface_guarded', xdp !== 'off', { interface: name });
    readBans();
    set('honeymesh_bans_confined', report.traps.confined);
    set('honeymesh_bans_capacity', report.bans.capacity);
    set('honeymesh_shuns_active', report.bans.shunned);
    for (const verdict of VERDICTS) {
      set('honeymesh_packets_total', report.packets[verdict] ?? 0, { verdict, effect: 'enforced' });
      set('honeymesh_packets_total', report.packets[`would-${verdict}`] ?? 0, { verdict, effect: 'would' });
    }
    for (const counter of COUNTERS) set('honeymesh_kernel_counters_total', report.packets[counter] ?? 0, { counter });
    set('honeymesh_trap_sessions', report.traps.sessions);
    set('honeymesh_trap_running', report.traps.running);
    set('honeymesh_trap_restarts_total', report.traps.restarts);
    set('honeymesh_trap_observations_lost_total', report.traps.lost);
    set('honeymesh_mesh_joined', report.mesh.state === 'joined');
    const members = peers();
    for (const state of METRICS.honeymesh_mesh_peers.labels.state) set('honeymesh_mesh_peers', members.filter(one => one.state === state).length, { state });
    const log = store();
    set('honeymesh_store_events', log.events);
    set('honeymesh_store_ok', log.ok);
    set('honeymesh_store_bytes', log.bytes);
    set('honeymesh_store_waiting', log.waiting);
    set('honeymesh_store_lost_total', log.lost);
    const { refused, streams } = dashboard();
    for (const why of METRICS.honeymesh_dashboard_refused_total.labels.why) set('honeymesh_dashboard_refused_total', refused[why] ?? 0, { why });
    set('honeymesh_dashboard_streams', streams);
    readProcess();

    function readBans(): void {
      const counts = new Map<string, number>();
      for (const ban of bans()) {
        const key = `${ban.origins[0] ?? 'operator'} ${familyOf(ban.target)}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      for (const origin of METRICS.honeymesh_bans_active.labels.origin)
        for (const family of [4, 6]) set('honeymesh_bans_active', counts.get(`${origin} ${family}`) ?? 0, { origin, family: `ipv${family}` });
    }

    function readProcess(): void {
      const beyondMs = (nanoseconds: number): number => Math.max(0, nanoseconds / NANOSECONDS - LOOP_RESOLUTION_MS / 1_000) || 0;
      set('honeymesh_event_loop_delay_seconds', beyondMs(loop.percentile(50)), { quantile: '0.5' });
      set('honeymesh_event_loop_delay_seconds', beyondMs(loop.percentile(99)), { quantile: '0.99' });
      set('honeymesh_event_loop_delay_seconds', beyondMs(loop.max), { quantile: '1' });
      loop.reset();
      set('process_resident_memory_bytes', process.memoryUsage.rss());
      const { user, system } = process.cpuUsage();
      set('process_cpu_seconds_total', (user + system) / 1e6);
    }
  }

  function took(stage: 'kernel' | 'mesh', origin: Origin, seenAt: UnixMs): void {
    // A clock that was stepped says nothing of how long it took.
    series.honeymesh_reaction_seconds.observe({ stage, origin }, Math.max(0, now() - seenAt) / 1_000);
  }

  /** One reading at a time: two that overlap would count what the other took. */
  let turn: Promise<string> = Promise.resolve('');
  return {
    text() {
      turn = turn
        .catch(() => '')
        .then(read)
        .then(() => registry.metrics());
      return turn;
    },
    decided(decisions) {
      for (const decision of decisions) {
        if (decision.kind !== 'ban' || decision.because === null) continue;
        const { at, origin } = decision.because;
        if (decision.change === 'new') took('kernel', origin, at);
        if (decision.ban.confined !== undefined || (origin !== 'trap' && origin !== 'kernel')) continue;
        if (waiting.size >= MOST_WAITING) for (const oldest of waiting.keys()) if (waiting.delete(oldest)) break;
        waiting.set(decision.ban.target, { seenAt: at, origin });
      }
    },
    stored(event) {
      series.honeymesh_events_total.add({ kind: event.kind });
      if (event.kind !== 'advice-sent' || event.target === undefined) return;
      const told = waiting.get(event.target);
      if (told === undefined) return;
      waiting.delete(event.target);
      took('mesh', told.origin, told.seenAt);
    },
    stop() {
      loop.disable();
      registry.clear();
    },
  };
}

const LISTED = ['honeymesh_info', 'honeymesh_interface_guarded'] as const satisfies readonly MetricName[];
