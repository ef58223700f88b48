import { fc, test } from '@fast-check/vitest';
import { SECOND_MS } from '@honeymesh/intel/time';
import { expect } from 'vitest';
import { sendDigest } from '#cloud/functions/digest/send-digest.ts';
import { passOn } from '#cloud/functions/fan-out/pass-on.ts';
import { createAdvisories } from '#cloud/store/advisories.ts';
import { createEnvelopes } from '#cloud/store/envelopes.ts';
import { createPeers } from '#cloud/store/peers.ts';
import type { Tables } from '#cloud/store/port.ts';
import { createSightings } from '#cloud/store/sightings.ts';
import { advice, type Host, keyedHash, trust } from '#test/support/hm1.ts';
import { advisoryOf, createHubWorld, type HubWorld, opened } from '#test/support/hub/hub-world.ts';

const signatures = keyedHash();
const cluster = trust(signatures);
const hosts: readonly Host[] = ['web1', 'web2', 'db1', 'db2'].map((name, at) => cluster.host(name, at % 2 === 0 ? 'home' : 'lab'));

/** A process that dies before its n-th request from now, and takes its turn among others at each. */
function mortal(world: HubWorld, requests: number, turn: () => Promise<unknown>) {
  let left = requests;
  const live = async (): Promise<void> => {
    await turn();
    if (left-- <= 0) throw new Error('died');
  };
  const tables = new Proxy(world.tables, {
    get(target, name) {
      const found = Reflect.get(target, name) as unknown;
      if (typeof found !== 'function') return found;
      return async (...args: unknown[]) => {
        await live();
        return (found as (...all: unknown[]) => unknown).apply(target, args);
      };
    },
  }) as Tables;
  return {
    ...world.deps,
    advisories: createAdvisories(tables),
    envelopes: createEnvelopes(tables),
    peers: createPeers(tables),
    sightings: createSightings(tables),
    publish: async (topic: string, payload: Uint8Array) => {
      await live();
      await world.deps.publish(topic, payload);
    },
  };
}

const keyOf = (bytes: Uint8Array): string => {
  const { kid, seq } = opened(bytes);
  return `${kid}/${seq}`;
};

test.prop(
  [
    fc.scheduler(),
    // Who reports what in each batch: host, target, tier.
    fc.array(fc.array(fc.tuple(fc.nat(3), fc.nat(2), fc.boolean()), { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 4 }),
    // After how many requests each attempt dies.
    fc.array(fc.nat(25), { maxLength: 8 }),
    fc.boolean(),
  ],
  { numRuns: 60 },
)('fan-outs side by side that die anywhere give no number twice, leave no hole, and lose nothing', async (scheduler, batches, deaths, withDigest) => {
  const world = createHubWorld({ trusted: cluster, verifier: signatures });
  for (const host of hosts) await world.enrol(host);
  const reported = new Set<string>();
  const seqs = new Map<Host, number>();
  const arrivals = [];
  for (const batch of batches) {
    for (const [who, target, proven] of batch) {
      const host = hosts[who] ?? cluster.host('web1');
      const seq = (seqs.get(host) ?? 0) + 1;
      seqs.set(host, seq);
      world.pass(SECOND_MS);
      const envelope = world.envelope(host, seq, [advice(`8.8.4.${target}/32`, { tier: proven ? 'E2' : 'E1' })]);
      expect((await world.report(host, [envelope])).taken).toBe(1);
      reported.add(keyOf(envelope));
    }
    arrivals.push(world.arrivals(world.tables.takeStream('envelopes')));
  }
  const turn = (): Promise<unknown> => scheduler.schedule(Promise.resolve());
  const lives = [...deaths];
  /** As the stream does: again and again until it is done. */
  const untilDone = async (work: (deps: ReturnType<typeof mortal>) => Promise<unknown>): Promise<void> => {
    for (;;) {
      try {
        await work(mortal(world, lives.shift() ?? Number.POSITIVE_INFINITY, turn));
        return;
      } catch (thrown) {
        if (!(thrown instanceof Error && thrown.message === 'died')) throw thrown;
      }
    }
  };
  const all = arrivals.map(one => untilDone(deps => passOn(one, world.options, deps)));
  if (withDigest) all.push(untilDone(deps => sendDigest(world.options, deps)));
  await scheduler.waitFor(Promise.all(all));
  await world.digest();

  const byNumber = new Map<number, string>();
  const heard = new Set<string>();
  for (const { payload } of world.published.filter(one => one.topic.includes('advisory'))) {
    const advisory = advisoryOf(payload);
    for (const bytes of advisory.envelopes) heard.add(keyOf(bytes));
    if (advisory.number === 0) continue;
    const content = Buffer.from(payload).toString('hex');
    expect(byNumber.get(advisory.number) ?? content).toBe(content);
    byNumber.set(advisory.number, content);
  }
  const head = await world.stores.advisories.head();
  const kept = await world.stores.advisories.range(head?.epoch ?? 0, 1, head?.number ?? 0, 1_000);
  expect(kept.map(({ number }) => number)).toEqual(Array.from({ length: head?.number ?? 0 }, (_, at) => at + 1));
  expect([...byNumber.keys()].every(number => number <= (head?.number ?? 0))).toBe(true);
  // What a host hears, or gets when it asks for the numbers that it missed.
  for (const { bytes } of kept) for (const envelope of advisoryOf(bytes).envelopes) heard.add(keyOf(envelope));
  expect(heard).toEqual(reported);
  expect(await world.stores.envelopes.waiting(100)).toEqual([]);
});
