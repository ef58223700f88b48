/** What is to happen when, soonest first; what is due at one time happens in the order in which it was set. */
export interface Alarms {
  /** Sets or moves the alarm of this name. Times in ms. */
  set(name: string, atMs: number, ring: (nowMs: number) => void): void;
  cancel(name: string): void;
  nextMs(): number | null;
  /** Rings what is due at `nowMs`, also what that sets for now or earlier. */
  run(nowMs: number): void;
}

interface Alarm {
  readonly name: string;
  readonly atMs: number;
  readonly order: number;
  readonly ring: (nowMs: number) => void;
}

const before = (one: Alarm, other: Alarm): boolean => one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);

export function createAlarms(): Alarms {
  /** A binary heap; an alarm that was moved or cancelled stays in it until it comes up, and is then no longer in `current`. */
  const heap: Alarm[] = [];
  const current = new Map<string, Alarm>();
  let lastOrder = 0;

  function push(alarm: Alarm): void {
    let place = heap.length;
    heap.push(alarm);
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!before(alarm, heap[above] as Alarm)) break;
      heap[place] = heap[above] as Alarm;
      place = above;
    }
    heap[place] = alarm;
  }

  function pop(): void {
    const last = heap.pop() as Alarm;
    if (heap.length === 0) return;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= heap.length) break;
      const least = left + 1 < heap.length && before(heap[left + 1] as Alarm, heap[left] as Alarm) ? left + 1 : left;
      if (!before(heap[least] as Alarm, last)) break;
      heap[place] = heap[least] as Alarm;
      place = least;
    }
    heap[place] = last;
  }

  function first(): Alarm | undefined {
    for (;;) {
      const top = heap[0];
      if (top === undefined || current.get(top.name) === top) return top;
      pop();
    }
  }

  return {
    set(name, atMs, ring) {
      const alarm = { name, atMs, order: ++lastOrder, ring };
      current.set(name, alarm);
      push(alarm);
      // Alarms that are moved again and again must not fill the heap: it is rebuilt when most of it is stale.
      if (heap.length > 64 && heap.length > 4 * current.size) {
        heap.length = 0;
        for (const live of current.values()) push(live);
      }
    },
    cancel(name) {
      current.delete(name);
    },
    nextMs: () => first()?.atMs ?? null,
    run(nowMs) {
      for (let alarm = first(); alarm !== undefined && alarm.atMs <= nowMs; alarm = first()) {
        pop();
        current.delete(alarm.name);
        alarm.ring(nowMs);
      }
    },
  };
}

/** Rings at every multiple of the interval since `startMs`; what was missed is not made up for. An interval of 0 never rings. */
export function createTicks(alarms: Alarms, name: string, intervalMs: number, startMs: number, ring: (nowMs: number) => void): void {
  const arm = createTicksOnDemand(alarms, name, intervalMs, startMs, nowMs => {
    arm(nowMs);
    ring(nowMs);
  });
  arm(startMs);
}

/** The same, but once for each call of what it returns: an idle member has nothing to wake up for. */
export function createTicksOnDemand(alarms: Alarms, name: string, intervalMs: number, startMs: number, ring: (nowMs: number) => void): (nowMs: number) => void {
  let armed = false;
  return nowMs => {
    if (armed || intervalMs <= 0) return;
    armed = true;
    const passed = Math.floor((nowMs - startMs) / intervalMs);
    alarms.set(name, startMs + (passed + 1) * intervalMs, atMs => {
      armed = false;
      ring(atMs);
    });
  };
}
