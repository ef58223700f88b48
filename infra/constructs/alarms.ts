/** What calls an operator. Each says what it means and where to look. */
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { HubSettings } from '../settings.ts';
import type { Failures } from './failures.ts';
import type { Functions } from './functions.ts';
import { counted, errorsOf, lateness, throttlesOf, waitingIn } from './metrics.ts';

interface Call {
  readonly metric: IMetric;
  /** More than this in each of so many minutes. */
  readonly above: number;
  readonly minutes: number;
  readonly means: string;
}

/** The fan-out is the product: advice that waits longer than this is late. */
const OLDEST_IN_STREAM_MS = 60_000;
/** Urgent advisories in a minute that a fleet has on a bad day; each goes to all hosts, and is paid for. */
const MANY_ADVISORIES = 20;

const calls = (functions: Functions, failures: Failures): Readonly<Record<string, Call>> => ({
  FailedInvocations: {
    metric: waitingIn(failures.functions),
    above: 0,
    minutes: 1,
    means: 'A function failed for good: read the queue of failures, each entry names the function and holds the event.',
  },
  FailedRules: {
    metric: waitingIn(failures.rules),
    above: 0,
    minutes: 1,
    means: 'A rule could not invoke its function: read the queue of rule failures.',
  },
  FanOutLate: {
    metric: lateness(functions, 'fan-out'),
    above: OLDEST_IN_STREAM_MS,
    minutes: 3,
    means: 'Reports wait for more than a minute before they are told to others: read the log of fan-out.',
  },
  DigestErrors: {
    metric: errorsOf(functions, 'digest'),
    above: 0,
    minutes: 3,
    means: 'No digest went out for 3 minutes: hosts cannot see what they miss. Read the log of digest.',
  },
  IngestErrors: {
    metric: errorsOf(functions, 'ingest'),
    above: 5,
    minutes: 3,
    means: 'Taking reports fails again and again (bad input is no error): read the log of ingest.',
  },
  IngestThrottled: {
    metric: throttlesOf(functions, 'ingest'),
    above: 0,
    minutes: 15,
    means: 'More reports than the reserved concurrency handles, for a quarter of an hour: they are late, not lost.',
  },
  Quarantined: {
    metric: counted('Quarantined', 'ingest'),
    above: 0,
    minutes: 1,
    means: 'A host sent so much that had to be refused that its certificate was set INACTIVE: look at that host, it may be in the hands of somebody else.',
  },
  ManyAdvisories: {
    metric: counted('Advisories', 'fan-out'),
    above: MANY_ADVISORIES,
    minutes: 15,
    means: 'Urgent advice without an end, each to all hosts, which is what costs: a wave of attacks, or a host that invents them.',
  },
  OverBudget: {
    metric: counted('OverBudget', 'fan-out'),
    above: 0,
    minutes: 5,
    means: 'Urgent advice is over deliveriesPerSecond and waits for the digest.',
  },
});

export function createAlarms(scope: Construct, settings: HubSettings, functions: Functions, failures: Failures): readonly Alarm[] {
  const alarms = new Construct(scope, 'Alarms');
  const { mail, name, enforceSsl } = settings;
  const action = mail === undefined ? null : new SnsAction(topicTo(alarms, mail, `${name}: the hub`, enforceSsl));
  return Object.entries(calls(functions, failures)).map(([id, { metric, above, minutes, means }]) => {
    const alarm = new Alarm(alarms, id, {
      metric,
      threshold: above,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: minutes,
      datapointsToAlarm: minutes,
      treatMissingData: TreatMissingData.NOT_BREACHING,
      alarmDescription: means,
    });
    if (action !== null) {
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
    return alarm;
  });
}

function topicTo(scope: Construct, mail: string, displayName: string, enforceSSL: boolean): Topic {
  const topic = new Topic(scope, 'Calls', { displayName, enforceSSL });
  topic.addSubscription(new EmailSubscription(mail));
  return topic;
}
