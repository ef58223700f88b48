/** What the template says, as CloudFormation would read it. That cdk-nag and CloudFormation's rules have nothing against it: synthesise() throws otherwise. */
import { Match, Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FUNCTIONS, type FunctionSpec, SETTINGS } from '#cloud/functions/functions.ts';
import { TABLES, type TableSpec } from '#cloud/store/tables.ts';
import { CONTEXT, resolved, type Synthesised, synthesise } from '#test/support/cloud/hub-template.ts';

// biome-ignore lint/suspicious/noExplicitAny: a template is JSON of many shapes; what a test reads of it, it compares
type Json = Record<string, any>;

interface Resource {
  readonly Properties: Json;
  readonly [key: string]: unknown;
}

let synthesised: Synthesised;
let template: Template;
beforeAll(() => {
  synthesised = synthesise({ mail: 'ops@example.org' });
  template = synthesised.template;
}, 60_000);
afterAll(() => synthesised[Symbol.dispose]());

const all = (type: string): Resource[] => Object.values(template.findResources(type)).map(each => resolved<Resource>(each));
const lambdas = (): Resource[] => all('AWS::Lambda::Function');
const specs = Object.entries(FUNCTIONS as Readonly<Record<string, FunctionSpec>>);

describe('tables', () => {
  test('are those of the list, on demand, encrypted, recoverable, protected', () => {
    template.resourceCountIs('AWS::DynamoDB::Table', Object.keys(TABLES).length);
    for (const { partition, sort, ttl, stream } of Object.values(TABLES) as TableSpec[]) {
      template.hasResourceProperties('AWS::DynamoDB::Table', {
        KeySchema: [{ AttributeName: partition.name, KeyType: 'HASH' }, ...(sort === undefined ? [] : [{ AttributeName: sort.name, KeyType: 'RANGE' }])],
        BillingMode: 'PAY_PER_REQUEST',
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        SSESpecification: { SSEEnabled: true },
        DeletionProtectionEnabled: true,
        TimeToLiveSpecification: ttl === undefined ? Match.absent() : { AttributeName: ttl, Enabled: true },
        StreamSpecification: stream === undefined ? Match.absent() : { StreamViewType: 'NEW_IMAGE' },
      });
    }
    template.allResources('AWS::DynamoDB::Table', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });
});

describe('functions', () => {
  test('are those of the list, on arm64 and Node 24, with their memory and their time', () => {
    expect(lambdas()).toHaveLength(specs.length);
    for (const [name, { memoryMb, timeoutSeconds, reservedConcurrency }] of specs) {
      template.hasResourceProperties('AWS::Lambda::Function', {
        Description: `honeymesh: ${name}`,
        Architectures: ['arm64'],
        Runtime: 'nodejs24.x',
        Handler: 'index.handler',
        MemorySize: memoryMb,
        Timeout: timeoutSeconds,
        ReservedConcurrentExecutions: reservedConcurrency ?? Match.absent(),
      });
    }
  });

  test('are told what they ask for and nothing more', () => {
    for (const [name, { settings, tables }] of specs) {
      const { Properties } = lambdas().find(({ Properties }) => Properties.Description === `honeymesh: ${name}`) as Resource;
      const told = Object.keys(Properties.Environment?.Variables ?? {}).filter(key => key !== 'AWS_NODEJS_CONNECTION_REUSE_ENABLED');
      const needed = [...settings.filter(key => SETTINGS[key].needed), ...Object.keys(tables).map(table => TABLES[table as keyof typeof TABLES].environment)];
      expect(told, name).toEqual(expect.arrayContaining(needed));
      expect(needed.length + settings.length, name).toBeGreaterThanOrEqual(told.length);
    }
  });

  test('may use the tables, topics, key and objects of their list, two functions may scan one of them, and none has a wildcard for an action', () => {
    const granted: [string, string][] = [];
    for (const { Properties } of all('AWS::IAM::Policy')) {
      for (const { Effect, Action, Resource } of Properties.PolicyDocument.Statement) {
        expect(Effect).toBe('Allow');
        for (const action of [Action].flat()) for (const resource of [Resource].flat()) granted.push([action, resource]);
      }
    }
    const actions = [...new Set(granted.map(([action]) => action))].sort();
    expect(actions.filter(action => action.includes('*'))).toEqual([]);
    expect(actions).toEqual([
      'dynamodb:BatchGetItem',
      'dynamodb:BatchWriteItem',
      'dynamodb:ConditionCheckItem',
      'dynamodb:DeleteItem',
      'dynamodb:DescribeStream',
      'dynamodb:GetItem',
      'dynamodb:GetRecords',
      'dynamodb:GetShardIterator',
      'dynamodb:ListStreams',
      'dynamodb:PutItem',
      'dynamodb:Query',
      'dynamodb:Scan',
      'dynamodb:UpdateItem',
      'iot:AttachPolicy',
      'iot:AttachThingPrincipal',
      'iot:CreateThing',
      'iot:DescribeCertificate',
      'iot:DescribeThing',
      'iot:GetPolicy',
      'iot:Publish',
      'iot:UpdateCertificate',
      'iot:UpdateThing',
      'kms:GetPublicKey',
      'kms:Sign',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      's3:GetObject',
      's3:PutObject',
      'sqs:GetQueueAttributes',
      'sqs:GetQueueUrl',
      'sqs:SendMessage',
    ]);
    const wildcards = [...new Set(granted.map(([, resource]) => resource))].filter(resource => resource.includes('*')).sort();
    expect(wildcards).toEqual([
      '*',
      'arn:aws:iot:us-east-1:000000000000:cert/*',
      'arn:aws:iot:us-east-1:000000000000:thing/*',
      'arn:aws:iot:us-east-1:000000000000:topic/honeymesh/v1/*/answer',
      'arn:aws:iot:us-east-1:000000000000:topic/honeymesh/v1/*/receipt',
      'arn:aws:s3:::honeymesh-exchange-000000000000-us-east-1/answers/*',
      'arn:aws:s3:::honeymesh-exchange-000000000000-us-east-1/uploads/*',
    ]);
    const scanned = granted
      .filter(([action]) => action === 'dynamodb:Scan')
      .map(([, resource]) => resource.replace(/^<Tables([a-z]+)[0-9A-F]{8}\.Arn>$/, '$1'));
    expect(scanned.sort()).toEqual(['envelopes', 'peers']);
    expect([...new Set(granted.filter(([, resource]) => resource === '*').map(([action]) => action))]).toEqual(['dynamodb:ListStreams']);
  });

  test('publish only what is theirs: advisories come from the fan-out and the digest alone', () => {
    const publishers = all('AWS::IAM::Policy').flatMap(({ Properties }) =>
      Properties.PolicyDocument.Statement.filter(({ Action }: { Action: unknown }) => [Action].flat().includes('iot:Publish')).map(
        ({ Resource }: { Resource: unknown }) => ({
          roles: Properties.Roles[0] as string,
          topics: [Resource].flat().map(arn => String(arn).split('topic/')[1]),
        }),
      ),
    );
    expect(publishers.map(({ topics }) => topics.join(' ')).sort()).toEqual([
      'honeymesh/v1/*/answer',
      'honeymesh/v1/*/receipt',
      'honeymesh/v1/advisory honeymesh/v1/advisory/digest',
      'honeymesh/v1/advisory honeymesh/v1/advisory/digest',
    ]);
  });

  test('keep their logs for as long as was chosen', () => {
    template.resourceCountIs('AWS::Logs::LogGroup', specs.length);
    template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 30 });
  });
});

