/** What happens when, on a clock that only a simulator moves: soonest first, and what is due at one time in the order in which it was set. */
export interface Timeline {
  readonly nowMs: number;
  /** Never before now. */
  at(atMs: number, run: () => void): void;
  /** Runs all that is due until then, also what that adds; `goesOn`: asked before each. */
  run(untilMs: number, goesOn?: () => boolean): void;
}

interface Happening {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

const before = (one: Happening, other: Happening): boolean => one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);

export function createTimeline(startMs = 0): Timeline {
  const heap: Happening[] = [];
  let lastOrder = 0;
  let nowMs = startMs;

  function pop(untilMs: number): Happening | undefined {
    const top = heap[0];
    if (top === undefined || top.atMs > untilMs) return undefined;
    const last = heap.pop() as Happening;
    if (heap.length === 0) return top;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= heap.length) break;
      const least = left + 1 < heap.length && before(heap[left + 1] as Happening, heap[left] as Happening) ? left + 1 : left;
      if (!before(heap[least] as Happening, last)) break;
      heap[place] = heap[least] as Happening;
      place = least;
    }
    heap[place] = last;
    return top;
  }

  return {
    get nowMs() {
      return nowMs;
    },
    at(atMs, run) {
      const one = { atMs: Math.max(nowMs, atMs), order: ++lastOrder, run };
      let place = heap.push(one) - 1;
      for (let above = (place - 1) >> 1; place > 0 && before(one, heap[above] as Happening); above = (place - 1) >> 1) {
        heap[place] = heap[above] as Happening;
        place = above;
      }
      heap[place] = one;
    },
    run(untilMs, goesOn = () => true) {
      for (let next = goesOn() ? pop(untilMs) : undefined; next !== undefined; next = goesOn() ? pop(untilMs) : undefined) {
        nowMs = next.atMs;
        next.run();
      }
      nowMs = Math.max(nowMs, untilMs);
    },
  };
}
