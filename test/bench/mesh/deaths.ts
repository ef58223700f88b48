/** Who is taken for dead: one that was killed, and, under loss, whoever was not. */
import { setTimeout as delay } from 'node:timers/promises';
import type { BenchMesh } from './mesh.ts';

export interface Death {
  /** From the kill to the first member that suspects, ms. */
  readonly suspectedMs: number;
  /** To the last one that says it is dead. */
  readonly allDeadMs: number;
}

const DEATH_MS = 60_000;
const nowMicros = (): number => (performance.timeOrigin + performance.now()) * 1000;

/** Kills member `victim` and waits until all others know. */
export async function death(mesh: BenchMesh, victim: number): Promise<Death> {
  const killed = mesh.members[victim];
  if (killed === undefined) throw new RangeError(`there is no member ${victim}`);
  await mesh.all('watch 20ms');
  const others = mesh.members.length - 1;
  const left = new Map<string, number>();
  const all = Promise.withResolvers<void>();
  let suspectedAt = Number.POSITIVE_INFINITY;
  const unlisten = mesh.listen((member, said) => {
    if (said.node !== killed.name || member === killed.name) return;
    if (said.ev === 'suspect') suspectedAt = Math.min(suspectedAt, Number(said.at));
    if (said.ev === 'leave') left.set(member, said.ts);
    if (left.size === others) all.resolve();
  });
  const killedAt = nowMicros();
  await killed.kill();
  await Promise.race([all.promise, delay(DEATH_MS, undefined, { ref: false })]);
  unlisten();
  if (left.size < others) throw new Error(`after ${DEATH_MS} ms ${left.size} members know that ${killed.name} is dead`);
  return { suspectedMs: (suspectedAt - killedAt) / 1000, allDeadMs: (Math.max(...left.values()) - killedAt) / 1000 };
}

export interface Calm {
  /** Times that somebody was said to be dead. */
  readonly deaths: number;
  /** Times that somebody was suspected. */
  readonly suspicions: number;
}

/** All lose `loss` of what they send for so long; nobody dies. */
export async function lossyCalm(mesh: BenchMesh, loss: number, seconds: number): Promise<Calm> {
  await mesh.all('watch 50ms');
  let [deaths, suspicions] = [0, 0];
  const unlisten = mesh.listen((_member, said) => {
    if (said.ev === 'leave') deaths++;
    if (said.ev === 'suspect') suspicions++;
  });
  await mesh.all(`loss ${loss}`);
  await delay(seconds * 1000);
  await mesh.all('loss 0');
  unlisten();
  return { deaths, suspicions };
}
