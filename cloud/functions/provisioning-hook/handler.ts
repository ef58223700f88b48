/** IoT asks before it makes a host out of a claim: does its code hold, for this site, is there a use left, and is the name free? */
import { unixMs } from '@honeymesh/intel/time';
import { claimOverrides, claimRefusal, claimShape, codeName } from '../../hub/enrolment-codes.ts';
import { createCodes } from '../../store/codes.ts';
import { awsRegistry } from '../aws/registry.ts';
import { awsTables } from '../aws/tables.ts';
import { awsTelemetry } from '../aws/telemetry.ts';
import { now } from '../aws/time.ts';

const telemetry = awsTelemetry('provisioning-hook');
const codes = createCodes(awsTables());
const registry = awsRegistry();

export interface HookAnswer {
  readonly allowProvisioning: boolean;
  readonly parameterOverrides?: Readonly<Record<string, string>>;
}

export const handler = async (event: unknown): Promise<HookAnswer> => {
  const refused = (why: string): HookAnswer => {
    telemetry.count('Refused', new Map([[why, 1]]));
    return { allowProvisioning: false };
  };
  try {
    const claim = claimShape(event);
    if (claim === undefined) return refused('wrong-shape');
    const name = codeName(claim.code);
    const code = await codes.get(name);
    const why = claimRefusal(claim, code, (await registry.registered(claim.thing)) !== null);
    if (why !== null || code === null) return refused(why ?? 'unknown-code');
    if (!(await codes.use(name, code))) return refused('used-up');
    telemetry.count('Enrolled');
    return { allowProvisioning: true, parameterOverrides: claimOverrides(claim, unixMs(now())) };
  } finally {
    telemetry.flush();
  }
};
