import { sealEnvelope } from '@honeymesh/intel/envelope';
import { isSettled } from '@honeymesh/intel/hub-messages';
import { cutReports, encodeReport } from '@honeymesh/intel/hub-report';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { takeReport } from '#cloud/functions/shared/take-report.ts';
import { advice, CLUSTER, NOON, real, secretOf, trust } from '#test/support/hm1.ts';
import { createHubWorld, entryOf, opened, seqOf } from '#test/support/hub/hub-world.ts';

const cluster = trust(real);
const host = cluster.host('web1', 'home');
const other = cluster.host('db1', 'lab');
const PUBLIC = '8.8.4.4/32';

async function hub(more: Partial<Parameters<typeof createHubWorld>[0]> = {}) {
  const world = createHubWorld({ trusted: cluster, ...more });
  await world.enrol(host);
  await world.enrol(other);
  return world;
}

describe('a report', () => {
  test('is kept as it was signed, once, and waits until it is passed on', async () => {
    const world = await hub();
    const envelope = world.envelope(host, 1, [advice(PUBLIC)]);
    expect(await world.report(host, [envelope])).toMatchObject({ taken: 1, repeated: 0 });
    expect(await world.report(host, [envelope])).toMatchObject({ taken: 0, repeated: 1 });
    const rows = world.tables.rows('envelopes');
    expect(rows.map(({ bytes, thing, site }) => [bytes, thing, site])).toEqual([[envelope, 'web1', 'home']]);
    expect(await world.stores.envelopes.waiting(10)).toHaveLength(1);
  });

  test('of ten seconds and a thousand messages is heard 21 times, as one message or as a thousand, in any order', async () => {
    const orders: Record<string, (messages: Uint8Array[]) => Uint8Array[]> = { 'as sent': all => all, reversed: all => all.reverse() };
    for (const order of Object.values(orders)) {
      // Over the edge of a span, too.
      for (const startMs of [NOON, NOON + 5 * MINUTE_MS - 4 * SECOND_MS]) {
        const world = await hub();
        world.at(startMs + 10 * SECOND_MS);
        const messages = Array.from({ length: 1_000 }, (_, at) => world.envelope(host, at + 1, [advice(PUBLIC)], { issuedAt: startMs + at * 10 }));
        let taken = 0;
        let refused = 0;
        for (const message of order(messages)) {
          const outcome = await world.report(host, [message]);
          taken += outcome.taken;
          refused += outcome.refused.get('too-fast') ?? 0;
        }
        expect([20, 21]).toContain(taken);
        expect(taken + refused).toBe(1_000);
      }
    }
  });

  test('is paced just so when deliveries run at once', async () => {
    // Each request to the tables lets the others go first.
    const world = await hub({ before: () => new Promise(resolve => setImmediate(resolve)) });
    world.at(NOON + 10 * SECOND_MS);
    const messages = Array.from({ length: 200 }, (_, at) => world.envelope(host, at + 1, [advice(PUBLIC)], { issuedAt: NOON + at * 50 }));
    let taken = 0;
    for (let at = 0; at < messages.length; at += 8) {
      const outcomes = await Promise.all(messages.slice(at, at + 8).map(message => world.report(host, [message])));
      taken += outcomes.reduce((sum, outcome) => sum + outcome.taken, 0);
    }
    expect([20, 21]).toContain(taken);
    expect(world.tables.rows('envelopes')).toHaveLength(taken);
  });

  test('of an honest host is never refused: delivered reversed, twice, two minutes late', async () => {
    const world = await hub();
    const messages = Array.from({ length: 40 }, (_, at) => world.envelope(host, at + 1, [advice(PUBLIC)], { issuedAt: NOON + at * 500 }));
    world.at(NOON + 2 * MINUTE_MS);
    let taken = 0;
    for (const message of [...messages.toReversed(), ...messages]) {
      const outcome = await world.report(host, [message]);
      expect([...outcome.refused]).toEqual([]);
      taken += outcome.taken;
    }
    expect(taken).toBe(40);
  });

  test('with a TTL of ten years ends 24 h after it was signed', async () => {
    const world = await hub();
    await world.report(host, [world.envelope(host, 1, [advice(PUBLIC, { ttlS: 315_360_000 })], { ttlS: 315_360_000 })]);
    expect(world.tables.rows('envelopes')[0]?.expiresAt).toBe(NOON + DAY_MS);
    world.pass(DAY_MS - 1);
    expect(await world.stores.envelopes.all(10)).toHaveLength(1);
    world.pass(1);
    expect(await world.stores.envelopes.all(10)).toHaveLength(0);
    // The database has it still.
    expect(world.tables.rows('envelopes')).toHaveLength(1);
  });

  test.each([
    ['private', '10.1.2.3/32', 'never-advised'],
    ['loopback', '127.0.0.1/32', 'never-advised'],
    ['documentation', '203.0.113.7/32', 'never-advised'],
    ['unique local', 'fd00::1/128', 'never-advised'],
    ['link-local', 'fe80::1/128', 'never-advised'],
  ])('against a %s address is refused', async (_, target, why) => {
    const world = await hub();
    const outcome = await world.report(host, [world.envelope(host, 1, [advice(PUBLIC), advice(target)])]);
    expect([...outcome.refused]).toEqual([[why, 1]]);
    expect(world.tables.rows('envelopes')).toEqual([]);
  });

  test('against the fleet itself is refused', async () => {
    const world = await hub();
    const rules = { ...world.rules, never: { ...world.rules.never, fleet: ['8.8.4.0/24' as never] } };
    const report = encodeReport([entryOf(world.envelope(host, 1, [advice(PUBLIC)]))]);
    expect([...(await takeReport('web1', report, rules, world.deps)).refused]).toEqual([['fleet-owned', 1]]);
  });

  test('that another host signed is refused, whoever brings it', async () => {
    const world = await hub();
    const outcome = await world.report(
      host,
      [1, 2, 3].map(seq => world.envelope(host, seq, [advice(PUBLIC)])),
      'db1',
    );
    expect([...outcome.refused]).toEqual([['other-key', 3]]);
    expect(outcome.guilty).toBe(1);
    const forged = [1, 2, 3].map(seq => world.envelope(host, seq, [advice(PUBLIC)]).with(-1, 0xff));
    expect((await world.report(host, forged)).guilty).toBe(3);
  });

  test('of a stranger, of another cluster, or altered is refused and leaves no trace', async () => {
    const world = await hub();
    const before = world.tables.writes;
    const strange = cluster.host('strange', 'home');
    expect([...(await world.report(strange, [world.envelope(strange, 1, [advice(PUBLIC)])])).refused]).toEqual([['unknown-peer', 1]]);
    const altered = world.envelope(host, 1, [advice(PUBLIC)]).slice();
    altered[35] = (altered[35] ?? 0) ^ 1; // a millisecond of issuedAt
    expect([...(await world.report(host, [altered])).refused]).toEqual([['bad-signature', 1]]);
    const header = { kid: host.certificate.kid, epoch: 1, seq: 1, issuedAt: NOON, ttlS: 60, type: 'intel' } as const;
    const body = Uint8Array.of(0, 0);
    const foreign = sealEnvelope(header, body, { clusterId: CLUSTER.map(byte => byte ^ 1), secret: secretOf('web1 ed'), signatures: real });
    expect([...(await world.report(host, [foreign])).refused]).toEqual([['bad-signature', 1]]);
    expect(world.tables.writes).toBe(before);
  });

  test('that is none, too long, of another version or empty is refused', async () => {
    const world = await hub();
    const good = encodeReport([entryOf(world.envelope(host, 1, [advice(PUBLIC)]))]);
    const take = async (bytes: Uint8Array) => [...(await takeReport('web1', bytes, world.rules, world.deps)).refused.keys()];
    expect(await take(new Uint8Array(131_073))).toEqual(['oversize']);
    expect(await take(Buffer.from('{"target":"8.8.4.4"}'))).toEqual(['not-a-report']);
    expect(await take(good.with(3, 9))).toEqual(['unknown-version']);
    expect(await take(good.subarray(0, 100))).toEqual(['malformed']);
    expect(await take(good.subarray(0, 5).with(4, 0))).toEqual(['empty']);
  });

  test('of the future waits, of yesterday is over: neither speaks against its host', async () => {
    const world = await hub();
    const early = await world.report(host, [world.envelope(host, 1, [advice(PUBLIC)], { issuedAt: NOON + HOUR_MS })]);
    expect([[...early.refused], early.guilty]).toEqual([[['from-the-future', 1]], 0]);
    world.pass(HOUR_MS);
    // It was not final: the same envelope is taken when its time has come.
    expect(await world.report(host, [world.envelope(host, 1, [advice(PUBLIC)], { issuedAt: NOON + HOUR_MS })])).toMatchObject({ taken: 1 });
    const late = await world.report(host, [world.envelope(host, 2, [advice(PUBLIC)], { issuedAt: NOON - 2 * HOUR_MS })]);
    expect([[...late.refused], late.guilty]).toEqual([[['expired', 1]], 0]);
  });

  test('with two contents under one number is taken once, in one span or in two', async () => {
    for (const laterMs of [SECOND_MS, 10 * MINUTE_MS]) {
      const world = await hub();
      await world.report(host, [world.envelope(host, 7, [advice(PUBLIC)])]);
      world.pass(laterMs);
      const outcome = await world.report(host, [world.envelope(host, 7, [advice('8.8.8.8/32')])]);
      expect([...outcome.refused]).toEqual([['two-contents', 1]]);
      expect(world.tables.rows('envelopes')).toHaveLength(1);
    }
  });

  test('of a host that starts anew with each message is held to 16 at once', async () => {
    const world = await hub();
    const outcomes = [];
    for (let epoch = 1; epoch <= 40; epoch++) outcomes.push(await world.report(host, [world.envelope(host, 1, [advice(PUBLIC)], { epoch })]));
    expect(outcomes.reduce((sum, one) => sum + one.taken, 0)).toBe(16);
    expect(outcomes.at(-1)?.refused.has('too-many-epochs')).toBe(true);
  });

  test('of a backlog is taken in one message', async () => {
    const world = await hub();
    world.at(NOON + 30 * MINUTE_MS);
    const backlog = Array.from({ length: 128 }, (_, at) => world.envelope(host, at + 1, [advice(PUBLIC)], { issuedAt: NOON + at * 10 * SECOND_MS }));
    expect(await world.report(host, backlog)).toMatchObject({ taken: 128 });
    expect(world.tables.rows('envelopes')).toHaveLength(128);
  });

  test('of a day without the hub is taken whole when it comes back, but for what has ended', async () => {
    const world = await hub();
    world.at(NOON + DAY_MS);
    const day = Array.from({ length: 1_440 }, (_, at) =>
      world.envelope(host, at + 1, [advice(PUBLIC, { ttlS: 86_400 })], { issuedAt: NOON + at * MINUTE_MS, ttlS: 86_400 }),
    );
    const totals = { taken: 0, expired: 0, others: 0 };
    // It sends until a receipt covers it; more than 1,280 old ones a minute must wait.
    let waiting = day;
    for (let minute = 0; minute < 2; minute++) {
      for (const entries of cutReports(waiting.map(entryOf)).toReversed()) {
        const outcome = await takeReport('web1', encodeReport(entries), world.rules, world.deps);
        totals.taken += outcome.taken;
        totals.expired += outcome.refused.get('expired') ?? 0;
        totals.others += outcome.repeated + outcome.guilty;
      }
      await world.receipts();
      const receipt = world.receiptsOf(host).at(-1);
      waiting = waiting.filter(bytes => receipt === undefined || !isSettled(receipt, seqOf(bytes)));
      expect(waiting).toHaveLength(minute === 0 ? 1_440 - 1_280 - 2 : 0); // two are not old
      world.pass(MINUTE_MS);
    }
    expect(totals).toEqual({ taken: 1_438, expired: 2, others: 0 });
  });

  test('made up for a whole day by a stolen host holds up nobody: so many a minute come in, and the digest takes its share', async () => {
    const world = await hub();
    world.at(NOON + DAY_MS);
    let seq = 0;
    let taken = 0;
    for (let report = 0; report < 30; report++) {
      const flood = Array.from({ length: 128 }, () => world.envelope(host, ++seq, [advice(PUBLIC)], { issuedAt: NOON + HOUR_MS + seq * 1_000, ttlS: 86_400 }));
      taken += (await world.report(host, flood)).taken;
    }
    expect(taken).toBe(1_280);
    await world.report(other, [world.envelope(other, 1, [advice('8.8.8.8/32')])]);
    await world.digest();
    const passed = world.advisories().flatMap(one => one.envelopes.map(bytes => opened(bytes).kid));
    expect(passed).toContain(other.certificate.kid);
    expect(passed.filter(kid => kid === host.certificate.kid).length).toBeLessThanOrEqual(256);
  });

  test('is delivered again where the tables failed, and nothing of it was kept by half', async () => {
    let failing = false;
    const world = await hub({
      before: request => {
        if (failing && request === 'transact') throw new Error('throttled');
      },
    });
    failing = true;
    const envelope = world.envelope(host, 1, [advice(PUBLIC)]);
    await expect(world.report(host, [envelope])).rejects.toThrow('throttled');
    expect(world.tables.rows('envelopes')).toHaveLength(0);
    failing = false;
    expect(await world.report(host, [envelope])).toMatchObject({ taken: 1 });
  });
});

