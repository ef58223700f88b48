/** The stream of envelopes is the outbox: what was inserted is counted, and passed on where it cannot wait. */
import { keptOf } from '../../store/envelopes.ts';
import { awsPublisher } from '../aws/publisher.ts';
import { awsSigner } from '../aws/signer.ts';
import { awsStores } from '../aws/stores.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { now, sleep } from '../aws/time.ts';
import { clusterOf, deliveriesOf, quorumSitesOf } from '../shared/settings.ts';
import { againFrom, allDone, type BatchAnswer, readStreamEvent } from '../shared/stream-event.ts';
import { passOn } from './pass-on.ts';

const telemetry = awsTelemetry('fan-out');
const deps = { ...awsStores(), sign: awsSigner(), publish: awsPublisher(), now, sleep };
const options = { clusterId: clusterOf(process.env), quorumSites: quorumSitesOf(process.env), deliveriesPerSecond: deliveriesOf(process.env) };

export const handler = async (event: unknown): Promise<BatchAnswer> => {
  const records = readStreamEvent(event);
  try {
    const passed = await passOn(
      records.map(one => ({ event: one.event, kept: keptOf(one.item) })),
      options,
      deps,
    );
    telemetry.count('Urgent', passed.urgent);
    telemetry.count('Advisories', passed.advisories);
    if (passed.overBudget) telemetry.count('OverBudget');
    return allDone;
  } catch (thrown) {
    telemetry.error('the batch is tried again', thrown);
    return againFrom(records);
  } finally {
    telemetry.flush();
  }
};
