/**
 * What ends when, soonest first: a binary heap whose entries know where they lie, so that a prolonged ban moves instead of leaving a
 * stale entry behind. Equal ends are ordered by key: the book behaves the same after a restart, whatever order it was read in.
 */
export interface Deadlines {
  readonly size: number;
  /** Adds or moves; `at` may be Infinity. */
  set(key: string, at: number): void;
  delete(key: string): void;
  first(): { readonly key: string; readonly at: number } | undefined;
  /** All keys, in no order; a copy. */
  keys(): readonly string[];
}

interface Entry {
  readonly key: string;
  at: number;
  place: number;
}

const before = (one: Entry, other: Entry): boolean => one.at < other.at || (one.at === other.at && one.key < other.key);

export function createDeadlines(): Deadlines {
  const heap: Entry[] = [];
  const entries = new Map<string, Entry>();

  function put(entry: Entry, place: number): void {
    heap[place] = entry;
    entry.place = place;
  }

  function rise(entry: Entry, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above] as Entry;
      if (!before(entry, parent)) break;
      put(parent, place);
      place = above;
    }
    put(entry, place);
  }

  function sink(entry: Entry, from: number): void {
    let place = from;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const least = right < heap.length && before(heap[right] as Entry, heap[left] as Entry) ? right : left;
      const child = heap[least] as Entry;
      if (!before(child, entry)) break;
      put(child, place);
      place = least;
    }
    put(entry, place);
  }

  function settle(entry: Entry, place: number): void {
    const above = heap[(place - 1) >> 1];
    if (place > 0 && above !== undefined && before(entry, above)) rise(entry, place);
    else sink(entry, place);
  }

  return {
    get size() {
      return heap.length;
    },
    set(key, at) {
      const known = entries.get(key);
      if (known !== undefined) {
        known.at = at;
        settle(known, known.place);
        return;
      }
      const entry = { key, at, place: heap.length };
      entries.set(key, entry);
      rise(entry, heap.length);
    },
    delete(key) {
      const entry = entries.get(key);
      if (entry === undefined) return;
      entries.delete(key);
      const last = heap.pop() as Entry;
      if (last !== entry) settle(last, entry.place);
    },
    first: () => heap[0],
    keys: () => heap.map(entry => entry.key),
  };
}
