/** Makes a host a member as `honeymesh hub enrol` does: the key stays here, IoT gets a request. */
import { AttachPolicyCommand, AttachThingPrincipalCommand, CreateCertificateFromCsrCommand, CreateThingCommand, IoTClient } from '@aws-sdk/client-iot';
import { newRequest } from './certificates.ts';
import { accessTo } from './deployment.ts';
import type { Identity } from './mqtt.ts';
import type { Cloud } from './provided.ts';

export interface Enrolled extends Identity {
  readonly name: string;
  readonly certificateArn: string;
  readonly certificateId: string;
}

/** `kid`: the id of the host's key in the mesh, 16 hex digits. */
export async function enrol({ ministack }: Cloud, name: string, kid = '0'.repeat(16)): Promise<Enrolled> {
  const client = new IoTClient(accessTo(ministack.endpoint));
  const { csr, key } = await newRequest(name);
  const attributes = { kid, enrolledBy: 'operator', enrolledAt: String(Date.now()) };
  await client.send(new CreateThingCommand({ thingName: name, thingTypeName: ministack.outputs.ThingType, attributePayload: { attributes } }));
  const made = await client.send(new CreateCertificateFromCsrCommand({ certificateSigningRequest: csr, setAsActive: true }));
  const { certificateArn = '', certificateId = '', certificatePem = '' } = made;
  await client.send(new AttachPolicyCommand({ policyName: ministack.outputs.HostPolicy, target: certificateArn }));
  await client.send(new AttachThingPrincipalCommand({ thingName: name, principal: certificateArn }));
  return { name, key, certificate: certificatePem, certificateArn, certificateId };
}
