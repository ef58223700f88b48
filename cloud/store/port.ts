/**
 * What the hub needs of a database, in terms that DynamoDB keeps and a model in memory can: items by key, conditions that are judged with the write, all or
 * nothing for several. An item with `expiresAt` (ms) that lies in the past is not there: not for a read and not for a condition, whether the database has
 * removed it or not.
 */
import type { TableName } from './tables.ts';

export type Value = string | number | boolean | Uint8Array | readonly string[];
export type Item = Readonly<Record<string, Value>>;
export type Key = Readonly<Record<string, string | number>>;

/** All of a write's clauses must hold. */
export type Clause =
  | { readonly is: 'absent' }
  | { readonly is: 'equal' | 'less' | 'more'; readonly attribute: string; readonly value: string | number }
  /** There is no item, or this attribute of it is less. */
  | { readonly is: 'absent-or-less'; readonly attribute: string; readonly value: number };

export type Write =
  | { readonly kind: 'put'; readonly table: TableName; readonly item: Item; readonly if?: readonly Clause[] }
  | { readonly kind: 'delete'; readonly table: TableName; readonly key: Key; readonly if?: readonly Clause[] }
  | { readonly kind: 'check'; readonly table: TableName; readonly key: Key; readonly if: readonly Clause[] };

export type Transacted =
  | { readonly kind: 'done' }
  /** Nothing was written: the conditions of these (by index) did not hold. */
  | { readonly kind: 'refused'; readonly failed: readonly number[] }
  /** Nothing was written: another transaction was at the same items. Try again. */
  | { readonly kind: 'conflict' };

export interface QueryRange {
  readonly partition: string;
  /** Of the sort key, both included. */
  readonly from?: string | number;
  readonly to?: string | number;
  readonly descending?: boolean;
  readonly limit: number;
}

export interface Tables {
  /** Strongly consistent, as all reads here. */
  get(table: TableName, key: Key): Promise<Item | undefined>;
  /** In no order; absent ones are left out. */
  getMany(table: TableName, keys: readonly Key[]): Promise<readonly Item[]>;
  query(table: TableName, range: QueryRange): Promise<readonly Item[]>;
  /** For what is small or rare: the list of hosts, a snapshot. */
  scan(table: TableName, limit: number): Promise<readonly Item[]>;
  /** False: the condition did not hold. */
  put(table: TableName, item: Item, clauses?: readonly Clause[]): Promise<boolean>;
  /** Without conditions, in batches. */
  putMany(table: TableName, items: readonly Item[]): Promise<void>;
  deleteMany(table: TableName, keys: readonly Key[]): Promise<void>;
  /** At most 100 writes, each item once. */
  transact(writes: readonly Write[]): Promise<Transacted>;
  /** Adds to a number, which begins at 0, and sets `expiresAt` where given; the new number. */
  add(table: TableName, key: Key, attribute: string, by: number, expiresAt?: number): Promise<number>;
}

export const MOST_WRITES = 100;
