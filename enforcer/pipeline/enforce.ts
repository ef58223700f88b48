/**
 * Decisions become kernel state here, and nowhere else. A ban counts when the map was read back; what the kernel refused is kept
 * and tried again at each tick, and status says so until it succeeds.
 */
import { bitsOf, familyOf, isHostPrefix, type Prefix } from '@honeymesh/intel/address';
import type { AllowEntry, Ban } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Kernel, KernelBan, KernelRule, WriteOutcome } from '../kernel/port.ts';
import type { Decision } from '../ledger/decisions.ts';

export interface Enforcement {
  /** Carries decisions into the kernel, in order; one outcome for each ban that they hold. */
  apply(decisions: readonly Decision[]): readonly WriteOutcome[];
  /** Writes the whole set of rules and forgets what was there before: at start, after reconciling. */
  replaceRules(allowed: readonly AllowEntry[], bans: readonly Ban[]): readonly WriteOutcome[];
  /** Tries again what the kernel refused; returns what is still refused. */
  retry(now: UnixMs): readonly Prefix[];
  unenforced(): readonly Prefix[];
}

/** Whether the ban maps hold this target; wider prefixes are rules in the tries. */
export const fitsBanMaps = (target: Prefix): boolean => isHostPrefix(target) || (familyOf(target) === 6 && bitsOf(target) === 64);

const ruleOf = (ban: Ban): KernelBan => ({ target: ban.target, tier: ban.tier, reasons: ban.reasons, expiresAt: ban.expiresAt });
const kernelBan = (ban: Ban): KernelBan => (ban.confined === undefined ? ruleOf(ban) : { ...ruleOf(ban), confined: true });
const denyRule = (ban: Ban): KernelRule => ({ ...ruleOf(ban), action: 'deny' }); // a rule confines nobody: it holds in full
const allowRule = (entry: AllowEntry): KernelRule => ({ target: entry.target, action: 'allow', tier: 'operator', reasons: [], expiresAt: null });

/** What is known already: the first rules that are written must not be without it, or a pinned ban would be gone for a moment. */
export interface KnownRules {
  readonly allowed: readonly AllowEntry[];
  readonly bans: readonly Ban[];
}

export function createEnforcement(kernel: Kernel, known: KnownRules = { allowed: [], bans: [] }): Enforcement {
  const allowed = new Map<Prefix, KernelRule>(known.allowed.map(entry => [entry.target, allowRule(entry)]));
  const denied = new Map<Prefix, KernelRule>(known.bans.filter(ban => !fitsBanMaps(ban.target)).map(ban => [ban.target, denyRule(ban)]));
  const refused = new Map<Prefix, Ban>();
  let rulesRefused = false;

  function writeRules(): readonly WriteOutcome[] {
    const outcomes = kernel.setRules([...allowed.values(), ...denied.values()]);
    rulesRefused = outcomes.some(outcome => !outcome.enforced);
    return outcomes;
  }

  function put(bans: readonly Ban[]): readonly WriteOutcome[] {
    if (bans.length === 0) return [];
    const outcomes = kernel.putBans(bans.map(kernelBan));
    for (const [at, outcome] of outcomes.entries()) {
      const ban = bans[at];
      if (ban === undefined) continue;
      if (outcome.enforced) refused.delete(ban.target);
      else refused.set(ban.target, ban);
    }
    return outcomes;
  }

  return {
    apply(decisions) {
      const outcomes: WriteOutcome[] = [];
      const wide = new Set<Prefix>();
      // A prefix ban must be in force before the addresses that it replaces are taken out: no gap.
      const late = new Map<Prefix, Ban>();
      let rulesChanged = false;
      let puts: Ban[] = [];
      let removals: Prefix[] = [];
      // Removals and additions of the same target must not overtake each other: each run of one kind is flushed when the kind changes.
      const flushPuts = (): void => {
        outcomes.push(...put(puts));
        puts = [];
      };
      const flushRemovals = (): void => {
        if (removals.length > 0) kernel.removeBans(removals);
        removals = [];
      };
      const add = (ban: Ban): void => {
        late.delete(ban.target); // replaced earlier in this batch, and banned anew after that
        if (fitsBanMaps(ban.target)) {
          flushRemovals();
          puts.push(ban);
          return;
        }
        denied.set(ban.target, denyRule(ban));
        wide.add(ban.target);
        rulesChanged = true;
      };
      const remove = (ban: Ban): void => {
        refused.delete(ban.target);
        if (fitsBanMaps(ban.target)) {
          flushPuts();
          removals.push(ban.target);
          return;
        }
        rulesChanged = denied.delete(ban.target) || rulesChanged;
      };
      for (const decision of decisions) {
        switch (decision.kind) {
          case 'ban':
            add(decision.ban);
            break;
          case 'aggregate':
            add(decision.ban);
            for (const ban of decision.replaces) late.set(ban.target, ban);
            break;
          case 'lift':
          case 'expire':
          case 'evict':
            remove(decision.ban);
            break;
          case 'allow':
            allowed.set(decision.entry.target, allowRule(decision.entry));
            rulesChanged = true;
            break;
          case 'disallow':
            rulesChanged = allowed.delete(decision.entry.target) || rulesChanged;
            break;
          default:
            break; // record, refuse: nothing for the kernel
        }
      }
      flushPuts();
      flushRemovals();
      if (rulesChanged) outcomes.push(...writeRules().filter(outcome => wide.has(outcome.target)));
      for (const ban of late.values()) remove(ban);
      flushRemovals();
      if ([...late.values()].some(ban => !fitsBanMaps(ban.target))) writeRules();
      if (late.size === 0 || refused.size === 0) return outcomes;
      // What found no room while the replaced ones were still in has it now.
      outcomes.push(...put([...refused.values()]));
      return [...new Map(outcomes.map(outcome => [outcome.target, outcome])).values()];
    },
    replaceRules(entries, bans) {
      allowed.clear();
      denied.clear();
      for (const entry of entries) allowed.set(entry.target, allowRule(entry));
      for (const ban of bans) if (!fitsBanMaps(ban.target)) denied.set(ban.target, denyRule(ban));
      return writeRules();
    },
    retry(now) {
      put([...refused.values()].filter(ban => ban.expiresAt === null || ban.expiresAt > now));
      for (const [target, ban] of refused) if (ban.expiresAt !== null && ban.expiresAt <= now) refused.delete(target);
      if (rulesRefused) writeRules();
      return [...refused.keys()];
    },
    unenforced: () => [...refused.keys()],
  };
}
