/** The pipeline on a kernel in memory and a log in memory, on a clock that the test moves. */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Degraded, NewEvent, StoredEvent } from '@honeymesh/intel/events';
import type { Sighting } from '@honeymesh/intel/sightings';
import { DAY_MS, HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { createDegradedBoard } from '#enforcer/health/degraded.ts';
import { createMemoryKernel, type MemoryCapacity } from '#enforcer/kernel/memory.ts';
import type { Bystanders, Decision, LedgerChange, LedgerPolicy, LedgerSnapshot } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { createBanList } from '#enforcer/pipeline/ban-list.ts';
import { createEnforcement } from '#enforcer/pipeline/enforce.ts';
import { createOrders } from '#enforcer/pipeline/orders.ts';
import { createPipeline } from '#enforcer/pipeline/pipeline.ts';
import type { Store } from '#enforcer/store/port.ts';

export const POLICY: LedgerPolicy = {
  mode: 'enforce',
  touchMs: 4 * HOUR_MS,
  contentMs: 24 * HOUR_MS,
  longestMs: 30 * DAY_MS,
  memoryMs: 30 * DAY_MS,
  capacity: { ipv4: 1_000, ipv6: 1_000, ipv6Exact: 1_000, rules: 100 },
  reservedShare: 0.2,
  watermark: 0.8,
  aggregateAt: 0,
  widenAt: 0,
  patience: { kind: 'instant', longestMs: 60_000 },
};

const NOBODY: Bystanders = { within: () => [], onLink: [], own: [] };

/** A log that keeps events in an array; `refuse` makes it answer as a full disk does. */
export function createArrayStore(): Store & { readonly events: StoredEvent[]; readonly changes: LedgerChange[]; refuse: boolean } {
  const events: StoredEvent[] = [];
  const changes: LedgerChange[] = [];
  const store = {
    events,
    changes,
    refuse: false,
    start: () => Promise.resolve(),
    commit(commit: { readonly events: readonly NewEvent[]; readonly changes: readonly LedgerChange[] }) {
      if (store.refuse) return Promise.resolve({ stored: false, events: [] });
      const stored = commit.events.map((event, at) => ({ ...event, id: events.length + at + 1 }));
      events.push(...stored);
      changes.push(...commit.changes);
      return Promise.resolve({ stored: true, events: stored });
    },
    loadLedger: () => Promise.resolve({ bans: [], allowed: [], offences: [] }),
    query: ({ source, kinds }: { readonly source?: string; readonly kinds?: readonly string[] }) =>
      Promise.resolve(events.filter(event => (source === undefined || event.source === source) && (kinds === undefined || kinds.includes(event.kind)))),
    verify: () => Promise.reject(new Error('an array has no chain')),
    tip: () => Promise.reject(new Error('an array has no chain')),
    status: () => ({ ok: !store.refuse, events: events.length, lastId: events.length, bytes: 0, segments: 1, waiting: 0, lost: 0 }),
    stop: () => Promise.resolve(),
  };
  return store;
}

export interface Rig {
  readonly policy?: Partial<LedgerPolicy>;
  readonly kernelCapacity?: MemoryCapacity;
  readonly bystanders?: Partial<Bystanders>;
  readonly snapshot?: LedgerSnapshot;
  readonly onDecided?: (decisions: readonly Decision[]) => void;
}

export function createRig({ policy, kernelCapacity, bystanders, snapshot, onDecided = () => {} }: Rig = {}) {
  let nowMs = Date.parse('2026-11-24T12:00:00Z');
  const now = (): UnixMs => unixMs(nowMs);
  const kernel = createMemoryKernel(kernelCapacity === undefined ? {} : { capacity: kernelCapacity }, { now });
  const store = createArrayStore();
  const ledger = createLedger({ ...POLICY, ...policy }, { ...NOBODY, ...bystanders }, snapshot);
  const complaints: Degraded[] = [];
  const degraded = createDegradedBoard((complaint, raised) => {
    if (raised) complaints.push(complaint);
  });
  const enforcement = createEnforcement(kernel, { allowed: ledger.allowed(), bans: ledger.bans() });
  const enforced: Prefix[] = [];
  const pipeline = createPipeline({ ledger, enforcement, store, degraded, now, onEnforced: target => enforced.push(target), onDecided });
  const enforcing = { now: true };
  const banList = createBanList({ shunMs: 60_000, longestShunMs: 600_000 }, { ledger, kernel, enforcing: () => enforcing.now, now });
  const orders = createOrders({ pipeline, ledger, kernel, banList, now });
  return {
    kernel,
    store,
    ledger,
    degraded,
    complaints,
    enforcement,
    enforced,
    pipeline,
    banList,
    orders,
    enforcing,
    now,
    pass(ms: number): void {
      nowMs += ms;
    },
  };
}

export const touchOf = (source: string, at: UnixMs, port = 23): Sighting => ({
  at,
  source: source as Address,
  kind: 'touch',
  tier: 'E1',
  reasons: ['trap-touch'],
  origin: 'trap',
  port,
  protocol: 'tcp',
  summary: `connected to the trap on port ${port}`,
});
