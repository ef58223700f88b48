/** A host's heartbeat: its shape, 1 kB, one a minute. */
import { readHeartbeat } from '@honeymesh/intel/hub-messages';
import { awsRegistry } from '../aws/registry.ts';
import { awsStores } from '../aws/stores.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { now } from '../aws/time.ts';
import { countRefusals } from '../shared/refusals.ts';
import { readRuleEvent } from '../shared/rule-event.ts';
import { quarantineAfterOf } from '../shared/settings.ts';

const telemetry = awsTelemetry('heartbeat');
const { peers } = awsStores();
const limit = quarantineAfterOf(process.env);
const { deactivate } = awsRegistry();

export const handler = async (event: unknown): Promise<void> => {
  try {
    const heard = readRuleEvent(event, 'heartbeat', now());
    if (!heard.ok) return telemetry.count('Refused', new Map([[heard.why, 1]]));
    const said = readHeartbeat(heard.value.payload);
    const kept = said.ok && (await peers.keepHeartbeat(heard.value.thing, said.value, now()));
    if (kept) return telemetry.count('Heartbeats');
    telemetry.count('Refused', new Map([[said.ok ? 'too-often' : said.why, 1]]));
    await countRefusals(heard.value, 1, limit, { peers, deactivate, now });
  } finally {
    telemetry.flush();
  }
};
