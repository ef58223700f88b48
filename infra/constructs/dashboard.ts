/** What an operator looks at: does advice flow, how late is it, what was refused, what failed. */
import { Duration } from 'aws-cdk-lib';
import { type Alarm, Dashboard, GraphWidget, type IWidget, type Metric, SingleValueWidget, TextWidget } from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import type { FunctionName } from '../../cloud/functions/functions.ts';
import type { HubSettings } from '../settings.ts';
import type { Failures } from './failures.ts';
import type { Functions } from './functions.ts';
import { atBroker, type Counted, counted, errorsOf, invocationsOf, labelled, lateness, slowestOf, throttlesOf, waitingIn } from './metrics.ts';

const WIDE = 8; // a third of the page

export function createDashboard(scope: Construct, { name }: HubSettings, functions: Functions, failures: Failures, alarms: readonly Alarm[]): void {
  const all = Object.keys(functions) as FunctionName[];
  const graph = (title: string, left: readonly Metric[]): IWidget => new GraphWidget({ title, width: WIDE, left: [...left], leftYAxis: { min: 0 } });
  const counts = (service: FunctionName, ...what: readonly Counted[]): readonly Metric[] => what.map(each => labelled(counted(each, service), each));
  const each = (of: (functions: Functions, name: FunctionName) => Metric, names = all): readonly Metric[] =>
    names.map(service => labelled(of(functions, service), service));
  const what = `# ${name}: the hub\nIt advises; it never commands a ban. A host that loses it loses nothing but advice.`;
  new Dashboard(scope, 'Dashboard', {
    dashboardName: `${name}-hub`,
    defaultInterval: Duration.hours(3),
    widgets: [
      [
        new TextWidget({ markdown: what, width: 2 * WIDE, height: 3 }),
        new SingleValueWidget({
          title: 'Failures that wait for an operator',
          width: WIDE,
          height: 3,
          metrics: [labelled(waitingIn(failures.functions), 'functions'), labelled(waitingIn(failures.rules), 'rules')],
        }),
      ],
      [
        graph('Envelopes', counts('ingest', 'Taken', 'Repeated', 'Refused')),
        graph('Advisories', counts('fan-out', 'Advisories', 'Urgent', 'OverBudget')),
        graph('How late they are, ms', each(lateness, ['fan-out', 'receipts'])),
      ],
      [
        graph('Messages at the broker', [atBroker('PublishIn.Success'), atBroker('PublishOut.Success'), atBroker('PublishIn.AuthError')]),
        graph(
          'Hosts put in quarantine',
          ['ingest', 'answers', 'heartbeat'].map(by => labelled(counted('Quarantined', by as FunctionName), by)),
        ),
        graph('Duration, p99, ms', each(slowestOf)),
      ],
      [graph('Invocations', each(invocationsOf)), graph('Errors', each(errorsOf)), graph('Throttles', each(throttlesOf))],
      alarms.map(alarm => new GraphWidget({ title: alarm.node.id, width: 4, height: 4, left: [alarm.metric], leftAnnotations: [alarm.toAnnotation()] })),
    ],
  });
}
