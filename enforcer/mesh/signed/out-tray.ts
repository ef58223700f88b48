/** What waits to be said: withdrawals first, then evidence of the stronger tier, then what waited longest. One entry for each target. */
import { contains, isHostPrefix, type Prefix } from '@honeymesh/intel/address';
import { type Advice, adviceBytes, type Intel, type Withdrawal, withdrawalBytes } from '@honeymesh/intel/advisories';
import { strongerTier } from '@honeymesh/intel/evidence';
import { mergeReasons } from '@honeymesh/intel/reasons';

export interface OutTray {
  readonly empty: boolean;
  readonly waiting: number;
  advise(advice: Advice): void;
  withdraw(withdrawal: Withdrawal): void;
  /** What waits about this target, or one in it, is not said. */
  forget(target: Prefix): void;
  /** As much as fits `room` bytes, out of the tray. */
  take(room: number): Intel;
  takeDropped(): readonly Advice[];
}

const COUNTS_BYTES = 2;
const MOST_OF_A_KIND = 255;
/** Withdrawals may fill this share where advice waits too: a host that lifts a thousand still warns of the next attack. */
const WITHDRAWALS_SHARE = 0.75;

export function createOutTray({ mostWaiting }: { readonly mostWaiting: number }): OutTray {
  const advised = { E2: new Map<Prefix, Advice>(), E1: new Map<Prefix, Advice>() };
  /** Targets by envelope and cause; an empty set is all of it. */
  const withdrawals = new Map<string, { readonly epoch: number; readonly seq: number; readonly asError: boolean; readonly targets: Set<Prefix> }>();
  let dropped: Advice[] = [];

  const waiting = (): number => advised.E1.size + advised.E2.size;

  function shed(): void {
    const from = advised.E1.size > 0 ? advised.E1 : advised.E2;
    for (const [target, advice] of from) {
      from.delete(target);
      if (dropped.length < mostWaiting) dropped.push(advice);
      return;
    }
  }

  function takeWithdrawals(room: number): Withdrawal[] {
    const taken: Withdrawal[] = [];
    let left = room;
    for (const [name, { epoch, seq, asError, targets }] of withdrawals) {
      const fitting: Prefix[] = [];
      const head = { epoch, seq, asError, targets: [] };
      let bytes = withdrawalBytes(head);
      if (bytes > left || taken.length >= MOST_OF_A_KIND) break;
      for (const target of targets) {
        const more = withdrawalBytes({ ...head, targets: [target] }) - withdrawalBytes(head);
        if (bytes + more > left || fitting.length >= MOST_OF_A_KIND) break;
        bytes += more;
        fitting.push(target);
      }
      if (targets.size > 0 && fitting.length === 0) break;
      for (const target of fitting) targets.delete(target);
      if (targets.size === 0) withdrawals.delete(name);
      taken.push({ epoch, seq, asError, targets: fitting });
      left -= bytes;
    }
    return taken;
  }

  function takeAdvice(room: number): Advice[] {
    const taken: Advice[] = [];
    let left = room;
    for (const from of [advised.E2, advised.E1]) {
      for (const [target, advice] of from) {
        const bytes = adviceBytes(advice);
        if (bytes > left || taken.length >= MOST_OF_A_KIND) return taken;
        from.delete(target);
        taken.push(advice);
        left -= bytes;
      }
    }
    return taken;
  }

  return {
    get empty() {
      return waiting() + withdrawals.size === 0;
    },
    get waiting() {
      return waiting();
    },
    advise(advice) {
      const before = advised.E2.get(advice.target) ?? advised.E1.get(advice.target);
      const merged: Advice =
        before === undefined
          ? advice
          : {
              target: advice.target,
              tier: strongerTier(before.tier, advice.tier) === 'E2' ? 'E2' : 'E1',
              reasons: mergeReasons(before.reasons, advice.reasons),
              ttlS: Math.max(before.ttlS, advice.ttlS),
            };
      if (merged.tier === 'E2') advised.E1.delete(advice.target);
      advised[merged.tier].set(advice.target, merged);
      if (waiting() > mostWaiting) shed();
    },
    withdraw({ epoch, seq, asError, targets }) {
      const name = `${epoch}/${seq}${asError ? ' as error' : ''}`;
      const known = withdrawals.get(name);
      if (known !== undefined && known.targets.size === 0) return;
      const all = targets.length === 0 ? new Set<Prefix>() : new Set([...(known?.targets ?? []), ...targets]);
      withdrawals.set(name, { epoch, seq, asError, targets: all });
    },
    forget(target) {
      for (const waits of [advised.E1, advised.E2]) {
        waits.delete(target);
        if (!isHostPrefix(target)) for (const inner of waits.keys()) if (contains(target, inner)) waits.delete(inner);
      }
    },
    take(room) {
      const share = waiting() > 0 ? Math.floor((room - COUNTS_BYTES) * WITHDRAWALS_SHARE) : room - COUNTS_BYTES;
      const back = takeWithdrawals(share);
      const used = back.reduce((sum, withdrawal) => sum + withdrawalBytes(withdrawal), 0);
      return { withdrawals: back, advice: takeAdvice(room - COUNTS_BYTES - used) };
    },
    takeDropped() {
      const taken = dropped;
      dropped = [];
      return taken;
    },
  };
}
