/** What a member costs while nothing happens: what it sends, by its own counters, and what it takes of the machine. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from '../support/rounds.ts';
import type { Said } from './member.ts';
import type { BenchMesh } from './mesh.ts';

/** Means over the members, a second. */
export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
  readonly cpuMs: number;
}

/** All members over `seconds`. */
export async function traffic(mesh: BenchMesh, seconds: number): Promise<Traffic> {
  const counted = counting(mesh);
  const before = await counted();
  await delay(seconds * 1000);
  const after = await counted();
  const each = mesh.members.length * ((after.atMs - before.atMs) / 1000);
  return {
    packets: (after.packets - before.packets) / each,
    bytes: (after.bytes - before.bytes) / each,
    cpuMs: (after.cpuUs - before.cpuUs) / 1000 / each,
  };
}

export interface Counted {
  readonly atMs: number;
  readonly packets: number;
  readonly bytes: number;
  readonly cpuUs: number;
}

/** Sums over all members since their start. */
export const counting = (mesh: BenchMesh) => async (): Promise<Counted> => {
  const stats = await mesh.all('stats');
  const sum = (field: string): number => stats.reduce((total, said) => total + numberOf(said, field), 0);
  return { atMs: performance.now(), packets: sum('datagramsOut'), bytes: sum('bytesOut'), cpuUs: sum('cpu_us') };
};

function numberOf(said: Said, field: string): number {
  const value = said[field];
  if (typeof value !== 'number') throw new Error(`stats lack ${field}: ${JSON.stringify(said).slice(0, 200)}`);
  return value;
}

export interface Memory {
  /** Medians over the members, MiB. */
  readonly rss: number;
  /** What is shared with others (the program's own pages) divided among those that share it. */
  readonly pss: number;
}

export function memory(mesh: BenchMesh): Memory {
  const taken = mesh.members.map(({ pid }) => readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  const median = (field: string): number =>
    quantile(
      taken.map(text => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024),
      0.5,
    );
  return { rss: median('Rss'), pss: median('Pss') };
}
