/** The hub's tables as cloud/store/tables.ts lists them, and the bucket for what is too long for a message. */

import { Aws, Fn, RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, StreamViewType, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb';
import { CfnBucket, CfnBucketPolicy } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { type KeyType, TABLES, type TableName, type TableSpec } from '../../cloud/store/tables.ts';
import type { HubSettings } from '../settings.ts';
import { acknowledge } from './acknowledge.ts';

export type Tables = Readonly<Record<TableName, Table>>;

const ATTRIBUTE: Readonly<Record<KeyType, AttributeType>> = { S: AttributeType.STRING, N: AttributeType.NUMBER };

/** On demand, encrypted, recoverable to any second of the last 35 days. DynamoDB names them. */
export function createTables(scope: Construct, settings: HubSettings): Tables {
  const tables = new Construct(scope, 'Tables');
  const made = Object.entries(TABLES as Readonly<Record<string, TableSpec>>).map(([name, { partition, sort, ttl, stream }]) => {
    const table = new Table(tables, name, {
      partitionKey: { name: partition.name, type: ATTRIBUTE[partition.type] },
      ...(sort === undefined ? {} : { sortKey: { name: sort.name, type: ATTRIBUTE[sort.type] } }),
      ...(ttl === undefined ? {} : { timeToLiveAttribute: ttl }),
      ...(stream === undefined ? {} : { stream: StreamViewType.NEW_IMAGE }),
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.AWS_MANAGED,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: settings.onDelete === 'retain',
      removalPolicy: removal(settings),
    });
    return [name, table] as const;
  });
  return Object.fromEntries(made) as unknown as Tables;
}

export const removal = ({ onDelete }: HubSettings): RemovalPolicy => (onDelete === 'retain' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY);

export interface Exchange {
  /** Known before the bucket is: what the bucket notifies needs the name, and the bucket needs to be allowed to notify it. */
  readonly name: string;
  readonly arn: string;
  /** Makes the bucket; `uploads` is invoked for each object below its prefix. */
  create(uploads: { readonly functionArn: string; readonly prefix: string; readonly permission: Construct }): CfnBucket;
}

const KEPT_DAYS = 1;

/** Not CDK's own Bucket: for notifications that deploys a function of CDK's with more rights than the whole hub has. */
export function createExchange(scope: Construct, settings: HubSettings): Exchange {
  const name = Fn.join('-', [settings.name, 'exchange', Aws.ACCOUNT_ID, Aws.REGION]);
  const arn = Fn.join('', ['arn:', Aws.PARTITION, ':s3:::', name]);
  return {
    name,
    arn,
    create: ({ functionArn, prefix, permission }) => {
      const bucket = new CfnBucket(scope, 'Exchange', {
        bucketName: name,
        bucketEncryption: { serverSideEncryptionConfiguration: [{ serverSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }] },
        publicAccessBlockConfiguration: { blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
        ownershipControls: { rules: [{ objectOwnership: 'BucketOwnerEnforced' }] },
        lifecycleConfiguration: {
          rules: ['answers/', 'uploads/'].map(kept => ({
            id: `${kept.slice(0, -1)}-for-a-day`,
            prefix: kept,
            status: 'Enabled',
            expirationInDays: KEPT_DAYS,
            abortIncompleteMultipartUpload: { daysAfterInitiation: KEPT_DAYS },
          })),
        },
        notificationConfiguration: {
          lambdaConfigurations: [{ event: 's3:ObjectCreated:*', function: functionArn, filter: { s3Key: { rules: [{ name: 'prefix', value: prefix }] } } }],
        },
      });
      bucket.applyRemovalPolicy(removal(settings));
      bucket.node.addDependency(permission);
      if (settings.enforceSsl) refusePlainHttp(scope, bucket);
      acknowledge(
        bucket,
        'S1',
        'Objects live for a day and are reached by URLs of minutes that a function signed and logged; access logs would cost more than the hub.',
      );
      if (!settings.enforceSsl) acknowledge(bucket, 'S10', 'Switched off for an emulator that speaks plain HTTP.');
      return bucket;
    },
  };
}

function refusePlainHttp(scope: Construct, bucket: CfnBucket): void {
  new CfnBucketPolicy(scope, 'ExchangePolicy', {
    bucket: bucket.ref,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Deny',
          Principal: { AWS: '*' },
          Action: 's3:*',
          Resource: [bucket.attrArn, `${bucket.attrArn}/*`],
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        },
      ],
    },
  });
}
