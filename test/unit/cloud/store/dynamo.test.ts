import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { describe, expect, test } from 'vitest';
import { conditionExpression } from '#cloud/store/conditions.ts';
import { createDynamoTables } from '#cloud/store/dynamo.ts';

const NOW = 1_795_521_600_000;
const names = { envelopes: 'T-envelopes', peers: 'T-peers', advisories: 'T-advisories', sightings: 'T-sightings' } as const;

/** The adapter on a client that answers as it is told, with what it was sent. */
function on(...answers: readonly (object | Error)[]) {
  const sent: { readonly input: Record<string, unknown>; readonly constructor: { readonly name: string } }[] = [];
  const left = [...answers];
  const client = {
    async send(command: never) {
      sent.push(command);
      const answer = left.shift() ?? {};
      if (answer instanceof Error) throw answer;
      return answer;
    },
  } as unknown as DynamoDBClient;
  return { tables: createDynamoTables({ names }, { client, now: () => NOW, sleep: async () => {} }), sent };
}

const inputOf = (command: { readonly input: Record<string, unknown> } | undefined): Record<string, unknown> => command?.input ?? {};

const canceled = (...codes: string[]): TransactionCanceledException =>
  new TransactionCanceledException({ message: 'no', $metadata: {}, CancellationReasons: codes.map(Code => ({ Code })) });

describe('what has ended is not there', () => {
  const items = [{ kid: { S: 'a' }, expiresAt: { N: String(NOW) } }, { kid: { S: 'b' }, expiresAt: { N: String(NOW + 1) } }, { kid: { S: 'c' } }];

  test('for any read', async () => {
    expect(await on({ Item: items[0] }).tables.get('envelopes', { kid: 'a', id: 'x' })).toBeUndefined();
    expect(await on({ Item: items[1] }).tables.get('envelopes', { kid: 'b', id: 'x' })).toMatchObject({ kid: 'b' });
    expect(await on({ Items: items }).tables.query('envelopes', { partition: 'x', limit: 9 })).toHaveLength(2);
    expect(await on({ Items: items }).tables.scan('envelopes', 9)).toHaveLength(2);
    expect(await on({ Responses: { 'T-envelopes': items } }).tables.getMany('envelopes', [{ kid: 'a', id: 'x' }])).toHaveLength(2);
  });

  test('for any condition', () => {
    expect(conditionExpression('envelopes', [{ is: 'absent' }], NOW)).toEqual({
      ConditionExpression: '(attribute_not_exists(#key) OR #n1 <= :v0)',
      ExpressionAttributeNames: { '#key': 'kid', '#n1': 'expiresAt' },
      ExpressionAttributeValues: { ':v0': { N: String(NOW) } },
    });
    expect(conditionExpression('peers', [{ is: 'equal', attribute: 'version', value: 3 }], NOW)).toEqual({
      ConditionExpression: '(#n2 = :v1 AND (attribute_not_exists(#n1) OR #n1 > :v0))',
      ExpressionAttributeNames: { '#n1': 'expiresAt', '#n2': 'version' },
      ExpressionAttributeValues: { ':v0': { N: String(NOW) }, ':v1': { N: '3' } },
    });
    expect(conditionExpression('peers', [{ is: 'absent-or-less', attribute: 'order', value: 7 }], NOW).ConditionExpression).toBe(
      '((attribute_not_exists(#key) OR #n1 <= :v0) OR #n2 < :v1)',
    );
  });
});

test('reads are consistent', async () => {
  const { tables, sent } = on();
  await tables.get('envelopes', { kid: 'a', id: 'x' });
  await tables.getMany('envelopes', [{ kid: 'a', id: 'x' }]);
  await tables.query('envelopes', { partition: 'a', limit: 1 });
  await tables.scan('envelopes', 1);
  expect(sent.map(command => JSON.stringify(command.input).includes('"ConsistentRead":true'))).toEqual([true, true, true, true]);
  expect(sent.map(command => command.constructor)).toEqual([GetItemCommand, BatchGetItemCommand, QueryCommand, ScanCommand]);
});

test('a query asks for the range with one condition on the sort key, and goes on until it has enough', async () => {
  const page = { Items: [{ kid: { S: 'a' }, id: { S: '1' } }], LastEvaluatedKey: { kid: { S: 'a' } } };
  const { tables, sent } = on(page, { Items: [{ kid: { S: 'a' }, id: { S: '2' } }] });
  expect(await tables.query('envelopes', { partition: 'a', from: '1', to: '9', limit: 10, descending: true })).toHaveLength(2);
  expect(sent[0]?.input).toMatchObject({ KeyConditionExpression: '#p = :p AND #s BETWEEN :from AND :to', ScanIndexForward: false, Limit: 10 });
  expect(sent[1]?.input).toMatchObject({ ExclusiveStartKey: { kid: { S: 'a' } }, Limit: 9 });
  const open = on();
  await open.tables.query('envelopes', { partition: 'a', from: '1', limit: 1 });
  expect(open.sent[0]?.input).toMatchObject({ KeyConditionExpression: '#p = :p AND #s >= :from' });
});

