/** The dashboard's part of the composition root: its server, its token, and what is measured. */
import { randomBytes } from 'node:crypto';
import type { UnixMs } from '@honeymesh/intel/time';
import type { FastifyPluginAsync } from 'fastify';
import type { Config } from './config/config.ts';
import type { Operations } from './control/operations.ts';
import { createDashboard } from './dashboard/dashboard.ts';
import type { Welcome } from './dashboard/welcome.ts';
import type { DegradedBoard } from './health/degraded.ts';
import { createMetrics, type Metrics } from './health/metrics.ts';
import type { Ledger } from './ledger/decisions.ts';
import type { PeerRow } from './mesh/port.ts';
import type { Pipeline } from './pipeline/pipeline.ts';
import type { Store } from './store/port.ts';

export interface DashboardPartOptions {
  readonly config: Config['dashboard'];
  /** The state directory. */
  readonly state: string;
}

export interface DashboardPartDeps {
  /** Asked when the first request comes: they are put together from all parts, this one too. */
  readonly operations: () => Operations;
  readonly pipeline: Pick<Pipeline, 'record' | 'sight' | 'listen'>;
  readonly ledger: Pick<Ledger, 'bans'>;
  readonly store: Pick<Store, 'status'>;
  readonly degraded: DegradedBoard;
  readonly peers: () => readonly PeerRow[];
  /** Served to anybody: the dashboard's pages, which hold nothing of this host. */
  readonly pages?: readonly FastifyPluginAsync[];
  readonly onBug: (error: unknown) => void;
  readonly now: () => UnixMs;
  /** The daemon ends. */
  readonly over: AbortSignal;
}

export interface DashboardPart {
  start(): Promise<Welcome | null>;
  readonly operations: Pick<Operations, 'tokenStatus' | 'tokenRotate'>;
  readonly metrics: Metrics;
  tick(): void;
  stop(): Promise<void>;
}

export async function createDashboardPart(
  { config: { bind, names, own }, state }: DashboardPartOptions,
  { operations, pipeline, ledger, store, degraded, peers, pages = [], onBug, now, over }: DashboardPartDeps,
): Promise<DashboardPart> {
  const metrics = await createMetrics({
    status: () => operations().status(),
    bans: ledger.bans,
    peers,
    store: store.status,
    dashboard: () => dashboard.counts(),
    now,
  });
  const dashboard = createDashboard(
    { bind: bind === 'off' ? null : bind, names, own: own ?? null, state },
    {
      operations,
      metrics,
      pages,
      record: event => void pipeline.record([event]),
      sight: sighting => void pipeline.sight(sighting),
      complain: (key, why, fix) => degraded.raise({ part: 'dashboard', why, fix }, key),
      recovered: key => degraded.clear('dashboard', key),
      onBug,
      now,
      random: length => Uint8Array.from(randomBytes(length)),
    },
  );
  pipeline.listen(metrics.stored, over);
  return {
    start: dashboard.start,
    operations: dashboard.tokenOperations,
    metrics,
    tick: dashboard.tick,
    async stop() {
      await dashboard.stop();
      metrics.stop();
    },
  };
}
