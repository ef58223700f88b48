/** Simulator 2: that it is a simulator, and that each of its checkers is no decoration. Its seeds have files of their own. */
import { DAY_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import {
  CHECKERS,
  honestWordArrives,
  honestWordCounts,
  nobodyHeldForEver,
  nobodySpared,
  noDeadWord,
  noFlood,
  nothingForged,
  takenBackIsGone,
} from '#test/support/advice-checkers.ts';
import { type Checker, type Sabotage, simulate } from '#test/support/advice-simulator.ts';

test('a run is a function of its seed', () => {
  const [one, other] = [simulate(7, CHECKERS), simulate(7, CHECKERS)];
  expect(other.world.counts).toEqual(one.world.counts);
  expect(other.world.hosts.map(host => host.ledger.snapshot())).toEqual(one.world.hosts.map(host => host.ledger.snapshot()));
  expect(other.world.mesh.aired).toEqual(one.world.mesh.aired);
});

describe('each checker can fire', () => {
  test.each<[string, Checker, Sabotage, RegExp]>([
    ['an allow-list that is not known', nobodySpared, { deafTo: 'allow-list' }, /touches 198\.51\.100/],
    ['members that are not known', nobodySpared, { deafTo: 'members' }, /touches 192\.0\.2/],
    ['words that hold for ever', nobodyHeldForEver, { longestMs: 60 * DAY_MS }, /held .* h on the word/],
    ['signers that need no rest', nobodyHeldForEver, { restMs: 0 }, /held .* h on the word/],
    ['no cap', noFlood, { mostPerHour: { ipv4: 1e9, ipv6: 1e9 } }, /took \d+ addresses/],
    ['withdrawals that are not heard', noDeadWord, { deafTo: 'withdrawals' }, /on the word of \d sites/],
    ['withdrawals that are not heard, to who asks their signers', takenBackIsGone, { deafTo: 'withdrawals' }, /on what .* took back/],
    ['a quorum that nobody reaches', honestWordCounts, { quorum: 9 }, /lets .* in/],
    ['signatures that prove nothing', nothingForged, { mesh: 'unsigned' }, /what that never said/],
    ['a mesh that repairs nothing', honestWordArrives, { mesh: 'unrepaired' }, /never heard/],
  ])('%s', (_, checker, sabotage, complaint) => {
    let found: string | null = null;
    for (let seed = 1; seed <= 100 && found === null; seed++) found = simulate(seed, [checker], sabotage).complaint;
    expect(found).toMatch(complaint);
  });
});
