/** How a broadcast spreads: one member says it, and each of the others says when it heard it first. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from '../support/rounds.ts';
import type { BenchMesh } from './mesh.ts';

export interface Spread {
  /** Of the members that heard it, ms after it was queued. */
  readonly p50Ms: number;
  /** The last of them. */
  readonly lastMs: number;
  /** Members that had not heard it when it was given up. */
  readonly missed: number;
}

export interface SpreadPlan {
  readonly broadcasts: number;
  /** After which a broadcast is given up: so long may repair take. */
  readonly patienceMs: number;
}

/** As long as an envelope of HM1 with a batch of some addresses. */
const PAYLOAD_BYTES = 250;
/** From one to the next: by then the gossip of the last one is over, and the next meets another phase of everybody's ticks. */
const BETWEEN_MS = 1000;
const JITTER_MS = 200;

/** One after the other, each from another member. */
export async function spreads(mesh: BenchMesh, plan: SpreadPlan): Promise<readonly Spread[]> {
  const taken: Spread[] = [];
  for (let at = 0; at < plan.broadcasts; at++) {
    taken.push(await spread(mesh, Math.floor((at * mesh.members.length) / plan.broadcasts), plan.patienceMs));
    await delay(BETWEEN_MS + Math.random() * JITTER_MS);
  }
  return taken;
}

async function spread(mesh: BenchMesh, origin: number, patienceMs: number): Promise<Spread> {
  const payload = randomBytes(PAYLOAD_BYTES).toString('base64');
  const heardAt = new Map<string, number>();
  const others = mesh.members.length - 1;
  const all = Promise.withResolvers<void>();
  const from = mesh.members[origin];
  if (from === undefined) throw new RangeError(`there is no member ${origin}`);
  const unlisten = mesh.listen((member, said) => {
    if (said.ev !== 'user' || said.data !== payload || member === from.name || heardAt.has(member)) return;
    heardAt.set(member, said.ts);
    if (heardAt.size === others) all.resolve();
  });
  const { at } = await from.ask(`broadcast ${payload}`);
  await Promise.race([all.promise, delay(patienceMs, undefined, { ref: false })]);
  unlisten();
  const tookMs = [...heardAt.values()].map(ts => (ts - Number(at)) / 1000);
  return { p50Ms: quantile(tookMs, 0.5), lastMs: Math.max(...tookMs), missed: others - heardAt.size };
}
