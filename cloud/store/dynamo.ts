/** The port on DynamoDB. Reads are consistent; what the service did not get to is asked for again; expired items are filtered here, always. */
import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
  TransactionCanceledException,
  TransactionConflictException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type WriteRequest,
} from '@aws-sdk/client-dynamodb';
import { fromAttributes, toAttribute, toAttributes } from './attribute-values.ts';
import { conditionExpression } from './conditions.ts';
import type { Item, Key, Tables, Transacted, Write } from './port.ts';
import { TABLES, type TableName } from './tables.ts';

export interface DynamoOptions {
  /** Deployed names. A function has those that it uses. */
  readonly names: Readonly<Partial<Record<TableName, string>>>;
}

export interface DynamoDeps {
  readonly client: Pick<DynamoDBClient, 'send'>;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

const MOST_GETS = 100;
const MOST_PUTS = 25;
const MOST_TRIES = 6;

/** With `ttl` in seconds for the service, where the item ends. */
export const withTtl = (item: Item): Item => (typeof item.expiresAt === 'number' ? { ...item, ttl: Math.ceil(item.expiresAt / 1_000) } : item);

export const isLive = (item: Item, nowMs: number): boolean => typeof item.expiresAt !== 'number' || item.expiresAt > nowMs;

export function createDynamoTables({ names }: DynamoOptions, { client, now, sleep }: DynamoDeps): Tables {
  function nameOf(table: TableName): string {
    const name = names[table];
    if (name === undefined) throw new Error(`this function was given no table of ${table}`);
    return name;
  }

  const liveOnly = (found: readonly Record<string, AttributeValue>[]): Item[] => found.map(fromAttributes).filter(item => isLive(item, now()));

  /** What the service leaves undone in a batch is sent again, later each time. */
  async function untilDone<T>(all: readonly T[], size: number, send: (some: T[]) => Promise<readonly T[]>): Promise<void> {
    for (let at = 0; at < all.length; at += size) {
      let left = all.slice(at, at + size);
      for (let tries = 0; left.length > 0; tries++) {
        if (tries === MOST_TRIES) throw new Error(`${left.length} of a batch were left undone ${MOST_TRIES} times`);
        if (tries > 0) await sleep(25 * 2 ** tries);
        left = [...(await send(left))];
      }
    }
  }

  async function writeBatch(table: TableName, requests: readonly WriteRequest[]): Promise<void> {
    const name = nameOf(table);
    await untilDone(requests, MOST_PUTS, async some => {
      const { UnprocessedItems } = await client.send(new BatchWriteItemCommand({ RequestItems: { [name]: some } }));
      return UnprocessedItems?.[name] ?? [];
    });
  }

  function itemOf(write: Write): TransactWriteItem {
    const name = nameOf(write.table);
    const condition = write.if === undefined ? {} : conditionExpression(write.table, write.if, now());
    if (write.kind === 'put') return { Put: { TableName: name, Item: toAttributes(withTtl(write.item)), ...condition } };
    const key = toAttributes(write.key);
    if (write.kind === 'delete') return { Delete: { TableName: name, Key: key, ...condition } };
    return { ConditionCheck: { TableName: name, Key: key, ...conditionExpression(write.table, write.if, now()) } };
  }

  return {
    async get(table, key) {
      const { Item: found } = await client.send(new GetItemCommand({ TableName: nameOf(table), Key: toAttributes(key), ConsistentRead: true }));
      return liveOnly(found === undefined ? [] : [found])[0];
    },
    async getMany(table, keys) {
      const name = nameOf(table);
      const items: Item[] = [];
      await untilDone(distinct(keys).map(toAttributes), MOST_GETS, async some => {
        const answer = await client.send(new BatchGetItemCommand({ RequestItems: { [name]: { Keys: some, ConsistentRead: true } } }));
        items.push(...liveOnly(answer.Responses?.[name] ?? []));
        return answer.UnprocessedKeys?.[name]?.Keys ?? [];
      });
      return items;
    },
    async query(table, { partition, from, to, descending = false, limit }) {
      const spec = TABLES[table];
      const sort = 'sort' in spec ? spec.sort.name : '';
      const bounds = [...(from === undefined ? [] : ['#s >= :from']), ...(to === undefined ? [] : ['#s <= :to'])];
      // One BETWEEN: a sort key takes a single condition.
      const range = bounds.length === 2 ? ' AND #s BETWEEN :from AND :to' : bounds.length === 1 ? ` AND ${bounds[0]}` : '';
      const items: Item[] = [];
      let start: Record<string, AttributeValue> | undefined;
      do {
        const answer = await client.send(
          new QueryCommand({
            TableName: nameOf(table),
            ConsistentRead: true,
            ScanIndexForward: !descending,
            KeyConditionExpression: `#p = :p${range}`,
            ExpressionAttributeNames: { '#p': spec.partition.name, ...(range === '' ? {} : { '#s': sort }) },
            ExpressionAttributeValues: {
              ':p': toAttribute(partition),
              ...(from === undefined ? {} : { ':from': toAttribute(from) }),
              ...(to === undefined ? {} : { ':to': toAttribute(to) }),
            },
            Limit: Math.min(1_000, limit - items.length),
            ...(start === undefined ? {} : { ExclusiveStartKey: start }),
          }),
        );
        items.push(...liveOnly(answer.Items ?? []));
        start = answer.LastEvaluatedKey;
      } while (start !== undefined && items.length < limit);
      return items.slice(0, limit);
    },
    async scan(table, limit) {
      const items: Item[] = [];
      let start: Record<string, AttributeValue> | undefined;
      do {
        const answer = await client.send(
          new ScanCommand({ TableName: nameOf(table), ConsistentRead: true, ...(start === undefined ? {} : { ExclusiveStartKey: start }) }),
        );
        items.push(...liveOnly(answer.Items ?? []));
        start = answer.LastEvaluatedKey;
      } while (start !== undefined && items.length < limit);
      return items.slice(0, limit);
    },
    async put(table, item, clauses) {
      const condition = clauses === undefined ? {} : conditionExpression(table, clauses, now());
      try {
        await client.send(new PutItemCommand({ TableName: nameOf(table), Item: toAttributes(withTtl(item)), ...condition }));
        return true;
      } catch (thrown) {
        if (thrown instanceof ConditionalCheckFailedException) return false;
        throw thrown;
      }
    },
    putMany: (table, items) =>
      writeBatch(
        table,
        items.map(item => ({ PutRequest: { Item: toAttributes(withTtl(item)) } })),
      ),
    deleteMany: (table, keys) =>
      writeBatch(
        table,
        distinct(keys).map(key => ({ DeleteRequest: { Key: toAttributes(key) } })),
      ),
    async transact(writes) {
      try {
        await client.send(new TransactWriteItemsCommand({ TransactItems: writes.map(itemOf) }));
        return { kind: 'done' };
      } catch (thrown) {
        return outcomeOf(thrown);
      }
    },
    async add(table, key, attribute, by, expiresAt) {
      const ends = expiresAt === undefined ? '' : ' SET #e = :e, #t = :t';
      const { Attributes } = await client.send(
        new UpdateItemCommand({
          TableName: nameOf(table),
          Key: toAttributes(key),
          UpdateExpression: `ADD #a :by${ends}`,
          ExpressionAttributeNames: { '#a': attribute, ...(ends === '' ? {} : { '#e': 'expiresAt', '#t': 'ttl' }) },
          ExpressionAttributeValues: {
            ':by': toAttribute(by),
            ...(expiresAt === undefined ? {} : { ':e': toAttribute(expiresAt), ':t': toAttribute(Math.ceil(expiresAt / 1_000)) }),
          },
          ReturnValues: 'ALL_NEW',
        }),
      );
      return Number(Attributes?.[attribute]?.N ?? 0);
    },
  };
}

/** BatchGetItem refuses a key that is named twice. */
function distinct(keys: readonly Key[]): readonly Key[] {
  const byName = new Map(keys.map(key => [JSON.stringify(key), key]));
  return [...byName.values()];
}

function outcomeOf(thrown: unknown): Transacted {
  if (thrown instanceof TransactionConflictException) return { kind: 'conflict' };
  if (!(thrown instanceof TransactionCanceledException)) throw thrown;
  const codes = (thrown.CancellationReasons ?? []).map(reason => reason.Code ?? 'None');
  const failed = codes.flatMap((code, index) => (code === 'ConditionalCheckFailed' ? [index] : []));
  if (failed.length > 0) return { kind: 'refused', failed };
  if (codes.some(code => code === 'TransactionConflict')) return { kind: 'conflict' };
  throw thrown;
}
