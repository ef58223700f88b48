/**
 * What ends when, soonest first: a binary heap that knows where each key lies, so that a prolonged ban moves instead of leaving a
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
  readonly at: number;
}

const before = (one: Entry, other: Entry): boolean => one.at < other.at || (one.at === other.at && one.key < other.key);

export function createDeadlines(): Deadlines {
  const heap: Entry[] = [];
  const places = new Map<string, number>();

  function place(entry: Entry, at: number): void {
    heap[at] = entry;
    places.set(entry.key, at);
  }

  function rise(entry: Entry, from: number): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Entry;
      if (!before(entry, parent)) break;
      place(parent, at);
      at = above;
    }
    place(entry, at);
  }

  function sink(entry: Entry, from: number): void {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const least = right < heap.length && before(heap[right] as Entry, heap[left] as Entry) ? right : left;
      const child = heap[least] as Entry;
      if (!before(child, entry)) break;
      place(child, at);
      at = least;
    }
    place(entry, at);
  }

  function remove(key: string): void {
    const at = places.get(key);
    if (at === undefined) return;
    places.delete(key);
    const last = heap.pop() as Entry;
    if (at === heap.length) return;
    const above = heap[(at - 1) >> 1];
    if (at > 0 && above !== undefined && before(last, above)) rise(last, at);
    else sink(last, at);
  }

  return {
    get size() {
      return heap.length;
    },
    set(key, at) {
      remove(key);
      rise({ key, at }, heap.length);
    },
    delete: remove,
    first: () => heap[0],
    keys: () => heap.map(entry => entry.key),
  };
}
