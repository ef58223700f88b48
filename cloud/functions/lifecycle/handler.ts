/** Presence events of the broker: hints, of which the latest is kept. */
import { readJson } from '@honeymesh/intel/json-shape';
import { presenceShape } from '../../hub/fleet.ts';
import { awsStores } from '../aws/stores.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { readPayload } from '../shared/rule-event.ts';

const LONGEST_EVENT_BYTES = 8_192;
const telemetry = awsTelemetry('lifecycle');
const { peers } = awsStores();

export const handler = async (event: unknown): Promise<void> => {
  try {
    const payload = readPayload(event, LONGEST_EVENT_BYTES);
    const presence = payload === null ? null : readJson(payload, LONGEST_EVENT_BYTES, presenceShape);
    if (!presence?.ok) return telemetry.count('Refused', new Map([[presence?.why ?? 'not-an-event', 1]]));
    telemetry.count((await peers.keepPresence(presence.value)) ? 'Presence' : 'OldPresence');
  } finally {
    telemetry.flush();
  }
};
