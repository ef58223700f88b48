/** The hub's tables, streams, mapping, queues and key on LocalStack, from the deployed template; publishes go to a catcher, for it has no broker. */
import { createPublicKey, verify } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb';
import { GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { hexBytes } from '@honeymesh/intel/envelope-bytes';
import { advisoryMessage, decodeAdvisory, type SignedAdvisory } from '@honeymesh/intel/hub-advisory';
import { readReceipt } from '@honeymesh/intel/hub-messages';
import { ADVISORY_TOPIC, DIGEST_TOPIC, receiptTopic, reportTopic } from '@honeymesh/intel/hub-topics';
import { unixMs } from '@honeymesh/intel/time';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Stores } from '#cloud/functions/aws/stores.ts';
import { functionName, setVariables, variablesOf } from '#test/support/cloud/coupling.ts';
import { accessTo } from '#test/support/cloud/deployment.ts';
import { adviceFor, createMesh, hexOfAll, type Mesh, type MeshHost, type Site } from '#test/support/cloud/mesh-hosts.ts';
import { type Cloud, cloud } from '#test/support/cloud/provided.ts';
import { catchPublishes, type PublishCatcher } from '#test/support/cloud/publish-catcher.ts';
import { makeKnown, storesOf } from '#test/support/cloud/stores.ts';

const provided = cloud();
const PUBLISHERS = ['fan-out', 'receipts', 'digest'] as const;
const APART_MS = 550;

