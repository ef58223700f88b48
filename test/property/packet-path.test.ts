/** What must hold of the packet path whatever the frame: shown on the oracle, which test/kernel/oracle.test.ts holds the kernel against. */
import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { hexOf } from '#test/support/oracle/addresses.ts';
import { dissectL3, dissectL4 } from '#test/support/oracle/dissect.ts';
import { createOracle, type Judgement } from '#test/support/oracle/oracle.ts';
import { createRandom } from '#test/support/oracle/random.ts';
import { randomSequence } from '#test/support/oracle/random-frames.ts';
import { randomScenario, SOURCES } from '#test/support/oracle/random-scenarios.ts';
import { OWN4, OWN6 } from '#test/support/oracle/real-sockets.ts';
import type { Scenario } from '#test/support/oracle/scenario.ts';

const START = 1_000_000_000_000_000n;
const STEP_NS = 3_000_000n;

interface Seen extends Judgement {
  /** Hex; undefined where the frame has none. */
  readonly source: string | undefined;
  readonly frame: Uint8Array;
  readonly trapPorts: ReadonlySet<string>;
}

function play(seed: number, change: (scenario: Scenario) => Scenario = scenario => scenario): Seen[] {
  const random = createRandom(seed);
  const oracle = createOracle(change(randomScenario(random)), START);
  return randomSequence(random, 60).map((frame, at) => {
    const outcome = dissectL3(frame);
    return {
      ...oracle.judge(frame, START + BigInt(at) * STEP_NS),
      source: outcome.what === 'ip' ? outcome.l3.from : undefined,
      frame,
      trapPorts: oracle.model.trapPorts,
    };
  });
}
const setting =
  (settings: Partial<Scenario['settings']>) =>
  (scenario: Scenario): Scenario => ({ ...scenario, settings: { ...scenario.settings, ...settings } });
const SOURCES_HEX = new Set(SOURCES.map(hexOf));

test.prop([fc.array(fc.uint8Array({ maxLength: 120 }), { maxLength: 20 }), fc.nat()])('garbage gets a verdict', (frames, seed) => {
  const oracle = createOracle(randomScenario(createRandom(seed)), START);
  for (const frame of frames) expect(oracle.judge(frame, START).verdict).toMatch(/^(pass|drop)/);
});

test.prop([fc.nat()], { numRuns: 50 })('an allow rule for everything leaves nothing but what has no source to drop', seed => {
  const allowAll = ['0.0.0.0/0', '::/0'].map(prefix => ({ prefix, action: 'allow' as const, expiresNs: null }));
  const seen = play(seed, scenario => ({ ...setting({ hasPrefix6: true })(scenario), rules: allowAll, hints: Array.from({ length: 65_536 }, (_, at) => at) }));
  for (const { verdict, events } of seen) {
    expect(['pass-allowed', 'pass-not-ip', 'drop-malformed']).toContain(verdict);
    expect(events).toEqual([]);
  }
});

test.prop([fc.nat()], { numRuns: 300 })('nothing that follows the source hides a banned one', seed => {
  const bans = SOURCES.map(target => ({ target, expiresNs: null }));
  const seen = play(seed, scenario => ({ ...setting({ hasBan6x: true })(scenario), bans, rules: [] }));
  const ofBanned = seen.filter(({ source }) => source !== undefined && SOURCES_HEX.has(source));
  expect(ofBanned.length).toBeGreaterThan(0);
  for (const { verdict } of ofBanned) expect(verdict).toBe('drop-ban');
});

test.prop([fc.nat()], { numRuns: 300 })('a confined source is let through to traps that live, or not at all', seed => {
  const bans = SOURCES.map(target => ({ target, expiresNs: null, confined: true }));
  const confined = (heartbeatNs: bigint | null) => (scenario: Scenario) => ({
    ...setting({ hasBan6x: true, trapPort: 7_000, trapUdpPort: 7_000, trapMark: 1 })(scenario),
    own: [OWN4, OWN6],
    bans,
    rules: [],
    heartbeatNs,
  });
  const [alive, dead] = [0n, null].map(heartbeatNs =>
    play(seed, confined(heartbeatNs)).filter(({ source }) => source !== undefined && SOURCES_HEX.has(source)),
  );
  const isTrap = ({ frame, trapPorts }: Seen): boolean => {
    const outcome = dissectL3(frame);
    const l4 = outcome.what === 'ip' ? dissectL4(frame, outcome.l3) : undefined;
    return l4?.what === 'discovery' || ((l4?.what === 'tcp' || l4?.what === 'udp') && trapPorts.has(`${l4.what} ${l4.toPort}`));
  };
  for (const seen of alive ?? []) {
    expect(['pass', 'drop-confined', 'drop-flood', 'drop-policed']).toContain(seen.verdict);
    if (seen.verdict === 'pass') expect(isTrap(seen)).toBe(true);
  }
  for (const { verdict, frame } of dead ?? []) expect(verdict).toBe(isTrap({ frame, trapPorts: new Set() } as unknown as Seen) ? 'pass' : 'drop-confined');
});

test.prop([fc.nat()], { numRuns: 300 })('observe and pause drop nothing and decide the same', seed => {
  const [enforced, observed, paused] = [{ mode: 'enforce' }, { mode: 'observe' }, { mode: 'enforce', pausedUntilNs: 10n ** 12n }] as const;
  const [one, two, three] = [enforced, observed, paused].map(mode => play(seed, setting({ pausedUntilNs: null, ...mode })));
  expect(two?.map(({ verdict }) => verdict)).toEqual(one?.map(({ verdict }) => verdict));
  expect(three?.map(({ verdict }) => verdict)).toEqual(one?.map(({ verdict }) => verdict));
  expect([...(two ?? []), ...(three ?? [])].some(({ dropped }) => dropped)).toBe(false);
});

test.prop([fc.nat()], { numRuns: 300 })('a host without addresses judges nobody', seed => {
  const seen = play(seed, scenario => ({ ...scenario, own: [], bans: [], rules: [] }));
  for (const { verdict } of seen) expect(['pass', 'pass-not-ip', 'drop-malformed']).toContain(verdict);
});

test.prop([fc.nat()], { numRuns: 300 })('a proven source is policed, and never called a scanner or a flooder', seed => {
  const proven = SOURCES.map(source => ({ source, atNs: 0n }));
  const seen = play(seed, scenario => ({ ...setting({ provenTtlNs: 10n ** 12n })(scenario), proven }));
  for (const { verdict, source } of seen) {
    if (source !== undefined && SOURCES_HEX.has(source)) expect(['drop-scan', 'drop-flood', 'drop-lockdown']).not.toContain(verdict);
  }
});
