/** What a function is told by its environment (functions.ts). A wrong setting fails the start of the function, not a host's message. */

import { KEY_BYTES } from '@honeymesh/intel/certificates';
import { CLUSTER_ID_BYTES } from '@honeymesh/intel/envelope';
import { hexBytes } from '@honeymesh/intel/envelope-bytes';
import type { Trust } from '../../hub/identity.ts';
import { type NeverAdvised, parseRanges } from '../../hub/never-advised.ts';
import { TABLES, type TableName } from '../../store/tables.ts';
import { SETTINGS, type Setting } from '../functions.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export function setting(environment: Environment, name: Setting): string {
  const given = environment[name];
  if (given !== undefined && given !== '') return given;
  const { default: presumed } = SETTINGS[name];
  if (presumed === null) throw new Error(`${name} is not set`);
  return presumed;
}

function hexSetting(environment: Environment, name: Setting, bytes: number): Uint8Array {
  const text = setting(environment, name);
  if (text.length !== 2 * bytes || !/^[0-9a-f]+$/.test(text)) throw new Error(`${name}: ${bytes} bytes in lower-case hex are wanted`);
  return hexBytes(text);
}

function countSetting(environment: Environment, name: Setting): number {
  const count = Number(setting(environment, name));
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`${name}: a number from 1 on is wanted`);
  return count;
}

export const clusterOf = (environment: Environment): Uint8Array => hexSetting(environment, 'HONEYMESH_CLUSTER', CLUSTER_ID_BYTES);

export const trustOf = (environment: Environment): Trust => ({
  clusterId: clusterOf(environment),
  rootPublic: hexSetting(environment, 'HONEYMESH_ROOT', KEY_BYTES),
});

export function neverAdvisedOf(environment: Environment): NeverAdvised {
  const read = (name: Setting): NeverAdvised['special'] => {
    const ranges = parseRanges(setting(environment, name));
    if (!ranges.ok) throw new Error(`${name}: ${ranges.why}`);
    return ranges.value;
  };
  return { special: read('HONEYMESH_NEVER_ADVISED'), fleet: read('HONEYMESH_FLEET_RANGES') };
}

export const quorumSitesOf = (environment: Environment): number => countSetting(environment, 'HONEYMESH_QUORUM_SITES');
export const quarantineAfterOf = (environment: Environment): number => countSetting(environment, 'HONEYMESH_QUARANTINE_AFTER');
export const deliveriesOf = (environment: Environment): number => countSetting(environment, 'HONEYMESH_DELIVERIES_PER_SECOND');

/** The deployed names of the tables that this function was given. */
export function tableNamesOf(environment: Environment): Readonly<Partial<Record<TableName, string>>> {
  const names: Partial<Record<TableName, string>> = {};
  for (const [table, { environment: variable }] of Object.entries(TABLES)) {
    const name = environment[variable];
    if (name !== undefined) names[table as TableName] = name;
  }
  return names;
}
