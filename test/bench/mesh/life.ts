/** The life of one mesh, from its start to its end: what one round takes of one implementation. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Death, death } from './deaths.ts';
import { counting, type Memory, memory, type Traffic, traffic } from './idle.ts';
import type { Kind } from './member.ts';
import { type BenchMesh, startMesh } from './mesh.ts';
import { type Spread, type SpreadPlan, signedSpreads, spreads } from './spread.ts';

/** 0 of something leaves it out. */
export interface LifePlan {
  readonly nodes: number;
  readonly idleSeconds: number;
  readonly broadcasts: number;
  /** Of each sender's own datagrams, for the second set of broadcasts. */
  readonly loss: number;
  readonly lossyBroadcasts: number;
  readonly kills: number;
}

export interface Life {
  readonly startS: number;
  readonly viewS: number;
  /** Processor time of a member until it is ready. */
  readonly startCpuMs: number;
  readonly memory: Memory;
  readonly idle: Traffic | null;
  readonly spreads: readonly Spread[];
  /** What a member sends, and the processor time it takes, for one broadcast: more than while nothing happens. */
  readonly perBroadcast: Traffic | null;
  /** Of members that sign: what was banned, lifted again. */
  readonly lifts: readonly Spread[];
  readonly lossy: readonly Spread[];
  readonly deaths: readonly Death[];
}

/** By then what the joins gave to gossip is told, and members of ours have greeted each other. */
const SETTLE_MS = 6000;
const PATIENCE_MS = 5000;
/** One interval of push/pull at 33 to 64 members, and what a stream may take: what is missed by then is missed. */
const REPAIR_MS = 62_000;

export async function live(kind: Kind, plan: LifePlan): Promise<Life> {
  const said = kind.signs === true ? signedSpreads : unsignedSpreads;
  const mesh = await startMesh(Array.from({ length: plan.nodes }, () => kind));
  try {
    await delay(SETTLE_MS);
    const idle = plan.idleSeconds > 0 ? await traffic(mesh, plan.idleSeconds) : null;
    const { clean, perBroadcast } = await quietly(mesh, plan.broadcasts, idle, said);
    // The most that it comes to: after what was said, before anybody dies.
    const resident = memory(mesh);
    const lossy = await lossily(mesh, plan, said);
    const deaths: Death[] = [];
    for (let at = 0; at < plan.kills; at++) deaths.push(await death(mesh, plan.nodes - 1 - at));
    return {
      startS: mesh.startS,
      viewS: mesh.viewS,
      startCpuMs: mesh.startCpuMs,
      memory: resident,
      idle,
      spreads: clean.bans,
      perBroadcast,
      lifts: clean.lifts,
      lossy,
      deaths,
    };
  } finally {
    await mesh.stop();
  }
}

type Said = (mesh: BenchMesh, plan: SpreadPlan) => Promise<{ bans: readonly Spread[]; lifts: readonly Spread[] }>;

const unsignedSpreads: Said = async (mesh, plan) => ({ bans: await spreads(mesh, plan), lifts: [] });

/** Bans while all datagrams arrive, and what one of them costs, where it is known what nothing costs. */
async function quietly(mesh: BenchMesh, broadcasts: number, idle: Traffic | null, said: Said) {
  if (broadcasts === 0) return { clean: { bans: [], lifts: [] }, perBroadcast: null };
  const counted = counting(mesh);
  const before = await counted();
  const clean = await said(mesh, { broadcasts, patienceMs: PATIENCE_MS });
  const after = await counted();
  if (idle === null) return { clean, perBroadcast: null };
  const seconds = (after.atMs - before.atMs) / 1000;
  const utterances = clean.bans.length + clean.lifts.length;
  const more = (taken: number, perSecond: number): number => (taken / mesh.members.length - perSecond * seconds) / utterances;
  const perBroadcast: Traffic = {
    packets: more(after.packets - before.packets, idle.packets),
    bytes: more(after.bytes - before.bytes, idle.bytes),
    cpuMs: more((after.cpuUs - before.cpuUs) / 1000, idle.cpuMs),
  };
  return { clean, perBroadcast };
}

async function lossily(mesh: BenchMesh, { loss, lossyBroadcasts }: LifePlan, said: Said): Promise<readonly Spread[]> {
  if (lossyBroadcasts === 0) return [];
  await mesh.all(`loss ${loss}`);
  const { bans, lifts } = await said(mesh, { broadcasts: lossyBroadcasts, patienceMs: REPAIR_MS });
  await mesh.all('loss 0');
  // Who was suspected has refuted by then, and nobody distrusts itself any more.
  await delay(SETTLE_MS);
  return [...bans, ...lifts];
}
