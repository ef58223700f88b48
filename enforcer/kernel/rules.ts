/**
 * Nested rules, resolved: a trie answers with its longest match and nothing else, so what a covering rule says has to be written into the rules
 * that it covers. An ALLOW wins over everything inside it; a DENY lives as long as a DENY around it. Pure.
 */
import { addressBytes, bitsOf, contains, familyOf, networkOf, type Prefix } from '@honeymesh/intel/address';
import { tierNumber } from '@honeymesh/intel/evidence';
import type { UnixMs } from '@honeymesh/intel/time';
import type { KernelRule } from './port.ts';

/** What the tries are to hold, one rule a prefix, the most important first: a trie without room keeps the head of the list. */
export function resolveRules(rules: readonly KernelRule[], now: UnixMs): readonly KernelRule[] {
  const holding = oneEach(rules.filter(rule => rule.expiresAt === null || rule.expiresAt > now));
  const allows = holding.filter(rule => rule.action === 'allow');
  const denies = holding.filter(rule => rule.action === 'deny');
  const resolved = [
    ...allows.map(rule => ({ ...rule, expiresAt: longest([rule, ...around(rule.target, allows)]) })),
    ...denies.map(rule => {
      const allowed = around(rule.target, allows);
      // Stored, though redundant: the list of rules shows what became of it, and it holds when the covering ALLOW is taken off first.
      if (allowed.length > 0) return { ...rule, action: 'allow' as const, expiresAt: longest(allowed) };
      return { ...rule, expiresAt: longest([rule, ...around(rule.target, denies)]) };
    }),
  ];
  return resolved.sort(byImportance);
}

/** The rule that the trie finds for an address or prefix: the longest that covers it and holds at `now`. */
export function ruleOn<T extends KernelRule>(target: Prefix, rules: readonly T[], now: UnixMs): T | null {
  let best: T | null = null;
  for (const rule of rules) if (contains(rule.target, target) && (best === null || bitsOf(rule.target) > bitsOf(best.target))) best = rule;
  return best !== null && (best.expiresAt === null || best.expiresAt > now) ? best : null;
}

export const HINT_WORDS = 1024;

/** The map `hint`: a bit for each IPv4 /16 that a rule touches; word address >> 22, bit (address >> 16) & 63. */
export function hintWords(targets: Iterable<Prefix>): BigUint64Array {
  const words = new BigUint64Array(HINT_WORDS);
  for (const target of targets) {
    if (familyOf(target) !== 4) continue;
    const bytes = addressBytes(networkOf(target));
    const first = ((bytes[12] ?? 0) << 8) | (bytes[13] ?? 0);
    const count = bitsOf(target) >= 16 ? 1 : 2 ** (16 - bitsOf(target));
    for (let at = first; at < first + count; at++) words[at >> 6] = (words[at >> 6] ?? 0n) | (1n << BigInt(at & 63));
  }
  return words;
}

/** One rule for each prefix: ALLOW beats DENY, else the one that lasts longer. */
function oneEach(rules: readonly KernelRule[]): readonly KernelRule[] {
  const kept = new Map<Prefix, KernelRule>();
  for (const rule of rules) {
    const other = kept.get(rule.target);
    if (other === undefined || (other.action === rule.action ? endOf(rule) > endOf(other) : rule.action === 'allow')) kept.set(rule.target, rule);
  }
  return [...kept.values()];
}

const around = (target: Prefix, rules: readonly KernelRule[]): readonly KernelRule[] =>
  rules.filter(rule => rule.target !== target && contains(rule.target, target));

const endOf = (rule: KernelRule): number => rule.expiresAt ?? Number.POSITIVE_INFINITY;

/** null: for ever. */
function longest(rules: readonly KernelRule[]): UnixMs | null {
  return rules.reduce<KernelRule | undefined>((best, rule) => (best === undefined || endOf(rule) > endOf(best) ? rule : best), undefined)?.expiresAt ?? null;
}

/** ALLOW first (the operator must not be locked out), then the stronger evidence, the later end, the wider prefix. */
function byImportance(one: KernelRule, other: KernelRule): number {
  if (one.action !== other.action) return one.action === 'allow' ? -1 : 1;
  if (one.tier !== other.tier) return tierNumber(other.tier) - tierNumber(one.tier);
  if (endOf(one) !== endOf(other)) return endOf(one) > endOf(other) ? -1 : 1;
  return bitsOf(one.target) - bitsOf(other.target);
}
