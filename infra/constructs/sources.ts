/** What invokes the functions. Whatever AWS service does gets a permission for one source in one account: without both, anybody's rule could. */
import { Aws, Duration, Stack } from 'aws-cdk-lib';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnTopicRule } from 'aws-cdk-lib/aws-iot';
import { CfnPermission, FilterCriteria, FilterRule, type Function as LambdaFunction, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { DynamoEventSource, SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources';
import { Construct } from 'constructs';
import { type EventSource, FUNCTIONS, type FunctionName, type FunctionSpec, RULE_SELECT } from '../../cloud/functions/functions.ts';
import type { HubSettings } from '../settings.ts';
import { acknowledgeOpen } from './acknowledge.ts';
import type { Functions } from './functions.ts';
import type { Ground } from './rights.ts';

/** The SQL that the functions are written for; the newest there is. */
const SQL_VERSION = '2016-03-23';

/** A poisoned part of a stream is tried so often, halved each time, before it goes to the failures' queue: it holds its shard up meanwhile. */
const STREAM_RETRIES = 5;
const OLDEST_RECORD = Duration.hours(6);

export function connectSources(scope: Construct, settings: HubSettings, functions: Functions, ground: Ground): void {
  const sources = new Construct(scope, 'Sources');
  const toFailures = ruleFailures(sources, ground);
  for (const [name, spec] of Object.entries(FUNCTIONS) as [FunctionName, FunctionSpec][]) {
    for (const source of spec.sources) connect(sources, name, source, functions[name]);
  }

  function connect(scope: Construct, name: FunctionName, source: EventSource, target: LambdaFunction): void {
    switch (source.kind) {
      case 'iot-rule':
        topicRule(scope, source, target, { queueUrl: ground.failures.rules.queueUrl, roleArn: toFailures.roleArn });
        return;
      case 'stream':
        target.addEventSource(
          new DynamoEventSource(ground.tables[source.table] as ITable, {
            startingPosition: StartingPosition.TRIM_HORIZON,
            batchSize: source.batch,
            maxBatchingWindow: Duration.seconds(source.windowSeconds),
            bisectBatchOnError: true,
            reportBatchItemFailures: true,
            retryAttempts: STREAM_RETRIES,
            maxRecordAge: OLDEST_RECORD,
            onFailure: new SqsDlq(ground.failures.functions),
            // What DynamoDB removes by TTL is a REMOVE, which no function is told of.
            filters: [FilterCriteria.filter({ eventName: FilterRule.or(...source.eventNames) })],
          }),
        );
        acknowledgeOpen(target.role as Role, '*', 'Streams cannot be listed for one table: the action knows no resource (AWS, actions of DynamoDB).');
        return;
      case 'schedule': {
        const rule = new Rule(scope, `${name}-schedule`, { schedule: Schedule.rate(Duration.minutes(settings.digestMinutes)) });
        rule.addTarget(new LambdaTarget(target, { deadLetterQueue: ground.failures.rules, maxEventAge: Duration.minutes(1), retryAttempts: 0 }));
        return;
      }
      case 'bucket': {
        const permission = permit(scope, `${name}-permission`, target, 's3.amazonaws.com', ground.exchange.arn);
        ground.exchange.create({ functionArn: target.functionArn, prefix: source.prefix, permission });
        return;
      }
      case 'provisioning-hook':
        return; // the provisioning template names it
      default:
        unreachable(source);
    }
  }
}

function topicRule(
  scope: Construct,
  { rule, from, where }: Extract<EventSource, { kind: 'iot-rule' }>,
  target: LambdaFunction,
  failed: CfnTopicRule.SqsActionProperty,
): void {
  const made = new CfnTopicRule(scope, rule, {
    ruleName: rule,
    topicRulePayload: {
      sql: `${RULE_SELECT} FROM '${from}'${where === '' ? '' : ` WHERE ${where}`}`,
      awsIotSqlVersion: SQL_VERSION,
      actions: [{ lambda: { functionArn: target.functionArn } }],
      errorAction: { sqs: failed },
    },
  });
  permit(scope, `${rule}-permission`, target, 'iot.amazonaws.com', made.attrArn);
}

/** Lets one source of this account invoke a function. */
export function permit(scope: Construct, id: string, target: LambdaFunction, service: string, sourceArn: string): CfnPermission {
  return new CfnPermission(scope, id, {
    action: 'lambda:InvokeFunction',
    functionName: target.functionArn,
    principal: service,
    sourceArn,
    sourceAccount: Aws.ACCOUNT_ID,
  });
}

function ruleFailures(scope: Construct, { failures }: Ground): Role {
  const account = { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } };
  const role = new Role(scope, 'RuleFailures', { assumedBy: new ServicePrincipal('iot.amazonaws.com', { conditions: account }) });
  new Policy(scope, 'RuleFailuresRights', {
    roles: [role],
    statements: [new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [failures.rules.queueArn] })],
  });
  return role;
}

function unreachable(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