describe('what invokes a function', () => {
  test('a rule takes a host at its word only where the topic carries its name', () => {
    const rules = all('AWS::IoT::TopicRule').map(({ Properties }) => Properties);
    expect(rules.map(({ RuleName }) => RuleName).sort()).toEqual([
      'honeymesh_connected',
      'honeymesh_disconnected',
      'honeymesh_get',
      'honeymesh_heartbeat',
      'honeymesh_intel',
    ]);
    for (const { RuleName, TopicRulePayload } of rules) {
      const { Sql, AwsIotSqlVersion, Actions, ErrorAction } = TopicRulePayload;
      expect(AwsIotSqlVersion).toBe('2016-03-23');
      expect(Sql).toMatch(/^SELECT encode\(\*, 'base64'\) AS payload, clientid\(\) AS client,/);
      if (Sql.includes('honeymesh/v1/')) expect(Sql).toMatch(/FROM 'honeymesh\/v1\/\+\/\w+' WHERE clientid\(\) = topic\(3\)$/);
      else expect(Sql).toMatch(/FROM '\$aws\/events\/presence\/(dis)?connected\/\+'$/);
      expect(Actions, RuleName).toHaveLength(1);
      expect(ErrorAction.Sqs.QueueUrl).toMatch(/^<FailuresRules/);
    }
  });

  test('a permission names one source of this account: without both, the rule of anybody could', () => {
    const permissions = all('AWS::Lambda::Permission').map(({ Properties }) => Properties);
    for (const { Action, Principal, SourceArn, SourceAccount } of permissions) {
      expect(Action).toBe('lambda:InvokeFunction');
      expect(SourceArn, Principal).toBeDefined();
      expect(SourceArn).not.toMatch(/\*$/);
      if (Principal !== 'events.amazonaws.com') expect(SourceAccount, Principal).toBe('000000000000');
    }
    expect(permissions.map(({ Principal }) => Principal).sort()).toEqual([
      'events.amazonaws.com',
      ...Array.from({ length: 6 }, () => 'iot.amazonaws.com'),
      's3.amazonaws.com',
    ]);
  });

  test('a stream hands on inserts, not what DynamoDB removed, and what fails for good goes to a queue', () => {
    const mappings = all('AWS::Lambda::EventSourceMapping').map(({ Properties }) => Properties);
    expect(mappings).toHaveLength(2);
    for (const mapping of mappings) {
      expect(mapping).toMatchObject({
        BisectBatchOnFunctionError: true,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
        MaximumBatchingWindowInSeconds: 1,
        StartingPosition: 'TRIM_HORIZON',
      });
      expect(mapping.DestinationConfig.OnFailure.Destination).toMatch(/^<FailuresFunctions/);
      expect(mapping.MaximumRetryAttempts).toBeGreaterThan(0);
      for (const { Pattern } of mapping.FilterCriteria.Filters) expect(JSON.parse(Pattern).eventName).not.toContain('REMOVE');
    }
  });

  test('an invocation that nobody waits for ends in a queue when it fails for good', () => {
    const left = specs.filter(([, { sources }]) => sources.some(({ kind }) => kind !== 'stream' && kind !== 'provisioning-hook'));
    template.resourceCountIs('AWS::Lambda::EventInvokeConfig', left.length);
    template.allResourcesProperties('AWS::Lambda::EventInvokeConfig', {
      MaximumEventAgeInSeconds: 21_600,
      MaximumRetryAttempts: 2,
      DestinationConfig: { OnFailure: Match.anyValue() },
    });
  });
});

