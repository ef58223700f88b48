/** Keeps the mesh's thread running: starts it, starts it again with back-off when it dies, ends it in order. Nobody waits for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshSettings, MeshWord } from '../port.ts';
import { type MeshThread, type MeshThreadDeps, startMeshThread } from './link.ts';
import type { CallFailure } from './messages.ts';

export interface MeshKeeperOptions {
  readonly entry: string | URL;
  readonly settings: MeshSettings;
}

export interface MeshKeeperDeps {
  readonly onUp: (restarts: number) => void;
  readonly onWords: (words: readonly MeshWord[]) => void;
  /** It ended, or could not begin (`failure`), and is started again in `againInMs`. */
  readonly onDown: (why: string, failure: CallFailure | null, againInMs: number) => void;
  readonly launch?: (options: MeshKeeperOptions, deps: MeshThreadDeps) => MeshThread;
}

export interface MeshKeeper {
  /** Resolves when the member listens, or could not begin, or has done neither within 3 s. */
  start(): Promise<void>;
  /** null: it does not listen (yet). */
  thread(): MeshThread | null;
  /** `starting`: for the first time; a later try is `down` until it is up. */
  state(): 'starting' | 'up' | 'down';
  /** Every second. */
  beat(): void;
  stop(): Promise<void>;
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
const HEALTHY_MS = 60_000;
const UP_MS = 3_000;
/** A goodbye to many members takes a while; the daemon itself has 8 s to end. */
const GRACE_MS = 3_000;

export function createMeshKeeper(options: MeshKeeperOptions, { onUp, onWords, onDown, launch = startMeshThread }: MeshKeeperDeps): MeshKeeper {
  const settled = Promise.withResolvers<void>();
  let thread: MeshThread | null = null;
  let state: 'starting' | 'up' | 'down' = 'starting';
  let again: NodeJS.Timeout | undefined;
  let waitMs = FIRST_WAIT_MS;
  let restarts = 0;
  let stopping = false;

  function begin(): void {
    const startedMs = performance.now();
    const onGone: MeshThreadDeps['onGone'] = (why, failure) => {
      thread = null;
      state = 'down';
      settled.resolve();
      if (stopping) return;
      if (performance.now() - startedMs > HEALTHY_MS) waitMs = FIRST_WAIT_MS;
      onDown(why, failure, waitMs);
      restarts++;
      again = setTimeout(begin, waitMs);
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    };
    try {
      thread = launch(options, { onUp: up, onWords, onGone });
    } catch (error) {
      onGone(error instanceof Error ? error.message : String(error), null); // no room for a thread: the daemon goes on without
    }
  }

  function up(): void {
    state = 'up';
    settled.resolve();
    onUp(restarts);
  }

  return {
    start() {
      begin();
      return Promise.race([settled.promise, sleep(UP_MS)]);
    },
    thread: () => (state === 'up' ? thread : null),
    state: () => state,
    beat: () => thread?.beat(),
    async stop() {
      stopping = true;
      clearTimeout(again);
      await thread?.stop(GRACE_MS);
    },
  };
}
