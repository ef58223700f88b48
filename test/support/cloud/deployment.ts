/** Deploys what `cdk synth` wrote, unmodified, as the CDK CLI would: assets into the bootstrap's bucket, then the template to CloudFormation. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStackEventsCommand,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { zipFolder } from './zip.ts';

/** What every client of an emulator gets. */
export interface Access {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Both emulators' account, when nobody says otherwise. */
export const ACCOUNT = '000000000000';
export const accessTo = (endpoint: string): Access => ({ endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });

export interface Deployment {
  readonly outputs: Readonly<Record<string, string>>;
  /** Physical ids by logical ids. */
  readonly resources: Readonly<Record<string, string>>;
  readonly seconds: number;
}

interface AssetFiles {
  readonly files: Readonly<
    Record<
      string,
      {
        readonly source: { readonly path: string; readonly packaging: 'file' | 'zip' };
        readonly destinations: Readonly<Record<string, { readonly bucketName: string; readonly objectKey: string }>>;
      }
    >
  >;
}

/** Creates a stack of an assembly and waits for it. Rejects with CloudFormation's reasons where it fails. */
export async function deploy(assembly: string, stack: string, access: Access): Promise<Deployment> {
  const started = Date.now();
  const cloudFormation = new CloudFormationClient(access);
  await createStack(cloudFormation, 'CDKToolkit', { TemplateBody: JSON.stringify(BOOTSTRAP) }, []);
  const template = await uploadAssets(assembly, stack, access);
  const outputs = await createStack(cloudFormation, stack, { TemplateURL: template }, ['CAPABILITY_NAMED_IAM']);
  const { StackResources: made = [] } = await cloudFormation.send(new DescribeStackResourcesCommand({ StackName: stack }));
  const resources = Object.fromEntries(made.map(({ LogicalResourceId: id, PhysicalResourceId: physical }) => [id ?? '', physical ?? '']));
  return { outputs, resources, seconds: (Date.now() - started) / 1000 };
}

/** What of `cdk bootstrap` a deployment needs: where assets go, and the version that the template asks for. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation fills it in
const BUCKET = 'cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}';
const BOOTSTRAP = {
  Resources: {
    Assets: { Type: 'AWS::S3::Bucket', Properties: { BucketName: { 'Fn::Sub': BUCKET } } },
    Version: { Type: 'AWS::SSM::Parameter', Properties: { Name: '/cdk-bootstrap/hnb659fds/version', Type: 'String', Value: '30' } },
  },
};

/** Returns where the template is: it is an asset too, too long to be handed over. */
async function uploadAssets(assembly: string, stack: string, access: Access): Promise<string> {
  let template = '';
  const s3 = new S3Client({ ...access, forcePathStyle: true });
  const { files } = JSON.parse(readFileSync(join(assembly, `${stack}.assets.json`), 'utf8')) as AssetFiles;
  for (const { source, destinations } of Object.values(files)) {
    const path = join(assembly, source.path);
    const body = source.packaging === 'zip' ? zipFolder(path) : readFileSync(path);
    for (const { bucketName, objectKey } of Object.values(destinations)) {
      const bucket = fill(bucketName, access);
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key: objectKey, Body: body }));
      if (source.path === `${stack}.template.json`) template = `${access.endpoint}/${bucket}/${objectKey}`;
    }
  }
  return template;
}

const fill = (name: string, { region }: Access): string => name.replace(/\$\{AWS::AccountId\}/, ACCOUNT).replace(/\$\{AWS::Region\}/, region);

const LONGEST_MS = 120_000;

async function createStack(
  client: CloudFormationClient,
  name: string,
  template: { readonly TemplateBody: string } | { readonly TemplateURL: string },
  capabilities: 'CAPABILITY_NAMED_IAM'[],
): Promise<Record<string, string>> {
  await client.send(new CreateStackCommand({ StackName: name, ...template, Capabilities: capabilities }));
  for (const started = Date.now(); ; ) {
    const { Stacks: [stack] = [] } = await client.send(new DescribeStacksCommand({ StackName: name }));
    if (stack?.StackStatus === 'CREATE_COMPLETE')
      return Object.fromEntries((stack.Outputs ?? []).map(({ OutputKey: key, OutputValue: value }) => [key ?? '', value ?? '']));
    if (stack?.StackStatus !== 'CREATE_IN_PROGRESS' || Date.now() - started > LONGEST_MS) {
      const { StackEvents: events = [] } = await client.send(new DescribeStackEventsCommand({ StackName: name }));
      const reasons = events
        .filter(({ ResourceStatus: status }) => status?.endsWith('FAILED'))
        .map(event => `${event.LogicalResourceId}: ${event.ResourceStatusReason}`);
      throw new Error(`${name} is ${stack?.StackStatus}:\n${reasons.reverse().join('\n')}`);
    }
    await delay(200);
  }
}
