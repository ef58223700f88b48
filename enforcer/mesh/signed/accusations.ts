/** Signed accusations and goodbyes: who, by name, said of whom that it does not answer, and until when that counts. Bounded for each accuser. */
import type { Accusation } from '@honeymesh/intel/envelope-bodies';
import type { UnixMs } from '@honeymesh/intel/time';

export interface Accusations {
  accuse(accuser: string, accusation: Accusation, until: UnixMs): void;
  left(node: string, incarnation: number, until: UnixMs): void;
  /** Distinct accusers of a life of `subject` from `lives.from` to `lives.to`. An accused is no witness against itself. */
  count(subject: string, lives: { readonly from: number; readonly to: number }, now: UnixMs): number;
  /** Whether it said goodbye to this incarnation, or to a later one. */
  hasLeft(node: string, incarnation: number): boolean;
  prune(now: UnixMs): void;
  readonly size: number;
}

/** Accused at once by one accuser: beyond, its oldest accusation gives way. A host that accuses more has lost its own network. */
export const MOST_ACCUSED = 1_024;

interface Charge {
  readonly incarnation: number;
  readonly until: UnixMs;
}

export function createAccusations(mostAccused: number = MOST_ACCUSED): Accusations {
  const byAccuser = new Map<string, Map<string, Charge>>();
  const accusersOf = new Map<string, Set<string>>();
  const goodbyes = new Map<string, Charge>();
  let size = 0;

  function drop(accuser: string, subject: string): void {
    const charges = byAccuser.get(accuser);
    if (charges?.delete(subject)) size--;
    if (charges?.size === 0) byAccuser.delete(accuser);
    const accusers = accusersOf.get(subject);
    accusers?.delete(accuser);
    if (accusers?.size === 0) accusersOf.delete(subject);
  }

  return {
    accuse(accuser, { subject, incarnation }, until) {
      if (accuser === subject) return;
      const known = byAccuser.get(accuser)?.get(subject);
      if (known !== undefined && known.incarnation > incarnation) return;
      drop(accuser, subject);
      const charges = byAccuser.get(accuser) ?? new Map<string, Charge>();
      byAccuser.set(accuser, charges);
      charges.set(subject, { incarnation, until });
      size++;
      accusersOf.set(subject, (accusersOf.get(subject) ?? new Set<string>()).add(accuser));
      for (const oldest of charges.keys()) {
        if (charges.size <= mostAccused) break;
        drop(accuser, oldest);
      }
    },
    left(node, incarnation, until) {
      const known = goodbyes.get(node);
      if (known === undefined || known.incarnation <= incarnation) goodbyes.set(node, { incarnation, until });
    },
    count(subject, lives, now) {
      let count = 0;
      for (const accuser of accusersOf.get(subject) ?? []) {
        const charge = byAccuser.get(accuser)?.get(subject);
        if (charge !== undefined && charge.until > now && charge.incarnation >= lives.from && charge.incarnation <= lives.to) count++;
      }
      return count;
    },
    hasLeft: (node, incarnation) => (goodbyes.get(node)?.incarnation ?? -1) >= incarnation,
    prune(now) {
      for (const [accuser, charges] of byAccuser) for (const [subject, { until }] of charges) if (until <= now) drop(accuser, subject);
      for (const [node, { until }] of goodbyes) if (until <= now) goodbyes.delete(node);
    },
    get size() {
      return size;
    },
  };
}