describe('plain HTTP, keys and failures', () => {
  test('queues, bucket and topic refuse plain HTTP', () => {
    const refuses = Match.objectLike({
      PolicyDocument: Match.objectLike({
        Statement: Match.arrayWith([Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } })]),
      }),
    });
    for (const [type, count] of [
      ['AWS::SQS::QueuePolicy', 2],
      ['AWS::S3::BucketPolicy', 1],
      ['AWS::SNS::TopicPolicy', 1],
    ] as const) {
      template.resourceCountIs(type, count);
      template.allResourcesProperties(type, refuses);
    }
  });

  test('the signing key never leaves KMS and is kept when the stack goes', () => {
    template.hasResource('AWS::KMS::Key', { Properties: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }, DeletionPolicy: 'Retain' });
  });

  test("nothing in a function's variables is a secret", () => {
    for (const { Properties } of lambdas()) {
      for (const [key, value] of Object.entries(Properties.Environment?.Variables ?? {})) {
        expect(key).not.toMatch(/SECRET|PASSWORD|TOKEN|PRIVATE/);
        expect(String(value)).not.toMatch(/-----BEGIN|AKIA/);
      }
    }
  });

  test('an alarm watches each queue and calls whoever is named', () => {
    const alarms = all('AWS::CloudWatch::Alarm').map(({ Properties }) => Properties);
    expect(alarms.filter(({ MetricName }) => MetricName === 'ApproximateNumberOfMessagesVisible')).toHaveLength(2);
    expect(alarms.filter(({ MetricName }) => MetricName === 'IteratorAge')).toHaveLength(1);
    // As metric math it would need a tool more to read, and an emulator that knows it.
    for (const { MetricName, AlarmActions, AlarmDescription } of alarms) {
      expect(MetricName).toBeDefined();
      expect(AlarmActions).toHaveLength(1);
      expect(AlarmDescription.length).toBeGreaterThan(40);
    }
    template.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'ops@example.org' });
    template.resourceCountIs('AWS::CloudWatch::Dashboard', 1);
  });

  test('the bucket keeps objects for a day, is closed to the public and may invoke only the function for uploads', () => {
    const [bucket] = all('AWS::S3::Bucket').map(({ Properties }) => Properties) as [Json];
    expect(bucket.LifecycleConfiguration.Rules.map(({ Prefix, ExpirationInDays }: Record<string, unknown>) => `${Prefix} ${ExpirationInDays}`)).toEqual([
      'answers/ 1',
      'uploads/ 1',
    ]);
    expect(Object.values(bucket.PublicAccessBlockConfiguration)).toEqual([true, true, true, true]);
    expect(bucket.NotificationConfiguration.LambdaConfigurations).toHaveLength(1);
    expect(JSON.stringify(bucket.NotificationConfiguration)).toContain('uploads/');
  });
});

