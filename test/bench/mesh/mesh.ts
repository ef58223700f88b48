/** A mesh of processes on loopback addresses, each with its own: started at once, joined through the first, and in full view of each other. */
import { randomBytes } from 'node:crypto';
import { createIdentities } from '#test/support/mesh-identities.ts';
import { quantile } from '../support/rounds.ts';
import { type BenchMember, type Kind, type Said, startMember } from './member.ts';

export interface BenchMesh {
  /** Those that are not killed. */
  readonly members: readonly BenchMember[];
  /** From the first process to the last that is ready, s. */
  readonly startS: number;
  /** Processor time that a member takes until it is ready, ms: the median. */
  readonly startCpuMs: number;
  /** From the first join until each has told of all, s. */
  readonly viewS: number;
  /** All do it; their replies in the members' order. */
  all(command: string): Promise<readonly Said[]>;
  /** What members say from now on; ends by what it returns. */
  listen(heard: (member: string, said: Said) => void): () => void;
  stop(): Promise<void>;
}

/** On a crowded machine the first member may not come to answer all within a stream's time: who was not answered asks again, as the daemon does. */
const JOIN_ATTEMPTS = 5;
const VIEW_MS = 120_000;
/** Of the size of memberlist's own users' metas. */
const META_BYTES = 32;
/** Of members that sign. */
const SITES = ['home', 'lab', 'shop'] as const;
let meshes = 0;

/** One member for each of `kinds`, in that order. Rejects, with nothing left behind, where they do not all come to see each other. */
export async function startMesh(kinds: readonly Kind[]): Promise<BenchMesh> {
  const listeners = new Set<(member: string, said: Said) => void>();
  const known = new Map<string, Set<unknown>>();
  const viewed = Promise.withResolvers<void>();
  const network = 1 + (meshes++ % 250);
  const common = ['-key', randomBytes(32).toString('base64'), '-label', 'honeymesh', '-relay', '-watch=0s'];
  let started: readonly BenchMember[] = [];
  const members = (): readonly BenchMember[] => started.filter(member => member.running);
  let complete = 0;

  function heard(member: string, said: Said): void {
    if (said.ev === 'join') sees(member, said.node);
    for (const listener of listeners) listener(member, said);
  }
  function sees(member: string, other: unknown): void {
    const others = known.get(member) ?? new Set();
    known.set(member, others);
    if (others.has(other)) return;
    others.add(other);
    if (others.size === kinds.length && ++complete === kinds.length) viewed.resolve();
  }
  const identities = createIdentities(SITES);
  async function stop(): Promise<void> {
    await Promise.all(members().map(member => member.stop()));
    await identities.remove();
  }
  const identityOf = async (name: string, at: number): Promise<readonly string[]> => [
    '-identity',
    (await identities.issue(name, SITES[at % SITES.length] as string)).directory,
  ];
  const own = await Promise.all(kinds.map((kind, at) => (kind.signs === true ? identityOf(`n${at}`, at) : [])));

  const startedMs = performance.now();
  const starting = await Promise.allSettled(
    kinds.map((kind, at) => {
      const name = `n${at}`;
      const flags = ['-bind', `127.${network}.0.${at + 1}`, '-meta', randomBytes(META_BYTES).toString('base64'), ...common, ...(own[at] ?? [])];
      return startMember(kind, name, flags, said => heard(name, said));
    }),
  );
  const readyMs = performance.now();
  started = starting.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  let startCpuMs = Number.NaN;
  let joinedMs = readyMs;
  const timer = setTimeout(() => viewed.reject(new Error(`after ${VIEW_MS} ms ${complete} of ${kinds.length} members see all`)), VIEW_MS);
  try {
    for (const result of starting) if (result.status === 'rejected') throw result.reason;
    const stats = await Promise.all(started.map(member => member.ask('stats')));
    startCpuMs = quantile(
      stats.map(said => Number(said.cpu_us) / 1000),
      0.5,
    );
    joinedMs = performance.now();
    const [first, ...others] = started;
    await Promise.all([viewed.promise, ...others.map(member => joins(member, String(first?.addr)))]);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    get members() {
      return members();
    },
    startS: (readyMs - startedMs) / 1000,
    startCpuMs,
    viewS: (performance.now() - joinedMs) / 1000,
    all: command => Promise.all(members().map(member => member.ask(command))),
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop,
  };
}

async function joins(member: BenchMember, first: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await member.ask(`join ${first}`);
      return;
    } catch (error) {
      if (attempt === JOIN_ATTEMPTS) throw error;
    }
  }
}
