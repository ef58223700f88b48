import { describe, expect, test } from 'vitest';
import { createAwareness } from '#enforcer/mesh/protocol/core/awareness.ts';
import { createBroadcastQueue, retransmitLimit } from '#enforcer/mesh/protocol/core/broadcast-queue.ts';
import { pushPullScale } from '#enforcer/mesh/protocol/core/exchange.ts';
import { createMemberTable } from '#enforcer/mesh/protocol/core/member-table.ts';
import { pickSome } from '#enforcer/mesh/protocol/core/random.ts';
import { createSuspicion, remainingSuspicionMs, suspicionLimits, suspicionTimeoutMs } from '#enforcer/mesh/protocol/core/suspicion.ts';
import { whoCannotTalk } from '#enforcer/mesh/protocol/core/versions.ts';
import { endpointOf, seeded, VERSIONS } from '#test/support/mesh-member.ts';
import { SUSPICION_TIMEOUTS } from './memberlist-tables.ts';

describe("memberlist's formulas", () => {
  test.each(SUSPICION_TIMEOUTS)('suspicion of mult %d in a table of %d takes %d ms', (mult, members, ms) => {
    expect(suspicionTimeoutMs(mult, members, 1000)).toBe(ms);
  });

  test.each([
    [0, 3, 0, 2000, 30_000, 30_000],
    [1, 3, 2000, 2000, 30_000, 14_000],
    [2, 3, 3000, 2000, 30_000, 4810],
    [3, 3, 4000, 2000, 30_000, -2000],
    [4, 3, 5000, 2000, 30_000, -3000],
    [5, 3, 10_000, 2000, 30_000, -8000],
    [0, 3, 7000, 2000, 30_000, 23_000],
    [1, 3, 7000, 2000, 30_000, 9000],
    [2, 3, 7000, 2000, 30_000, 810],
    [3, 3, 7000, 2000, 30_000, -5000],
    [1, 2, 0, 7224, 43_344, 20_554],
    [2, 2, 0, 7224, 43_344, 7224],
  ])('%d of %d confirmations after %d ms, least %d, most %d, leave %d ms', (confirmations, wanted, elapsedMs, leastMs, mostMs, leftMs) => {
    expect(remainingSuspicionMs(confirmations, { wanted, leastMs, mostMs }, elapsedMs)).toBe(leftMs);
  });

  test.each([
    [3, 0, 0],
    [3, 1, 3],
    [3, 99, 6],
    [4, 9, 4],
    [4, 10, 8],
    [4, 99, 8],
    [4, 100, 12],
    [4, 999, 12],
    [4, 1000, 16],
    [4, 10_000, 20],
  ])('an item with mult %d in a table of %d is sent %d times', (mult, members, times) => {
    expect(retransmitLimit(mult, members)).toBe(times);
  });

  test.each([
    [0, 1],
    [32, 1],
    [33, 2],
    [64, 2],
    [65, 3],
    [128, 3],
    [500, 5],
    [999, 6],
    [1000, 6],
    [5000, 9],
    [10_000, 10],
  ])('%d members exchange every %d intervals', (members, times) => {
    expect(pushPullScale(members)).toBe(times);
  });

  test('awareness stays between 0 and the maximum, and stretches timeouts', () => {
    const awareness = createAwareness(8);
    const rows = [0, -1, -10, 1, -1, 10, -1, -1, -1, -1, -1, -1, -1, -1].map(delta => {
      awareness.add(delta);
      return [awareness.score, awareness.scaled(1000)];
    });
    expect(rows.map(([score]) => score)).toEqual([0, 0, 0, 1, 0, 7, 6, 5, 4, 3, 2, 1, 0, 0]);
    expect(rows.map(([, ms]) => ms)).toEqual([1000, 1000, 1000, 2000, 1000, 8000, 7000, 6000, 5000, 4000, 3000, 2000, 1000, 1000]);
  });
});

