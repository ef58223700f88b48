/** The hub's settings as an order of the CLI, checked as those of the file are. */
import type { HubOrder } from '../control/operations.ts';
import { HoneyMeshError } from '../errors.ts';
import type { HubConfig } from './config.ts';
import { configSchema } from './schema.ts';
import { configOf } from './units.ts';

/** Throws HM_CONFIG with what is wrong with it. */
export function readHubOrder(order: HubOrder): HubConfig {
  const read = configSchema.safeParse({ hub: order });
  const hub = read.success ? configOf(read.data).hub : undefined;
  if (hub !== undefined) return hub;
  const issue = read.error?.issues[0];
  throw new HoneyMeshError('HM_CONFIG', `${issue?.path.join('.') ?? 'hub'}: ${issue?.message ?? 'is missing'}`, { fix: '"honeymesh hub enrol" writes it' });
}
