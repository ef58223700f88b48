/** The hosts' policy as a broker enforces it: MiniStack with AUTH, the policy as the deployed template made it, judged by what arrives. */
import { setTimeout as delay } from 'node:timers/promises';
import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane';
import { ADVISORY_TOPIC, answerTopic, reportTopic } from '@honeymesh/intel/hub-topics';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accessTo } from '#test/support/cloud/deployment.ts';
import { type Broker, connect, connected, type Session } from '#test/support/cloud/mqtt.ts';
import { HEARD, NEVER_HEARD, NEVER_RECEIVED, NEVER_SAID, OTHER, SAID, SELF } from '#test/support/cloud/policy-matrix.ts';
import { brokerOf, type Cloud, cloud } from '#test/support/cloud/provided.ts';
import { type Enrolled, enrol } from '#test/support/cloud/things.ts';

const NOT_AUTHORISED = 135;
const provided = cloud();

describe.skipIf(provided === null)('at the broker, a host', () => {
  const { ministack } = (provided ?? {}) as Cloud;
  let broker: Broker;
  let alpha: Enrolled;
  let beta: Enrolled;
  let self: Session;
  let other: Session;
  const hub = new IoTDataPlaneClient(accessTo(ministack?.endpoint ?? ''));

  beforeAll(async () => {
    broker = brokerOf(provided as Cloud);
    [alpha, beta] = await Promise.all([enrol(provided as Cloud, SELF), enrol(provided as Cloud, OTHER)]);
    [self, other] = await Promise.all([connected(broker, alpha, SELF), connected(broker, beta, OTHER)]);
  });
  afterAll(() => Promise.all([self?.close(), other?.close()]));

  test('hears what is for all and what is for it', async () => {
    for (const topic of HEARD) expect(await self.subscribe(topic), topic).toBeLessThan(128);
    for (const topic of HEARD) {
      await hub.send(new PublishCommand({ topic, payload: Buffer.from(`to ${topic}`), qos: 0 }));
      expect(String((await self.next(message => message.topic === topic)).payload)).toBe(`to ${topic}`);
    }
  });

  test('may say what is its own', async () => {
    for (const topic of SAID) expect(await self.publish(topic, 'x'), topic).toBe(0);
  });

  test('says nothing that is not its own: refused, and nobody hears it', async () => {
    expect(await other.subscribe(ADVISORY_TOPIC)).toBeLessThan(128);
    expect(await other.subscribe(answerTopic(OTHER))).toBeLessThan(128);
    for (const topic of NEVER_SAID) expect(await self.publish(topic, 'forged'), topic).toBeGreaterThanOrEqual(128);
    await delay(300);
    expect(other.received).toEqual([]);
    expect(self.connected()).toBe(true);
  });

  test('leaves nothing retained', async () => {
    expect(await self.publish(reportTopic(SELF), 'x', true)).toBe(NOT_AUTHORISED);
  });

  test('hears nothing that is for others, whatever it subscribes to', async () => {
    for (const filter of NEVER_HEARD) expect(await self.subscribe(filter), filter).toBeGreaterThanOrEqual(128);
    for (const topic of NEVER_RECEIVED) await hub.send(new PublishCommand({ topic, payload: Buffer.from('secret'), qos: 0 }));
    await delay(300);
    expect(self.received).toEqual([]);
  });

  test("does not take another's client id, and the other stays connected", async () => {
    expect(await connect(broker, alpha, OTHER)).toMatchObject({ ok: false });
    expect(await connect(broker, alpha, 'nobody')).toMatchObject({ ok: false });
    await delay(200);
    expect(other.connected()).toBe(true);
    expect(await other.publish(reportTopic(OTHER), 'x')).toBe(0);
  });
});
