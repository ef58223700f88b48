/** What the lives of meshes come to as rows; the meshes themselves are measured by npm run bench:mesh only. */
import { expect, test } from 'vitest';
import type { Life } from '../../bench/mesh/life.ts';
import { row, rowsOfLives } from '../../bench/mesh/rows.ts';

const life = (p50Ms: number, missed: number): Life => ({
  startS: 1,
  startCpuMs: 50,
  viewS: 2,
  memory: { rss: 60, pss: 20 },
  idle: { packets: 2, bytes: 170, cpuMs: 2 },
  spreads: [{ p50Ms, lastMs: 2 * p50Ms, missed }],
  perBroadcast: null,
  lifts: [],
  lossy: [],
  deaths: [],
});
const named = (rows: ReturnType<typeof rowsOfLives>, what: string) => rows.find(each => each.what === what);

test('medians of the rounds stand beside each other, and the goal is an eighth of the peer', () => {
  const rows = rowsOfLives({
    title: '',
    nodes: 64,
    ours: [10, 40, 20].map(p50 => life(p50, 0)),
    peer: { name: 'Go', lives: [300, 320].map(p50 => life(p50, 0)) },
    judged: true,
  });
  expect(named(rows, 'a ban on every node: p50')).toMatchObject({ ours: 20, peer: 310, goal: '<= 0.125 x peer', met: true });
});

test('one miss in any round is a miss, and a peer that misses too is no excuse', () => {
  const rows = rowsOfLives({ title: '', nodes: 64, ours: [life(10, 0), life(10, 1), life(10, 0)], peer: { name: 'Go', lives: [life(300, 1)] }, judged: true });
  expect(named(rows, 'bans missed, no loss')).toMatchObject({ ours: 1, peer: 1, goal: '<= 0 misses', met: false });
});

test('what was left out is no row, and a peer that is not there is a row that says so and claims nothing', () => {
  const rows = rowsOfLives({ title: '', nodes: 64, ours: [life(10, 0)], peer: { name: 'Go', why: 'not built here' }, judged: true });
  expect(rows.some(({ what }) => what.startsWith('killed'))).toBe(false);
  expect(named(rows, 'a ban on every node: p50')).toMatchObject({ ours: 10, peer: null, peerName: 'Go', goal: null, met: null, note: 'Go: not built here' });
});

test('a goal in our own unit is judged beside any peer', () => {
  expect(row({ what: 'idle', unit: 'packets/s', own: { atMost: 2.1 } }, 2.2, { name: 'Go', value: 2 })).toMatchObject({
    ratio: 1.1,
    goal: '<= 2.1 packets/s',
    met: false,
  });
});
