/**
 * 200 hosts on one hub for nine virtual minutes: reports late, twice and reversed, fan-outs side by side that die now and then, advisories lost on the way.
 * At the end everybody has everything, nothing waits, and the broker was asked for no more than the budget allows.
 */

import { decodeAdvisoryList } from '@honeymesh/intel/hub-advisory';
import type { Receipt } from '@honeymesh/intel/hub-messages';
import { isSettled, readReceipt } from '@honeymesh/intel/hub-messages';
import { ADVISORY_TOPIC } from '@honeymesh/intel/hub-topics';
import { MINUTE_MS, SECOND_MS } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import { LEAST_URGENT_MS, URGENT_BURST } from '#cloud/hub/governor.ts';
import { advice, type Host, keyedHash, NOON, trust } from '#test/support/hm1.ts';
import { advisoryOf, createHubWorld, opened, value } from '#test/support/hub/hub-world.ts';
import { type Dice, diceOf } from '#test/support/mutations.ts';

const HOSTS = 200;
/** So few that some of what is urgent must wait. */
const DELIVERIES_A_SECOND = 20;
const SITES = Array.from({ length: 8 }, (_, at) => `site${at}`);
const TICK_MS = 500;
const BUSY_MS = 4 * MINUTE_MS;
/** What is delivered two minutes late, and after it was sent again, waits for a digest still. */
const ALL_MS = 9 * MINUTE_MS;
const SEED = Number(process.env.HONEYMESH_SEED ?? 20_261_124);

/** What a relay does: an outbox that receipts empty, numbers whose gaps are asked for after 5 s and some. */
interface Enforcer {
  readonly host: Host;
  readonly outbox: Map<number, { readonly bytes: Uint8Array; sentAt: number }>;
  readonly heard: Set<string>;
  readonly numbers: Set<number>;
  seq: number;
  lastAt: number;
  head: number;
  askAt: number;
}

interface Message {
  readonly dueAt: number;
  readonly from: Enforcer;
  readonly envelopes: readonly Uint8Array[];
}

const nameOf = (bytes: Uint8Array): string => `${opened(bytes).kid}/${opened(bytes).seq}`;

function take(enforcer: Enforcer, receipt: Receipt): void {
  for (const seq of [...enforcer.outbox.keys()]) if (isSettled(receipt, seq)) enforcer.outbox.delete(seq);
}

async function fleet(dice: Dice) {
  const signatures = keyedHash();
  const cluster = trust(signatures, SITES);
  const world = createHubWorld({ trusted: cluster, verifier: signatures, deliveriesPerSecond: DELIVERIES_A_SECOND });
  const enforcers: Enforcer[] = [];
  for (let at = 0; at < HOSTS; at++) {
    const host = cluster.host(`host${at}`, SITES[at % SITES.length] ?? 'site0');
    expect((await world.enrol(host)).kind).toBe('introduced');
    enforcers.push({ host, outbox: new Map(), heard: new Set(), numbers: new Set(), seq: 0, lastAt: 0, head: 0, askAt: Number.POSITIVE_INFINITY });
  }
  await world.stores.advisories.keepListening(HOSTS);
  return { world, enforcers, chance: (percent: number): boolean => dice.below(100) < percent };
}

