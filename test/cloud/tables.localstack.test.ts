/** The adapter on DynamoDB, by the cases that the model in memory keeps too. */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { describe, expect, test } from 'vitest';
import { createDynamoTables } from '#cloud/store/dynamo.ts';
import { TABLES } from '#cloud/store/tables.ts';
import { variablesOf } from '#test/support/cloud/coupling.ts';
import { accessTo } from '#test/support/cloud/deployment.ts';
import { type Cloud, cloud } from '#test/support/cloud/provided.ts';
import { CASES } from '#test/support/hub/tables-contract.ts';

const provided = cloud();

describe.skipIf(provided === null)('on DynamoDB', () => {
  test.each(CASES)('$name', async ({ name, run, gives }) => {
    const { localstack } = provided as Cloud;
    const { [TABLES.peers.environment]: peers = '' } = await variablesOf(localstack, 'ingest');
    let clock = Date.now();
    const now = (): number => clock;
    const pass = (ms: number): void => {
      clock += ms;
    };
    const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));
    const tables = createDynamoTables({ names: { peers } }, { client: new DynamoDBClient(accessTo(localstack.endpoint)), now, sleep });
    const given = await run({ tables, partition: `contract of ${name}`, now, pass });
    expect(given).toEqual(gives);
  });
});
