import type { Prefix } from '@honeymesh/intel/address';
import { HOUR_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { createRig, touchOf } from '#test/support/pipeline.ts';

const ATTACKER = '203.0.113.7/32' as Prefix;

describe('a sighting', () => {
  test('is enforced before the call returns, and recorded after it', async () => {
    const rig = createRig();
    rig.pipeline.sight(touchOf('203.0.113.7', rig.now()));
    expect(rig.kernel.listBans().map(ban => ban.target)).toEqual([ATTACKER]);
    expect(rig.enforced).toEqual([ATTACKER]);
    await rig.pipeline.settled();
    expect(rig.store.events.map(event => event.kind)).toEqual(['touch', 'ban']);
    expect(rig.store.events[1]).toMatchObject({ target: ATTACKER, tier: 'E1', reasons: ['trap-touch'], origin: 'trap', port: 23 });
  });

  test('that can be spoofed is recorded and bans nobody', async () => {
    const rig = createRig();
    rig.pipeline.sight({ ...touchOf('203.0.113.7', rig.now()), tier: 'E0', origin: 'kernel', kind: 'scan', reasons: ['syn-scan'] });
    await rig.pipeline.settled();
    expect(rig.kernel.listBans()).toEqual([]);
    expect(rig.store.events.map(event => event.kind)).toEqual(['scan']);
  });

  test('in mode observe is recorded as what would have been banned', async () => {
    const rig = createRig({ policy: { mode: 'observe' } });
    rig.pipeline.sight(touchOf('203.0.113.7', rig.now()));
    await rig.pipeline.settled();
    expect(rig.kernel.listBans()).toEqual([]);
    expect(rig.store.events).toMatchObject([{ kind: 'touch', wouldBan: true }]);
  });

  test('of an allowed source leads to nothing but a line in the log', async () => {
    const rig = createRig();
    await rig.orders.addAllowed({ target: '203.0.113.0/24' });
    rig.pipeline.sight(touchOf('203.0.113.7', rig.now()));
    await rig.pipeline.settled();
    expect(rig.kernel.listBans()).toEqual([]);
    expect(rig.store.events.at(-1)).toMatchObject({ kind: 'touch', source: '203.0.113.7', detail: { recorded: 'allowed' } });
  });
});

describe('what the kernel and the disk refuse', () => {
  test('a ban that found no room is a complaint, is tried again, and is in force when there is room', async () => {
    const rig = createRig({ kernelCapacity: { ipv4: 1, ipv6: 1, ipv6Exact: 1, rules: 1 } });
    rig.pipeline.sight(touchOf('203.0.113.7', rig.now()));
    rig.pipeline.sight(touchOf('203.0.113.8', rig.now()));
    expect(rig.degraded.current()).toMatchObject([{ part: 'kernel' }]);
    expect(rig.banList.rows().map(row => [row.target, row.enforced])).toEqual([
      ['203.0.113.7/32', true],
      ['203.0.113.8/32', false],
    ]);
    rig.kernel.removeBans([ATTACKER]);
    rig.pipeline.tick();
    expect(rig.kernel.listBans().map(ban => ban.target)).toEqual(['203.0.113.8/32']);
    expect(rig.degraded.current()).toEqual([]);
    await rig.pipeline.settled();
  });

  test('a disk that refuses holds no ban back', async () => {
    const rig = createRig();
    rig.store.refuse = true;
    rig.pipeline.sight(touchOf('203.0.113.7', rig.now()));
    expect(rig.kernel.listBans()).toHaveLength(1);
    expect((await rig.pipeline.order({ kind: 'order-ban', target: '198.51.100.1/32' as Prefix, expiresAt: null })).stored).toBe(false);
    expect(rig.kernel.listBans()).toHaveLength(2);
  });
});

test('an expired ban leaves the kernel and the list, and its end is in the log', async () => {
  const rig = createRig();
  rig.pipeline.sight(touchOf('203.0.113.7', rig.now()));
  rig.pass(4 * HOUR_MS + 1_000);
  rig.pipeline.tick();
  await rig.pipeline.settled();
  expect(rig.kernel.listBans()).toEqual([]);
  expect(rig.banList.rows()).toEqual([]);
  expect(rig.store.events.at(-1)).toMatchObject({ kind: 'expire', target: ATTACKER });
});

test('who listens hears events as they are stored, until they stop listening', async () => {
  const rig = createRig();
  const heard: string[] = [];
  const over = new AbortController();
  rig.pipeline.listen(event => heard.push(event.kind), over.signal);
  rig.pipeline.sight(touchOf('203.0.113.7', rig.now()));
  await rig.pipeline.settled();
  over.abort();
  rig.pipeline.sight(touchOf('203.0.113.9', rig.now()));
  await rig.pipeline.settled();
  expect(heard).toEqual(['touch', 'ban']);
});

describe('a batch', () => {
  test('is judged in its order, carried into the kernel at once and written in one commit', async () => {
    const rig = createRig();
    const commits: number[] = [];
    const commit = rig.store.commit.bind(rig.store);
    rig.store.commit = given => {
      commits.push(given.events.length);
      return commit(given);
    };
    const sources = ['203.0.113.7', '203.0.113.8', '203.0.113.7'];
    const decisions = rig.pipeline.sightAll(sources.map((source, at) => touchOf(source, rig.now(), 20 + at)));
    expect(decisions.map(({ kind }) => kind)).toEqual(['ban', 'ban', 'record']);
    expect(rig.kernel.listBans()).toHaveLength(2);
    expect(rig.enforced).toEqual([ATTACKER, '203.0.113.8/32']);
    await rig.pipeline.settled();
    expect(commits).toEqual([5]);
  });

  test('what it is told not to keep is carried out, and leaves no event', async () => {
    const rig = createRig();
    rig.pipeline.sightAll([touchOf('203.0.113.7', rig.now())], decision => decision.kind !== 'ban');
    await rig.pipeline.settled();
    expect(rig.kernel.listBans()).toHaveLength(1);
    expect(rig.store.events).toEqual([]);
    expect(rig.store.changes).toHaveLength(1);
  });

  test('that makes one ban of a prefix out of many, and then bans one of them anew, leaves that one in the kernel', () => {
    const rig = createRig({ policy: { aggregateAt: 3 } });
    const strong = { ...touchOf('203.0.113.1', rig.now()), kind: 'exploit', tier: 'E2', reasons: ['exploit'] } as const;
    rig.pipeline.sightAll([...[1, 2, 3].map(last => touchOf(`203.0.113.${last}`, rig.now())), strong]);
    expect(rig.kernel.listRules()).toMatchObject([{ target: '203.0.113.0/24', action: 'deny' }]);
    expect(rig.kernel.listBans()).toMatchObject([{ target: '203.0.113.1/32', tier: 'E2' }]);
    expect(rig.ledger.bans().map(held => held.target)).toEqual(expect.arrayContaining(['203.0.113.0/24', '203.0.113.1/32']));
  });

  test('that comes when the map is full has the room of those that its own prefix ban replaces', () => {
    const rig = createRig({ policy: { aggregateAt: 3 }, kernelCapacity: { ipv4: 3, ipv6: 1, ipv6Exact: 1, rules: 10 } });
    rig.pipeline.sightAll([...[1, 2, 3].map(last => touchOf(`203.0.113.${last}`, rig.now())), ...[4, 5].map(last => touchOf(`198.51.100.${last}`, rig.now()))]);
    expect(rig.kernel.listBans().map(held => held.target)).toEqual(['198.51.100.4/32', '198.51.100.5/32']);
    expect(rig.degraded.current()).toEqual([]);
  });
});
