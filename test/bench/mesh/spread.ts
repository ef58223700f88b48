/** How a broadcast spreads: one member says it, and each of the others says when it heard it first. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from '../support/rounds.ts';
import type { BenchMember, Said } from './member.ts';
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

/** What one member is told to say, and how the others show that they heard it. */
export interface Utterance {
  readonly command: string;
  readonly heard: (said: Said) => boolean;
}

/** As long as an envelope of HM1 with a batch of some addresses. */
const PAYLOAD_BYTES = 250;

export function userBroadcast(): Utterance {
  const payload = randomBytes(PAYLOAD_BYTES).toString('base64');
  return { command: `broadcast ${payload}`, heard: said => said.ev === 'user' && said.data === payload };
}

const TTL_S = 600;
let advised = 0;
const isAbout = (said: Said, target: string): boolean => Array.isArray(said.targets) && said.targets.includes(`${target}/32`);

/** Signed advice about an address that nobody spoke of before, as a ledger takes it: a ban, if a provisional one. */
export function signedAdvice(): Utterance & { readonly target: string } {
  const target = `198.51.100.${1 + (advised++ % 254)}`;
  return {
    target,
    command: `intel ${JSON.stringify({ targets: [target], reasons: ['trap-touch'], ttl: TTL_S })}`,
    heard: said => said.ev === 'advice' && said.kind === 'advise' && said.verdict !== 'refused' && isAbout(said, target),
  };
}

export const signedLift = (target: string, sequence: unknown): Utterance => ({
  command: `withdraw ${String(sequence)}`,
  heard: said => said.ev === 'advice' && said.kind === 'withdraw' && said.verdict === 'accepted' && isAbout(said, target),
});

/** From one to the next: by then the gossip of the last one is over, and the next meets another phase of everybody's ticks. */
const BETWEEN_MS = 1000;
const JITTER_MS = 200;
const pause = (): Promise<void> => delay(BETWEEN_MS + Math.random() * JITTER_MS);

const originOf = (mesh: BenchMesh, at: number, of: number): BenchMember => mesh.members[Math.floor((at * mesh.members.length) / of)] as BenchMember;

/** One after the other, each from another member. */
export async function spreads(mesh: BenchMesh, { broadcasts, patienceMs }: SpreadPlan): Promise<readonly Spread[]> {
  const taken: Spread[] = [];
  for (let at = 0; at < broadcasts; at++) {
    taken.push((await spread(mesh, originOf(mesh, at, broadcasts), userBroadcast(), patienceMs)).spread);
    await pause();
  }
  return taken;
}

/** The same of members that sign: each ban is lifted again by who advised it. */
export async function signedSpreads(mesh: BenchMesh, { broadcasts, patienceMs }: SpreadPlan): Promise<{ bans: readonly Spread[]; lifts: readonly Spread[] }> {
  const [bans, lifts]: [Spread[], Spread[]] = [[], []];
  for (let at = 0; at < broadcasts; at++) {
    const origin = originOf(mesh, at, broadcasts);
    const advice = signedAdvice();
    const ban = await spread(mesh, origin, advice, patienceMs);
    bans.push(ban.spread);
    await pause();
    lifts.push((await spread(mesh, origin, signedLift(advice.target, ban.reply.seq), patienceMs)).spread);
    await pause();
  }
  return { bans, lifts };
}

async function spread(mesh: BenchMesh, from: BenchMember, { command, heard }: Utterance, patienceMs: number): Promise<{ spread: Spread; reply: Said }> {
  const heardAt = new Map<string, number>();
  const others = mesh.members.length - 1;
  const all = Promise.withResolvers<void>();
  const unlisten = mesh.listen((member, said) => {
    if (member === from.name || heardAt.has(member) || !heard(said)) return;
    heardAt.set(member, said.ts);
    if (heardAt.size === others) all.resolve();
  });
  const reply = await from.ask(command);
  await Promise.race([all.promise, delay(patienceMs, undefined, { ref: false })]);
  unlisten();
  const tookMs = [...heardAt.values()].map(ts => (ts - Number(reply.at)) / 1000);
  return { spread: { p50Ms: quantile(tookMs, 0.5), lastMs: Math.max(...tookMs), missed: others - heardAt.size }, reply };
}
