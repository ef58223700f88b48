/** The same rows at a second broker, which knows nothing of AWS: its access list is generated from the synthesised policy, and what counts is what arrives. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { reportTopic } from '@honeymesh/intel/hub-topics';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, newAuthority } from '#test/support/cloud/certificates.ts';
import { resolved } from '#test/support/cloud/hub-template.ts';
import type { Policy } from '#test/support/cloud/iot-policy.ts';
import { HUB_USER, type Mosquitto, startMosquitto } from '#test/support/cloud/mosquitto.ts';
import { connect, connected, type Session } from '#test/support/cloud/mqtt.ts';
import { HEARD, NEVER_HEARD, NEVER_RECEIVED, NEVER_SAID, OTHER, SAID, SELF } from '#test/support/cloud/policy-matrix.ts';
import { type Cloud, cloud } from '#test/support/cloud/provided.ts';

const provided = cloud();

describe.skipIf(provided === null)('at Mosquitto, a host', () => {
  let folder: string;
  let authority: Authority;
  let broker: Mosquitto;
  let self: Session;
  let other: Session;
  let hub: Session;

  beforeAll(async () => {
    const { mosquitto, assembly } = provided as Cloud;
    folder = await mkdtemp(join(tmpdir(), 'honeymesh-mosquitto-'));
    authority = await newAuthority('a CA of the test');
    broker = await startMosquitto(mosquitto, folder, await hostPolicy(assembly), authority);
    const member = async (name: string): Promise<Session> => connected(broker, await authority.issue(name), name);
    [self, other, hub] = await Promise.all([member(SELF), member(OTHER), member(HUB_USER)]);
  });
  afterAll(async () => {
    await Promise.all([self?.close(), other?.close(), hub?.close()]);
    await broker?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('hears what is for all and what is for it', async () => {
    for (const topic of HEARD) expect(await self.subscribe(topic), topic).toBeLessThan(128);
    for (const topic of HEARD) {
      await hub.publish(topic, `to ${topic}`);
      expect(String((await self.next(message => message.topic === topic)).payload)).toBe(`to ${topic}`);
    }
  });

  test('may say what is its own', async () => {
    // 16: taken, and nobody listens.
    for (const topic of SAID) expect(await self.publish(topic, 'x'), topic).toBeLessThan(128);
  });

  test('says nothing that is not its own: nobody hears it', async () => {
    for (const topic of HEARD) expect(await other.subscribe(topic)).toBeLessThan(128);
    for (const topic of NEVER_SAID) expect(await self.publish(topic, 'forged'), topic).toBeGreaterThanOrEqual(128);
    await delay(300);
    expect(other.received).toEqual([]);
    expect(self.received).toEqual([]);
  });

  test('hears nothing that is for others, whatever it subscribes to', async () => {
    for (const filter of NEVER_HEARD) await self.subscribe(filter);
    for (const topic of NEVER_RECEIVED) expect(await hub.publish(topic, 'secret'), topic).toBeLessThan(128);
    expect(await other.publish(reportTopic(OTHER), 'between beta and the hub')).toBeLessThan(128);
    await delay(300);
    expect(self.received).toEqual([]);
  });

  test("does not take another's client id, and the other stays connected", async () => {
    const thief = await connect(broker, await authority.issue('mallory'), OTHER);
    await delay(200);
    expect(other.connected()).toBe(true);
    expect(await other.publish(reportTopic(OTHER), 'x')).toBeLessThan(128);
    if (thief.ok) {
      expect(await thief.session.publish(reportTopic(OTHER), 'forged')).toBeGreaterThanOrEqual(128);
      await thief.session.close();
    }
  });

  test('without a certificate of the CA is not let in', async () => {
    const rogue = await newAuthority('a CA of the test');
    expect(await connect(broker, await rogue.issue(SELF), SELF)).toMatchObject({ ok: false });
    expect(self.connected()).toBe(true);
  });
});

async function hostPolicy(assembly: string): Promise<Policy> {
  const { Resources } = JSON.parse(await readFile(join(assembly, 'honeymesh.template.json'), 'utf8')) as {
    readonly Resources: Readonly<
      Record<string, { readonly Type: string; readonly Properties: { readonly PolicyName?: string; readonly PolicyDocument: unknown } }>
    >;
  };
  const policy = Object.values(Resources).find(({ Type, Properties }) => Type === 'AWS::IoT::Policy' && Properties.PolicyName === 'honeymesh-host');
  return resolved<Policy>(policy?.Properties.PolicyDocument);
}
