/**
 * `npm run bench:mesh [-- --json FILE] [--rounds N] [--only PART] [--quick]`: 64 processes of ours and 64 on Go's memberlist, one mesh at a time and in turn, over loopback
 * addresses, all told what to do on stdin. A round is the life of one mesh of each; `calm` has meshes of 32, and one of both kinds.
 *
 * `spread`: a ban on every node. `loss`: the same where each node loses a quarter of what it sends. `idle`: packets, bytes and processor time while nothing
 * happens. `kill`: how soon a death is noticed. `calm`: who is taken for dead and is not. Rows that begin with `signed` are of members with identities, whose bans are
 * advice that a ledger judges. All together take some 25 minutes; docs/benchmarks.md.
 */
import { loadavg } from 'node:os';
import { calmRows } from './mesh/calm-rows.ts';
import { GO_NAME, goKind, OURS, OURS_SIGNED } from './mesh/kinds.ts';
import { type Life, type LifePlan, live } from './mesh/life.ts';
import type { Kind } from './mesh/member.ts';
import { rowsOfLives } from './mesh/rows.ts';
import { benchCommandLine } from './support/command-line.ts';
import { type BenchRow, report } from './support/rows.ts';

const PARTS = ['spread', 'loss', 'idle', 'kill', 'calm'] as const;
const LOSS = 0.25;

const { jsonPath, rounds, parts, quick } = benchCommandLine('mesh', { parts: PARTS, quick: true });
const wants = (part: (typeof PARTS)[number]): boolean => parts.includes(part);
const nodes = quick ? 16 : 64;
const plan: LifePlan = {
  nodes,
  idleSeconds: wants('idle') || wants('spread') ? (quick ? 5 : 10) : 0,
  broadcasts: wants('spread') ? (quick ? 4 : 6) : 0,
  loss: LOSS,
  lossyBroadcasts: wants('loss') ? (quick ? 3 : 4) : 0,
  kills: wants('kill') ? (quick ? 1 : 2) : 0,
};
const loads: number[] = [];
const told = (text: string): void => {
  const [load = 0] = loadavg();
  loads.push(load);
  console.error(`${text} (load ${load.toFixed(1)})`);
};

const go = goKind();
try {
  const rows: BenchRow[] = [];
  if (PARTS.some(part => part !== 'calm' && wants(part))) rows.push(...(await lifeRows()));
  if (wants('calm')) rows.push(...(await calmRows(go, { nodes: nodes / 2, rounds, seconds: quick ? 15 : 60, loss: LOSS }, text => told(`calm: ${text}`))));
  const load = `load ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`;
  report(rows, { title: `mesh bench, ${nodes} nodes, medians of ${rounds} rounds, ${load}`, jsonPath });
} finally {
  go?.remove();
}

/** Each round begins with another kind, so that none always runs in the wake of the same. */
async function lifeRows(): Promise<readonly BenchRow[]> {
  const kinds = [OURS, ...(go === null ? [] : [go.kind]), OURS_SIGNED];
  const lives = new Map<Kind, Life[]>(kinds.map(kind => [kind, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < kinds.length; turn++) {
      const kind = kinds[(turn + round) % kinds.length] as Kind;
      told(`round ${round + 1} of ${rounds}: ${kind.name}`);
      lives.get(kind)?.push(await live(kind, kind === OURS_SIGNED ? { ...plan, kills: 0 } : plan));
    }
  }
  const peer = go === null ? { name: GO_NAME, why: 'not built here: it needs Go 1.25 or later' } : { name: GO_NAME, lives: lives.get(go.kind) ?? [] };
  const beside = { nodes, peer, judged: !quick };
  return [
    ...rowsOfLives({ ...beside, title: '', ours: lives.get(OURS) ?? [] }),
    ...rowsOfLives({ ...beside, title: 'signed: ', ours: lives.get(OURS_SIGNED) ?? [] }),
  ];
}
