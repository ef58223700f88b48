/** What each function may do: the tables, the key, the topics and the objects that cloud/functions/functions.ts names for it, and nothing else. */
import { Stack } from 'aws-cdk-lib';
import { Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import type { FunctionName, FunctionSpec, Right } from '../../cloud/functions/functions.ts';
import type { TableName } from '../../cloud/store/tables.ts';
import { publishedBy } from '../topics.ts';
import { acknowledgeOpen } from './acknowledge.ts';
import type { Failures } from './failures.ts';
import type { Exchange, Tables } from './store.ts';

/** What the functions stand on. */
export interface Ground {
  readonly tables: Tables;
  readonly exchange: Exchange;
  readonly signer: Key;
  readonly failures: Failures;
}

/** Who looks at a whole table: the digest counts the hosts that listen, a snapshot is all that holds. What a host says makes neither longer at once. */
const SCANS: Readonly<Partial<Record<FunctionName, TableName>>> = { digest: 'peers', answers: 'envelopes' };

const READ = ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'];
const WRITE = ['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem', 'dynamodb:ConditionCheckItem', 'dynamodb:BatchWriteItem'];

export function rightsOf(scope: Construct, name: FunctionName, spec: FunctionSpec, ground: Ground): PolicyStatement[] {
  const tables = (Object.entries(spec.tables) as [TableName, 'read' | 'write'][]).map(([table, right]) =>
    allow(right === 'read' ? READ : [...READ, ...WRITE], ground.tables[table].tableArn),
  );
  const scanned = SCANS[name];
  const scans = scanned === undefined ? [] : [allow(['dynamodb:Scan'], ground.tables[scanned].tableArn)];
  return [...tables, ...scans, ...spec.rights.map(right => statementOf(scope, right, name, ground))];
}

function statementOf(scope: Construct, right: Right, name: FunctionName, { signer, exchange }: Ground): PolicyStatement {
  const iot = (resource: string, resourceName: string): string => Stack.of(scope).formatArn({ service: 'iot', resource, resourceName });
  const open = (resource: string, why: string): string => {
    acknowledgeOpen(scope, resource, why);
    return resource;
  };
  const objects = (prefix: string): string => open(`${exchange.arn}/${prefix}*`, 'Keys of objects are made as they are needed, below this prefix.');
  switch (right) {
    case 'sign':
      return allow(['kms:Sign', 'kms:GetPublicKey'], signer.keyArn);
    case 'publish':
      return allow(['iot:Publish'], ...publishedBy(name).map(topic => open(iot('topic', topic), 'A topic for each host, by the name of the host.')));
    case 'describe-thing':
      return allow(['iot:DescribeThing'], open(iot('thing', '*'), 'Hosts are enrolled after the hub is deployed, and any of them may ask.'));
    case 'deactivate-certificate':
      return allow(['iot:UpdateCertificate'], open(iot('cert', '*'), 'Any host may have to be put in quarantine, and gets its certificate later.'));
    case 'write-answers':
      // GetObject too: whoever opens the URL does so by the rights of the function that signed it.
      return allow(['s3:PutObject', 's3:GetObject'], objects('answers/'));
    case 'read-uploads':
      return allow(['s3:GetObject'], objects('uploads/'));
    case 'offer-uploads':
      return allow(['s3:PutObject'], objects('uploads/'));
    default:
      return unreachable(right);
  }
}

const allow = (actions: readonly string[], ...resources: readonly string[]): PolicyStatement =>
  new PolicyStatement({ effect: Effect.ALLOW, actions: [...actions], resources: [...resources] });

function unreachable(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
