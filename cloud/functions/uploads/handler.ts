/** Reports that were too many for messages, as an object that the host put where an answer had told it to. They are taken as if they had come one by one. */
import type { AdmitRules } from '../../hub/admit.ts';
import { createEd25519Verifier } from '../../hub/keys.ts';
import { awsObjects } from '../aws/objects.ts';
import { awsStores } from '../aws/stores.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { now, sleep } from '../aws/time.ts';
import { clusterOf, neverAdvisedOf } from '../shared/settings.ts';
import { takeReport } from '../shared/take-report.ts';
import { keysOfEvent, LONGEST_UPLOAD_BYTES, splitUpload, thingOfUpload } from './split-upload.ts';

const telemetry = awsTelemetry('uploads');
const deps = { ...awsStores(), verifier: createEd25519Verifier(), now, sleep };
const rules: AdmitRules = { clusterId: clusterOf(process.env), never: neverAdvisedOf(process.env) };
const objects = awsObjects();

export const handler = async (event: unknown): Promise<void> => {
  try {
    for (const key of keysOfEvent(event)) {
      const thing = thingOfUpload(key);
      const bytes = thing === null ? null : await objects.read(key, LONGEST_UPLOAD_BYTES);
      const reports = bytes === null ? null : splitUpload(bytes);
      if (thing === null || !reports?.ok) telemetry.count('Refused', new Map([[reports === null ? 'other-upload' : 'malformed', 1]]));
      for (const report of thing !== null && reports?.ok ? reports.value : []) {
        const outcome = await takeReport(thing ?? '', report, rules, deps);
        telemetry.count('Taken', outcome.taken);
        telemetry.count('Refused', outcome.refused);
      }
    }
  } finally {
    telemetry.flush();
  }
};
