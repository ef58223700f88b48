/** What calls an operator, and what an operator looks at. */
import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  Metric,
  SingleValueWidget,
  Stats,
  TextWidget,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { FunctionName } from '../../cloud/functions/functions.ts';
import type { HubSettings } from '../settings.ts';
import type { Failures } from './failures.ts';
import type { Functions } from './functions.ts';

const PERIOD = Duration.minutes(1);

/** The fan-out is the product: advice that waits longer than this is late. */
const OLDEST_IN_STREAM_MS = 60_000;

interface Watched {
  readonly functions: Functions;
  readonly failures: Failures;
}

export function createWatch(scope: Construct, settings: HubSettings, watched: Watched): void {
  const watch = new Construct(scope, 'Watch');
  const alarms = createAlarms(watch, settings, watched);
  new Dashboard(watch, 'Dashboard', { dashboardName: `${settings.name}-hub`, defaultInterval: Duration.hours(3), widgets: rows(settings, watched, alarms) });
}

function createAlarms(scope: Construct, settings: HubSettings, { functions, failures }: Watched): Alarm[] {
  const topic =
    settings.mail === undefined ? undefined : new Topic(scope, 'Calls', { displayName: `${settings.name}: the hub`, enforceSSL: settings.enforceSsl });
  if (topic !== undefined && settings.mail !== undefined) topic.addSubscription(new EmailSubscription(settings.mail));
  const alarm = (id: string, metric: IMetric, above: number, minutes: number, description: string): Alarm => {
    const made = new Alarm(scope, id, {
      metric,
      threshold: above,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: minutes,
      datapointsToAlarm: minutes,
      treatMissingData: TreatMissingData.NOT_BREACHING,
      alarmDescription: description,
    });
    if (topic !== undefined) {
      made.addAlarmAction(new SnsAction(topic));
      made.addOkAction(new SnsAction(topic));
    }
    return made;
  };
  const errors = (name: FunctionName): IMetric => functions[name].metricErrors({ period: PERIOD, statistic: Stats.SUM });
  return [
    alarm(
      'FailedInvocations',
      failures.functions.metricApproximateNumberOfMessagesVisible({ period: PERIOD }),
      0,
      1,
      'A function failed for good: read the queue of failures, each entry names the function and holds the event.',
    ),
    alarm(
      'FailedRules',
      failures.rules.metricApproximateNumberOfMessagesVisible({ period: PERIOD }),
      0,
      1,
      'A rule could not invoke its function: read the queue of rule failures.',
    ),
    alarm(
      'FanOutLate',
      functions['fan-out'].metric('IteratorAge', { period: PERIOD, statistic: Stats.MAXIMUM }),
      OLDEST_IN_STREAM_MS,
      3,
      'Reports wait for more than a minute before they are told to others.',
    ),
    alarm('DigestErrors', errors('digest'), 0, 3, 'No digest went out for 3 minutes: hosts cannot see what they miss.'),
    alarm(
      'IngestErrors',
      errors('ingest'),
      5,
      3,
      'Taking reports fails again and again; bad input does not count as an error. What fails for good goes to the queue of failures.',
    ),
    alarm(
      'IngestThrottled',
      functions.ingest.metricThrottles({ period: PERIOD, statistic: Stats.SUM }),
      0,
      15,
      'More reports than the reserved concurrency handles, for a quarter of an hour: they are late, not lost.',
    ),
  ];
}

function rows(settings: HubSettings, { functions, failures }: Watched, alarms: readonly Alarm[]): IWidget[][] {
  const each = (title: string, names: readonly FunctionName[], metric: (name: FunctionName) => IMetric): IWidget =>
    new GraphWidget({ title, width: 8, left: names.map(metric), leftYAxis: { min: 0 } });
  const all = Object.keys(functions) as FunctionName[];
  const sum = { period: PERIOD, statistic: Stats.SUM };
  const iot = (metricName: string, dimensionsMap: Record<string, string> = {}): Metric =>
    new Metric({ namespace: 'AWS/IoT', metricName, dimensionsMap, ...sum });
  return [
    [
      new TextWidget({
        markdown: `# ${settings.name}: the hub\nIt advises; it never commands a ban. A host that loses it loses nothing but advice.`,
        width: 16,
        height: 3,
      }),
      new SingleValueWidget({
        title: 'Failures kept',
        width: 8,
        height: 3,
        metrics: [
          failures.functions.metricApproximateNumberOfMessagesVisible({ label: 'functions' }),
          failures.rules.metricApproximateNumberOfMessagesVisible({ label: 'rules' }),
        ],
      }),
    ],
    [
      each('Invocations', all, name => functions[name].metricInvocations({ ...sum, label: name })),
      each('Errors', all, name => functions[name].metricErrors({ ...sum, label: name })),
      each('Throttles', all, name => functions[name].metricThrottles({ ...sum, label: name })),
    ],
    [
      each('How late the fan-out is', ['fan-out', 'receipts'], name =>
        functions[name].metric('IteratorAge', { period: PERIOD, statistic: Stats.MAXIMUM, label: name }),
      ),
      each('Duration, p99', all, name => functions[name].metricDuration({ period: PERIOD, statistic: Stats.p(99), label: name })),
      new GraphWidget({
        title: 'Messages at the broker',
        width: 8,
        left: [
          iot('PublishIn.Success', { Protocol: 'MQTT' }),
          iot('PublishOut.Success', { Protocol: 'MQTT' }),
          iot('PublishIn.AuthError', { Protocol: 'MQTT' }),
        ],
        leftYAxis: { min: 0 },
      }),
    ],
    alarms.map(alarm => new GraphWidget({ title: alarm.node.id, width: 4, height: 4, left: [alarm.metric], leftAnnotations: [alarm.toAnnotation()] })),
  ];
}
