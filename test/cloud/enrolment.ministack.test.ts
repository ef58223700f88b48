/** How hosts become members, on MiniStack with policies and roles enforced: the hook that judges a code, the template, what a claim may do, what hosts are told. */
import { randomBytes } from 'node:crypto';
import {
  AttachPolicyCommand,
  CreateCertificateFromCsrCommand,
  CreateProvisioningClaimCommand,
  DescribeThingCommand,
  IoTClient,
  ListAttachedPoliciesCommand,
  ListThingPrincipalsCommand,
} from '@aws-sdk/client-iot';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { reportTopic } from '@honeymesh/intel/hub-topics';
import { HOUR_MS } from '@honeymesh/intel/time';
import { beforeAll, describe, expect, test } from 'vitest';
import { codeName } from '#cloud/hub/enrolment-codes.ts';
import { createCodes } from '#cloud/store/codes.ts';
import { readOutputs } from '#infra/outputs.ts';
import { newRequest } from '#test/support/cloud/certificates.ts';
import { functionName, variablesOf } from '#test/support/cloud/coupling.ts';
import { accessTo } from '#test/support/cloud/deployment.ts';
import { connect, connected } from '#test/support/cloud/mqtt.ts';
import { brokerOf, type Cloud, cloud } from '#test/support/cloud/provided.ts';
import { storesOf } from '#test/support/cloud/stores.ts';
import { enrol } from '#test/support/cloud/things.ts';

const provided = cloud();
const KID = '0123456789abcdef';

