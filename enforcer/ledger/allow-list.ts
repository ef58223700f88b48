/**
 * Who is never dropped. Two layers, since they come and go apart: the operator's orders, which outlive a restart, and what is
 * allowed by itself (own addresses, gateway, DNS, admin sessions, the configuration file), which is found again at each start.
 */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { AllowEntry } from '@honeymesh/intel/bans';
import { createPrefixTable } from '@honeymesh/intel/prefix-table';
import type { Decision, LedgerChange } from './decisions.ts';

export interface AllowList {
  /** How many rules of the kernel the list takes. */
  readonly size: number;
  /** The entry that holds for exactly this target; what is allowed by itself before an order. */
  get(target: Prefix): AllowEntry | undefined;
  order(target: Prefix): AllowEntry | undefined;
  automatic(target: Prefix): AllowEntry | undefined;
  automatics(): readonly AllowEntry[];
  put(entry: AllowEntry): ListChange;
  remove(entry: AllowEntry): ListChange;
  /** Entries that equal or cover `target`, widest first. */
  covering(target: Prefix | Address): readonly AllowEntry[];
  within(target: Prefix, limit?: number): readonly AllowEntry[];
  all(): readonly AllowEntry[];
  orders(): readonly AllowEntry[];
}

export interface ListChange {
  readonly decisions: readonly Decision[];
  readonly changes: readonly LedgerChange[];
}

const isOrder = (entry: AllowEntry): boolean => entry.cause === 'operator';
/** What the operator can least afford to lose is named first: own addresses, gateway, DNS, session, configuration. */
const WEIGHT: readonly AllowEntry['cause'][] = ['own', 'gateway', 'dns', 'session', 'config', 'operator'];

/** One entry a target: a gateway that the configuration allows too is a gateway. */
export function weightiest(entries: readonly AllowEntry[]): readonly AllowEntry[] {
  const byTarget = new Map<Prefix, AllowEntry>();
  for (const entry of entries) {
    const held = byTarget.get(entry.target);
    if (held === undefined || WEIGHT.indexOf(entry.cause) < WEIGHT.indexOf(held.cause)) byTarget.set(entry.target, entry);
  }
  return [...byTarget.values()].sort((one, other) => WEIGHT.indexOf(one.cause) - WEIGHT.indexOf(other.cause));
}

export function createAllowList(entries: readonly AllowEntry[]): AllowList {
  const orders = new Map<Prefix, AllowEntry>();
  const automatics = new Map<Prefix, AllowEntry>();
  const shown = createPrefixTable<AllowEntry>();

  function show(target: Prefix): AllowEntry | undefined {
    const entry = automatics.get(target) ?? orders.get(target);
    if (entry === undefined) shown.delete(target);
    else shown.set(target, entry);
    return entry;
  }

  for (const entry of entries) {
    orders.set(entry.target, entry);
    show(entry.target);
  }

  return {
    get size() {
      return shown.size;
    },
    get: shown.get,
    order: target => orders.get(target),
    automatic: target => automatics.get(target),
    automatics: () => [...automatics.values()],
    put(entry) {
      (isOrder(entry) ? orders : automatics).set(entry.target, entry);
      show(entry.target);
      return { decisions: [{ kind: 'allow', entry }], changes: isOrder(entry) ? [{ kind: 'put-allow', entry }] : [] };
    },
    remove(entry) {
      (isOrder(entry) ? orders : automatics).delete(entry.target);
      const left = show(entry.target);
      // Whoever follows the decisions forgets the target: what still allows it is said again.
      const decisions: Decision[] = [{ kind: 'disallow', entry }, ...(left === undefined ? [] : [{ kind: 'allow', entry: left } as const])];
      return { decisions, changes: isOrder(entry) ? [{ kind: 'remove-allow', target: entry.target }] : [] };
    },
    covering: shown.covering,
    within: shown.within,
    all: () => [...shown.values()],
    orders: () => [...orders.values()],
  };
}

/** Causes whose removal from under a wider ban would cut off the host or its operator. */
export const cutsOff = (entry: AllowEntry): boolean => entry.cause !== 'config' && entry.cause !== 'operator';
