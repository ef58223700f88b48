/** What a real ledger says of what peers advise and take back, as `advice` events: one for each envelope and verdict. */
import type { UnixMs } from '@honeymesh/intel/time';
import type { Decision, LedgerInput, LedgerPolicy } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import type { MeshView } from '#enforcer/mesh/port.ts';
import { createSurroundings } from '#enforcer/mesh/thread/surroundings.ts';
import type { Say } from './report.ts';

const HOUR_MS = 3_600_000;
/** The configuration's defaults; nobody is confined, as no traps are here. */
const POLICY: LedgerPolicy = {
  mode: 'enforce',
  touchMs: 4 * HOUR_MS,
  contentMs: 24 * HOUR_MS,
  longestMs: 720 * HOUR_MS,
  memoryMs: 720 * HOUR_MS,
  capacity: { ipv4: 65_536, ipv6: 65_536, ipv6Exact: 4_096, rules: 4_096 },
  reservedShare: 0.2,
  watermark: 0.8,
  aggregateAt: 4,
  widenAt: 3,
  patience: { kind: 'instant', longestMs: 0 },
};
const TICK_MS = 1000;

export interface Judge {
  hear(inputs: readonly LedgerInput[], view: MeshView): void;
  stop(): void;
}

interface Verdict {
  readonly kid: string;
  readonly seq: number;
  readonly kind: 'advise' | 'withdraw';
  readonly verdict: 'accepted' | 'provisional' | 'refused';
  readonly why: string;
  readonly targets: readonly string[];
}

export function createJudge(say: Say, now: () => UnixMs): Judge {
  const surroundings = createSurroundings({ now });
  const ledger = createLedger(POLICY, { within: () => [], onLink: [], own: [] }, undefined, surroundings);
  const timer = setInterval(() => ledger.handle({ kind: 'tick' }, now()), TICK_MS);

  return {
    hear(inputs, view) {
      surroundings.see(view);
      const verdicts = inputs.flatMap(input => ledger.handle(input, now()).decisions.flatMap(verdictOf));
      for (const verdict of together(verdicts)) say('advice', verdict);
    },
    stop: () => clearInterval(timer),
  };
}

function verdictOf(decision: Decision): readonly Verdict[] {
  switch (decision.kind) {
    case 'advice-accepted': {
      const { signer: kid, sequence: seq, target } = decision.advice;
      const verdict = decision.effect === 'provisional' ? 'provisional' : 'accepted';
      return [{ kid, seq, kind: 'advise', verdict, why: decision.effect, targets: [target] }];
    }
    case 'advice-refused': {
      const { signer: kid, sequence: seq, target } = decision.advice;
      return [{ kid, seq, kind: 'advise', verdict: 'refused', why: decision.why, targets: [target] }];
    }
    case 'withdrawal': {
      const { signer: kid, sequence: seq, asError } = decision.withdrawal;
      return [{ kid, seq, kind: 'withdraw', verdict: 'accepted', why: asError ? 'error' : 'over', targets: decision.targets }];
    }
    default:
      return [];
  }
}

/** Neighbours that differ in their targets only. */
function together(verdicts: readonly Verdict[]): readonly Verdict[] {
  const told: Verdict[] = [];
  for (const verdict of verdicts) {
    const last = told.at(-1);
    const same = last !== undefined && (['kid', 'seq', 'kind', 'verdict', 'why'] as const).every(field => last[field] === verdict[field]);
    if (same) told[told.length - 1] = { ...last, targets: [...last.targets, ...verdict.targets] };
    else told.push(verdict);
  }
  return told;
}
