/** The allow-list and the wider bans in pfx4 and pfx6, with the hint bits that spare the trie to most packets. */
import { familyOf, type Prefix } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import type { KernelClock } from './clock.ts';
import { decodeRule, dropsOf, encodeRule, saysTheSame } from './codecs.ts';
import type { ConfigEntry } from './config-entry.ts';
import { ruleKey, ruleTarget } from './keys.ts';
import { CONFIG_FLAG } from './layouts.ts';
import { indexKey, joined, type KernelMap, word } from './maps.ts';
import { ERRNO } from './native.ts';
import type { KernelRule, WriteOutcome } from './port.ts';
import { HINT_WORDS, hintWords, resolveRules } from './rules.ts';

type RuleState = KernelRule & { readonly droppedPackets: number };

export interface RuleMaps {
  set(rules: readonly KernelRule[], now: UnixMs): readonly WriteOutcome[];
  list(): readonly RuleState[];
  /** Resolves the rules of the last `set` again where one of them expired by `now`: what it covered says its own again. Returns the targets of
   * the DENY rules that are over. */
  sweep(now: UnixMs): readonly Prefix[];
}

interface Stored {
  readonly map: 'pfx4' | 'pfx6';
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export function rulesOnMaps(maps: Readonly<Record<'pfx4' | 'pfx6' | 'hint', KernelMap>>, config: ConfigEntry, clock: KernelClock): RuleMaps {
  let wanted: readonly KernelRule[] = [];

  const stored = (): Map<Prefix, Stored> => {
    const all = new Map<Prefix, Stored>();
    for (const map of ['pfx4', 'pfx6'] as const) for (const [key, value] of maps[map].entries()) all.set(ruleTarget(key), { map, key, value });
    return all;
  };

  const writeHint = (targets: Iterable<Prefix>): void => {
    const words = hintWords(targets);
    const keys = Array.from({ length: HINT_WORDS }, (_, at) => indexKey(at));
    maps.hint.putMany(joined(keys, 4), joined(Array.from(words, word), 8));
  };

  /** The head of the list that fits into each trie. */
  const fitting = (resolved: readonly KernelRule[]): readonly KernelRule[] => {
    const room = { pfx4: maps.pfx4.maxEntries, pfx6: maps.pfx6.maxEntries };
    return resolved.filter(rule => room[familyOf(rule.target) === 4 ? 'pfx4' : 'pfx6']-- > 0);
  };

  /** Adds before it removes, so that no packet finds less than both sets have in common; a trie without room for both loses what is stale first. */
  const apply = (resolved: readonly KernelRule[]): Map<Prefix, WriteOutcome> => {
    const before = stored();
    const chosen = fitting(resolved);
    const targets = new Set(chosen.map(rule => rule.target));
    const stale = [...before].filter(([target]) => !targets.has(target)).map(([, entry]) => entry);
    writeHint([...before.keys(), ...targets]);
    if ([...targets].some(target => familyOf(target) === 6)) config.flag(CONFIG_FLAG.hasPfx6, true);

    const outcomes = new Map<Prefix, WriteOutcome>(resolved.map(({ target }) => [target, { target, enforced: false, why: 'full' }]));
    for (const rule of chosen) {
      const { map, key } = ruleKey(rule.target);
      const old = before.get(rule.target)?.value;
      const value = encodeRule(rule, clock, old === undefined ? 0 : dropsOf(old));
      let result = old !== undefined && saysTheSame(old, value) ? 0 : maps[map].put(key, value);
      for (let at = stale.length - 1; at >= 0 && result === -ERRNO.ENOSPC; at--) {
        if (stale[at]?.map !== map) continue;
        for (const entry of stale.splice(at, 1)) maps[map].remove(entry.key);
        result = maps[map].put(key, value);
      }
      if (result !== 0) outcomes.set(rule.target, { target: rule.target, enforced: false, why: result === -ERRNO.ENOSPC ? 'full' : 'refused' });
    }
    for (const entry of stale) maps[entry.map].remove(entry.key);

    const after = stored();
    for (const target of targets) if (after.has(target)) outcomes.set(target, { target, enforced: true });
    writeHint(after.keys());
    config.flag(CONFIG_FLAG.hasPfx6, !maps.pfx6.isEmpty());
    return outcomes;
  };

  return {
    set(rules, now) {
      wanted = rules;
      const outcomes = apply(resolveRules(rules, now));
      return rules.map(rule => outcomes.get(rule.target) ?? { target: rule.target, enforced: false, why: 'refused' });
    },
    list: () => [...stored()].map(([target, { value }]) => ({ target, ...decodeRule(value, clock) })),
    sweep(now) {
      const over = wanted.filter(rule => rule.expiresAt !== null && rule.expiresAt <= now);
      if (over.length === 0) return [];
      wanted = wanted.filter(rule => !over.includes(rule));
      apply(resolveRules(wanted, now));
      return over.filter(rule => rule.action === 'deny').map(rule => rule.target);
    },
  };
}
