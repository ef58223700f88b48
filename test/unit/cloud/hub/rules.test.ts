/** The hub's rules one by one, where the functions' tests do not reach their edges. */
import type { KeyId } from '@honeymesh/intel/envelope';
import { DAY_MS, MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { SETTINGS } from '#cloud/functions/functions.ts';
import { clusterOf, neverAdvisedOf, quorumSitesOf, setting, tableNamesOf, trustOf } from '#cloud/functions/shared/settings.ts';
import { corroborate, type Sighting } from '#cloud/hub/corroborate.ts';
import { MOST_EPOCHS, noEpochs, withEpoch } from '#cloud/hub/epochs.ts';
import { type HostState, isListening, isNewer, SILENT_AFTER_MS, summarise } from '#cloud/hub/fleet.ts';
import { spend, unspent, urgentLimits } from '#cloud/hub/governor.ts';
import { nextHead } from '#cloud/hub/head.ts';
import { registeredFrom } from '#cloud/hub/identity.ts';
import { DEFAULT_NEVER_ADVISED, neverAdvised, parseRanges } from '#cloud/hub/never-advised.ts';
import { batchName, itemId, numberText } from '#cloud/hub/numbers.ts';
import { PACE_MS, PACE_SLACK_MS } from '#cloud/hub/pace.ts';
import { crosses, minuteOf } from '#cloud/hub/quarantine.ts';
import { receiptOf } from '#cloud/hub/receipts.ts';
import { NOON, prefix } from '#test/support/hm1.ts';

const at = (ms: number) => unixMs(NOON + ms);

test('one message per 500 ms, with 50 ms of slack', () => {
  expect([PACE_MS, PACE_SLACK_MS]).toEqual([500, 50]);
});

describe('agreement', () => {
  const says = (kid: string, site: string, more: Partial<Sighting> = {}): Sighting => ({
    kid: kid as KeyId, site, tier: 'E1', id: itemId(1, 1), votesFrom: unixMs(0), expiresAt: at(MINUTE_MS), ...more,
  }); // biome-ignore format: one glance
  const none = { firstE2: false, quorum: false };
  const of = (sightings: readonly Sighting[], more = {}) => corroborate({ sightings, takenBack: [], announced: none, ...more }, 2, at(0));

  test('is counted in hosts and in sites', () => {
    expect(of([says('a', 'home'), says('b', 'home'), says('c', 'lab')])).toMatchObject({ peers: 3, sites: 2, hasQuorum: true, urgency: 'quorum' });
    expect(of([says('a', 'home'), says('b', 'home')])).toMatchObject({ peers: 2, sites: 1, hasQuorum: false, urgency: null });
  });

  test('ends with what it stands on', () => {
    expect(of([says('a', 'home', { expiresAt: at(0) }), says('c', 'lab')])).toMatchObject({ peers: 1, sites: 1 });
    expect(of([says('a', 'home'), says('c', 'lab')], { takenBack: [{ kid: 'a', upTo: itemId(1, 1) }] })).toMatchObject({ sites: 1 });
    expect(of([says('a', 'home', { id: itemId(1, 2) }), says('c', 'lab')], { takenBack: [{ kid: 'a', upTo: itemId(1, 1) }] })).toMatchObject({ sites: 2 });
  });

  test('is news once', () => {
    const both = [says('a', 'home', { tier: 'E2' }), says('c', 'lab')];
    expect(of(both, { announced: { firstE2: true, quorum: false } }).urgency).toBe('quorum');
    expect(of(both, { announced: { firstE2: true, quorum: true } }).urgency).toBeNull();
    expect(of(both.slice(0, 1), { announced: { firstE2: false, quorum: false } }).urgency).toBe('first-e2');
  });
});

describe('epochs', () => {
  test('known ones cost nothing, new ones are held to a pace, pushed out ones stay out', () => {
    let epochs = noEpochs;
    for (let epoch = 1; epoch <= MOST_EPOCHS + 1; epoch++) {
      const next = withEpoch(epochs, epoch, at(epoch * DAY_MS));
      if (!next.ok) throw new Error(next.why);
      epochs = next.value;
    }
    expect(epochs.known).toHaveLength(MOST_EPOCHS);
    expect(withEpoch(epochs, 1, at(999 * DAY_MS))).toEqual({ ok: false, why: 'old-epoch' });
    expect(withEpoch(epochs, 5, at(0))).toEqual({ ok: true, value: epochs });
  });
});

describe('the governor', () => {
  test('allows so many deliveries a second, counted by who listens', () => {
    expect(urgentLimits({ deliveriesPerSecond: 10_000, subscribers: 1_000 }).everyMs).toBe(100);
    expect(urgentLimits({ deliveriesPerSecond: 10_000, subscribers: 20_000 }).everyMs).toBe(2_000);
    expect(urgentLimits({ deliveriesPerSecond: 10_000, subscribers: 0 }).everyMs).toBe(100);
  });

  test('gives no number to what is over the budget, and asks nothing of a digest', () => {
    const budget = { deliveriesPerSecond: 1, subscribers: 1_000 };
    let head = null;
    const kinds = [];
    for (let each = 0; each < 10; each++) {
      const step = nextHead(head, 'urgent', budget, NOON);
      kinds.push(step.kind);
      if (step.kind === 'next') head = step.head;
    }
    expect(kinds.filter(kind => kind === 'next')).toHaveLength(8);
    expect(nextHead(head, 'digest', budget, NOON)).toMatchObject({ kind: 'next', head: { number: 9 } });
    expect(spend(unspent, budget, NOON).within).toBe(true);
  });
});

describe('who listens', () => {
  const said = { v: 1, at: 0, version: '1', mode: 'enforce', bans: 0, waiting: 0, head: null, degraded: [] } as const;
  const host = (heardAgoMs: number | null, presence: { connected: boolean; agoMs: number } | null = null, quarantined = false): HostState => ({
    thing: 'web1',
    site: 'home',
    quarantined,
    heartbeat: heardAgoMs === null ? null : { receivedAt: NOON - heardAgoMs, said },
    presence: presence === null ? null : { thing: 'web1', connected: presence.connected, at: NOON - presence.agoMs },
  });

  test.each([
    ['was heard just now', host(SECOND_MS), true],
    ['was not heard for long', host(SILENT_AFTER_MS + 1), false],
    ['was never heard', host(null), false],
    ['connected just now and was not heard yet', host(null, { connected: true, agoMs: SECOND_MS }), true],
    ['went away after it was heard', host(MINUTE_MS, { connected: false, agoMs: SECOND_MS }), false],
    ['was heard after it went away, as late events say', host(SECOND_MS, { connected: false, agoMs: MINUTE_MS }), true],
    ['is in quarantine', host(SECOND_MS, null, true), false],
  ])('one that %s: %s', (_, state, listens) => {
    expect(isListening(state, NOON)).toBe(listens);
  });

  test('the fleet in numbers', () => {
    expect(summarise([host(0), { ...host(null), thing: 'db1', site: 'lab' }, { ...host(0, null, true), thing: 'x', site: null }], NOON)).toEqual({
      hosts: 3,
      listening: 1,
      quarantined: 1,
      sites: 2,
    });
  });

  test('of two hints the later counts, of one moment the end', () => {
    const hint = (connected: boolean, when: number) => ({ thing: 'a', connected, at: when });
    expect(isNewer(hint(true, 2), hint(false, 1))).toBe(true);
    expect(isNewer(hint(true, 1), hint(false, 1))).toBe(false);
    expect(isNewer(hint(false, 1), hint(true, 1))).toBe(true);
    expect(isNewer(hint(false, 1), null)).toBe(true);
  });
});

test('quarantine is imposed by the refusals that cross the line, once', () => {
  expect([crosses(0, 20, 20), crosses(0, 21, 20), crosses(20, 1, 20), crosses(21, 1, 20)]).toEqual([false, true, true, false]);
  expect(minuteOf(NOON + MINUTE_MS - 1)).toBe(minuteOf(NOON));
});

test('ranges are read as a list, `default` among them; one that is none fails with its text', () => {
  expect(parseRanges(' 8.8.8.0/24, 2a00::/16 ,')).toEqual({ ok: true, value: ['8.8.8.0/24', '2a00::/16'] });
  expect(parseRanges('default')).toEqual({ ok: true, value: DEFAULT_NEVER_ADVISED });
  expect(parseRanges('8.8.8.8/24')).toEqual({ ok: false, why: '8.8.8.8/24: host-bits-set' });
  const never = { special: DEFAULT_NEVER_ADVISED, fleet: [prefix('8.8.8.0/24')] };
  expect(neverAdvised(prefix('8.8.8.8/32'), never)).toBe('fleet-owned');
  expect(neverAdvised(prefix('8.8.0.0/16'), never)).toBe('fleet-owned'); // what holds one of ours, too
  expect(neverAdvised(prefix('224.0.0.1/32'), never)).toBe('never-advised');
  expect(neverAdvised(prefix('8.8.4.4/32'), never)).toBeNull();
});

test('names of items sort as their numbers do', () => {
  const ids = [
    [1, 2],
    [1, 10],
    [2, 1],
    [300, 1],
    [Number.MAX_SAFE_INTEGER, 1],
  ].map(([epoch, seq]) => itemId(epoch ?? 0, seq ?? 0));
  expect([...ids].sort()).toEqual(ids);
  expect(numberText(Number.MAX_SAFE_INTEGER)).toHaveLength(14);
  expect(batchName(['a', 'b'])).toBe(batchName(['b', 'a']));
  expect(batchName(['a', 'b'])).not.toBe(batchName(['a']));
});

test('a receipt says 0 where the first number is missing', () => {
  expect(receiptOf(1, [[3, 4]], [], NOON)).toMatchObject({ upTo: 0, ranges: [[3, 4]] });
  expect(
    receiptOf(
      1,
      [
        [1, 4],
        [6, 6],
      ],
      [],
      NOON,
    ),
  ).toMatchObject({ upTo: 4, ranges: [[6, 6]] });
});

test('a thing is a claim’s until its attributes say that an operator enrolled it', () => {
  expect(registeredFrom({})).toEqual({ kid: null, enrolledAt: null, by: 'claim', approved: false });
  expect(registeredFrom({ kid: 'ab', enrolledBy: 'operator', enrolledAt: String(NOON), approved: 'yes' })).toEqual({
    kid: 'ab',
    enrolledAt: NOON,
    by: 'operator',
    approved: true,
  });
  expect(registeredFrom({ enrolledAt: 'soon' }).enrolledAt).toBeNull();
});

describe('settings', () => {
  const environment = { HONEYMESH_CLUSTER: 'c0'.repeat(16), HONEYMESH_ROOT: '0f'.repeat(32) };

  test('are read from the environment, with defaults', () => {
    expect(clusterOf(environment)).toEqual(new Uint8Array(16).fill(0xc0));
    expect(trustOf(environment).rootPublic).toEqual(new Uint8Array(32).fill(0x0f));
    expect(quorumSitesOf({})).toBe(2);
    expect(neverAdvisedOf({ HONEYMESH_NEVER_ADVISED: '', HONEYMESH_FLEET_RANGES: '8.8.8.0/24' })).toMatchObject({ fleet: ['8.8.8.0/24'] });
    expect(neverAdvisedOf({}).special.length).toBeGreaterThan(10);
    expect(tableNamesOf({ HONEYMESH_TABLE_PEERS: 'p' })).toEqual({ peers: 'p' });
    expect(Object.values(SETTINGS).every(({ needed, default: presumed }) => needed === (presumed === null))).toBe(true);
  });

  test.each([
    ['HONEYMESH_CLUSTER', () => clusterOf({})],
    ['HONEYMESH_CLUSTER', () => clusterOf({ HONEYMESH_CLUSTER: 'C0'.repeat(16) })],
    ['HONEYMESH_ROOT', () => trustOf({ ...environment, HONEYMESH_ROOT: 'aa' })],
    ['HONEYMESH_QUORUM_SITES', () => quorumSitesOf({ HONEYMESH_QUORUM_SITES: '0' })],
    ['HONEYMESH_FLEET_RANGES', () => neverAdvisedOf({ HONEYMESH_FLEET_RANGES: '8.8.8.8/24' })],
    ['HONEYMESH_BUCKET', () => setting({}, 'HONEYMESH_BUCKET')],
  ])('a wrong %s fails the start with its name', (name, read) => {
    expect(read).toThrow(name);
  });
});
