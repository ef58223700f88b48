/**
 * What the trap process observed enters the pipeline here, a message at a time: touches and contents are judged in one batch, each session that ended is
 * one row of the log, and a confined source of which enough was heard is banned in full.
 */
import type { Address } from '@honeymesh/intel/address';
import type { Ban, Patience } from '@honeymesh/intel/bans';
import type { NewEvent } from '@honeymesh/intel/events';
import type { Mode } from '@honeymesh/intel/evidence';
import type { Sighting } from '@honeymesh/intel/sightings';
import { MINUTE_MS, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import type { DegradedBoard } from '../health/degraded.ts';
import type { Decision, Ledger } from '../ledger/decisions.ts';
import type { TrapObservation } from '../traps/messages.ts';
import { createNoiseGate } from './noise-gate.ts';
import { createPatience, type EndedSession } from './patience.ts';
import type { Completed, Pipeline } from './pipeline.ts';
import { sessionEvent } from './trap-receipts.ts';
import { contentSighting, datagramSighting, touchSighting } from './trap-sightings.ts';

export interface TrapDeskOptions {
  readonly mode: Mode;
  readonly patience: Patience;
  /** `study`: sessions of a source that are heard out. */
  readonly sessions: number;
  /** `listen`: so long who hung up may come back. */
  readonly silenceMs?: number;
}

export interface TrapDeskDeps {
  readonly pipeline: Pick<Pipeline, 'sightAll' | 'complete' | 'record'>;
  readonly ledger: Pick<Ledger, 'banOn' | 'allowOn'>;
  readonly degraded: DegradedBoard;
  readonly now: () => UnixMs;
}

export interface TrapDesk {
  /**
   * One message of the trap process. What it bans is enforced when this returns. `lost`: observations that did not fit into the channel. `onRecorded`: the
   * rows of its sessions are in the log, or the disk refused them.
   */
  take(observations: readonly TrapObservation[], lost: number, onRecorded?: () => void): void;
  /** The trap process does not run: it is started again after so long. */
  down(why: string, againInMs: number): void;
  /** It listens. */
  up(): void;
  /** Writes the summary of what was not written one by one; ends complaints that are over. */
  tick(): void;
  counts(): { readonly restarts: number; readonly lost: number };
}

const SUMMARY_EVERY_MS = 10_000;
const LOSS_SHOWN_MS = MINUTE_MS;

export function createTrapDesk(
  { mode, patience, sessions, silenceMs = 3 * SECOND_MS }: TrapDeskOptions,
  { pipeline, ledger, degraded, now }: TrapDeskDeps,
): TrapDesk {
  const gate = createNoiseGate();
  const book = createPatience({ kind: patience, sessions, silenceMs });
  let restarts = 0;
  let lostInAll = 0;
  let lostAt: UnixMs | null = null;
  let summarizedAt = 0;

  /** Sources that are confined and have used up the patience with what they did now. */
  function heardEnough(observations: readonly TrapObservation[], at: UnixMs): readonly Completed[] {
    const bans = new Map<Address, Ban | null>();
    const over = new Map<string, Completed>();
    for (const observation of observations) {
      if (observation.kind !== 'touch' && observation.kind !== 'ended') continue;
      const { source, port } = observation;
      const known = bans.get(source);
      const ban = known === undefined ? ledger.banOn(source, at) : known;
      bans.set(source, ban);
      if (ban?.confined === undefined || over.has(ban.target)) continue;
      const why = observation.kind === 'touch' ? book.touched(ban, port, observation.count) : book.ended(ban, sessionOf(observation), at);
      if (why !== null) over.set(ban.target, { source, why });
    }
    return [...over.values()];
  }

  /** Who hung up and did not come back. */
  function fellSilent(at: UnixMs): readonly Completed[] {
    const silent = book.silent(at).filter(({ source, since }) => ledger.banOn(source, at)?.confined?.since === since);
    return silent.map(({ source }) => ({ source, why: 'session-end' }));
  }

  return {
    take(observations, lost, onRecorded = () => {}) {
      const at = now();
      const sightings: Sighting[] = [];
      const rows: NewEvent[] = [];
      for (const observation of observations) {
        switch (observation.kind) {
          case 'touch':
            // What an allowed source does is told when its session ends; that spares a busy monitor's touches the way through the ledger.
            if (observation.refused > 0 || ledger.allowOn(observation.source) === null) sightings.push(touchSighting(observation));
            break;
          case 'content':
            sightings.push(contentSighting(observation));
            break;
          case 'datagram':
            if (gate.admit('datagram', at)) sightings.push(datagramSighting(observation));
            break;
          case 'ended':
            rows.push(sessionEvent(observation, mode === 'observe' && ledger.allowOn(observation.source) === null));
            break;
        }
      }
      if (sightings.length > 0) pipeline.sightAll(sightings, isToldByItself);
      if (rows.length > 0) void pipeline.record(rows).then(onRecorded, onRecorded);
      const over = patience === 'instant' ? [] : heardEnough(observations, at);
      if (over.length > 0) pipeline.complete(over);
      if (lost === 0) return;
      lostInAll += lost;
      lostAt = at;
      degraded.raise(
        {
          part: 'traps',
          why: 'more came to the traps than could be told: some sessions have no row',
          fix: 'who touches is banned all the same, at the next touch',
        },
        'lost',
      );
    },
    down(why, againInMs) {
      restarts++;
      degraded.raise({ part: 'traps', why, fix: `it is started again in ${againInMs} ms; until then the decoy ports are closed ports` }, 'process');
    },
    up: () => degraded.clear('traps', 'process'),
    tick() {
      const at = now();
      const over = fellSilent(at);
      if (over.length > 0) pipeline.complete(over);
      if (lostAt !== null && at - lostAt >= LOSS_SHOWN_MS) {
        lostAt = null;
        degraded.clear('traps', 'lost');
      }
      if (at - summarizedAt < SUMMARY_EVERY_MS) return;
      summarizedAt = at;
      const summary = gate.summary(at);
      if (summary !== null) void pipeline.record([summary]);
    },
    counts: () => ({ restarts, lost: lostInAll }),
  };
}

/** By the end of the receipt: the peer's, or the protocol's own. */
const sessionOf = ({ source, open, receipt }: Extract<TrapObservation, { kind: 'ended' }>): EndedSession => ({
  source,
  open,
  hungUp: receipt.end === 'peer' || receipt.end === 'done',
});

/** What changes nothing is in the row of its session, unless there was no session: at the door, or over UDP. */
function isToldByItself(decision: Decision): boolean {
  if (decision.kind !== 'record' || (decision.why !== 'allowed' && decision.why !== 'banned')) return true;
  const { protocol, detail } = decision.sighting;
  return protocol === 'udp' || detail?.refused !== undefined;
}
