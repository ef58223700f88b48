/** What the mesh tells, carried out: advice to the ledger, what happened among members and what was refused at the door to the event log. */
import type { NewEvent } from '@honeymesh/intel/events';
import { MINUTE_MS, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import type { Log } from '../health/log.ts';
import { ADVICE_POLICY } from '../ledger/advice/advice.ts';
import type { LedgerInput } from '../ledger/decisions.ts';
import type { MeshWord } from '../mesh/port.ts';
import type { Pipeline } from './pipeline.ts';

export interface MeshDeskDeps {
  readonly pipeline: Pick<Pipeline, 'hear' | 'record'>;
  readonly log: Log;
  readonly now: () => UnixMs;
}

export interface MeshDesk {
  heard(inputs: readonly LedgerInput[]): void;
  peer(word: Extract<MeshWord, { kind: 'peer' }>): void;
  refused(word: Extract<MeshWord, { kind: 'refused' }>): void;
  /** Every second: advice whose time has come, refusals whose row is due. */
  tick(): void;
}

type AdviceInput = Extract<LedgerInput, { kind: 'advice' }>;

/** Signed by a clock ahead of ours: so much of it is kept until its time comes. */
const MOST_EARLY = 4_096;
/** A row of refusals in so long, whatever comes. */
const REFUSALS_EVERY_MS = 10 * SECOND_MS;
/** Rows on members in any minute; a flapping network is one line then. */
const MOST_PEER_ROWS = 256;
const REASONS_TOLD = 32;

/** For the log only: they come and go with every pause of somebody's process. */
const QUIET: ReadonlySet<string> = new Set(['suspected', 'recovered', 'updated']);

export function createMeshDesk({ pipeline, log, now }: MeshDeskDeps): MeshDesk {
  let early: AdviceInput[] = [];
  const counts = new Map<string, number>();
  let sample: string | null = null;
  let refusedAt = Number.NEGATIVE_INFINITY;
  let minute = 0;
  let rows = 0;
  let untold = 0;

  /** The ledger refuses and records what is ahead of time; the mesh has delivered it and does not again, so it is handed in anew when it may be judged. */
  function keepEarly(inputs: readonly LedgerInput[]): void {
    const latest = now() + ADVICE_POLICY.skewMs;
    for (const input of inputs) if (input.kind === 'advice' && input.advice.issuedAt > latest && early.length < MOST_EARLY) early.push(input);
  }

  function tellRefusals(at: UnixMs): void {
    if (counts.size === 0 || at - refusedAt < REFUSALS_EVERY_MS) return;
    const all = [...counts].sort(([, one], [, other]) => other - one);
    const total = all.reduce((sum, [, count]) => sum + count, 0);
    const [first = ['', 0]] = all;
    const others = all.length > 1 ? ` and ${all.length - 1} more reasons` : '';
    const summary = `refused at the door of the mesh: ${total} (${first[0]}${others})${sample === null ? '' : `, last from ${sample}`}`;
    void pipeline.record([
      { ...eventOf('advice-refused', at), origin: 'peer', summary, detail: { counts: Object.fromEntries(all.slice(0, REASONS_TOLD)), sample } },
    ]);
    counts.clear();
    sample = null;
    refusedAt = at;
  }

  return {
    heard(inputs) {
      keepEarly(inputs);
      pipeline.hear(inputs);
    },
    peer({ what, name, address, text }) {
      if (QUIET.has(what)) {
        log.debug(text, { member: name, address, what });
        return;
      }
      const at = now();
      if (Math.floor(at / MINUTE_MS) !== minute) [minute, rows] = [Math.floor(at / MINUTE_MS), 0];
      if (rows++ >= MOST_PEER_ROWS) {
        untold++;
        return;
      }
      const more = untold === 0 ? '' : ` (${untold} more changes among members were not told)`;
      untold = 0;
      void pipeline.record([{ ...eventOf('peer', at), summary: `${text}${more}`, detail: { what, name, address } }]);
    },
    refused(word) {
      for (const [reason, count] of Object.entries(word.counts)) {
        const name = counts.has(reason) || counts.size < REASONS_TOLD ? reason : 'other';
        counts.set(name, (counts.get(name) ?? 0) + count);
      }
      sample = word.sample ?? sample;
      tellRefusals(now());
    },
    tick() {
      const at = now();
      tellRefusals(at);
      if (early.length === 0) return;
      const due = early.filter(({ advice }) => advice.issuedAt <= at + ADVICE_POLICY.skewMs);
      if (due.length === 0) return;
      early = early.filter(({ advice }) => advice.issuedAt > at + ADVICE_POLICY.skewMs);
      pipeline.hear(due);
    },
  };
}

export const eventOf = (kind: NewEvent['kind'], at: UnixMs) =>
  ({ at, kind, source: null, port: null, protocol: null, tier: null, reasons: [], origin: null }) as const;