describe('a suspicion', () => {
  const limits = { wanted: 3, leastMs: 500, mostMs: 2000 };

  test.each([
    ['nobody confirms', [], 2000],
    ['the first accuser says it again', ['me'], 2000],
    ['one confirms', ['me', 'a'], 1250],
    ['one confirms twice', ['me', 'a', 'a'], 1250],
    ['two confirm', ['me', 'a', 'b'], 811],
    ['three confirm', ['me', 'a', 'b', 'c'], 500],
    ['more confirm than count', ['me', 'a', 'b', 'c', 'd'], 500],
  ])('where %s ends in time', (_, accusers, endsAtMs) => {
    const suspicion = createSuspicion('me', limits, 0);
    for (const accuser of accusers) suspicion.confirm(accuser, 0);
    expect(suspicion.endsAtMs).toBe(endsAtMs);
  });

  test('that needs no confirmation lasts the shortest time', () => {
    expect(createSuspicion('me', { wanted: 0, leastMs: 500, mostMs: 2000 }, 100).endsAtMs).toBe(600);
  });

  test('is over at once where the confirmations come after the shortest time', () => {
    const suspicion = createSuspicion('me', limits, 0);
    for (const accuser of ['a', 'b', 'c']) suspicion.confirm(accuser, 1000);
    expect(suspicion.endsAtMs).toBe(1000);
  });

  test('in a mesh of a handful does not wait for confirmations that cannot come', () => {
    const options = { suspicionMult: 5, suspicionMaxTimeoutMult: 2, probeIntervalMs: 100 };
    expect(suspicionLimits(options, 4)).toEqual({ wanted: 0, leastMs: 500, mostMs: 1000 });
    expect(suspicionLimits(options, 5)).toEqual({ wanted: 3, leastMs: 500, mostMs: 1000 });
  });
});

describe('the broadcast queue', () => {
  const item = (name: string | null, message: string, bytes = message.length) => ({ name, message, bytes });
  const budget = (limitBytes: number, overheadBytes = 2, transmits = 3) => ({ limitBytes, overheadBytes, items: 255, transmits });

  test('replaces the older item of a name', () => {
    const queue = createBroadcastQueue<string>();
    for (const name of ['test', 'foo', 'bar']) queue.add(item(name, name));
    expect(queue.size).toBe(3);
    queue.add(item('test', 'again'));
    expect(queue.draw(budget(100)).messages).toEqual(['again', 'bar', 'foo']);
  });

  test('gives as many items of 18 bytes as 80 bytes hold', () => {
    const queue = createBroadcastQueue<string>();
    for (const number of [1, 2, 3, 4]) queue.add(item(null, `${number}. this is a test.`, 18));
    expect(queue.draw(budget(80, 2)).messages).toHaveLength(4);
    expect(queue.draw(budget(80, 3)).messages).toHaveLength(3);
  });

  test('is done with an item after its number of transmits', () => {
    const queue = createBroadcastQueue<string>();
    const done: number[] = [];
    for (const number of [1, 2, 3, 4]) queue.add({ ...item(null, `${number}`, 18), finished: () => done.push(number) });
    const drawn = [1, 2, 3, 4, 5, 6].map(() => queue.draw(budget(80, 3, 2)).messages.length);
    expect(drawn).toEqual([3, 3, 2, 0, 0, 0]);
    expect(done.sort()).toEqual([1, 2, 3, 4]);
    expect(queue.bytes).toBe(0);
  });

  test('sends the least sent first, then the longest, then the newest', () => {
    const queue = createBroadcastQueue<string>();
    queue.add(item('old', 'old', 10));
    expect(queue.draw(budget(12, 2)).messages).toEqual(['old']);
    for (const [name, length] of [
      ['short', 5],
      ['long', 20],
      ['long too', 20],
    ] as const)
      queue.add(item(name, name, length));
    expect(queue.draw(budget(200, 2)).messages).toEqual(['long too', 'long', 'short', 'old']);
  });

  test('fills what is left of a budget with what is short enough', () => {
    const queue = createBroadcastQueue<string>();
    for (const length of [60, 50, 20]) queue.add(item(null, `${length}`, length));
    expect(queue.draw(budget(90, 2))).toEqual({ messages: ['60', '20'], bytes: 84 });
  });

  test('drops the oldest where it is pruned', () => {
    const queue = createBroadcastQueue<string>();
    const dropped: string[] = [];
    for (const name of ['1', '2', '3', '4']) queue.add({ ...item(name, name), finished: () => dropped.push(name) });
    queue.prune(2);
    expect(dropped).toEqual(['1', '2']);
    expect(queue.draw(budget(100)).messages).toEqual(['4', '3']);
  });

  test('never draws more parts than a compound counts', () => {
    const queue = createBroadcastQueue<string>();
    for (let number = 0; number < 300; number++) queue.add(item(null, 'x', 1));
    expect(queue.draw({ ...budget(10_000), items: 254 }).messages).toHaveLength(254);
    expect(queue.size).toBe(300);
  });
});

