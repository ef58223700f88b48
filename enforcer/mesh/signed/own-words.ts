/** Which of our envelopes advised what, as long as it holds: whoever lifts a ban must name them all to take it back. */
import { contains, isHostPrefix, type Prefix } from '@honeymesh/intel/address';
import type { Advice, Withdrawal } from '@honeymesh/intel/advisories';
import { LONGEST_LIFE_MS } from '@honeymesh/intel/envelope';
import { SECOND_MS, type UnixMs } from '@honeymesh/intel/time';

export interface OwnItem {
  readonly epoch: number;
  readonly seq: number;
}

export interface OwnWords {
  add(advice: Advice, item: OwnItem & { readonly issuedAt: UnixMs }): void;
  remove(withdrawal: Withdrawal): void;
  of(target: Prefix): readonly OwnItem[];
  /** Targets that lie in this one, itself included. */
  within(target: Prefix): readonly Prefix[];
  targetsOf(epoch: number, seq: number): readonly Prefix[];
  /** When the last of this envelope's advice ends; 0 where nothing holds. */
  endOf(epoch: number, seq: number): number;
  prune(now: UnixMs): void;
}

interface Said extends OwnItem {
  /** Until when the advice about each target holds. */
  readonly targets: Map<Prefix, number>;
  endsAt: number;
}

export function createOwnWords(): OwnWords {
  const items = new Map<string, Said>();
  const byTarget = new Map<Prefix, Set<Said>>();
  let nextEndAt = Number.POSITIVE_INFINITY;
  const nameOf = (epoch: number, seq: number): string => `${epoch}/${seq}`;

  function drop(item: Said, target: Prefix): void {
    item.targets.delete(target);
    const those = byTarget.get(target);
    those?.delete(item);
    if (those?.size === 0) byTarget.delete(target);
    if (item.targets.size === 0) items.delete(nameOf(item.epoch, item.seq));
  }

  return {
    add({ target, ttlS }, { epoch, seq, issuedAt }) {
      const name = nameOf(epoch, seq);
      const item = items.get(name) ?? { epoch, seq, targets: new Map<Prefix, number>(), endsAt: 0 };
      const endsAt = issuedAt + Math.min(ttlS * SECOND_MS, LONGEST_LIFE_MS);
      item.targets.set(target, Math.max(item.targets.get(target) ?? 0, endsAt));
      item.endsAt = Math.max(item.endsAt, endsAt);
      nextEndAt = Math.min(nextEndAt, item.endsAt);
      items.set(name, item);
      const those = byTarget.get(target) ?? new Set<Said>();
      byTarget.set(target, those.add(item));
    },
    remove({ epoch, seq, targets }) {
      const item = items.get(nameOf(epoch, seq));
      if (item === undefined) return;
      for (const target of targets.length === 0 ? [...item.targets.keys()] : targets) drop(item, target);
    },
    within: target => (isHostPrefix(target) ? (byTarget.has(target) ? [target] : []) : [...byTarget.keys()].filter(inner => contains(target, inner))),
    of: target => [...(byTarget.get(target) ?? [])],
    targetsOf: (epoch, seq) => [...(items.get(nameOf(epoch, seq))?.targets.keys() ?? [])],
    endOf: (epoch, seq) => items.get(nameOf(epoch, seq))?.endsAt ?? 0,
    prune(now) {
      if (nextEndAt > now) return;
      nextEndAt = Number.POSITIVE_INFINITY;
      for (const item of items.values()) {
        if (item.endsAt <= now) for (const target of [...item.targets.keys()]) drop(item, target);
        else nextEndAt = Math.min(nextEndAt, item.endsAt);
      }
    },
  };
}
