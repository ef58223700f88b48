/** The list of bans: what the ledger holds and what the kernel says of it, with the kernel's own shuns (E0) beside them. */
import { contains, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { AllowEntry, Ban } from '@honeymesh/intel/bans';
import { rfc3339, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { AllowRow, BanRow } from '../control/operations.ts';
import type { Kernel, KernelShun } from '../kernel/port.ts';
import type { Ledger } from '../ledger/decisions.ts';
import { fitsBanMaps } from './enforce.ts';

export interface BanList {
  /** All rows, or those of `target`: its own ban, what covers it, what lies inside. */
  rows(target?: Prefix): readonly BanRow[];
  row(ban: Ban): BanRow;
  /** `active` counts confined ones too. */
  counts(): { readonly active: number; readonly confined: number; readonly shunned: number };
}

export interface BanListOptions {
  /** First and longest shun, as the kernel was told: they tell when a shun began. */
  readonly shunMs: number;
  readonly longestShunMs: number;
}

export interface BanListDeps {
  readonly ledger: Ledger;
  readonly kernel: Kernel;
  /** False in mode observe and during a pause: then nothing is dropped, and no row may say otherwise. */
  readonly enforcing: () => boolean;
  readonly now: () => UnixMs;
}

export function createBanList(options: BanListOptions, { ledger, kernel, enforcing, now }: BanListDeps): BanList {
  const touches = (one: Prefix, other: Prefix | undefined): boolean => other === undefined || contains(one, other) || contains(other, one);

  function fromLedger(bans: readonly Ban[]): BanRow[] {
    const dropped = new Map<Prefix, number>();
    if (bans.length === 1 && bans[0] !== undefined && fitsBanMaps(bans[0].target)) {
      const held = kernel.view(networkOf(bans[0].target)).ban;
      if (held?.target === bans[0].target) dropped.set(held.target, held.droppedPackets);
    } else {
      for (const held of kernel.listBans()) dropped.set(held.target, held.droppedPackets);
    }
    if (bans.some(ban => !fitsBanMaps(ban.target)))
      for (const rule of kernel.listRules()) if (rule.action === 'deny') dropped.set(rule.target, rule.droppedPackets);
    const inForce = enforcing();
    return bans.map(ban => ({
      target: ban.target,
      tier: ban.tier,
      reasons: ban.reasons,
      origins: ban.origins,
      createdAt: rfc3339(ban.createdAt),
      expiresAt: ban.expiresAt === null ? null : rfc3339(ban.expiresAt),
      droppedPackets: dropped.get(ban.target) ?? 0,
      enforced: inForce && dropped.has(ban.target),
      confined: ban.confined !== undefined,
      fullAt: ban.confined === undefined ? null : rfc3339(ban.confined.fullAt),
      offences: ban.offences,
      ...(ban.advised === undefined ? {} : { provisional: ban.advised.provisional }),
      ...(ban.advisers === undefined ? {} : { advisers: ban.advisers.map(({ signer, site, path, at }) => ({ signer, site, path, at: rfc3339(at) })) }),
      ...(ban.note === undefined ? {} : { note: ban.note }),
    }));
  }

  /** A shun that was made before its source was allowed is there still, and does nothing. */
  function fromKernel(shuns: readonly KernelShun[]): BanRow[] {
    if (shuns.length === 0) return [];
    const proven = new Set(kernel.listProven().map(({ source }) => source));
    const inForce = enforcing();
    return shuns.map(shun => {
      const allowed = ledger.allowOn(shun.target) !== null;
      const note = allowed
        ? 'allowed by now'
        : proven.has(shun.target)
          ? `known client, only what scans or floods (${kindsOf(shun)})`
          : `new connections only (${kindsOf(shun)})`;
      return { ...shunRow(shun, sinceOf(shun, options)), enforced: inForce && !allowed, note };
    });
  }

  const liveBans = (): readonly Ban[] => {
    const at = now();
    return ledger.bans().filter(ban => ban.expiresAt === null || ban.expiresAt > at);
  };
  const liveShuns = (): readonly KernelShun[] => {
    const at = now();
    return kernel.listShuns().filter(shun => shun.expiresAt > at);
  };

  return {
    rows(target) {
      const bans = liveBans().filter(ban => touches(ban.target, target));
      const shuns = liveShuns().filter(shun => touches(shun.target, target));
      return [...fromLedger(bans), ...fromKernel(shuns)];
    },
    row: ban => fromLedger([ban])[0] as BanRow,
    counts() {
      const bans = liveBans();
      return { active: bans.length, confined: bans.filter(ban => ban.confined !== undefined).length, shunned: liveShuns().length };
    },
  };
}

/** An entry holds its end and how often it was prolonged, not its beginning. */
function sinceOf(shun: KernelShun, { shunMs, longestShunMs }: BanListOptions): UnixMs {
  return unixMs(shun.expiresAt - Math.min(longestShunMs, shunMs * 2 ** shun.repeats));
}

const kindsOf = (shun: KernelShun): string => shun.kinds.join(', ');

function shunRow(shun: KernelShun, since: UnixMs): Omit<BanRow, 'enforced'> {
  return {
    target: shun.target,
    tier: 'E0',
    reasons: shun.reasons,
    origins: ['kernel'],
    createdAt: rfc3339(since),
    expiresAt: rfc3339(shun.expiresAt),
    droppedPackets: shun.droppedPackets,
    confined: false,
    fullAt: null,
  };
}

export const allowRow = (entry: AllowEntry): AllowRow => ({ target: entry.target, cause: entry.cause, why: entry.why, since: rfc3339(entry.since) });
