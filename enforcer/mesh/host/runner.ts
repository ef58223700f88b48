/** Carries out what the layer wants, never from within the core: after whatever brought it up. And wakes the layer when it is due, by the wall clock. */
import type { UnixMs } from '@honeymesh/intel/time';
import type { LayerOutput, SignedLayer } from '../signed/signed-layer.ts';

export interface Runner {
  /** In order, right after what runs now. */
  later(outputs: readonly LayerOutput[]): void;
  /** At once: not for hooks, which the core calls. */
  now(outputs: readonly LayerOutput[]): void;
  stop(): void;
}

export interface RunnerDeps {
  /** Null until there is one. */
  readonly layer: () => SignedLayer | null;
  readonly clock: () => UnixMs;
  readonly act: (outputs: readonly LayerOutput[]) => void;
}

/** The wall clock may be set: nobody sleeps over more than this. */
const LONGEST_SLEEP_MS = 10_000;

export function createRunner({ layer, clock, act }: RunnerDeps): Runner {
  let waiting: LayerOutput[] = [];
  let soon = false;
  let running = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  function run(): void {
    soon = false;
    if (running || stopped) return;
    running = true;
    // Once in any case: what the layer learnt may be all that happened.
    do {
      const batch = waiting;
      waiting = [];
      act(batch);
    } while (waiting.length > 0);
    running = false;
    arm();
  }

  function arm(): void {
    const deadline = layer()?.nextDeadline() ?? 'never';
    if (stopped || deadline === 'never') return;
    clearTimeout(timer);
    timer = setTimeout(wake, Math.min(LONGEST_SLEEP_MS, Math.max(0, deadline - clock())));
  }

  function wake(): void {
    waiting.push(...(layer()?.tick(clock()) ?? []));
    run();
  }

  return {
    later(outputs) {
      waiting.push(...outputs);
      if (soon) return;
      soon = true;
      queueMicrotask(run);
    },
    now(outputs) {
      waiting.push(...outputs);
      run();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
