/** The closed lists of intel and the kernel room against bpf/honeymesh_consts.h: the same names, the same numbers. */

import { readFileSync } from 'node:fs';
import { MODES, TIERS } from '@honeymesh/intel/evidence';
import { REASONS } from '@honeymesh/intel/reasons';
import { expect, test } from 'vitest';
import {
  BAN_FLAG,
  BAN_HINT_BITS,
  BANKS,
  CONFIG_FLAG,
  COUNTER_ROWS,
  EVENT_KINDS,
  LAYOUT_VERSION,
  OWN4,
  PROBES,
  RULE_ACTION,
  SHUN_KINDS,
  SLOTS,
  WINDOWS,
} from '#enforcer/kernel/layouts.ts';
import { COUNTERS, VERDICTS } from '#enforcer/kernel/verdicts.ts';

const HEADER = readFileSync(new URL('../../../../bpf/honeymesh_consts.h', import.meta.url), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');

/** name -> number of one enum. */
function enumOf(name: string): Record<string, number> {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(HEADER)?.[1];
  if (body === undefined) throw new Error(`no enum ${name} in the header`);
  const rows = [...body.matchAll(/(\w+) = (?:1u << )?(\d+)(?=,|\s|$)/g)];
  return Object.fromEntries(rows.map(([row, key, number]) => [key ?? '', row.includes('<<') ? 2 ** Number(number) : Number(number)]));
}
const define = (name: string): number => Number(new RegExp(`#define ${name} (\\d+)`).exec(HEADER)?.[1]);
const shout = (name: string): string => name.replaceAll('-', '_').toUpperCase();
const numbered = (prefix: string, names: readonly string[], number: (at: number) => number = at => at): Record<string, number> =>
  Object.fromEntries(names.map((name, at) => [`${prefix}${shout(name)}`, number(at)]));

test('verdicts', () => {
  expect(enumOf('hm_verdict')).toEqual({ ...numbered('HM_', VERDICTS), HM_VERDICTS: VERDICTS.length });
});

test('counters', () => {
  expect(enumOf('hm_counter')).toEqual({ ...numbered('HM_COUNT_', COUNTERS), HM_COUNTERS: COUNTER_ROWS });
});

test('reasons that the kernel gives', () => {
  const all = Object.fromEntries(REASONS.map(({ bit, name }) => [`HM_REASON_${shout(name)}`, 2 ** bit]));
  expect(all).toMatchObject(enumOf('hm_reason'));
  expect(Object.keys(enumOf('hm_reason')).length).toBeGreaterThan(5);
});

test('tiers, modes, banks', () => {
  expect(enumOf('hm_tier')).toEqual(numbered('HM_TIER_', TIERS));
  expect(enumOf('hm_mode')).toEqual(numbered('HM_MODE_', MODES));
  expect(enumOf('hm_stats_bank')).toEqual({ ...numbered('HM_BANK_', BANKS), HM_BANKS: BANKS.length });
});

test('rule actions, shun kinds, probes, windows, event kinds', () => {
  expect(enumOf('hm_rule_action')).toEqual({ HM_RULE_DENY: RULE_ACTION.deny, HM_RULE_ALLOW: RULE_ACTION.allow });
  expect(enumOf('hm_shun_kind')).toEqual(numbered('HM_SHUN_', SHUN_KINDS, at => 2 ** at));
  expect(enumOf('hm_probe')).toEqual(numbered('HM_PROBE_', PROBES));
  expect(enumOf('hm_window').HM_WINDOWS).toBe(WINDOWS);
  expect(enumOf('hm_event_kind')).toEqual(Object.fromEntries(Object.entries(EVENT_KINDS).map(([name, number]) => [`HM_EVENT_${shout(name)}`, number])));
});

test('flags and sizes', () => {
  expect(enumOf('hm_ban_flag')).toEqual({ HM_BAN_CONFINED: BAN_FLAG.confined });
  expect(enumOf('hm_config_flag')).toEqual({
    HM_FLAG_HAS_BAN6X: CONFIG_FLAG.hasBan6x,
    HM_FLAG_HAS_PFX6: CONFIG_FLAG.hasPfx6,
    HM_FLAG_HAS_WATCH: CONFIG_FLAG.hasWatch,
    HM_FLAG_EGRESS_DROP: CONFIG_FLAG.egressDrop,
    HM_FLAG_HAS_BAN_HINT: CONFIG_FLAG.hasBanHint,
  });
  expect(['HM_LAYOUT_VERSION', 'HM_SLOTS', 'HM_OWN4', 'HM_BAN_HINT_BITS'].map(define)).toEqual([LAYOUT_VERSION, SLOTS, OWN4, BAN_HINT_BITS]);
});
