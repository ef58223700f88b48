import type { Prefix } from '@honeymesh/intel/address';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { ADVICE_POLICY } from '#enforcer/ledger/advice/advice.ts';
import type { Ledger } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { adviceOf, advise, hear, MESH, meshLedger, takeBack } from '#test/support/advice.ts';
import { brief, bystandersOf, later, lift, order, POLICY, see, T0, targets, tick } from '#test/support/ledger.ts';

const ATTACKER = '203.0.113.7';
const TARGET = '203.0.113.7/32' as Prefix;
const endOn = (ledger: Ledger, target: string, now = T0): number | null => {
  const ban = ledger.banOn(target as Prefix, now);
  return ban?.expiresAt === undefined || ban.expiresAt === null ? null : ban.expiresAt - T0;
};

describe('how many say so', () => {
  test('one site bans for ten minutes, shown as such; a second one for as long as both say', () => {
    const ledger = meshLedger();
    expect(brief(advise(ledger, 'a1', TARGET, T0))).toEqual([`provisional ${TARGET}`, `new ${TARGET}`]);
    expect(ledger.banOn(TARGET, T0)).toMatchObject({
      tier: 'E1',
      origins: ['peer'],
      offences: 0,
      expiresAt: later(10 * MINUTE_MS),
      advised: { since: T0, provisional: true },
      advisers: [{ signer: 'a1', site: 'a', path: 'mesh', at: T0 }],
    });
    const second = advise(ledger, 'b1', TARGET, later(MINUTE_MS), { tier: 'E2', reasons: ['exploit'] });
    expect(brief(second)).toEqual([`banned ${TARGET}`, `strengthened ${TARGET}`]);
    expect(ledger.banOn(TARGET, later(MINUTE_MS))).toMatchObject({
      tier: 'E2',
      reasons: ['trap-touch', 'exploit'],
      expiresAt: later(4 * HOUR_MS),
      advised: { since: T0, provisional: false },
      advisers: [{ signer: 'a1' }, { signer: 'b1' }],
    });
  });

  test('two hosts of one site are one vote; where the mesh has one site they are two', () => {
    const ledger = meshLedger();
    advise(ledger, 'a1', TARGET, T0);
    advise(ledger, 'a2', TARGET, T0);
    expect(ledger.banOn(TARGET, T0)?.advised?.provisional).toBe(true);
    const oneSite = meshLedger({ mesh: { sites: 1 } });
    advise(oneSite, 'a1', TARGET, T0);
    advise(oneSite, 'a2', TARGET, T0);
    expect(oneSite.banOn(TARGET, T0)?.advised?.provisional).toBe(false);
  });

  test('after its ten minutes a provisional ban is over, and its signer gets no second one by saying it again', () => {
    const ledger = meshLedger();
    advise(ledger, 'a1', TARGET, T0);
    expect(brief(tick(ledger, later(10 * MINUTE_MS)))).toEqual([`expire ${TARGET}`]);
    expect(brief(advise(ledger, 'a1', TARGET, later(11 * MINUTE_MS)))).toEqual([`counted ${TARGET}`]);
    expect(brief(advise(ledger, 'a2', TARGET, later(11 * MINUTE_MS)))).toEqual([`counted ${TARGET}`]);
    expect(brief(advise(ledger, 'b1', TARGET, later(HOUR_MS)))).toEqual([`banned ${TARGET}`, `new ${TARGET}`]);
  });

  test('all that comes by the hub without a certificate of ours is one vote, on the mesh it is none', () => {
    const ledger = meshLedger();
    const stranger = { certified: false, site: null };
    expect(brief(advise(ledger, 'x1', TARGET, T0, stranger))).toEqual([`refused ${TARGET}: unsigned`]);
    advise(ledger, 'x1', TARGET, T0, { ...stranger, path: 'hub' });
    advise(ledger, 'x2', TARGET, T0, { ...stranger, path: 'hub', site: 'x', expiresAt: later(5 * HOUR_MS) });
    expect(ledger.banOn(TARGET, T0)).toMatchObject({ origins: ['hub'], advised: { provisional: true } });
    advise(ledger, 'a1', TARGET, T0, { path: 'hub' });
    expect(ledger.banOn(TARGET, T0)).toMatchObject({ origins: ['hub'], advised: { provisional: false } });
  });

  test('the ban ends when too few say so any more', () => {
    const ledger = meshLedger();
    advise(ledger, 'a1', TARGET, T0, { expiresAt: later(HOUR_MS) });
    advise(ledger, 'b1', TARGET, T0, { expiresAt: later(3 * HOUR_MS) });
    expect(endOn(ledger, TARGET)).toBe(HOUR_MS);
    advise(ledger, 'c1', TARGET, T0, { expiresAt: later(2 * HOUR_MS) });
    expect(endOn(ledger, TARGET)).toBe(2 * HOUR_MS);
    expect(brief(tick(ledger, later(2 * HOUR_MS)))).toEqual([`expire ${TARGET}`]);
    expect(targets(ledger)).toEqual([]);
  });
});

