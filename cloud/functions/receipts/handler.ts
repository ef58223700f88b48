/** The stream of paces: each change of what is settled of a host becomes a receipt, those of one batch together. */
import { awsPublisher } from '../aws/publisher.ts';
import { awsStores } from '../aws/stores.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { now } from '../aws/time.ts';
import { againFrom, allDone, type BatchAnswer, readStreamEvent } from '../shared/stream-event.ts';
import { makeReceipts } from './make-receipts.ts';

const telemetry = awsTelemetry('receipts');
const deps = { ...awsStores(), publish: awsPublisher(), now };

export const handler = async (event: unknown): Promise<BatchAnswer> => {
  const records = readStreamEvent(event);
  try {
    telemetry.count(
      'Receipts',
      await makeReceipts(
        records.map(one => one.item),
        deps,
      ),
    );
    return allDone;
  } catch (thrown) {
    telemetry.error('the batch is tried again', thrown);
    return againFrom(records);
  } finally {
    telemetry.flush();
  }
};
