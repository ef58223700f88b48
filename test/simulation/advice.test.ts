/** Advice between whole ledgers for 72 virtual hours, with up to a third of the sites in an attacker's hands. A failure names its seed. */
import { describe, expect, test } from 'vitest';
import { CHECKERS, honestWordCounts, nobodyHeldForEver, nobodySpared, noDeadWord, noFlood } from '#test/support/advice-checkers.ts';
import { type Checker, type Sabotage, simulate } from '#test/support/advice-simulator.ts';

const FIRST = Number(process.env.HONEYMESH_SEED ?? 1);
const PARTS = 5;
const SEEDS = (process.env.HONEYMESH_NIGHTLY === '1' ? 10_000 : 1_000) / PARTS;

test.each(Array.from({ length: PARTS }, (_, part) => FIRST + part * SEEDS))(`${SEEDS} seeds from %i on keep all promises`, first => {
  const sums: Record<string, number> = {};
  for (let seed = first; seed < first + SEEDS; seed++) {
    const { world, complaint } = simulate(seed, CHECKERS);
    expect(complaint, `seed ${seed}`).toBeNull();
    for (const [what, count] of Object.entries(world.counts)) sums[what] = (sums[what] ?? 0) + count;
  }
  // Runs in which nothing happens keep all promises too.
  for (const [what, count] of Object.entries(sums)) expect(count, what).toBeGreaterThan(SEEDS / 2);
});

test('a run is a function of its seed', () => {
  const [one, other] = [simulate(7, CHECKERS), simulate(7, CHECKERS)];
  expect(other.world.counts).toEqual(one.world.counts);
  expect(other.world.hosts.map(host => host.ledger.snapshot())).toEqual(one.world.hosts.map(host => host.ledger.snapshot()));
});

describe('each checker can fire', () => {
  const DAYS = 24 * 3_600_000;
  test.each<[string, Checker, Sabotage, RegExp]>([
    ['an allow-list that is not known', nobodySpared, { deafTo: 'allow-list' }, /touches 198\.51\.100/],
    ['members that are not known', nobodySpared, { deafTo: 'members' }, /touches 192\.0\.2/],
    ['words that hold for ever', nobodyHeldForEver, { longestMs: 60 * DAYS }, /held .* h on the word/],
    ['signers that need no rest', nobodyHeldForEver, { restMs: 0 }, /held .* h on the word/],
    ['no cap', noFlood, { mostPerHour: { ipv4: 1e9, ipv6: 1e9 } }, /took \d+ addresses/],
    ['withdrawals that are not heard', noDeadWord, { deafTo: 'withdrawals' }, /on the word of \d sites/],
    ['a quorum that nobody reaches', honestWordCounts, { quorum: 9 }, /lets .* in/],
  ])('%s', (_, checker, sabotage, complaint) => {
    let found: string | null = null;
    for (let seed = 1; seed <= 100 && found === null; seed++) found = simulate(seed, [checker], sabotage).complaint;
    expect(found).toMatch(complaint);
  });
});