describe.skipIf(provided === null)('on LocalStack', () => {
  const { localstack } = (provided ?? {}) as Cloud;
  const access = accessTo(localstack?.endpoint ?? '');
  const lambda = new LambdaClient(access);
  let broker: PublishCatcher;
  let mesh: Mesh;
  let stores: Stores;

  beforeAll(async () => {
    broker = await catchPublishes();
    mesh = createMesh(provided as Cloud);
    for (const name of PUBLISHERS)
      await setVariables(localstack, name, { ...(await variablesOf(localstack, name)), AWS_ENDPOINT_URL_IOT_DATA_PLANE: broker.endpoint });
    stores = await storesOf(localstack);
  }, 90_000);
  afterAll(async () => {
    for (const name of PUBLISHERS) {
      const { AWS_ENDPOINT_URL_IOT_DATA_PLANE: _, ...before } = await variablesOf(localstack, name);
      await setVariables(localstack, name, before);
    }
    await broker?.[Symbol.asyncDispose]();
  }, 60_000);

  /** A host that the hub knows, as an introduction would have made it known. */
  async function known(name: string, site: Site = 'home'): Promise<MeshHost> {
    const host = mesh.host(name, site);
    await makeKnown(stores, mesh, host);
    return host;
  }

  /** What IoT's rule does: invokes ingest with what a host published. Resolves with what went wrong, null for nothing. */
  async function deliver(host: MeshHost, ...envelopes: readonly Uint8Array[]): Promise<string | null> {
    const thing = host.certificate.nodeName;
    const [, , ...topic] = reportTopic(thing).split('/').slice(1);
    const event = {
      payload: Buffer.from(host.report(envelopes)).toString('base64'),
      client: thing,
      topic: topic.join('/'),
      at: Date.now(),
      principal: 'ab'.repeat(32),
    };
    const { FunctionError, Payload } = await lambda.send(
      new InvokeCommand({ FunctionName: functionName(localstack, 'ingest'), Payload: JSON.stringify(event) }),
    );
    return FunctionError === undefined ? null : `${FunctionError}: ${Buffer.from(Payload ?? []).toString()}`;
  }

  const nextUrgent = async (within = 20_000): Promise<SignedAdvisory> => {
    const { payload } = await broker.next(({ topic }) => topic === ADVISORY_TOPIC, within);
    const read = decodeAdvisory(payload);
    if (!read.ok) throw new Error(read.why);
    return read.value;
  };

  async function rowsOf(table: string): Promise<number> {
    let rows = 0;
    for await (const page of paginateScan({ client: new DynamoDBClient(access) }, { TableName: table })) rows += page.Count ?? 0;
    return rows;
  }

  test('a report is kept once, however often and at once it is delivered', async () => {
    const host = await known('store-once');
    const envelope = host.sign({ advice: [adviceFor('203.0.113.31/32')] });
    const before = await rowsOf(process.env.HONEYMESH_TABLE_ENVELOPES as string);
    expect(await Promise.all(Array.from({ length: 8 }, () => deliver(host, envelope)))).toEqual(Array.from({ length: 8 }, () => null));
    expect((await rowsOf(process.env.HONEYMESH_TABLE_ENVELOPES as string)) - before).toBe(1);
    const advisory = await nextUrgent();
    expect(hexOfAll(advisory.envelopes)).toEqual(hexOfAll([envelope]));
    const receipt = await broker.next(({ topic }) => topic === receiptTopic('store-once'), 20_000);
    expect(readReceipt(receipt.payload)).toMatchObject({ ok: true, value: { upTo: 1, refused: [] } });
    const { PublicKey } = await new KMSClient(access).send(new GetPublicKeyCommand({ KeyId: localstack.outputs.SigningKey }));
    const key = createPublicKey({ key: Buffer.from(PublicKey as Uint8Array), format: 'der', type: 'spki' });
    expect(verify('sha256', advisoryMessage(hexBytes((provided as Cloud).cluster), advisory.unsigned), key, advisory.signature)).toBe(true);
    await delay(1_500);
    expect(broker.caught.filter(({ topic }) => topic === ADVISORY_TOPIC)).toEqual([]);
  });

  test('what comes within the window of the mapping is one advisory', async () => {
    const hosts = await Promise.all([known('store-a'), known('store-b', 'lab'), known('store-c', 'shop')]);
    const envelopes = hosts.map((host, at) => host.sign({ advice: [adviceFor(`203.0.113.${41 + at}/32`)] }));
    await Promise.all(hosts.map((host, at) => deliver(host, envelopes[at] as Uint8Array)));
    const seen: string[] = [];
    let advisories = 0;
    while (seen.length < envelopes.length) {
      seen.push(...hexOfAll((await nextUrgent()).envelopes));
      advisories++;
    }
    expect(seen.sort()).toEqual([...hexOfAll(envelopes)].sort());
    expect(advisories).toBeLessThanOrEqual(2);
  });

  test('of a thousand messages that say they were signed in ten seconds, 20 or 21 are taken', async () => {
    const host = await known('store-fast');
    const start = Date.now() - 20_000;
    const envelopes = Array.from({ length: 1_000 }, (_, at) =>
      host.sign({ advice: [adviceFor('203.0.113.51/32', { tier: 'E1' })] }, { issuedAt: unixMs(start + at * 10) }),
    );
    const before = await rowsOf(process.env.HONEYMESH_TABLE_ENVELOPES as string);
    for (let at = 0; at < envelopes.length; at += 100) expect(await deliver(host, ...envelopes.slice(at, at + 100))).toBeNull();
    expect([20, 21]).toContain((await rowsOf(process.env.HONEYMESH_TABLE_ENVELOPES as string)) - before);
  });

  test('what has expired is not served, although the table still has it', async () => {
    const host = await known('store-short');
    const envelope = host.sign({ advice: [adviceFor('203.0.113.61/32', { ttlS: 2 })] }, { ttlS: 2 });
    expect(await deliver(host, envelope)).toBeNull();
    const kept = async (): Promise<boolean> => (await stores.envelopes.all(10_000)).some(({ envelope: bytes }) => Buffer.from(bytes).equals(envelope));
    expect(await kept()).toBe(true);
    const rows = await rowsOf(process.env.HONEYMESH_TABLE_ENVELOPES as string);
    await delay(2_500);
    expect(await kept()).toBe(false);
    expect(await rowsOf(process.env.HONEYMESH_TABLE_ENVELOPES as string)).toBe(rows);
  });

  test('an advisory that could not be published is published when the broker is back, under its number', async () => {
    const host = await known('store-later');
    broker.caught.length = 0;
    broker.refuse(true);
    const refused = host.sign({ advice: [adviceFor('203.0.113.71/32')] });
    expect(await deliver(host, refused)).toBeNull();
    await delay(2_500);
    expect(broker.caught).toEqual([]);
    broker.refuse(false);
    const first = await nextUrgent(30_000);
    expect(hexOfAll(first.envelopes)).toEqual(hexOfAll([refused]));
    const later = host.sign({ advice: [adviceFor('203.0.113.72/32')] }, { issuedAt: unixMs(Date.now() + APART_MS) });
    expect(await deliver(host, later)).toBeNull();
    const second = await nextUrgent();
    expect(hexOfAll(second.envelopes)).toEqual(hexOfAll([later]));
    // A digest of what others said may have taken a number meanwhile.
    const digests = numbersOf(broker.caught.filter(({ topic }) => topic === DIGEST_TOPIC));
    const between = Array.from({ length: second.number - first.number - 1 }, (_, at) => first.number + 1 + at);
    expect(second.number).toBeGreaterThan(first.number);
    expect(digests).toEqual(expect.arrayContaining(between));
  });

  test('a part of the stream that fails for good ends in the queue of failures', async () => {
    const host = await known('store-poison');
    broker.refuse(true);
    try {
      expect(await deliver(host, host.sign({ advice: [adviceFor('203.0.113.81/32')] }))).toBeNull();
      const sqs = new SQSClient(access);
      const bodies: string[] = [];
      for (const started = Date.now(); Date.now() - started < 50_000 && !bodies.some(body => body.includes('honeymesh-Functionsfanout')); ) {
        const { Messages = [] } = await sqs.send(
          new ReceiveMessageCommand({ QueueUrl: localstack.outputs.FailedFunctions, WaitTimeSeconds: 2, MaxNumberOfMessages: 10 }),
        );
        bodies.push(...Messages.map(({ Body = '' }) => Body));
      }
      const failure = JSON.parse(bodies.find(body => body.includes('honeymesh-Functionsfanout')) ?? '{}');
      expect(failure.requestContext?.condition).toBe('RetryAttemptsExhausted');
    } finally {
      broker.refuse(false);
    }
  });
});

const numbersOf = (published: readonly { readonly payload: Uint8Array }[]): readonly number[] =>
  published.flatMap(({ payload }) => {
    const read = decodeAdvisory(payload);
    return read.ok ? [read.value.number] : [];
  });
