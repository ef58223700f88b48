/**
 * After a restart: what the ledger remembers and what the kernel enforces are made one, both ways. The kernel's pins kept dropping
 * meanwhile, so nothing is taken out first; bans that only the kernel knows are taken into the ledger (a crash came between the
 * map and the disk), those that only the ledger knows are put in.
 */
import { networkOf, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Kernel, KernelBan, KernelBanState, WriteOutcome } from '../kernel/port.ts';
import type { Ledger, LedgerInput } from '../ledger/decisions.ts';
import { type Enforcement, fitsBanMaps } from './enforce.ts';

export interface Reconciled {
  readonly inBoth: number;
  readonly putIntoKernel: number;
  readonly adopted: number;
  readonly removedFromKernel: number;
  readonly refused: readonly Prefix[];
  /** Inputs that the pipeline must still carry out (so that they are recorded): adoptions, and confinements that the kernel knows to be over. */
  readonly inputs: readonly LedgerInput[];
}

/** Expiries are kept as monotonic time in the kernel: they come back within some milliseconds of what was written. */
const CLOCK_SLACK_MS = 2_000;

/** Compares and mends. The caller hands `inputs` to the pipeline afterwards. */
export function reconcile({ kernel, ledger, enforcement }: { kernel: Kernel; ledger: Ledger; enforcement: Enforcement }, now: UnixMs): Reconciled {
  const inKernel = new Map<Prefix, KernelBanState>(kernel.listBans().map(ban => [ban.target, ban]));
  const wanted = ledger.bans().filter(ban => ban.expiresAt === null || ban.expiresAt > now);
  const orphans = orphanRules(kernel, ledger, now);
  const rules = enforcement.replaceRules(ledger.allowed(), [...wanted, ...orphans]);
  const missing: Ban[] = [];
  const completed: Ban[] = [];
  let inBoth = 0;
  for (const ban of wanted) {
    if (!fitsBanMaps(ban.target)) continue;
    const held = inKernel.get(ban.target);
    inKernel.delete(ban.target);
    if (held !== undefined && same(ban, held)) inBoth++;
    else if (held !== undefined && ban.confined !== undefined && held.confined !== true) completed.push(ban);
    else missing.push(ban);
  }
  const stale: Prefix[] = [];
  const adoptions: LedgerInput[] = orphans.map(ban => ({ kind: 'adopt', ban }));
  for (const held of inKernel.values()) {
    if (held.expiresAt !== null && held.expiresAt <= now) stale.push(held.target);
    else if (ledger.allowOn(held.target) !== null) stale.push(held.target);
    else adoptions.push({ kind: 'adopt', ban: adoptable(held, now) });
  }
  kernel.removeBans(stale);
  const outcomes = missing.length === 0 ? [] : enforcement.apply(missing.map(ban => ({ kind: 'ban', ban, change: 'new', because: null })));
  return {
    inBoth,
    putIntoKernel: outcomes.filter(outcome => outcome.enforced).length,
    adopted: adoptions.length,
    removedFromKernel: stale.length,
    refused: refusedOf([...rules, ...outcomes]),
    // The crash came between the map and the disk: the kernel had the full ban already, and nobody is let out of one again.
    inputs: [...adoptions, ...completed.map(ban => ({ kind: 'complete', source: networkOf(ban.target), why: 'session-end' }) as const)],
  };
}

/** Bans of prefixes that the kernel enforces and the ledger does not know. An allow entry of nobody's is not kept: it would let in whom no configuration names. */
export function orphanRules(kernel: Kernel, ledger: Ledger, now: UnixMs): readonly Ban[] {
  const known = new Set(ledger.bans().map(ban => ban.target));
  return kernel
    .listRules()
    .filter(rule => rule.action === 'deny' && !known.has(rule.target) && (rule.expiresAt === null || rule.expiresAt > now))
    .map(rule => adoptable(rule, now));
}

const refusedOf = (outcomes: readonly WriteOutcome[]): Prefix[] => outcomes.filter(outcome => !outcome.enforced).map(outcome => outcome.target);

function same(ban: Ban, held: KernelBanState): boolean {
  if ((ban.confined !== undefined) !== (held.confined === true) || ban.tier !== held.tier || ban.reasons.length !== held.reasons.length) return false;
  if (ban.expiresAt === null || held.expiresAt === null) return ban.expiresAt === held.expiresAt;
  return Math.abs(ban.expiresAt - held.expiresAt) <= CLOCK_SLACK_MS;
}

/** Why it was confined only the lost book knew: what is taken over is a full ban. */
function adoptable(held: KernelBan, now: UnixMs): Ban {
  return {
    target: held.target,
    tier: held.tier,
    reasons: held.reasons,
    origins: [held.tier === 'operator' ? 'operator' : 'trap'],
    createdAt: now,
    expiresAt: held.expiresAt,
    offences: 1,
    note: 'found in the kernel after a restart',
  };
}
