/** What tests of advice share: peers by name (`a1` is a host of site `a`), and what they say. */
import type { Prefix } from '@honeymesh/intel/address';
import { HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import {
  ADVICE_POLICY,
  type AdvicePolicy,
  ALONE,
  type MeshSurroundings,
  type ReceivedAdvice,
  type ReceivedWithdrawal,
} from '#enforcer/ledger/advice/advice.ts';
import type { Decision, Ledger, LedgerPolicy } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { bystandersOf, type Neighbourhood, POLICY } from '#test/support/ledger.ts';

/** A mesh of four sites. */
export const MESH: MeshSurroundings = { ...ALONE, sites: 4, hosts: 8 };

export interface Host extends Neighbourhood {
  readonly policy?: Partial<LedgerPolicy>;
  readonly advice?: Partial<AdvicePolicy>;
  readonly mesh?: Partial<MeshSurroundings>;
}

export function meshLedger({ policy = {}, advice = {}, mesh = {}, ...neighbourhood }: Host = {}): Ledger {
  const whole: LedgerPolicy = { ...POLICY, ...policy, advice: { ...ADVICE_POLICY, ...advice } };
  return createLedger(whole, bystandersOf(neighbourhood), undefined, { ...MESH, ...mesh });
}

let sequence = 0;

/** Advice of `signer`, whose site is its first letter, good for four hours from `now`. Each call is an envelope of its own. */
export function adviceOf(signer: string, target: string, now: UnixMs, more: Partial<ReceivedAdvice> = {}): ReceivedAdvice {
  return {
    signer,
    certified: true,
    site: signer.slice(0, 1),
    path: 'mesh',
    epoch: 1,
    sequence: ++sequence,
    issuedAt: now,
    expiresAt: unixMs(now + 4 * HOUR_MS),
    target: target as Prefix,
    tier: 'E1',
    reasons: ['trap-touch'],
    ...more,
  };
}

export const hear = (ledger: Ledger, advice: ReceivedAdvice, now: UnixMs = advice.issuedAt): readonly Decision[] =>
  ledger.handle({ kind: 'advice', advice }, now).decisions;

export const advise = (ledger: Ledger, signer: string, target: string, now: UnixMs, more: Partial<ReceivedAdvice> = {}): readonly Decision[] =>
  hear(ledger, adviceOf(signer, target, now, more), now);

/** Takes back all that `advice` said. */
export function withdrawalOf(advice: ReceivedAdvice, now: UnixMs, more: Partial<ReceivedWithdrawal> = {}): ReceivedWithdrawal {
  const { signer, certified, site, path, epoch, target } = advice;
  return { signer, certified, site, path, epoch, sequence: advice.sequence, issuedAt: now, target, asError: false, ...more };
}

export const takeBack = (ledger: Ledger, advice: ReceivedAdvice, now: UnixMs, more: Partial<ReceivedWithdrawal> = {}): readonly Decision[] =>
  ledger.handle({ kind: 'withdrawal', withdrawal: withdrawalOf(advice, now, more) }, now).decisions;
