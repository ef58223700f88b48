/**
 * DynamoDB's conditional semantics in memory: conditions judged with the write, all or nothing for several, one item once in a transaction, a stream with
 * images. Like the real one it does not remove what has ended. Written apart from cloud/store, so that each checks the other.
 */
import type { Clause, Item, Key, Tables, Write } from '#cloud/store/port.ts';
import { TABLES, type TableName } from '#cloud/store/tables.ts';

export interface StreamEvent {
  readonly event: string;
  readonly name: 'INSERT' | 'MODIFY';
  readonly item: Item;
}

export interface MemoryTables extends Tables {
  /** What was written to a table since the last call, in order. */
  takeStream(table: TableName): readonly StreamEvent[];
  /** All that lies in it, ended or not. */
  rows(table: TableName): readonly Item[];
  readonly writes: number;
}

export interface MemoryOptions {
  readonly now: () => number;
  /** Called before each request: a test may let others go first, or throw, as a process that dies. */
  readonly before?: (request: string) => Promise<void> | void;
}

const LONGEST_ITEM_BYTES = 400 * 1_024;

export function createMemoryTables({ now, before = () => {} }: MemoryOptions): MemoryTables {
  const tables = new Map<TableName, Map<string, Item>>();
  const streams = new Map<TableName, StreamEvent[]>();
  let events = 0;
  let writes = 0;

  const rowsOf = (table: TableName): Map<string, Item> => {
    const rows = tables.get(table) ?? new Map<string, Item>();
    tables.set(table, rows);
    return rows;
  };
  const keyNames = (table: TableName): readonly string[] => {
    const spec = TABLES[table];
    return 'sort' in spec ? [spec.partition.name, spec.sort.name] : [spec.partition.name];
  };
  const nameOf = (table: TableName, item: Item | Key): string => {
    const parts = keyNames(table).map(name => item[name]);
    if (parts.some(part => part === undefined || part === '')) throw new Error(`ValidationException: a key of ${table} is missing in ${JSON.stringify(item)}`);
    return JSON.stringify(parts);
  };
  const live = (item: Item | undefined): Item | undefined =>
    item === undefined || (typeof item.expiresAt === 'number' && item.expiresAt <= now()) ? undefined : item;

  function holds(item: Item | undefined, clause: Clause): boolean {
    const there = live(item);
    if (clause.is === 'absent') return there === undefined;
    if (there === undefined) return clause.is === 'absent-or-less';
    const value = there[clause.attribute];
    if (typeof value !== typeof clause.value) return false;
    const [one, other] = [value as number, clause.value as number];
    return clause.is === 'equal' ? one === other : clause.is === 'more' ? one > other : one < other;
  }

  function write(table: TableName, item: Item): void {
    const size = Object.entries(item).reduce(
      (sum, [name, value]) => sum + name.length + (value instanceof Uint8Array ? value.length : String(value).length),
      0,
    );
    if (size > LONGEST_ITEM_BYTES) throw new Error(`ValidationException: an item of ${size} bytes`);
    const name = nameOf(table, item);
    const rows = rowsOf(table);
    // An item that has ended and was not removed yet is changed, not inserted: as in the service.
    const event: StreamEvent = { event: `event-${++events}`, name: rows.has(name) ? 'MODIFY' : 'INSERT', item: { ...item } };
    rows.set(name, { ...item });
    writes++;
    const stream = streams.get(table) ?? [];
    stream.push(event);
    streams.set(table, stream);
  }

  function remove(table: TableName, key: Key): void {
    if (rowsOf(table).delete(nameOf(table, key))) writes++;
  }

  const targetOf = (one: Write): Item | Key => (one.kind === 'put' ? one.item : one.key);

  return {
    get writes() {
      return writes;
    },
    async get(table, key) {
      await before('get');
      return live(rowsOf(table).get(nameOf(table, key)));
    },
    async getMany(table, keys) {
      await before('getMany');
      const names = new Set(keys.map(key => nameOf(table, key)));
      return [...names].map(name => live(rowsOf(table).get(name))).filter(item => item !== undefined);
    },
    async query(table, { partition, from, to, descending = false, limit }) {
      await before('query');
      const [hash = '', sort = ''] = keyNames(table);
      const found = [...rowsOf(table).values()].filter(item => {
        const at = item[sort] as string;
        return item[hash] === partition && (from === undefined || at >= from) && (to === undefined || at <= to) && live(item) !== undefined;
      });
      found.sort((one, other) => ((one[sort] as string) < (other[sort] as string) ? -1 : 1) * (descending ? -1 : 1));
      return found.slice(0, limit);
    },
    async scan(table, limit) {
      await before('scan');
      return [...rowsOf(table).values()].filter(item => live(item) !== undefined).slice(0, limit);
    },
    async put(table, item, clauses = []) {
      await before('put');
      if (!clauses.every(clause => holds(rowsOf(table).get(nameOf(table, item)), clause))) return false;
      write(table, item);
      return true;
    },
    async putMany(table, items) {
      await before('putMany');
      if (new Set(items.map(item => nameOf(table, item))).size < items.length) throw new Error('ValidationException: an item twice in one batch');
      for (const item of items) write(table, item);
    },
    async deleteMany(table, keys) {
      await before('deleteMany');
      for (const key of keys) remove(table, key);
    },
    async transact(all) {
      await before('transact');
      if (all.length === 0 || all.length > 100) throw new Error(`ValidationException: ${all.length} writes in a transaction`);
      if (new Set(all.map(one => one.table + nameOf(one.table, targetOf(one)))).size < all.length) throw new Error('ValidationException: an item twice');
      const failed = all.flatMap((one, at) =>
        (one.if ?? []).every(clause => holds(rowsOf(one.table).get(nameOf(one.table, targetOf(one))), clause)) ? [] : [at],
      );
      if (failed.length > 0) return { kind: 'refused', failed };
      for (const one of all) {
        if (one.kind === 'put') write(one.table, one.item);
        else if (one.kind === 'delete') remove(one.table, one.key);
      }
      return { kind: 'done' };
    },
    async add(table, key, attribute, by, expiresAt) {
      await before('add');
      const item: Item = rowsOf(table).get(nameOf(table, key)) ?? key;
      const sum = Number(item[attribute] ?? 0) + by;
      write(table, { ...item, [attribute]: sum, ...(expiresAt === undefined ? {} : { expiresAt }) });
      return sum;
    },
    takeStream(table) {
      const taken = streams.get(table) ?? [];
      streams.set(table, []);
      return taken;
    },
    rows: table => [...rowsOf(table).values()],
  };
}