describe('how long', () => {
  test('no word holds for longer than a day from when it was signed, whatever it says', () => {
    const ledger = meshLedger();
    for (const signer of ['a1', 'b1']) advise(ledger, signer, TARGET, later(2 * HOUR_MS), { issuedAt: T0, expiresAt: later(90 * DAY_MS) });
    expect(endOn(ledger, TARGET, later(2 * HOUR_MS))).toBe(DAY_MS);
  });

  test('who says the same for ever holds nothing beyond a day, and counts for nothing on the day after', () => {
    const ledger = meshLedger();
    const held: boolean[] = [];
    for (let hour = 0; hour < 72; hour++) {
      const now = later(hour * HOUR_MS);
      for (const signer of ['a1', 'b1']) advise(ledger, signer, TARGET, now);
      held.push(ledger.banOn(TARGET, now) !== null);
    }
    expect(held.map(is => (is ? 'x' : '.')).join('')).toBe('x'.repeat(24) + '.'.repeat(24) + 'x'.repeat(24));
    expect(brief(advise(ledger, 'a2', TARGET, later(72 * HOUR_MS)))).toEqual([`expire ${TARGET}`, `refused ${TARGET}: spent`]);
  });

  test('nor does a wider prefix, or an address in it, begin a new day', () => {
    const ledger = meshLedger();
    const wide = '203.0.113.0/24';
    const ends = [0, 12, 23].map(at => {
      for (const signer of ['a1', 'b1']) advise(ledger, signer, at === 0 ? TARGET : wide, later(at * HOUR_MS));
      return endOn(ledger, at === 0 ? TARGET : wide, later(at * HOUR_MS));
    });
    expect(ends).toEqual([4 * HOUR_MS, 16 * HOUR_MS, DAY_MS]);
    tick(ledger, later(DAY_MS));
    expect(targets(ledger)).toEqual([]);
    expect(brief(advise(ledger, 'a1', '203.0.113.0/28', later(25 * HOUR_MS)))).toEqual(['refused 203.0.113.0/28: spent']);
  });

  test('others go on after a day only where they are more than a third of the mesh', () => {
    const held = (sites: number): boolean => {
      const ledger = meshLedger({ mesh: { sites } });
      for (let hour = 0; hour < 25; hour++) for (const signer of ['a1', 'b1']) advise(ledger, signer, TARGET, later(hour * HOUR_MS));
      for (const signer of ['c1', 'd1']) advise(ledger, signer, TARGET, later(25 * HOUR_MS));
      return ledger.banOn(TARGET, later(25 * HOUR_MS)) !== null;
    };
    expect([held(4), held(5), held(6), held(30)]).toEqual([true, true, false, false]);
  });

  test('a word ahead of its time, or over, is refused; a skewed clock is not', () => {
    const ledger = meshLedger();
    expect(brief(advise(ledger, 'a1', TARGET, T0, { issuedAt: later(31 * SECOND_MS) }))).toEqual([`refused ${TARGET}: ahead-of-time`]);
    expect(brief(advise(ledger, 'a1', TARGET, T0, { expiresAt: T0 }))).toEqual([`refused ${TARGET}: expired`]);
    expect(brief(advise(ledger, 'a1', TARGET, T0, { issuedAt: later(30 * SECOND_MS) }))).toEqual([`provisional ${TARGET}`, `new ${TARGET}`]);
  });

  test('the same word twice, or an older one late, changes nothing', () => {
    const ledger = meshLedger();
    const first = adviceOf('a1', TARGET, T0, { expiresAt: later(8 * HOUR_MS) });
    const newer = adviceOf('a1', TARGET, later(MINUTE_MS), { expiresAt: later(HOUR_MS) });
    advise(ledger, 'b1', TARGET, T0);
    hear(ledger, first);
    hear(ledger, newer);
    expect(endOn(ledger, TARGET, later(MINUTE_MS))).toBe(HOUR_MS);
    for (const again of [first, newer, first])
      expect(ledger.handle({ kind: 'advice', advice: again }, later(2 * MINUTE_MS))).toEqual({ decisions: [], changes: [] });
  });
});