test('nobody is left without anything', async () => {
  const dice = diceOf(SEED);
  const { world, enforcers, chance } = await fleet(dice);
  const byName = new Map(enforcers.map(one => [one.host.certificate.nodeName, one]));
  const said = new Set<string>();
  const knownNames = new Map<Uint8Array, readonly string[]>();
  let network: Message[] = [];
  let stuck: ReturnType<typeof world.tables.takeStream>[] = [];
  let delivered = 0;
  let asked = 0;
  let refused = 0;

  const hear = (enforcer: Enforcer, payload: Uint8Array): void => {
    const advisory = advisoryOf(payload);
    const names = knownNames.get(payload) ?? advisory.envelopes.map(nameOf);
    knownNames.set(payload, names);
    for (const name of names) enforcer.heard.add(name);
    if (advisory.number > 0) enforcer.numbers.add(advisory.number);
    enforcer.head = Math.max(enforcer.head, advisory.head);
  };

  for (let at = 0; at < ALL_MS; at += TICK_MS) {
    world.at(NOON + at);
    for (const enforcer of enforcers) {
      if (at < BUSY_MS && dice.below(1_000) < 8) {
        enforcer.seq++;
        const targets = Array.from({ length: 1 + dice.below(3) }, () =>
          advice(`8.8.${dice.below(4)}.${dice.below(16)}/32`, { tier: chance(30) ? 'E2' : 'E1' }),
        );
        const bytes = world.envelope(enforcer.host, enforcer.seq, [...new Map(targets.map(one => [one.target, one])).values()]);
        enforcer.outbox.set(enforcer.seq, { bytes, sentAt: Number.NEGATIVE_INFINITY });
        said.add(nameOf(bytes));
      }
      const due = [...enforcer.outbox.values()].filter(one => one.sentAt <= at - 10 * SECOND_MS);
      if (due.length > 0) {
        for (const one of due) one.sentAt = at;
        const envelopes = due.map(one => one.bytes);
        for (let copies = chance(10) ? 2 : chance(5) ? 0 : 1; copies > 0; copies--) {
          network.push({ dueAt: at + (chance(10) ? dice.below(2 * MINUTE_MS) : dice.below(2 * SECOND_MS)), from: enforcer, envelopes });
        }
      }
      if (enforcer.askAt <= at) {
        enforcer.askAt = Number.POSITIVE_INFINITY;
        const missing = Array.from({ length: enforcer.head }, (_, one) => one + 1).find(one => !enforcer.numbers.has(one));
        const head = await world.stores.advisories.head();
        if (missing !== undefined && head !== null) {
          asked++;
          const given = await world.ask(enforcer.host.certificate.nodeName, { ask: 'range', epoch: head.epoch, from: missing, to: enforcer.head });
          if (given.kind === 'range') for (const bytes of given.advisories) hear(enforcer, bytes);
          const object = given.kind === 'range-object' ? world.objects.get(given.url.slice('https://bucket/'.length)) : undefined;
          if (object !== undefined) for (const bytes of value(decodeAdvisoryList(object))) hear(enforcer, bytes);
        }
      }
    }
    const arriving = network.filter(one => one.dueAt <= at).reverse();
    network = network.filter(one => one.dueAt > at);
    const outcomes = await Promise.all(arriving.map(one => world.report(one.from.host, one.envelopes)));
    refused += outcomes.reduce((sum, one) => sum + one.refused.size, 0);

    if (at % SECOND_MS === 0) {
      const events = world.tables.takeStream('envelopes');
      const shards = [0, 1].map(shard => events.filter(one => Number.parseInt(String(one.item.kid).slice(-1), 16) % 2 === shard));
      const batches = [...stuck, ...shards];
      stuck = [];
      world.faults.publish = topic => {
        if (topic === ADVISORY_TOPIC && chance(5)) throw new Error('killed');
      };
      const results = await Promise.allSettled(batches.map(batch => world.fanOut(batch)));
      delete world.faults.publish;
      stuck = batches.filter((_, one) => results[one]?.status === 'rejected');
    }
    if (at % (2 * SECOND_MS) === 0) await world.receipts();
    if (at % MINUTE_MS === 0) await world.digest();

    for (const { topic, payload } of world.published.slice(delivered)) {
      const own = /^honeymesh\/v1\/([^/]+)\/receipt$/.exec(topic)?.[1];
      const receipt = own === undefined ? null : readReceipt(payload);
      const receiver = byName.get(own ?? '');
      if (receipt?.ok && receiver !== undefined) {
        if (!chance(10)) take(receiver, receipt.value);
        continue;
      }
      for (const enforcer of enforcers) {
        if (chance(5)) continue;
        hear(enforcer, payload);
        if (enforcer.numbers.size < enforcer.head && enforcer.askAt === Number.POSITIVE_INFINITY)
          enforcer.askAt = at + 5 * SECOND_MS + dice.below(5 * SECOND_MS);
      }
    }
    delivered = world.published.length;
  }

  const urgent = world.published.filter(one => one.topic === ADVISORY_TOPIC).length;
  const budget = URGENT_BURST + ALL_MS / Math.max(LEAST_URGENT_MS, (1_000 * HOSTS) / DELIVERIES_A_SECOND);
  expect(refused, `seed ${SEED}`).toBe(0);
  expect(said.size).toBeGreaterThan(500);
  for (const enforcer of enforcers) {
    expect(
      [...said].filter(name => !enforcer.heard.has(name)),
      `seed ${SEED}, head ${enforcer.head}, numbers ${enforcer.numbers.size}, ask ${enforcer.askAt}`,
    ).toEqual([]);
    expect(enforcer.outbox.size).toBe(0);
  }
  expect(await world.stores.envelopes.waiting(1_000)).toEqual([]);
  expect(urgent).toBeGreaterThan(10);
  expect(urgent).toBeLessThanOrEqual(budget);
  expect(world.advisories().some(one => one.overBudget)).toBe(true);
  // A host asks for what it missed, not for each number, and not all at once.
  expect(asked).toBeLessThan(HOSTS * 60);
  // What the hub remembers grows with hosts and reports, not with deliveries.
  const rows = (['envelopes', 'paces', 'peers', 'advisories', 'sightings'] as const).map(table => world.tables.rows(table).length);
  expect(rows.reduce((sum, one) => sum + one, 0)).toBeLessThan(6 * said.size + 10 * HOSTS);
});
