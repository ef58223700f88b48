/** What an enforcer and an operator need to know of a deployed hub. Some of it no template can say: the endpoint is the account's, the key KMS's. */
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { DescribeEndpointCommand, IoTClient } from '@aws-sdk/client-iot';
import { GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';

export interface HubOutputs {
  /** Where hosts connect, port 8883. */
  readonly endpoint: string;
  /** What hosts pin (`hub.signers`): the signing key's SPKI, base64. */
  readonly signer: string;
  /** The names of the policy and type of a host that `honeymesh hub enrol` makes a member. */
  readonly hostPolicy: string;
  readonly thingType: string;
  /** For hosts that enrol by claim. */
  readonly claimPolicy: string;
  readonly provisioningTemplate: string;
  readonly codesTable: string;
  readonly cluster: string;
}

type ClientConfig = {
  readonly region?: string;
  readonly endpoint?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
};

/** Asks AWS. Rejects where there is no such stack, or it has no such output. */
export async function readOutputs(stack: string, config: ClientConfig = {}): Promise<HubOutputs> {
  const { Stacks: [found] = [] } = await new CloudFormationClient(config).send(new DescribeStacksCommand({ StackName: stack }));
  const said = new Map((found?.Outputs ?? []).map(({ OutputKey: key, OutputValue: value }) => [key, value]));
  const output = (name: string): string => {
    const value = said.get(name);
    if (value === undefined) throw new Error(`the stack ${stack} says no ${name}: deploy it again with this version`);
    return value;
  };
  const { endpointAddress } = await new IoTClient(config).send(new DescribeEndpointCommand({ endpointType: 'iot:Data-ATS' }));
  const { PublicKey } = await new KMSClient(config).send(new GetPublicKeyCommand({ KeyId: output('SigningKey') }));
  if (endpointAddress === undefined || PublicKey === undefined) throw new Error('AWS named no endpoint or no public key');
  return {
    endpoint: endpointAddress,
    signer: Buffer.from(PublicKey).toString('base64'),
    hostPolicy: output('HostPolicy'),
    thingType: output('ThingType'),
    claimPolicy: output('ClaimPolicy'),
    provisioningTemplate: output('ProvisioningTemplate'),
    codesTable: output('CodesTable'),
    cluster: output('Cluster'),
  };
}
