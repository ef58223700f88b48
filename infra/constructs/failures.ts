/** Where goes what could not be done: nothing is lost without a trace, and an alarm watches both queues. */
import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { HubSettings } from '../settings.ts';
import { acknowledge } from './acknowledge.ts';

export interface Failures {
  /** Invocations and parts of streams that failed for good; each entry names its function. */
  readonly functions: Queue;
  /** Messages for which a rule could not invoke its function. */
  readonly rules: Queue;
}

export function createFailures(scope: Construct, settings: HubSettings): Failures {
  const failures = new Construct(scope, 'Failures');
  const queue = (id: string): Queue => {
    const made = new Queue(failures, id, { retentionPeriod: Duration.days(14), encryption: QueueEncryption.SQS_MANAGED, enforceSSL: settings.enforceSsl });
    acknowledge(made, 'SQS3', 'This is where failures end: there is nothing behind it but an operator, whom an alarm calls.');
    if (!settings.enforceSsl) acknowledge(made, 'SQS4', 'Switched off for an emulator that speaks plain HTTP.');
    return made;
  };
  return { functions: queue('Functions'), rules: queue('Rules') };
}
