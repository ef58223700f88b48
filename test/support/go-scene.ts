/** Ours and Go's members of one test, for tests that run side by side: each ends its own processes. */
import type { TestContext } from 'vitest';
import type { GoPeer } from '#test/support/go-peer.ts';
import { createPeers, type Peer } from '#test/support/mesh-peers.ts';

export interface Scene {
  ours(name: string, flags?: readonly string[]): Promise<Peer>;
  theirs(name: string, flags?: readonly string[]): Promise<Peer>;
  /** Everybody joins the first; resolves when each lists all. */
  mesh(members: readonly Peer[]): Promise<void>;
}

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

export function createScene({ onTestFinished }: TestContext, go: GoPeer | null, common: readonly string[]): Scene {
  const peers = createPeers();
  onTestFinished(() => peers.stop());
  return {
    ours: (name, flags = []) => peers.start(name, [...common, ...flags]),
    theirs: (name, flags = []) => peers.start(name, [...common, ...flags], go?.program),
    async mesh(members) {
      const [first, ...others] = members;
      for (const other of others) await other.tell(`join ${first?.addr}`);
      await allAlive(members);
    },
  };
}

const PATIENCE_MS = 30_000;
const AGAIN_MS = 100;

export async function allAlive(members: readonly Peer[]): Promise<void> {
  for (const peer of members) {
    for (let waited = 0; (await peer.tell('members')).alive !== members.length; waited += AGAIN_MS) {
      if (waited > PATIENCE_MS) throw new Error(`${peer.name} does not list all ${members.length}`);
      await pause(AGAIN_MS);
    }
  }
}
