import type { Prefix } from '@honeymesh/intel/address';
import type { StoredEvent } from '@honeymesh/intel/events';
import { unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMetrics, type Metrics } from '#enforcer/health/metrics.ts';
import type { Decision } from '#enforcer/ledger/decisions.ts';
import { peerRow, statusReport } from '#test/support/fake-operations.ts';
import { ledgerWith, sighting, T0 } from '#test/support/ledger.ts';

let nowMs: number;
let metrics: Metrics;
let decisions: readonly Decision[];
const ledger = ledgerWith({ patience: { kind: 'instant', longestMs: 0 } });

beforeEach(async () => {
  nowMs = T0;
  metrics = await createMetrics({
    status: () => Promise.resolve({ ...statusReport, degraded: [{ part: 'disk', why: 'full', fix: 'make room' }] }),
    bans: ledger.bans,
    peers: () => [peerRow],
    store: () => ({ ok: true, events: 3, lastId: 3, bytes: 4_096, segments: 1, waiting: 0, lost: 0 }),
    dashboard: () => ({ refused: { wrong: 2, missing: 0, limited: 0, evidence: 1, unheard: 9 }, streams: 1 }),
    now: () => unixMs(nowMs),
  });
  decisions = ledger.handle({ kind: 'sighting', sighting: sighting('203.0.113.7', 'E1') }, T0).decisions;
});
afterEach(() => metrics.stop());

const line = async (start: string): Promise<string | undefined> => (await metrics.text()).split('\n').find(text => text.startsWith(start));
const told = (kind: StoredEvent['kind'], target: string): StoredEvent => ({
  id: 1,
  at: T0,
  kind,
  source: null,
  port: null,
  protocol: null,
  tier: null,
  reasons: [],
  origin: null,
  summary: '',
  target: target as Prefix,
});

test('how long it took from a touch to the kernel, and from there to the peers', async () => {
  expect(decisions).toMatchObject([{ kind: 'ban', change: 'new' }]);
  nowMs = T0 + 4;
  metrics.decided(decisions);
  nowMs = T0 + 300;
  metrics.stored(told('advice-sent', '198.51.100.9/32')); // of a ban of long ago
  metrics.stored(told('advice-sent', '203.0.113.7/32'));
  metrics.stored(told('advice-sent', '203.0.113.7/32')); // told again: that is no reaction
  expect(await line('honeymesh_reaction_seconds_sum{stage="kernel",origin="trap"}')).toMatch(/ 0\.004$/);
  expect(await line('honeymesh_reaction_seconds_sum{stage="mesh",origin="trap"}')).toMatch(/ 0\.3$/);
  expect(await line('honeymesh_reaction_seconds_count{stage="mesh",origin="trap"}')).toMatch(/ 1$/);
});

test('bans are counted by origin and family, complaints by part, members by state, and what is not in the table is nowhere', async () => {
  expect(await line('honeymesh_bans_active{origin="trap",family="ipv4"}')).toMatch(/ 1$/);
  expect(await line('honeymesh_bans_active{origin="peer",family="ipv6"}')).toMatch(/ 0$/);
  expect(await line('honeymesh_degraded{part="disk"}')).toMatch(/ 1$/);
  expect(await line('honeymesh_mesh_peers{state="alive"}')).toMatch(/ 1$/);
  expect(await line('honeymesh_dashboard_refused_total{why="wrong"}')).toMatch(/ 2$/);
  expect(await metrics.text()).not.toContain('unheard');
});

test('readings at the same time are one after the other, and the same', async () => {
  const [one, two] = await Promise.all([metrics.text(), metrics.text()]);
  const packets = (text: string) => text.split('\n').filter(row => row.startsWith('honeymesh_packets_total'));
  expect(packets(one)).toEqual(packets(two));
});