describe.skipIf(provided === null)('enrolment', () => {
  const { ministack } = (provided ?? {}) as Cloud;
  const access = accessTo(ministack?.endpoint ?? '');
  const iot = new IoTClient(access);
  let codes: ReturnType<typeof createCodes>;

  beforeAll(async () => {
    process.env.HONEYMESH_TABLE_CODES = (await variablesOf(ministack, 'provisioning-hook')).HONEYMESH_TABLE_CODES;
    codes = createCodes((await storesOf(ministack)).tables);
  });

  const newCode = (): string => randomBytes(16).toString('base64url');

  async function hook(parameters: Readonly<Record<string, string>>): Promise<{ readonly allowProvisioning: boolean; readonly parameterOverrides?: object }> {
    const client = new LambdaClient(access);
    const event = { claimCertificateId: 'c'.repeat(64), certificateId: 'd'.repeat(64), templateArn: 'arn', clientId: 'claim~1', parameters };
    const { Payload, FunctionError } = await client.send(
      new InvokeCommand({ FunctionName: functionName(ministack, 'provisioning-hook'), Payload: JSON.stringify(event) }),
    );
    if (FunctionError !== undefined) throw new Error(Buffer.from(Payload ?? []).toString());
    return JSON.parse(Buffer.from(Payload ?? []).toString());
  }

  test('a code lets in as many hosts as it is for, at its site, under names that are free', async () => {
    const code = newCode();
    await codes.create(codeName(code), { site: 'home', left: 1, expiresAt: Date.now() + HOUR_MS });
    await enrol(provided as Cloud, 'enrol-taken');
    const claim = { ThingName: 'enrol-new', Site: 'home', Kid: KID, Code: code };
    expect(await hook({ ...claim, Code: newCode() })).toEqual({ allowProvisioning: false });
    expect(await hook({ ...claim, Site: 'lab' })).toEqual({ allowProvisioning: false });
    expect(await hook({ ...claim, ThingName: 'enrol-taken' })).toEqual({ allowProvisioning: false });
    expect(await hook(claim)).toMatchObject({ allowProvisioning: true, parameterOverrides: { ThingName: 'enrol-new', EnrolledBy: 'claim' } });
    expect(await hook(claim)).toEqual({ allowProvisioning: false });
  });

  test('a claim with a code becomes a thing with its key, its certificate and the policy of hosts; one without becomes nothing', async () => {
    const { certificatePem = '', keyPair } = await iot.send(new CreateProvisioningClaimCommand({ templateName: 'honeymesh' }));
    const session = await connected(brokerOf(provided as Cloud), { certificate: certificatePem, key: keyPair?.PrivateKey ?? '' }, 'claim~8');
    const ask = async (topic: string, payload: object): Promise<Readonly<Record<string, string>>> => {
      for (const answer of ['accepted', 'rejected']) await session.subscribe(`${topic}/${answer}`);
      expect(await session.publish(topic, JSON.stringify(payload))).toBe(0);
      return JSON.parse(String((await session.next(message => message.topic.startsWith(`${topic}/`))).payload));
    };
    try {
      // By a request for a certificate AWS answers the same; this emulator does not answer that one.
      const { certificateId = '', certificateOwnershipToken } = await ask('$aws/certificates/create/json', {});
      const code = newCode();
      await codes.create(codeName(code), { site: 'lab', left: 1, expiresAt: Date.now() + HOUR_MS });
      const claim = { ThingName: 'enrol-claimed', Site: 'lab', Kid: KID };
      const provision = (Code: string) =>
        ask('$aws/provisioning-templates/honeymesh/provision/json', { certificateOwnershipToken, parameters: { ...claim, Code } });
      expect(await provision(newCode())).toHaveProperty('errorCode');
      await expect(iot.send(new DescribeThingCommand({ thingName: 'enrol-claimed' }))).rejects.toThrow();
      expect(await provision(code)).toMatchObject({ thingName: 'enrol-claimed' });
      const thing = await iot.send(new DescribeThingCommand({ thingName: 'enrol-claimed' }));
      expect(thing).toMatchObject({
        thingTypeName: 'honeymesh-host',
        attributes: { kid: KID, site: 'lab', enrolledBy: 'claim', enrolledAt: expect.stringMatching(/^\d{13}$/) },
      });
      const { principals = [] } = await iot.send(new ListThingPrincipalsCommand({ thingName: 'enrol-claimed' }));
      expect(principals).toEqual([expect.stringContaining(certificateId)]);
      const { policies = [] } = await iot.send(new ListAttachedPoliciesCommand({ target: principals[0] }));
      expect(policies.map(({ policyName }) => policyName)).toEqual(['honeymesh-host']);
    } finally {
      await session.close();
    }
  });

  test('a claim certificate asks for membership and for nothing else', async () => {
    const { csr, key } = await newRequest('a claim');
    const { certificateArn, certificatePem = '' } = await iot.send(new CreateCertificateFromCsrCommand({ certificateSigningRequest: csr, setAsActive: true }));
    await iot.send(new AttachPolicyCommand({ policyName: ministack.outputs.ClaimPolicy, target: certificateArn }));
    const identity = { certificate: certificatePem, key };
    const session = await connected(brokerOf(provided as Cloud), identity, 'claim~7');
    try {
      expect(await session.subscribe('$aws/provisioning-templates/honeymesh/provision/json/accepted')).toBeLessThan(128);
      expect(await session.publish('$aws/certificates/create/json', '{}')).toBe(135);
      expect(await session.publish(reportTopic('enrol-taken'), 'x')).toBe(135);
      expect(await session.subscribe('honeymesh/v1/advisory')).toBe(135);
    } finally {
      await session.close();
    }
    expect(await connect(brokerOf(provided as Cloud), identity, 'enrol-taken')).toMatchObject({ ok: false });
  });

  test('hosts are told where the hub is and whom to believe', async () => {
    const outputs = await readOutputs('honeymesh', access);
    expect(outputs).toMatchObject({
      hostPolicy: 'honeymesh-host',
      thingType: 'honeymesh-host',
      provisioningTemplate: 'honeymesh',
      cluster: (provided as Cloud).cluster,
    });
    expect(outputs.endpoint).not.toBe('');
    // SPKI of a key on P-256: 91 bytes.
    expect(Buffer.from(outputs.signer, 'base64')).toHaveLength(91);
  });
});
