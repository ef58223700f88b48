/** When what changed is written: soon, not at once, and never more than the disk of a small host bears. */
import type { Complaints } from './complaints.ts';

export interface Keeping {
  /** Within `withinMs`; several changes are one write. */
  soon(what: string, withinMs: number): void;
  /** Writes what waits; resolves when it is written. */
  flush(): Promise<void>;
}

export interface KeepingDeps {
  readonly write: Readonly<Record<string, () => Promise<void>>>;
  readonly complaints: Complaints;
}

/** After a failed write. */
const AGAIN_MS = 10_000;

export function createKeeping({ write, complaints }: KeepingDeps): Keeping {
  const waiting = new Map<string, { readonly timer: NodeJS.Timeout; readonly atMs: number }>();
  const failed = new Set<string>();
  const writing = new Set<Promise<void>>();
  let stopped = false;

  function soon(what: string, withinMs: number): void {
    const atMs = performance.now() + withinMs;
    const known = waiting.get(what);
    if (known !== undefined && known.atMs <= atMs) return;
    if (known !== undefined) clearTimeout(known.timer);
    waiting.set(what, { timer: setTimeout(() => void run(what), withinMs).unref(), atMs });
  }

  function run(what: string): Promise<void> {
    const due = waiting.get(what);
    waiting.delete(what);
    if (due !== undefined) clearTimeout(due.timer);
    const done = written(what).finally(() => writing.delete(done));
    writing.add(done);
    return done;
  }

  async function written(what: string): Promise<void> {
    try {
      await write[what]?.();
      failed.delete(what);
    } catch (error) {
      failed.add(what);
      if (!stopped) soon(what, AGAIN_MS);
      const why = error instanceof Error ? error.message : String(error);
      complaints.set('state', { why: `the mesh cannot keep its ${what}: ${why}`, fix: 'make room on the disk, or let root write to the state directory' });
    }
    if (failed.size === 0) complaints.set('state', null);
  }

  return {
    soon,
    async flush() {
      stopped = true;
      for (const what of [...waiting.keys()]) void run(what);
      // What a timer began a moment ago, too.
      await Promise.all(writing);
    },
  };
}
