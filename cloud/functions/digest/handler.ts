/** Each minute: the digest. Each fifth: how many listen. */
import { awsPublisher } from '../aws/publisher.ts';
import { awsSigner } from '../aws/signer.ts';
import { awsStores } from '../aws/stores.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { now, sleep } from '../aws/time.ts';
import { clusterOf, deliveriesOf, quorumSitesOf } from '../shared/settings.ts';
import { countListening, isTimeToCount, sendDigest } from './send-digest.ts';

const telemetry = awsTelemetry('digest');
const deps = { ...awsStores(), sign: awsSigner(), publish: awsPublisher(), now, sleep };
const options = { clusterId: clusterOf(process.env), quorumSites: quorumSitesOf(process.env), deliveriesPerSecond: deliveriesOf(process.env) };

export const handler = async (): Promise<void> => {
  try {
    const digested = await sendDigest(options, deps);
    telemetry.count('Digested', digested.envelopes);
    telemetry.count('Advisories', digested.advisories);
    if (digested.overBudget) telemetry.count('OverBudget');
    if (isTimeToCount(now())) telemetry.info('fleet', { ...(await countListening(deps)) });
  } finally {
    telemetry.flush();
  }
};
