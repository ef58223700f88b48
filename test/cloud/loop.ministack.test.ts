/** The whole way on one emulator, from the deployed template: report, rule, ingest, table, stream, fan-out, advisory at another host with mutual TLS. */
import { createPublicKey, verify } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { hexBytes } from '@honeymesh/intel/envelope-bytes';
import { advisoryMessage } from '@honeymesh/intel/hub-advisory';
import { unixMs } from '@honeymesh/intel/time';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LEAST_URGENT_MS } from '#cloud/hub/governor.ts';
import { setVariables, variablesOf } from '#test/support/cloud/coupling.ts';
import { accessTo } from '#test/support/cloud/deployment.ts';
import { type Cluster, createCluster, type Member } from '#test/support/cloud/members.ts';
import { adviceFor, hexOfAll } from '#test/support/cloud/mesh-hosts.ts';
import { type Cloud, cloud } from '#test/support/cloud/provided.ts';

/** What one host signs is at least so far apart; all of it within the last minute. */
const APART_MS = 550;
const ROUNDS = 20;
const startedAt = unixMs(Date.now() - (ROUNDS + 1) * APART_MS);

const provided = cloud();

describe.skipIf(provided === null)('on MiniStack alone', () => {
  const { ministack } = (provided ?? {}) as Cloud;
  let cluster: Cluster;
  let alice: Member;
  let bob: Member;

  beforeAll(async () => {
    // A function whose variables were set starts anew: the first report is a cold one, whatever ran before.
    for (const name of ['ingest', 'fan-out'] as const) await setVariables(ministack, name, await variablesOf(ministack, name));
    cluster = createCluster(provided as Cloud);
    [alice, bob] = await Promise.all([cluster.member('loop-alice', 'home'), cluster.member('loop-bob', 'lab')]);
  });
  afterAll(() => cluster?.close());

  test("a host's first proof against an address reaches another host, signed by it and numbered by the hub", async () => {
    const envelope = alice.sign({ advice: [adviceFor('203.0.113.7/32')] }, { issuedAt: startedAt });
    const startedMs = performance.now();
    await alice.report(envelope);
    const { advisory, atMs } = await bob.advisory('urgent');
    console.log(`cloud: report to advisory, cold, on MiniStack: ${Math.round(atMs - startedMs)} ms`);
    expect(hexOfAll(advisory.envelopes)).toEqual(hexOfAll([envelope]));
    expect(advisory.number).toBe(advisory.head);
    expect(advisory.number).toBeGreaterThan(0);
    const { PublicKey } = await new KMSClient(accessTo(ministack.endpoint)).send(new GetPublicKeyCommand({ KeyId: ministack.outputs.SigningKey }));
    const key = createPublicKey({ key: Buffer.from(PublicKey as Uint8Array), format: 'der', type: 'spki' });
    const signed = advisoryMessage(hexBytes((provided as Cloud).cluster), advisory.unsigned);
    expect(verify('sha256', signed, key, advisory.signature)).toBe(true);
  });

  test('warm it takes less than a blink', async () => {
    const tookMs: number[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const envelope = alice.sign({ advice: [adviceFor(`198.51.100.${round}/32`)] }, { issuedAt: unixMs(startedAt + round * APART_MS) });
      const startedMs = performance.now();
      await alice.report(envelope);
      tookMs.push((await bob.advisory('urgent')).atMs - startedMs);
      // Faster than this the hub's governor lets it join the digest.
      await delay(LEAST_URGENT_MS);
    }
    tookMs.sort((one, other) => one - other);
    console.log(`cloud: report to advisory, warm, on MiniStack: p50 ${Math.round(tookMs[ROUNDS / 2] ?? 0)} ms, worst ${Math.round(tookMs.at(-1) ?? 0)} ms`);
    expect(tookMs).toHaveLength(ROUNDS);
  });
});