test('the template by which hosts enrol has a hook and gives no host a key that was made elsewhere', () => {
  const [{ Properties }] = all('AWS::IoT::ProvisioningTemplate') as [Resource];
  expect(Properties).toMatchObject({ Enabled: true, PreProvisioningHook: { PayloadVersion: '2020-04-01' } });
  const body = JSON.parse(Properties.TemplateBody);
  expect(body.Resources.certificate.Properties).toEqual({ CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'Active' });
  expect(body.Resources.policy.Properties.PolicyName).toBe('honeymesh-host');
  expect(body.Resources.thing.OverrideSettings.AttributePayload).toBe('FAIL');
});

test('an enforcer and an operator find what they need among the outputs', () => {
  expect(Object.keys(template.toJSON().Outputs).sort()).toEqual([
    'ClaimPolicy',
    'Cluster',
    'CodesTable',
    'FailedFunctions',
    'FailedRules',
    'HostPolicy',
    'PeersTable',
    'ProvisioningTemplate',
    'SigningKey',
    'ThingType',
  ]);
});

test('the same settings are the same template', () => {
  using again = synthesise({ mail: 'ops@example.org' });
  expect(again.text).toBe(synthesised.text);
  expect(again.text).not.toMatch(/\/tmp\/|\/root\/|\/work\//);
}, 60_000);

test('the budget is a stack of its own', () => {
  const budget = Template.fromStack(synthesised.hub.app.node.findChild('honeymesh-budget') as never);
  budget.hasResourceProperties('AWS::Budgets::Budget', { Budget: Match.objectLike({ BudgetLimit: { Amount: 100, Unit: 'USD' }, TimeUnit: 'MONTHLY' }) });
  expect(CONTEXT.cluster).toHaveLength(32);
});

test('an operator can choose: x86, nothing kept, no reserved concurrency, plain HTTP for an emulator', () => {
  using chosen = synthesise({
    architecture: 'x86_64',
    onDelete: 'destroy',
    reserveConcurrency: 'false',
    enforceSsl: 'false',
    logDays: '7',
    digestMinutes: 5,
    runtime: 'nodejs22.x',
  });
  chosen.template.allResourcesProperties('AWS::Lambda::Function', {
    Architectures: ['x86_64'],
    ReservedConcurrentExecutions: Match.absent(),
    Runtime: 'nodejs22.x',
  });
  chosen.template.allResources('AWS::DynamoDB::Table', { DeletionPolicy: 'Delete' });
  chosen.template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 7 });
  chosen.template.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(5 minutes)' });
  expect(chosen.text).not.toContain('SecureTransport');
}, 60_000);
