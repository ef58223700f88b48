/** What is measured: AWS's own metrics of a function or queue, and what the functions count (cloud/functions/aws/telemetry.ts). By the minute. */
import { Duration } from 'aws-cdk-lib';
import { Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { FunctionName } from '../../cloud/functions/functions.ts';
import type { Functions } from './functions.ts';

const PERIOD = Duration.minutes(1);
const SUM = { period: PERIOD, statistic: Stats.SUM };

/** What a function counts under its own name, in the namespace that its log lines carry. */
export type Counted = 'Taken' | 'Repeated' | 'Refused' | 'Urgent' | 'Advisories' | 'OverBudget' | 'Quarantined';

// None has a label: an alarm on a metric with one is written as metric math, which an emulator does not know.
export const counted = (what: Counted, service: FunctionName): Metric =>
  new Metric({ namespace: 'HoneyMesh', metricName: what, dimensionsMap: { service }, ...SUM });

export const waitingIn = (queue: Queue): Metric => queue.metricApproximateNumberOfMessagesVisible({ period: PERIOD });

/** How long the oldest record of a stream waited for its function, ms. */
export const lateness = (functions: Functions, name: FunctionName): Metric =>
  functions[name].metric('IteratorAge', { period: PERIOD, statistic: Stats.MAXIMUM });

export const errorsOf = (functions: Functions, name: FunctionName): Metric => functions[name].metricErrors(SUM);
export const throttlesOf = (functions: Functions, name: FunctionName): Metric => functions[name].metricThrottles(SUM);
export const invocationsOf = (functions: Functions, name: FunctionName): Metric => functions[name].metricInvocations(SUM);
export const slowestOf = (functions: Functions, name: FunctionName): Metric => functions[name].metricDuration({ period: PERIOD, statistic: Stats.p(99) });

export const atBroker = (metricName: 'PublishIn.Success' | 'PublishOut.Success' | 'PublishIn.AuthError'): Metric =>
  new Metric({ namespace: 'AWS/IoT', metricName, dimensionsMap: { Protocol: 'MQTT' }, ...SUM });

export const labelled = (metric: Metric, label: string): Metric => metric.with({ label });
