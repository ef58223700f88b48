/**
 * The one way of a datum: sighting or order -> ledger -> kernel (read back) -> event log -> whoever listens. Enforcement is
 * synchronous and comes first; the log follows, and a disk that refuses never holds a ban back.
 */
import type { Prefix } from '@honeymesh/intel/address';
import type { NewEvent, StoredEvent } from '@honeymesh/intel/events';
import type { Sighting } from '@honeymesh/intel/sightings';
import type { UnixMs } from '@honeymesh/intel/time';
import type { DegradedBoard } from '../health/degraded.ts';
import type { WriteOutcome } from '../kernel/port.ts';
import type { Decision, Ledger, LedgerChange, LedgerInput } from '../ledger/decisions.ts';
import type { Store } from '../store/port.ts';
import type { Enforcement } from './enforce.ts';
import { eventsOf } from './record.ts';

export interface Settled {
  readonly decisions: readonly Decision[];
  readonly outcomes: readonly WriteOutcome[];
  /** False where the disk refused: in force, not (yet) in the log. */
  readonly stored: boolean;
  readonly events: readonly StoredEvent[];
}

export interface Pipeline {
  /** Judges what was seen. Enforced when this returns; recorded soon after. */
  sight(sighting: Sighting): readonly Decision[];
  /** Carries out an order: resolves when it is enforced and on disk. */
  order(input: LedgerInput): Promise<Settled>;
  /** Writes events that need no decision. */
  record(events: readonly NewEvent[]): Promise<Settled>;
  /** Ends what is over and tries again what the kernel refused. */
  tick(): void;
  /** Live events, as they are stored, until the signal aborts. */
  listen(onEvent: (event: StoredEvent) => void, signal: AbortSignal): void;
  /** Resolves when everything handed in so far is on disk. */
  settled(): Promise<void>;
}

export interface PipelineDeps {
  readonly ledger: Ledger;
  readonly enforcement: Enforcement;
  readonly store: Store;
  readonly degraded: DegradedBoard;
  readonly now: () => UnixMs;
  /** Told of each ban as soon as the kernel has it: the traps close its sessions. */
  readonly onEnforced: (target: Prefix) => void;
}

export function createPipeline({ ledger, enforcement, store, degraded, now, onEnforced }: PipelineDeps): Pipeline {
  const listeners = new Set<(event: StoredEvent) => void>();
  let inFlight = 0;
  let idle: (() => void)[] = [];

  function carryOut(input: LedgerInput): { decisions: readonly Decision[]; outcomes: readonly WriteOutcome[]; settled: Promise<Settled> } {
    const at = now();
    const { decisions, changes } = ledger.handle(input, at);
    const outcomes = enforcement.apply(decisions);
    for (const outcome of outcomes) if (outcome.enforced) onEnforced(outcome.target);
    complain();
    const events = decisions.flatMap(decision => eventsOf(decision, at));
    return { decisions, outcomes, settled: commit(events, changes, decisions, outcomes) };
  }

  async function commit(
    events: readonly NewEvent[],
    changes: readonly LedgerChange[],
    decisions: readonly Decision[],
    outcomes: readonly WriteOutcome[],
  ): Promise<Settled> {
    if (events.length === 0 && changes.length === 0) return { decisions, outcomes, stored: true, events: [] };
    inFlight++;
    try {
      const written = await store.commit({ events, changes });
      for (const event of written.events) for (const listener of listeners) listener(event);
      return { decisions, outcomes, stored: written.stored, events: written.events };
    } finally {
      inFlight--;
      if (inFlight === 0) {
        for (const wake of idle) wake();
        idle = [];
      }
    }
  }

  function complain(): void {
    if (enforcement.unenforced().length === 0) {
      degraded.clear('kernel', 'full');
      return;
    }
    degraded.raise(
      {
        part: 'kernel',
        why: 'the kernel refused bans that the ledger holds: its map is full',
        fix: 'raise bans.capacity in the configuration, or lift bans ("honeymesh bans list", "honeymesh bans remove"); they are tried again each second',
      },
      'full',
    );
  }

  return {
    sight(sighting) {
      const { decisions, settled } = carryOut({ kind: 'sighting', sighting });
      void settled;
      return decisions;
    },
    order: input => carryOut(input).settled,
    record: events => commit(events, [], [], []),
    tick() {
      void carryOut({ kind: 'tick' }).settled;
      enforcement.retry(now());
      complain();
    },
    listen(onEvent, signal) {
      if (signal.aborted) return;
      listeners.add(onEvent);
      signal.addEventListener('abort', () => listeners.delete(onEvent), { once: true });
    },
    settled: () => (inFlight === 0 ? Promise.resolve() : new Promise(resolve => idle.push(resolve))),
  };
}
