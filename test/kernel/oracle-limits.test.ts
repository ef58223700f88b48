/** The limits of docs/packet-path.md, section 9, that hang on chance or on the number of CPUs: bounds instead of an oracle. */
import { availableParallelism } from 'node:os';
import { beforeAll, expect, test } from 'vitest';
import { runInNamespace } from '#test/support/oracle/in-namespace.ts';
import type { LimitsOutcome } from '#test/support/oracle/run-limits.ts';

let limits: LimitsOutcome;
beforeAll(async () => {
  const ran = await runInNamespace('run-limits.ts', [], 30_000);
  expect(ran.stderr).toBe('');
  limits = JSON.parse(ran.stdout) as LimitsOutcome;
});
const cpus = availableParallelism();

test('the flood guard gives one new source in 16 a tracker, says so once, and knows its old ones', () => {
  const { verdicts, events, counters } = limits.guard;
  expect(verdicts.slice(0, -1).every(verdict => verdict === 'pass')).toBe(true);
  expect(verdicts.at(-1)).toBe('drop-scan');
  expect(counters.newSources + counters.guarded).toBe(4_000);
  const sampled = counters.newSources - 100;
  expect(sampled).toBeGreaterThan(244 - 100); // 3,900 / 16, and more than six standard deviations
  expect(sampled).toBeLessThan(244 + 100);
  expect(events.guard).toBe(1);
});

test('a full map of shuns costs no verdict, is counted, and told once a second', () => {
  const { verdicts, events, counters } = limits.fullShuns;
  expect(new Set(verdicts)).toEqual(new Set(['drop-scan']));
  expect(counters.shunFull).toBe(88);
  expect(events['map-full']).toBe(1);
});

test('touches use at most three quarters of a CPU’s budget', () => {
  const { verdicts, events, counters } = limits.touchBudget;
  expect(new Set(verdicts)).toEqual(new Set(['pass']));
  expect(events.touch).toBeGreaterThanOrEqual(30);
  expect(events.touch).toBeLessThanOrEqual(30 * cpus);
  expect((events.touch ?? 0) + counters.eventsLimited).toBe(500);
});

test('scans use the whole budget, and what does not fit is counted', () => {
  const { events, counters } = limits.scanBudget;
  const told = (events.touch ?? 0) + (events.scan ?? 0);
  expect(told).toBeGreaterThanOrEqual(40);
  expect(told).toBeLessThanOrEqual(40 * cpus);
  expect(events.touch).toBeLessThanOrEqual(30 * cpus);
  expect(told + counters.eventsLimited).toBe(1_000);
});
