/** A host's report from its IoT rule: checked, kept, counted. IoT delivers it again if this rejects; nothing that a host says makes it reject. */
import type { AdmitRules } from '../../hub/admit.ts';
import { createEd25519Verifier } from '../../hub/keys.ts';
import { awsRegistry } from '../aws/registry.ts';
import { awsStores } from '../aws/stores.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { now, sleep } from '../aws/time.ts';
import { countRefusals } from '../shared/refusals.ts';
import { readRuleEvent } from '../shared/rule-event.ts';
import { clusterOf, neverAdvisedOf, quarantineAfterOf } from '../shared/settings.ts';
import { takeReport } from '../shared/take-report.ts';

const telemetry = awsTelemetry('ingest');
const deps = { ...awsStores(), verifier: createEd25519Verifier(), now, sleep };
const rules: AdmitRules = { clusterId: clusterOf(process.env), never: neverAdvisedOf(process.env) };
const limit = quarantineAfterOf(process.env);
const { deactivate } = awsRegistry();

export const handler = async (event: unknown): Promise<void> => {
  try {
    const heard = readRuleEvent(event, 'intel', now());
    if (!heard.ok) return telemetry.count('Refused', new Map([[heard.why, 1]]));
    const outcome = await takeReport(heard.value.thing, heard.value.payload, rules, deps);
    telemetry.count('Taken', outcome.taken);
    telemetry.count('Repeated', outcome.repeated);
    telemetry.count('Refused', outcome.refused);
    if (outcome.refused.size > 0) telemetry.warn('refused', { thing: heard.value.thing, ...Object.fromEntries(outcome.refused) });
    if (await countRefusals(heard.value, outcome.guilty, limit, { ...deps, deactivate })) telemetry.count('Quarantined');
  } finally {
    telemetry.flush();
  }
};
