/** What the functions are told by variables: the operator's settings under the names of cloud/functions/functions.ts. */
import { SETTINGS, type Setting } from '../cloud/functions/functions.ts';
import type { HubSettings } from './settings.ts';

export interface Made {
  readonly signingKey: string;
  readonly bucket: string;
}

/** The variables that a function asks for, but for its tables'. */
export function functionSettings(asked: readonly Setting[], settings: HubSettings, made: Made): Record<string, string> {
  const values: Readonly<Record<Setting, string>> = {
    HONEYMESH_CLUSTER: settings.cluster,
    HONEYMESH_ROOT: settings.root,
    HONEYMESH_FLEET_RANGES: settings.fleetRanges,
    HONEYMESH_NEVER_ADVISED: settings.neverAdvised,
    HONEYMESH_QUORUM_SITES: String(settings.quorumSites),
    HONEYMESH_QUARANTINE_AFTER: String(settings.quarantineAfter),
    HONEYMESH_DELIVERIES_PER_SECOND: String(settings.deliveriesPerSecond),
    HONEYMESH_SIGNING_KEY: made.signingKey,
    HONEYMESH_BUCKET: made.bucket,
  };
  // Lambda takes no empty value for granted: one that is the default stays out.
  return Object.fromEntries(asked.filter(name => SETTINGS[name].needed || values[name] !== SETTINGS[name].default).map(name => [name, values[name]]));
}
