/** False deaths: meshes of 32 that lose a quarter of what they send, ours, Go's, and one of both. */
import { setTimeout as delay } from 'node:timers/promises';
import type { BenchRow } from '../support/rows.ts';
import { type Calm, lossyCalm } from './deaths.ts';
import { GO_NAME, type GoKind, OURS } from './kinds.ts';
import type { Kind } from './member.ts';
import { startMesh } from './mesh.ts';
import { row } from './rows.ts';

export interface CalmPlan {
  readonly nodes: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly loss: number;
}

const SETTLE_MS = 6000;

/** The meshes of a round live at the same time: each bears the load of all. */
export async function calmRows(go: GoKind | null, plan: CalmPlan, told: (text: string) => void): Promise<readonly BenchRow[]> {
  const kinds: Readonly<Record<'ours' | 'go' | 'mixed', readonly Kind[]>> = {
    ours: [OURS],
    go: go === null ? [] : [go.kind],
    mixed: go === null ? [] : [OURS, go.kind],
  };
  const taken = { ours: [] as Calm[], go: [] as Calm[], mixed: [] as Calm[] };
  for (let round = 1; round <= plan.rounds; round++) {
    told(`round ${round} of ${plan.rounds}`);
    const names = (['ours', 'go', 'mixed'] as const).filter(name => kinds[name].length > 0);
    const calms = await Promise.all(names.map(name => calm(kinds[name], plan)));
    for (const [at, name] of names.entries()) taken[name].push(calms[at] as Calm);
  }
  const sum = (calms: readonly Calm[], of: keyof Calm): number => calms.reduce((total, each) => total + each[of], 0);
  const note = `${plan.rounds} times ${plan.seconds} s, ${plan.nodes} nodes, each loses ${plan.loss * 100} % of its own datagrams; sums, as told by each node of each other`;
  const rowsOf = (name: 'ours' | 'mixed', what: string): readonly BenchRow[] => {
    if (taken[name].length === 0) return [{ ...absent(`${what}: false deaths`), note: `${GO_NAME}: not built here` }];
    const peer = (of: keyof Calm) => (go === null ? { name: GO_NAME, why: 'not built here' } : { name: GO_NAME, value: sum(taken.go, of) });
    return [
      row({ what: `${what}: false deaths`, unit: 'deaths', own: { atMost: 0 }, note }, sum(taken[name], 'deaths'), peer('deaths')),
      row({ what: `${what}: suspicions`, unit: 'suspicions', note }, sum(taken[name], 'suspicions'), peer('suspicions')),
    ];
  };
  return [...rowsOf('ours', '25 % loss'), ...rowsOf('mixed', '25 % loss, half of them Go')];
}

async function calm(kinds: readonly Kind[], { nodes, loss, seconds }: CalmPlan): Promise<Calm> {
  const mesh = await startMesh(Array.from({ length: nodes }, (_, at) => kinds[at % kinds.length] as Kind));
  try {
    await delay(SETTLE_MS);
    return await lossyCalm(mesh, loss, seconds);
  } finally {
    await mesh.stop();
  }
}

const absent = (what: string): BenchRow => ({ what, unit: 'deaths', ours: null, peer: null, peerName: GO_NAME, ratio: null, goal: null, met: null });
