import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createDynamoTables } from '../../store/dynamo.ts';
import type { Tables } from '../../store/port.ts';
import { tableNamesOf } from '../shared/settings.ts';
import { now, sleep } from './time.ts';

/** The tables that this function was given. */
export const awsTables = (): Tables => createDynamoTables({ names: tableNamesOf(process.env) }, { client: new DynamoDBClient({}), now, sleep });
