import { decodeIntel } from '@honeymesh/intel/advisories';
import { ADVISORY_TOPIC, DIGEST_TOPIC } from '@honeymesh/intel/hub-topics';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { itemId } from '#cloud/hub/numbers.ts';
import { readCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { advice, type Host, NOON, real, trust } from '#test/support/hm1.ts';
import { createHubWorld, type HubWorld, isSignedByHub, opened, value } from '#test/support/hub/hub-world.ts';

const cluster = trust(real);
const [home, home2, lab] = [cluster.host('web1', 'home'), cluster.host('web2', 'home'), cluster.host('db1', 'lab')];
const SCANNER = '8.8.4.4/32';

async function hub(more: Partial<Parameters<typeof createHubWorld>[0]> = {}) {
  const world = createHubWorld({ trusted: cluster, ...more });
  for (const host of [home, home2, lab]) await world.enrol(host);
  return world;
}

/** What was published on a topic, as `who: targets`. */
const said = (world: HubWorld, topic: string): string[] =>
  world
    .advisories()
    .filter((_, at) => world.published.filter(one => one.topic === ADVISORY_TOPIC || one.topic === DIGEST_TOPIC)[at]?.topic === topic)
    .map(one =>
      one.envelopes
        .map(bytes => {
          const envelope = opened(bytes);
          const name = [home, home2, lab].find(host => host.certificate.kid === envelope.kid)?.certificate.nodeName;
          const { advice: advised, withdrawals } = value(decodeIntel(envelope.body));
          return `${name}: ${[...advised.map(each => each.target), ...withdrawals.map(each => `not ${each.epoch}/${each.seq}`)].join(' ')}`;
        })
        .join(', '),
    );
const urgent = (world: HubWorld): string[] => said(world, ADVISORY_TOPIC);
const digests = (world: HubWorld): string[] => said(world, DIGEST_TOPIC);

async function report(world: HubWorld, host: Host, seq: number, targets: readonly ReturnType<typeof advice>[], more = {}): Promise<void> {
  const outcome = await world.report(host, [world.envelope(host, seq, targets, more)]);
  expect(outcome.taken).toBe(1);
}

describe('at once goes', () => {
  test('a first E2, signed by the hub, with its certificates, as it was signed', async () => {
    const world = await hub();
    await report(world, home, 1, [advice(SCANNER, { tier: 'E2' })]);
    await world.fanOut();
    expect(urgent(world)).toEqual(['web1: 8.8.4.4/32']);
    const [advisory] = world.advisories();
    expect(advisory).toMatchObject({ kind: 'urgent', number: 1, head: 1, overBudget: false });
    expect(advisory && isSignedByHub(advisory)).toBe(true);
    expect(advisory?.certificates.map(bytes => value(readCertificate(bytes)).kind)).toEqual(['registrar', 'node']);
    expect(await world.stores.envelopes.waiting(10)).toEqual([]);
    // The next one is no first.
    world.pass(SECOND_MS);
    await report(world, lab, 1, [advice('8.8.8.8/32')]);
    await report(world, home, 2, [advice(SCANNER, { tier: 'E2' })]);
    await world.fanOut();
    expect(urgent(world)).toHaveLength(1);
  });

  test('a quorum just reached, with what it stands on, once', async () => {
    const world = await hub();
    await report(world, home, 1, [advice(SCANNER)]);
    await report(world, home2, 1, [advice(SCANNER)]);
    await world.fanOut();
    expect(urgent(world)).toEqual([]); // two hosts of one site
    await report(world, lab, 1, [advice(SCANNER)]);
    await world.fanOut();
    expect(urgent(world)[0]?.split(', ').sort()).toEqual(['db1: 8.8.4.4/32', 'web1: 8.8.4.4/32', 'web2: 8.8.4.4/32']);
    world.pass(SECOND_MS);
    await report(world, lab, 2, [advice(SCANNER)]);
    await world.fanOut();
    expect(urgent(world)).toHaveLength(1);
  });

  test('any withdrawal; what was taken back counts no more', async () => {
    const world = await hub();
    await report(world, home, 1, [advice(SCANNER)]);
    await world.fanOut();
    world.pass(SECOND_MS);
    await report(world, home, 2, [], { withdrawals: [{ epoch: 1, seq: 1, asError: true, targets: [] }] });
    await world.fanOut();
    expect(urgent(world)).toEqual(['web1: not 1/1']);
    await report(world, lab, 1, [advice(SCANNER)]);
    await world.fanOut();
    expect(urgent(world)).toHaveLength(1); // one site says so, not two
  });

  test('a withdrawal that comes before what it takes back: that counts for nothing when it comes', async () => {
    const world = await hub();
    const first = world.envelope(home, 1, [advice(SCANNER)]);
    world.pass(SECOND_MS);
    await report(world, home, 2, [], { withdrawals: [{ epoch: 1, seq: 1, asError: false, targets: [] }] });
    await world.fanOut();
    await world.report(home, [first]);
    await report(world, lab, 1, [advice(SCANNER)]);
    await world.fanOut();
    expect(urgent(world)).toEqual(['web1: not 1/1']);
  });

  test('a target taken back by name, and said again later, counts again', async () => {
    const world = await hub();
    await report(world, home, 1, [advice(SCANNER), advice('8.8.8.8/32')]);
    world.pass(SECOND_MS);
    await report(world, home, 2, [], { withdrawals: [{ epoch: 1, seq: 1, asError: false, targets: [advice(SCANNER).target] }] });
    await world.fanOut();
    await report(world, lab, 1, [advice(SCANNER)]);
    await world.fanOut();
    expect(urgent(world)).toHaveLength(1);
    world.pass(SECOND_MS);
    await report(world, home, 3, [advice(SCANNER)]);
    await world.fanOut();
    expect(urgent(world)[1]?.split(', ').sort()).toEqual(['db1: 8.8.4.4/32', 'web1: 8.8.4.4/32']);
  });

  test('nothing of what a host that enrolled by claim says, on its first day', async () => {
    const world = await hub();
    const deps = {
      ...world.answerDeps,
      registered: async () => ({ kid: home.certificate.kid, enrolledAt: NOON as never, by: 'claim', approved: false }) as const,
    };
    const { answer } = await import('#cloud/functions/answers/answer.ts');
    const introduced = { v: 1, id: 'x', ask: 'introduce', certificates: [cluster.registrar.bytes, home.certificate.bytes] } as const;
    expect(await answer('web1', introduced, world.trust, deps)).toMatchObject({ kind: 'introduced', votesFrom: NOON + DAY_MS });
    await report(world, home, 1, [advice(SCANNER, { tier: 'E2' })]);
    await world.fanOut();
    expect(urgent(world)).toEqual([]);
    await world.digest();
    expect(digests(world)).toEqual(['web1: 8.8.4.4/32']);
    world.pass(DAY_MS);
    await report(world, home, 2, [advice(SCANNER, { tier: 'E2' })]);
    await world.fanOut();
    expect(urgent(world)).toHaveLength(1);
  });

  test('many at once as one advisory', async () => {
    const world = await hub();
    for (const host of [home, home2, lab]) await report(world, host, 1, [advice(SCANNER, { tier: 'E2' })]);
    await world.fanOut();
    expect(urgent(world)).toHaveLength(1);
    expect(world.advisories()[0]?.envelopes).toHaveLength(3);
  });
});

describe('the digest', () => {
  test('brings all else, once, and the head when there is nothing', async () => {
    const world = await hub();
    await world.digest();
    expect(world.advisories()).toMatchObject([{ kind: 'digest', number: 0, head: 0, envelopes: [] }]);
    await report(world, home, 1, [advice(SCANNER)]);
    await world.fanOut();
    await world.digest();
    await world.digest();
    expect(world.advisories().map(({ number, head, envelopes }) => [number, head, envelopes.length])).toEqual([
      [0, 0, 0],
      [1, 1, 1],
      [0, 1, 0],
    ]);
    expect(world.advisories().every(isSignedByHub)).toBe(true);
  });

  test('brings what is urgent over the budget, and says so', async () => {
    const world = await hub({ deliveriesPerSecond: 10 }); // a thousand are presumed to listen: one in 100 s
    let passed = 0;
    for (let seq = 1; seq <= 12; seq++) {
      await report(world, home, seq, [advice(`8.8.4.${seq}/32`, { tier: 'E2' })]);
      if (!(await world.fanOut()).overBudget) passed++;
      world.pass(SECOND_MS);
    }
    expect(passed).toBe(8);
    await world.digest();
    expect(world.advisories().at(-1)).toMatchObject({ kind: 'digest', overBudget: true });
    expect(world.advisories().flatMap(one => one.envelopes)).toHaveLength(12);
  });

  test('finds what a fan-out failed at', async () => {
    const world = await hub();
    await report(world, home, 1, [advice(SCANNER, { tier: 'E2' })]);
    world.faults.publish = () => {
      throw new Error('no broker');
    };
    await expect(world.fanOut()).rejects.toThrow('no broker'); // and so on, until its batch goes to the dead letters
    delete world.faults.publish;
    await world.digest();
    expect(digests(world)).toEqual(['web1: 8.8.4.4/32']);
    // And what it has told is no news any more.
    world.pass(SECOND_MS);
    await report(world, home, 2, [advice(SCANNER, { tier: 'E2' })]);
    await world.fanOut();
    expect(urgent(world)).toEqual([]);
  });

  test('does not bring what has ended', async () => {
    const world = await hub();
    await report(world, home, 1, [advice(SCANNER)], { ttlS: 60 });
    world.pass(MINUTE_MS);
    await world.digest();
    expect(world.advisories()).toMatchObject([{ number: 0 }]);
    await report(world, home, 2, [advice(SCANNER)], { ttlS: 3_600 });
    const events = world.tables.takeStream('envelopes');
    world.pass(HOUR_MS);
    expect(await world.fanOut(events)).toMatchObject({ urgent: 0 });
  });

  test('is cut where a message is full', async () => {
    const world = await hub();
    world.at(NOON + 20 * MINUTE_MS);
    const many = Array.from({ length: 80 }, (_, at) => advice(`8.${at}.4.0/24`));
    const backlog = Array.from({ length: 120 }, (_, at) => world.envelope(home, at + 1, many, { issuedAt: NOON + at * 10 * SECOND_MS }));
    for (let at = 0; at < backlog.length; at += 60) await world.report(home, backlog.slice(at, at + 60));
    await world.digest();
    const sizes = world.published.filter(one => one.topic === DIGEST_TOPIC).map(one => one.payload.length);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(96_000);
    expect(world.advisories().map(one => one.number)).toEqual(sizes.map((_, at) => at + 1));
    expect(world.advisories().flatMap(one => one.envelopes)).toHaveLength(120);
  });
});

describe('a fan-out that is run again', () => {
  test('after it was told to die before it published gives the number that it had, and publishes', async () => {
    const world = await hub();
    await report(world, home, 1, [advice(SCANNER, { tier: 'E2' })]);
    const events = world.tables.takeStream('envelopes');
    world.faults.publish = () => {
      throw new Error('killed');
    };
    await expect(world.fanOut(events)).rejects.toThrow('killed');
    delete world.faults.publish;
    expect((await world.stores.advisories.head())?.number).toBe(1);
    await world.fanOut(events);
    expect(world.advisories().map(one => one.number)).toEqual([1]);
    await world.fanOut(events); // and once more: that it was told is known
    expect(world.advisories().map(one => one.number)).toEqual([1]);
  });

  test('does not let go of what was not in the advisory that it had made', async () => {
    const world = await hub();
    await report(world, home, 1, [advice(SCANNER)]);
    world.tables.takeStream('envelopes');
    await report(world, lab, 1, [advice(SCANNER, { tier: 'E2' })]);
    const events = world.tables.takeStream('envelopes');
    world.faults.publish = () => {
      throw new Error('killed');
    };
    await expect(world.fanOut(events)).rejects.toThrow('killed');
    delete world.faults.publish;
    // Meanwhile another fan-out counts one more that agrees, and dies; on the second run that would go along with the quorum.
    await report(world, home2, 1, [advice(SCANNER)]);
    world.tables.takeStream('envelopes');
    const sighting = {
      kid: home2.certificate.kid,
      site: 'home',
      tier: 'E1',
      id: itemId(1, 1),
      votesFrom: unixMs(0),
      expiresAt: unixMs(NOON + HOUR_MS),
    } as const;
    await world.stores.sightings.keep([{ target: advice(SCANNER).target, sighting }]);
    await world.fanOut(events);
    await world.digest();
    const passed = new Set(world.advisories().flatMap(one => one.envelopes.map(bytes => `${opened(bytes).kid}/${opened(bytes).seq}`)));
    expect(passed).toEqual(new Set([home, home2, lab].map(host => `${host.certificate.kid}/1`)));
  });
});