describe('a withdrawal', () => {
  test('lifts what too few say without its signer, and no replay brings it back', () => {
    const ledger = meshLedger();
    const said = adviceOf('a1', TARGET, T0);
    hear(ledger, said);
    advise(ledger, 'b1', TARGET, T0);
    expect(brief(takeBack(ledger, said, later(HOUR_MS)))).toEqual([`withdrawn ${TARGET}`, `lift ${TARGET}: withdrawn`]);
    expect(brief(hear(ledger, said, later(2 * HOUR_MS)))).toEqual([`refused ${TARGET}: withdrawn`]);
    expect(takeBack(ledger, said, later(2 * HOUR_MS))).toEqual([]);
    expect(targets(ledger)).toEqual([]);
  });

  test('holds though it came before what it takes back; what its signer says later counts', () => {
    const ledger = meshLedger();
    const said = adviceOf('a1', TARGET, T0);
    takeBack(ledger, said, T0);
    expect(brief(hear(ledger, said, later(MINUTE_MS)))).toEqual([`refused ${TARGET}: withdrawn`]);
    expect(brief(advise(ledger, 'a1', TARGET, later(MINUTE_MS)))).toEqual([`provisional ${TARGET}`, `new ${TARGET}`]);
  });

  test('of a whole envelope takes back all that it said, and nothing else', () => {
    const ledger = meshLedger();
    const said = adviceOf('a1', TARGET, T0);
    hear(ledger, said);
    hear(ledger, { ...said, target: '203.0.113.8/32' as Prefix });
    advise(ledger, 'a1', '203.0.113.9/32', T0);
    expect(brief(takeBack(ledger, said, T0, { target: null }))).toEqual([
      `withdrawn ${TARGET} 203.0.113.8/32`,
      `lift ${TARGET}: withdrawn`,
      'lift 203.0.113.8/32: withdrawn',
    ]);
    expect(targets(ledger)).toEqual(['203.0.113.9/32']);
    expect(brief(hear(ledger, { ...said, target: '203.0.113.10/32' as Prefix }, T0))).toEqual(['refused 203.0.113.10/32: withdrawn']);
  });

  test('shortens what the others say for less long', () => {
    const ledger = meshLedger();
    const longest = adviceOf('a1', TARGET, T0, { expiresAt: later(9 * HOUR_MS) });
    hear(ledger, longest);
    advise(ledger, 'b1', TARGET, T0, { expiresAt: later(8 * HOUR_MS) });
    advise(ledger, 'c1', TARGET, T0, { expiresAt: later(2 * HOUR_MS) });
    expect(brief(takeBack(ledger, longest, T0))).toEqual([`withdrawn ${TARGET}`, `shortened ${TARGET}`]);
    expect(endOn(ledger, TARGET)).toBe(2 * HOUR_MS);
  });

  test('of another signer takes back nothing', () => {
    const ledger = meshLedger();
    const said = adviceOf('a1', TARGET, T0);
    hear(ledger, said);
    expect(brief(takeBack(ledger, { ...said, signer: 'a2' }, T0))).toEqual(['withdrawn ']);
    expect(targets(ledger)).toEqual([TARGET]);
  });
});

