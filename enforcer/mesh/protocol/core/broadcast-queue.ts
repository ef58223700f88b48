/**
 * What is to be gossiped, each item a limited number of times (memberlist's TransmitLimitedQueue): the least sent first, among these the longest,
 * among these the newest.
 */
export interface BroadcastQueue<M> {
  readonly size: number;
  /** Bytes of all items, what each costs on top not counted. */
  readonly bytes: number;
  /** A named item replaces the older one of its name. `finished` is called once: when it was sent often enough, replaced or dropped. */
  add(item: { readonly name: string | null; readonly message: M; readonly bytes: number; readonly finished?: () => void }): void;
  /** What fits into `limitBytes`, where each item costs `overheadBytes` more than its own. */
  draw(budget: DrawBudget): Drawn<M>;
  /** Drops what was sent most until at most `keep` are left. */
  prune(keep: number): void;
}

export interface Drawn<M> {
  readonly messages: readonly M[];
  /** What they take of the budget, overhead included. */
  readonly bytes: number;
}

export interface DrawBudget {
  readonly limitBytes: number;
  readonly overheadBytes: number;
  /** At most so many: a compound message counts its parts in one byte. */
  readonly items: number;
  /** Sent so often an item is done. */
  readonly transmits: number;
}

/** How often an item is sent in a table of so many members. */
export const retransmitLimit = (mult: number, members: number): number => mult * Math.ceil(Math.log10(members + 1));

interface Item<M> {
  readonly name: string | null;
  readonly message: M;
  readonly bytes: number;
  readonly id: number;
  readonly finished: (() => void) | undefined;
  transmits: number;
}

const before = <M>(one: Item<M>, other: Item<M>): boolean =>
  one.transmits !== other.transmits ? one.transmits < other.transmits : one.bytes !== other.bytes ? one.bytes > other.bytes : one.id > other.id;

export function createBroadcastQueue<M>(): BroadcastQueue<M> {
  /** In the order of sending. */
  let items: Item<M>[] = [];
  const named = new Map<string, Item<M>>();
  let lastId = 0;
  let bytes = 0;

  function insert(item: Item<M>): void {
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(items[middle] as Item<M>, item)) low = middle + 1;
      else high = middle;
    }
    items.splice(low, 0, item);
  }

  function finish(item: Item<M>): void {
    bytes -= item.bytes;
    if (item.name !== null && named.get(item.name) === item) named.delete(item.name);
    item.finished?.();
  }

  return {
    get size() {
      return items.length;
    },
    get bytes() {
      return bytes;
    },
    add({ name, message, bytes: length, finished }) {
      const older = name === null ? undefined : named.get(name);
      if (older !== undefined) {
        items.splice(items.indexOf(older), 1);
        finish(older);
      }
      const item: Item<M> = { name, message, bytes: length, id: ++lastId, finished, transmits: 0 };
      bytes += length;
      if (name !== null) named.set(name, item);
      insert(item);
    },
    draw({ limitBytes, overheadBytes, items: most, transmits }) {
      let free = limitBytes;
      const drawn: Item<M>[] = [];
      // One pass is enough: within a tier items come by falling length, and what is free only shrinks.
      const kept: Item<M>[] = [];
      for (const [at, item] of items.entries()) {
        if (drawn.length === most || free <= overheadBytes) {
          if (drawn.length === 0) return { messages: [], bytes: 0 };
          kept.push(...items.slice(at));
          break;
        }
        if (overheadBytes + item.bytes > free) {
          kept.push(item);
          continue;
        }
        free -= overheadBytes + item.bytes;
        drawn.push(item);
      }
      if (drawn.length === 0) return { messages: [], bytes: 0 };
      items = kept;
      for (const item of drawn) {
        item.transmits++;
        if (item.transmits < transmits) insert(item);
        else finish(item);
      }
      return { messages: drawn.map(item => item.message), bytes: limitBytes - free };
    },
    prune(keep) {
      while (items.length > keep) finish(items.pop() as Item<M>);
    },
  };
}