describe('random picks', () => {
  const list = Array.from({ length: 90 }, (_, at) => at);

  test('are distinct, wanted, and differ from time to time', () => {
    const random = seeded(3);
    const picks = [1, 2, 3].map(() => pickSome(list, 3, random, item => item % 3 === 0));
    for (const picked of picks) {
      expect(new Set(picked).size).toBe(3);
      expect(picked.every(item => item % 3 === 0)).toBe(true);
    }
    expect(new Set(picks.map(picked => picked.join())).size).toBe(3);
  });

  test('find the only one in a small mesh', () => {
    for (let seed = 0; seed < 50; seed++) expect(pickSome([1, 2, 3, 4, 5], 3, seeded(seed), item => item === 4)).toEqual([4]);
  });
});

describe('the table', () => {
  test('forgets at the end of a round who is gone for long, never the living', () => {
    const table = createMemberTable(seeded(1));
    for (const [at, state] of (['alive', 'dead', 'dead', 'left', 'suspect'] as const).entries()) {
      const member = table.add(`n${at}`, endpointOf(`n${at}`), new Uint8Array(), VERSIONS);
      member.state = state;
      member.stateSinceMs = at === 2 ? 9000 : 0;
    }
    expect(
      table
        .reap(5000, 'n0')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['n1', 'n3']);
    expect(table.list.map(({ name }) => name).sort()).toEqual(['n0', 'n2', 'n4']);
    expect(table.get('n1')).toBeUndefined();
  });

  test('puts a newcomer anywhere in the order of probing', () => {
    const places = new Set<number>();
    for (let seed = 0; seed < 100; seed++) {
      const table = createMemberTable(seeded(seed));
      for (let at = 0; at < 8; at++) table.add(`n${at}`, endpointOf(`n${at}`), new Uint8Array(), VERSIONS);
      places.add(table.list.findIndex(({ name }) => name === 'n7'));
    }
    expect(places.size).toBe(8);
  });
});

describe('who can talk with whom', () => {
  const speaker = (name: string, ...versions: number[]) => ({ name, versions: Uint8Array.from(versions), alive: true });
  const AB: [number[], number[], boolean][] = [
    [[0, 5, 1, 0, 5, 1], [0, 5, 2, 0, 5, 2], true],
    [[0, 5, 2, 0, 5, 1], [0, 1, 1, 0, 5, 1], false],
    [[0, 5, 1, 0, 5, 2], [0, 5, 1, 0, 1, 1], false],
    [[2, 5, 2, 0, 5, 1], [1, 3, 1, 0, 5, 1], false],
    [[0, 5, 1, 3, 5, 3], [0, 5, 1, 0, 5, 1], false],
  ];

  test.each(AB)('%j and %j: %s, in whatever order', (one, other, can) => {
    expect(whoCannotTalk([speaker('a', ...one), speaker('b', ...other)]) === null).toBe(can);
    expect(whoCannotTalk([speaker('b', ...other), speaker('a', ...one)]) === null).toBe(can);
  });

  test('the dead set no range and must lie in it', () => {
    expect(whoCannotTalk([speaker('a', 1, 5, 2, 0, 0, 0), { ...speaker('b', 1, 1, 1, 0, 0, 0), alive: false }])).toBeNull();
    expect(whoCannotTalk([speaker('a', 2, 5, 2, 0, 0, 0), { ...speaker('b', 1, 1, 1, 0, 0, 0), alive: false }])).toBe('b');
  });

  test('a member with too few versions counts as version 0', () => {
    expect(whoCannotTalk([speaker('a', 1, 5, 2, 0, 0, 0), speaker('b', 1, 5, 2)])).toBe('b');
  });
});