describe('this host has the last word', () => {
  test('what the operator lifts is immune to advice for a day, and so is each prefix that holds it', () => {
    const ledger = meshLedger();
    for (const signer of ['a1', 'b1']) advise(ledger, signer, '203.0.113.0/28', T0);
    for (const signer of ['a1', 'b1']) advise(ledger, signer, TARGET, T0);
    expect(brief(lift(ledger, TARGET))).toEqual([`lift ${TARGET}: order`, 'lift 203.0.113.0/28: withdrawn']);
    for (const target of [TARGET, '203.0.113.0/24']) expect(brief(advise(ledger, 'c1', target, later(HOUR_MS)))).toEqual([`refused ${target}: immune`]);
    expect(brief(advise(ledger, 'c1', TARGET, later(DAY_MS)))[0]).toBe(`provisional ${TARGET}`);
  });

  test('own evidence bans in its own right, with its own end, and remembers who warned', () => {
    const ledger = meshLedger();
    for (const signer of ['a1', 'b1']) advise(ledger, signer, TARGET, T0, { reasons: ['exploit'], expiresAt: later(DAY_MS) });
    expect(brief(see(ledger, ATTACKER, 'E1', later(HOUR_MS)))).toEqual([`strengthened ${TARGET}`]);
    const own = ledger.banOn(TARGET, later(HOUR_MS));
    expect(own).toMatchObject({
      origins: ['peer', 'trap'],
      reasons: ['trap-touch', 'exploit'],
      offences: 1,
      expiresAt: later(5 * HOUR_MS),
      advisers: [{ signer: 'a1' }, { signer: 'b1' }],
    });
    expect(own?.advised).toBeUndefined();
  });

  test('when the own ban ends, what advice still holds is banned by it', () => {
    const ledger = meshLedger();
    see(ledger, ATTACKER);
    for (const signer of ['a1', 'b1']) expect(brief(advise(ledger, signer, TARGET, T0, { expiresAt: later(6 * HOUR_MS) }))).toEqual([`own-ban ${TARGET}`]);
    expect(brief(tick(ledger, later(4 * HOUR_MS)))).toEqual([`expire ${TARGET}`, `new ${TARGET}`]);
    expect(endOn(ledger, TARGET, later(4 * HOUR_MS))).toBe(6 * HOUR_MS);
    expect(ledger.offence(TARGET)).toMatchObject({ count: 1 });
  });

  test('advice neither prolongs, shortens nor strengthens an own ban or an order, and its withdrawal lifts none', () => {
    const ledger = meshLedger();
    order(ledger, TARGET, T0, later(HOUR_MS));
    see(ledger, '203.0.113.8');
    const before = ledger.bans();
    const said = ['203.0.113.8/32', TARGET].flatMap(target => ['a1', 'b1', 'c1'].map(signer => adviceOf(signer, target, T0, { tier: 'E2' })));
    for (const advice of said) hear(ledger, advice);
    expect(ledger.bans()).toEqual(before);
    for (const advice of said) takeBack(ledger, advice, T0);
    expect(ledger.bans()).toEqual(before);
  });

  test('an order in the place of advice ends when it says', () => {
    const ledger = meshLedger();
    for (const signer of ['a1', 'b1']) advise(ledger, signer, TARGET, T0);
    expect(brief(order(ledger, TARGET, T0, later(HOUR_MS)))).toEqual([`strengthened ${TARGET}`]);
    expect(ledger.banOn(TARGET, T0)).toMatchObject({ tier: 'operator', expiresAt: later(HOUR_MS), offences: 1 });
  });

  test('bans by advice make no prefix ban, and an own one is made though advice covers it', () => {
    const ledger = meshLedger();
    for (let at = 1; at <= 6; at++) for (const signer of ['a1', 'b1']) advise(ledger, signer, `203.0.113.${at}/32`, T0);
    expect(targets(ledger)).toHaveLength(6);
    for (const signer of ['a1', 'b1']) advise(ledger, signer, '198.51.100.0/24', T0);
    for (let at = 1; at <= 4; at++) see(ledger, `198.51.100.${at}`);
    expect(ledger.banOn('198.51.100.0/24' as Prefix, T0)).toMatchObject({ origins: ['trap'], note: '4 banned neighbours in 198.51.100.0/24' });
  });

  test('the own evidence that was missing widens though advice had banned its source', () => {
    const ledger = meshLedger();
    for (const signer of ['a1', 'b1']) advise(ledger, signer, '198.51.100.4/32', T0);
    for (let at = 1; at <= 4; at++) see(ledger, `198.51.100.${at}`);
    expect(targets(ledger)).toEqual(['198.51.100.0/24']);
  });

  test('mode observe bans nobody and says who would have been', () => {
    const ledger = meshLedger({ policy: { mode: 'observe' } });
    expect(brief(advise(ledger, 'a1', TARGET, T0))).toEqual([`provisional (would be) ${TARGET}`]);
    expect(brief(advise(ledger, 'b1', TARGET, T0))).toEqual([`banned (would be) ${TARGET}`]);
    expect(ledger.bans()).toEqual([]);
  });
});

test('all of it is remembered over a restart', () => {
  const ledger = meshLedger();
  const said = adviceOf('c1', '203.0.113.9/32', T0);
  for (let hour = 0; hour < 24; hour++) for (const signer of ['a1', 'b1']) advise(ledger, signer, TARGET, later(hour * HOUR_MS));
  hear(ledger, said);
  takeBack(ledger, said, T0);
  for (const signer of ['a1', 'b1']) advise(ledger, signer, '203.0.113.10/32', later(23 * HOUR_MS));
  lift(ledger, '203.0.113.10/32', later(23 * HOUR_MS));
  const again = createLedger({ ...POLICY, advice: ADVICE_POLICY }, bystandersOf({}), ledger.snapshot(), MESH);
  expect(again.bans()).toEqual(ledger.bans());
  const now = later(23 * HOUR_MS + 1);
  expect(again.standing('a1', now).trust).toBeCloseTo(0.8);
  expect(brief(advise(again, 'c1', '203.0.113.10/32', now))).toEqual(['refused 203.0.113.10/32: immune']);
  expect(brief(hear(again, { ...said, expiresAt: later(DAY_MS) }, now))).toEqual(['refused 203.0.113.9/32: withdrawn']);
  tick(again, later(DAY_MS));
  expect(brief(advise(again, 'a1', TARGET, later(DAY_MS + 1)))).toEqual([`refused ${TARGET}: spent`]);
});
