/** `honeymesh status`: what runs, what is dropped, what is degraded and what mends it. */
import { rfc3339, type UnixMs } from '@honeymesh/intel/time';
import type { StatusReport, TrapReport } from '../control/operations.ts';
import type { Kernel } from '../kernel/port.ts';
import { VERDICTS } from '../kernel/verdicts.ts';
import type { InterfaceState } from '../launch/messages.ts';
import type { MeshReport } from '../mesh/port.ts';
import type { ChannelReport } from '../notify/port.ts';
import type { BanList } from '../pipeline/ban-list.ts';
import type { HubReport } from '../relay/port.ts';
import type { Store } from '../store/port.ts';
import { VERSION } from '../version.ts';
import type { DegradedBoard } from './degraded.ts';

export interface StatusDeps {
  readonly instance: string;
  readonly mode: string;
  readonly since: UnixMs;
  readonly capacity: number;
  readonly interfaces: () => readonly InterfaceState[];
  readonly traps: () => Omit<TrapReport, 'confined'>;
  readonly mesh: () => MeshReport;
  readonly notify?: () => readonly ChannelReport[];
  readonly hub: () => HubReport;
  readonly pausedUntil: () => UnixMs | null;
  readonly kernel: Kernel;
  readonly banList: BanList;
  readonly store: Store;
  readonly degraded: DegradedBoard;
}

export function reportStatus(deps: StatusDeps): StatusReport {
  const paused = deps.pausedUntil();
  const store = deps.store.status();
  const { active, shunned, confined } = deps.banList.counts();
  return {
    version: VERSION,
    instance: deps.instance,
    mode: deps.mode,
    pausedUntil: paused === null ? null : rfc3339(paused),
    interfaces: deps.interfaces(),
    bans: { active, shunned, capacity: deps.capacity },
    traps: { ...deps.traps(), confined },
    mesh: deps.mesh(),
    hub: deps.hub(),
    store: { events: store.events, ok: store.ok },
    packets: packetCounts(deps.kernel),
    ...(deps.notify === undefined ? {} : { notify: deps.notify() }),
    degraded: deps.degraded.current(),
    since: rfc3339(deps.since),
  };
}

/** Packets by verdict since the maps were made; what was only decided (observe, pause) has a name of its own. */
function packetCounts(kernel: Kernel): Readonly<Record<string, number>> {
  const stats = kernel.stats();
  const counts: Record<string, number> = {};
  for (const verdict of VERDICTS) {
    counts[verdict] = stats.enforced[verdict].packets;
    const only = stats.would[verdict].packets + stats.paused[verdict].packets;
    if (only > 0) counts[`would-${verdict}`] = only;
  }
  for (const [counter, count] of Object.entries(stats.counters)) counts[counter] = count;
  return counts;
}