test('receipts say up to where nothing is missing, what lies beyond, and what was refused and why', async () => {
  const world = await hub();
  world.at(NOON + MINUTE_MS);
  const at = (seq: number, target: string) => world.envelope(host, seq, [advice(target)], { issuedAt: unixMs(NOON + seq * SECOND_MS) });
  await world.report(host, [at(1, PUBLIC), at(2, '10.0.0.1/32'), at(5, PUBLIC)]);
  await world.receipts();
  expect(world.receiptsOf(host)).toEqual([{ v: 1, at: NOON + MINUTE_MS, epoch: 1, upTo: 2, ranges: [[5, 5]], refused: [{ seq: 2, why: 'never-advised' }] }]);
  // What was missing comes, and numbers that were not meant for the hub.
  await takeReport('web1', encodeReport([{ previous: 2, envelope: at(4, PUBLIC) }]), world.rules, world.deps);
  await world.receipts();
  expect(world.receiptsOf(host).at(-1)).toMatchObject({ upTo: 5, ranges: [] });
  // A receipt may be lost: whoever sends again gets it again, but a second delivery makes none.
  await world.report(host, [at(1, PUBLIC)]);
  await world.receipts();
  expect(world.receiptsOf(host)).toHaveLength(2);
  world.pass(10 * SECOND_MS);
  await world.report(host, [at(1, PUBLIC)]);
  await world.receipts();
  expect(world.receiptsOf(host)).toHaveLength(3);
});