test('a batch is cut, and what was left undone is sent again', async () => {
  const left = [{ PutRequest: { Item: {} } }];
  const { tables, sent } = on({ UnprocessedItems: { 'T-sightings': left } }, {}, {});
  await tables.putMany(
    'sightings',
    Array.from({ length: 30 }, (_, at) => ({ target: 'x', by: String(at), expiresAt: NOW + 1 })),
  );
  const sizes = sent.map(command => (command.input.RequestItems as Record<string, unknown[]>)['T-sightings']?.length);
  expect([sizes, sent[0]?.constructor]).toEqual([[25, 1, 5], BatchWriteItemCommand]);
  await expect(
    on(...Array.from({ length: 9 }, () => ({ UnprocessedItems: { 'T-sightings': left } }))).tables.putMany('sightings', [{ target: 'x', by: 'y' }]),
  ).rejects.toThrow('left undone');
  const gets = on({ UnprocessedKeys: { 'T-peers': { Keys: [{ thing: { S: 'b' } }] } } }, { Responses: { 'T-peers': [{ thing: { S: 'b' } }] } });
  expect(
    await gets.tables.getMany('peers', [
      { thing: 'a', facet: 'x' },
      { thing: 'a', facet: 'x' },
      { thing: 'b', facet: 'x' },
    ]),
  ).toEqual([{ thing: 'b' }]);
  expect((inputOf(gets.sent[0]).RequestItems as Record<string, { Keys: unknown[] }>)['T-peers']?.Keys).toHaveLength(2); // DynamoDB refuses a key twice
});

test('a put says whether its condition held', async () => {
  expect(await on().tables.put('peers', { thing: 'a', facet: 'b' }, [{ is: 'absent' }])).toBe(true);
  const failed = new ConditionalCheckFailedException({ message: 'no', $metadata: {} });
  expect(await on(failed).tables.put('peers', { thing: 'a', facet: 'b' }, [{ is: 'absent' }])).toBe(false);
  await expect(on(new Error('throttled')).tables.put('peers', { thing: 'a', facet: 'b' })).rejects.toThrow('throttled');
});

test('an item that ends has a TTL in seconds, not before its end', async () => {
  const { tables, sent } = on();
  await tables.put('peers', { thing: 'a', facet: 'b', expiresAt: NOW + 1 });
  expect(sent[0]?.constructor).toBe(PutItemCommand);
  expect(sent[0]?.input.Item).toMatchObject({ expiresAt: { N: String(NOW + 1) }, ttl: { N: String(NOW / 1_000 + 1) } });
});

test('a transaction says which conditions failed, and where others were at the same items', async () => {
  const put = { kind: 'put', table: 'peers', item: { thing: 'a', facet: 'b' }, if: [{ is: 'absent' }] } as const;
  const check = { kind: 'check', table: 'peers', key: { thing: 'c', facet: 'b' }, if: [{ is: 'absent' }] } as const;
  const remove = { kind: 'delete', table: 'peers', key: { thing: 'd', facet: 'b' } } as const;
  const { tables, sent } = on(
    {},
    canceled('None', 'ConditionalCheckFailed', 'TransactionConflict'),
    canceled('None', 'TransactionConflict'),
    canceled('ThrottlingError'),
  );
  expect(await tables.transact([put, check, remove])).toEqual({ kind: 'done' });
  expect(sent[0]?.constructor).toBe(TransactWriteItemsCommand);
  expect((inputOf(sent[0]).TransactItems as object[]).map(each => Object.keys(each)[0])).toEqual(['Put', 'ConditionCheck', 'Delete']);
  expect(await tables.transact([put, check])).toEqual({ kind: 'refused', failed: [1] });
  expect(await tables.transact([put, check])).toEqual({ kind: 'conflict' });
  await expect(tables.transact([put])).rejects.toThrow();
});

test('a counter gives the new number', async () => {
  const { tables, sent } = on({ Attributes: { count: { N: '5' } } });
  expect(await tables.add('peers', { thing: 'a', facet: 'refusals#1' }, 'count', 2, NOW + 60_000)).toBe(5);
  expect(sent[0]?.constructor).toBe(UpdateItemCommand);
  expect(sent[0]?.input).toMatchObject({ UpdateExpression: 'ADD #a :by SET #e = :e, #t = :t', ReturnValues: 'ALL_NEW' });
});

test('a table that a function was not given is our mistake, and is said', async () => {
  await expect(on().tables.get('codes', { code: 'x' })).rejects.toThrow('no table of codes');
});
