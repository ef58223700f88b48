/** What the deployed hub does for hosts and against them, on MiniStack with its policies and roles enforced: each function runs with the rights of the template. */
import { setTimeout as delay } from 'node:timers/promises';
import { CreateTopicRuleCommand, DeleteTopicRuleCommand, DescribeCertificateCommand, GetTopicRuleCommand, IoTClient } from '@aws-sdk/client-iot';
import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { openEnvelope } from '@honeymesh/intel/envelope';
import { decodeAdvisory, type SignedAdvisory } from '@honeymesh/intel/hub-advisory';
import { type Heartbeat, writeHeartbeat } from '@honeymesh/intel/hub-messages';
import { heartbeatTopic, questionTopic, reportTopic } from '@honeymesh/intel/hub-topics';
import { unixMs } from '@honeymesh/intel/time';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accessTo } from '#test/support/cloud/deployment.ts';
import { type Cluster, createCluster, type Member } from '#test/support/cloud/members.ts';
import { adviceFor, hexOfAll } from '#test/support/cloud/mesh-hosts.ts';
import { connect } from '#test/support/cloud/mqtt.ts';
import { brokerOf, type Cloud, cloud } from '#test/support/cloud/provided.ts';

const provided = cloud();
const APART_MS = 550;

describe.skipIf(provided === null)('the deployed hub', () => {
  const { ministack } = (provided ?? {}) as Cloud;
  const access = accessTo(ministack?.endpoint ?? '');
  let cluster: Cluster;
  let alice: Member;
  let bob: Member;
  let carol: Member;

  beforeAll(async () => {
    cluster = createCluster(provided as Cloud);
    [alice, bob, carol] = await Promise.all([cluster.member('hub-alice', 'home'), cluster.member('hub-bob', 'lab'), cluster.member('hub-carol', 'shop')]);
  });
  afterAll(() => cluster?.close());

  test('says what it has of a host, so that its outbox can let go', async () => {
    const start = Date.now() - 10 * APART_MS;
    const envelopes = [0, 1, 2].map(at => alice.sign({ advice: [adviceFor(`203.0.113.${91 + at}/32`)] }, { issuedAt: unixMs(start + at * APART_MS) }));
    // In the wrong order and twice: IoT may.
    for (const at of [2, 0, 0, 1]) await alice.report(envelopes[at] as Uint8Array);
    expect(await alice.receipt(({ upTo }) => upTo === 3)).toMatchObject({ upTo: 3, refused: [] });
    for (const envelope of envelopes) await bob.hears(envelope);
  });

  test('passes on at once what takes something back', async () => {
    const taken = alice.sign({ advice: [adviceFor('203.0.113.101/32')] });
    await alice.report(taken);
    await bob.hears(taken);
    const opened = openEnvelope(taken);
    if (!opened.ok) throw new Error(opened.why);
    const { epoch, seq, issuedAt } = opened.value;
    const back = alice.sign({ withdrawals: [{ epoch, seq, asError: true, targets: [] }] }, { issuedAt: unixMs(issuedAt + APART_MS) });
    await alice.report(back);
    await bob.hears(back);
  });

  test('passes on at once what two sites say, and not what one says', async () => {
    const target = { advice: [adviceFor('203.0.113.111/32', { tier: 'E1' })] };
    const [first, second] = [bob.sign(target), carol.sign(target)];
    await bob.report(first);
    await expect(alice.hears(first, 1_500)).rejects.toThrow('nothing came');
    await carol.report(second);
    await alice.hears(second);
    // What the quorum stands on goes along, unless a digest had it just before.
    expect(alice.heard(first)).toBe(true);
  });

  test('answers for numbers that did not come, with the very bytes that did', async () => {
    const envelope = bob.sign({ advice: [adviceFor('203.0.113.121/32')] }, { issuedAt: unixMs(Date.now() + 2 * APART_MS) });
    await bob.report(envelope);
    const { epoch, number, envelopes } = await carol.hears(envelope);
    const answer = await alice.ask({ ask: 'range', epoch, from: 1, to: number });
    if (answer.kind !== 'range') throw new Error(answer.kind);
    expect(answer).toMatchObject({ epoch, from: 1, to: number });
    const last = decodeAdvisory(answer.advisories.at(-1) as Uint8Array);
    expect(last.ok && hexOfAll(last.value.envelopes)).toEqual(hexOfAll(envelopes));
    const numbers = answer.advisories.map(bytes => (decodeAdvisory(bytes) as { readonly value: SignedAdvisory }).value.number);
    expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other));
  });

  test('gives a host that is new to it all that holds', async () => {
    const dora = await cluster.member('hub-dora', 'lab');
    const envelope = carol.sign({ advice: [adviceFor('203.0.113.131/32')] }, { issuedAt: unixMs(Date.now() + 2 * APART_MS) });
    await carol.report(envelope);
    await dora.hears(envelope);
    const answer = await dora.ask({ ask: 'snapshot' });
    const bytes =
      answer.kind === 'snapshot' ? answer.advisory : answer.kind === 'snapshot-object' ? Buffer.from(await (await fetch(answer.url)).arrayBuffer()) : null;
    const read = decodeAdvisory(bytes ?? new Uint8Array(), 16_000_000);
    if (!read.ok) throw new Error(`${answer.kind}: ${read.why}`);
    expect(read.value.kind).toBe('snapshot');
    expect(hexOfAll(read.value.envelopes)).toContain(hexOfAll([envelope])[0]);
  });

  test('takes what is too long for a message from the bucket, by a link of its own', async () => {
    const envelope = carol.sign({ advice: [adviceFor('203.0.113.136/32')] }, { issuedAt: unixMs(Date.now() + 3 * APART_MS) });
    const report = carol.reportBytes([envelope]);
    const upload = Buffer.concat([Buffer.alloc(4), report]);
    upload.writeUInt32BE(report.length);
    const answer = await carol.ask({ ask: 'upload', bytes: upload.length });
    if (answer.kind !== 'upload') throw new Error(answer.kind);
    const put = await fetch(answer.url, { method: 'PUT', body: upload });
    expect(put.status, await put.text()).toBe(200);
    await alice.hears(envelope);
  });

  test('hears a heartbeat', async () => {
    const said: Heartbeat = { v: 1, at: Date.now(), version: '0.1.0', mode: 'enforce', bans: 3, waiting: 0, head: null, degraded: [] };
    expect(await alice.session.publish(heartbeatTopic('hub-alice'), writeHeartbeat(said))).toBe(0);
  });

  test('takes nothing from whom the broker does not name', async () => {
    const envelope = bob.sign({ advice: [adviceFor('203.0.113.141/32')] }, { issuedAt: unixMs(Date.now() + 4 * APART_MS) });
    const forged = new PublishCommand({ topic: reportTopic('hub-bob'), payload: bob.reportBytes([envelope]), qos: 0 });
    await new IoTDataPlaneClient(access).send(forged);
    await expect(alice.hears(envelope, 2_000)).rejects.toThrow('nothing came');
  });

  test('hears a host on its own topic and nobody else there: the rule says so before any code runs', async () => {
    const iot = new IoTClient(access);
    const { rule } = await iot.send(new GetTopicRuleCommand({ ruleName: 'honeymesh_get' }));
    const queueUrl = ministack.outputs.FailedRules;
    const roleArn = rule?.errorAction?.sqs?.roleArn;
    // The same SQL, with an action that shows what came through.
    await iot.send(
      new CreateTopicRuleCommand({
        ruleName: 'probe',
        topicRulePayload: { sql: rule?.sql, awsIotSqlVersion: rule?.awsIotSqlVersion, actions: [{ sqs: { queueUrl, roleArn } }] },
      }),
    );
    try {
      await new IoTDataPlaneClient(access).send(new PublishCommand({ topic: questionTopic('hub-bob'), payload: Buffer.from('forged'), qos: 0 }));
      await bob.session.publish(questionTopic('hub-bob'), 'its own');
      const sqs = new SQSClient(access);
      const came: { readonly client: string; readonly payload: string }[] = [];
      for (const started = Date.now(); Date.now() - started < 3_000; ) {
        const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queueUrl, WaitTimeSeconds: 1, MaxNumberOfMessages: 10 }));
        came.push(...Messages.map(({ Body = '{}' }) => JSON.parse(Body)));
      }
      expect(came.map(({ client, payload }) => `${client}: ${Buffer.from(payload, 'base64')}`)).toEqual(['hub-bob: its own']);
    } finally {
      await iot.send(new DeleteTopicRuleCommand({ ruleName: 'probe' }));
    }
  });

  test('takes nothing of one host under the signature of another', async () => {
    const stolen = bob.sign({ advice: [adviceFor('203.0.113.151/32')] }, { issuedAt: unixMs(Date.now() + 5 * APART_MS) });
    await carol.report(stolen);
    await expect(alice.hears(stolen, 2_000)).rejects.toThrow('nothing came');
  });

  test('puts a host in quarantine that sends what has to be refused without an end', async () => {
    const mallory = await cluster.member('hub-mallory', 'shop');
    const forged = Array.from({ length: 100 }, (_, at) => {
      const bytes = Uint8Array.from(mallory.sign({ advice: [adviceFor(`198.51.100.${at}/32`)] }));
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      return bytes;
    });
    const client = new IoTClient(access);
    const status = async () =>
      (await client.send(new DescribeCertificateCommand({ certificateId: mallory.enrolled.certificateId }))).certificateDescription?.status;
    // One after the other: of what comes at once MiniStack drops what its concurrency is too small for.
    for (const started = Date.now(); Date.now() - started < 50_000 && (await status()) !== 'INACTIVE'; ) {
      await mallory.session.publish(reportTopic('hub-mallory'), mallory.reportBytes(forged));
      await delay(150);
    }
    expect(await status()).toBe('INACTIVE');
    expect(await connect(brokerOf(provided as Cloud), mallory.enrolled, 'hub-mallory')).toMatchObject({ ok: false });
    expect((await alice.ask({ ask: 'snapshot' })).kind).toMatch(/^snapshot/);
  });
});
