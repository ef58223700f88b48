/**
 * The one way of a datum: sighting or order -> ledger -> kernel (read back) -> event log -> whoever listens. Enforcement is
 * synchronous and comes first; the log follows, and a disk that refuses never holds a ban back.
 */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { NewEvent, StoredEvent } from '@honeymesh/intel/events';
import type { Sighting } from '@honeymesh/intel/sightings';
import type { UnixMs } from '@honeymesh/intel/time';
import type { DegradedBoard } from '../health/degraded.ts';
import type { WriteOutcome } from '../kernel/port.ts';
import type { Completion, Decision, Ledger, LedgerChange, LedgerInput } from '../ledger/decisions.ts';
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

/** A confined source of which the traps have heard enough. */
export interface Completed {
  readonly source: Address;
  readonly why: Completion;
}

export interface Pipeline {
  /** Judges what was seen. Enforced when this returns; recorded soon after. */
  sight(sighting: Sighting): readonly Decision[];
  /**
   * Judges a batch in its order: into the kernel at once, into the log in one commit. A decision that `keeps` refuses is carried out like the others and
   * leaves no event: another row tells of it.
   */
  sightAll(sightings: readonly Sighting[], keeps?: (decision: Decision) => boolean): readonly Decision[];
  /** Ends the patience with confined sources: their bans become full. Enforced when this returns. */
  complete(sources: readonly Completed[]): readonly Decision[];
  /** Judges what others said (advice, withdrawals, misconduct, revocations), in its order: into the kernel at once, into the log in one commit. */
  hear(said: readonly LedgerInput[]): readonly Decision[];
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
  /** Told of each full ban as soon as the kernel has it: the traps close its sessions. A confined source goes on talking to them. */
  readonly onEnforced: (target: Prefix) => void;
  /** Told of all decisions once they are enforced: what others are to hear of them goes out from here (ledger/advice/share.ts). */
  readonly onDecided?: (decisions: readonly Decision[]) => void;
}

const always = (): boolean => true;

export function createPipeline({ ledger, enforcement, store, degraded, now, onEnforced, onDecided }: PipelineDeps): Pipeline {
  const listeners = new Set<(event: StoredEvent) => void>();
  let inFlight = 0;
  let idle: (() => void)[] = [];

  interface CarriedOut {
    readonly decisions: readonly Decision[];
    readonly settled: Promise<Settled>;
  }

  function carryOut(inputs: readonly LedgerInput[], keeps: (decision: Decision) => boolean = always): CarriedOut {
    const at = now();
    const judged = inputs.map(input => ledger.handle(input, at));
    const decisions = judged.flatMap(outcome => outcome.decisions);
    const outcomes = enforcement.apply(decisions);
    const full = fullBans(decisions);
    for (const { target, enforced } of outcomes) if (enforced && full.delete(target)) onEnforced(target);
    if (decisions.length > 0) onDecided?.(decisions);
    complain();
    const events = decisions.filter(keeps).flatMap(decision => eventsOf(decision, at));
    const changes = judged.flatMap(outcome => outcome.changes);
    return { decisions, settled: commit(events, changes, decisions, outcomes) };
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
    sight: sighting => carryOut([{ kind: 'sighting', sighting }]).decisions,
    sightAll: (sightings, keeps) =>
      carryOut(
        sightings.map(sighting => ({ kind: 'sighting', sighting })),
        keeps,
      ).decisions,
    complete: sources => carryOut(sources.map(({ source, why }) => ({ kind: 'complete', source, why }))).decisions,
    hear: said => carryOut(said).decisions,
    order: input => carryOut([input]).settled,
    record: events => commit(events, [], [], []),
    tick() {
      carryOut([{ kind: 'tick' }]);
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

/** The targets that are fully banned once all of this is carried out. */
function fullBans(decisions: readonly Decision[]): Set<Prefix> {
  const full = new Set<Prefix>();
  for (const decision of decisions) {
    if (decision.kind === 'aggregate' || (decision.kind === 'ban' && decision.ban.confined === undefined)) full.add(decision.ban.target);
    else if ('ban' in decision) full.delete(decision.ban.target);
  }
  return full;
}
