/**
 * The head of the hub's numbering. A number is given in one transaction with the advisory that bears it: two that want the same one, only one gets it; one
 * that was given and never published is found again by its batch, and published.
 */
import type { Bucket } from '@honeymesh/intel/bucket';
import type { AdvisoryKind } from '@honeymesh/intel/hub-advisory';
import { type Budget, spend, unspent } from './governor.ts';

export interface Head {
  /** When this numbering began, ms. A table that was restored or made anew has another. */
  readonly epoch: number;
  /** The last that was given. */
  readonly number: number;
  /** What was spent on urgent ones. */
  readonly spent: Bucket;
}

export type Step = { readonly kind: 'next'; readonly head: Head } | { readonly kind: 'over-budget' };

/** The head after one more advisory; the first one begins a numbering. */
export function nextHead(head: Head | null, kind: Exclude<AdvisoryKind, 'snapshot'>, budget: Budget, nowMs: number): Step {
  const from = head ?? { epoch: nowMs, number: 0, spent: unspent };
  if (kind === 'digest') return { kind: 'next', head: { ...from, number: from.number + 1 } };
  const spent = spend(from.spent, budget, nowMs);
  return spent.within ? { kind: 'next', head: { ...from, number: from.number + 1, spent: spent.bucket } } : { kind: 'over-budget' };
}
