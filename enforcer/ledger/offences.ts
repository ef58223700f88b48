/** Who was banned before: what makes the next ban longer. Kept only while no ban of the target is in force; then the ban counts. */
import type { Prefix } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import { createDeadlines } from './deadlines.ts';
import type { LedgerChange, Offence } from './decisions.ts';

export interface Offences {
  get(target: Prefix): Offence | undefined;
  /** Notes that a ban ended (or will, inside a wider ban). A full memory forgets whose ban ended longest ago. */
  remember(offence: Offence): readonly LedgerChange[];
  forget(target: Prefix): readonly LedgerChange[];
  /** Forgets what is older than the memory. */
  clean(now: UnixMs): readonly LedgerChange[];
  nextEnd(): UnixMs | null;
  all(): readonly Offence[];
}

export function createOffences({ memoryMs, atMost }: { readonly memoryMs: number; readonly atMost: number }, offences: readonly Offence[]): Offences {
  const held = new Map<Prefix, Offence>();
  const ends = createDeadlines();

  function forget(target: Prefix): readonly LedgerChange[] {
    if (!held.delete(target)) return [];
    ends.delete(target);
    return [{ kind: 'remove-offence', target }];
  }

  function remember(offence: Offence): readonly LedgerChange[] {
    held.set(offence.target, offence);
    ends.set(offence.target, offence.lastEndedAt);
    const changes: LedgerChange[] = [{ kind: 'put-offence', offence }];
    while (held.size > atMost) changes.push(...forget(ends.first()?.key as Prefix));
    return changes;
  }

  for (const offence of offences) remember(offence);

  return {
    get: target => held.get(target),
    remember,
    forget,
    clean(now) {
      const changes: LedgerChange[] = [];
      for (let next = ends.first(); next !== undefined && next.at + memoryMs <= now; next = ends.first()) changes.push(...forget(next.key as Prefix));
      return changes;
    },
    nextEnd() {
      const next = ends.first();
      return next === undefined ? null : ((next.at + memoryMs) as UnixMs);
    },
    all: () => [...held.values()],
  };
}
