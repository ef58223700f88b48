/**
 * The whole way across both emulators: broker and rules of one, tables, streams and mappings (with their windows, filters and retries) of the other, each
 * with the template as it was synthesised.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { unixMs } from '@honeymesh/intel/time';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { couple } from '#test/support/cloud/coupling.ts';
import { type Cluster, createCluster, type Member } from '#test/support/cloud/members.ts';
import { adviceFor, hexOfAll } from '#test/support/cloud/mesh-hosts.ts';
import { type Cloud, cloud } from '#test/support/cloud/provided.ts';

/** What one host signs is at least so far apart. */
const APART_MS = 550;
const startedAt = unixMs(Date.now() - 60_000);

const provided = cloud();

describe.skipIf(provided === null)('across MiniStack and LocalStack', () => {
  let coupling: AsyncDisposable;
  let cluster: Cluster;
  let alice: Member;
  let bob: Member;

  beforeAll(async () => {
    coupling = await couple(provided as Cloud);
    cluster = createCluster(provided as Cloud);
    [alice, bob] = await Promise.all([cluster.member('across-alice', 'home'), cluster.member('across-bob', 'lab')]);
  }, 90_000);
  afterAll(async () => {
    await cluster?.close();
    await coupling?.[Symbol.asyncDispose]();
  }, 60_000);

  test('one report becomes one advisory', async () => {
    const envelope = alice.sign({ advice: [adviceFor('203.0.113.21/32')] }, { issuedAt: startedAt });
    const startedMs = performance.now();
    await alice.report(envelope);
    const { advisory, atMs } = await bob.advisory('urgent', 30_000);
    console.log(`cloud: report to advisory, cold, across both: ${Math.round(atMs - startedMs)} ms`);
    expect(hexOfAll(advisory.envelopes)).toEqual(hexOfAll([envelope]));
  });

  test('a burst of reports becomes few advisories, and no envelope is lost', async () => {
    const envelopes = [1, 2, 3, 4, 5, 6].map(at =>
      alice.sign({ advice: [adviceFor(`198.51.100.${100 + at}/32`)] }, { issuedAt: unixMs(startedAt + at * APART_MS) }),
    );
    const startedMs = performance.now();
    await Promise.all(envelopes.map(envelope => alice.report(envelope)));
    const seen = new Set<string>();
    let advisories = 0;
    let lastMs = startedMs;
    while (seen.size < envelopes.length) {
      const { advisory, atMs } = await bob.advisory('urgent', 20_000);
      for (const hex of hexOfAll(advisory.envelopes)) seen.add(hex);
      advisories++;
      lastMs = atMs;
    }
    console.log(`cloud: six reports at once, warm, across both: ${advisories} advisories, the last after ${Math.round(lastMs - startedMs)} ms`);
    expect(seen).toEqual(new Set(hexOfAll(envelopes)));
    // The mapping waits for a second; the first may have gone before.
    expect(advisories).toBeLessThanOrEqual(3);
    await delay(1_500);
    await expect(bob.advisory('urgent', 100)).rejects.toThrow('nothing came');
  });
});
