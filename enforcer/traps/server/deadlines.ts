/**
 * When which session is to be looked at again: a wheel of slots, turned by one timer, since ten thousand timers would cost more than the sessions. It is
 * coarse (SLOT_MS late at the most) and cheap: putting a deadline off, which every message does, only writes down the new time.
 */
export interface Timed {
  /** Milliseconds of the clock that the wheel is turned with. */
  wakeAtMs: number;
  /** The wheel's own. */
  slot: number;
  before: Timed | undefined;
  after: Timed | undefined;
}

export interface Deadlines<T extends Timed> {
  set(item: T, atMs: number): void;
  clear(item: T): void;
  /** Calls `onDue` for whose time has come, once each, but for `most` of them only. False: there are more. */
  turn(nowMs: number, most: number): boolean;
}

export const SLOT_MS = 50;
const SLOTS = 512;
export const NO_SLOT = -1;

export function createDeadlines<T extends Timed>(startMs: number, onDue: (item: T, nowMs: number) => void): Deadlines<T> {
  const slots: (Timed | undefined)[] = new Array(SLOTS).fill(undefined);
  let turned = Math.floor(startMs / SLOT_MS);
  let reached = turned; // where the last turn was to go

  function place(item: Timed): void {
    // What lies beyond the wheel's reach is put as far as it reaches, and looked at again there.
    const tick = Math.min(Math.max(Math.ceil(item.wakeAtMs / SLOT_MS), reached + 1), turned + SLOTS - 1);
    const slot = tick % SLOTS;
    const first = slots[slot];
    item.slot = slot;
    item.before = undefined;
    item.after = first;
    if (first !== undefined) first.before = item;
    slots[slot] = item;
  }

  function remove(item: Timed): void {
    if (item.slot === NO_SLOT) return;
    if (item.before === undefined) slots[item.slot] = item.after;
    else item.before.after = item.after;
    if (item.after !== undefined) item.after.before = item.before;
    item.slot = NO_SLOT;
    item.before = undefined;
    item.after = undefined;
  }

  return {
    set(item, atMs) {
      const earlier = atMs < item.wakeAtMs;
      item.wakeAtMs = atMs;
      if (item.slot !== NO_SLOT && !earlier) return;
      remove(item);
      place(item);
    },
    clear: remove,
    turn(nowMs, most) {
      const until = Math.floor(nowMs / SLOT_MS);
      reached = Math.max(reached, until);
      let due = 0;
      // After a stall longer than a whole turn each slot is looked at once.
      turned = Math.max(turned, until - SLOTS);
      while (turned < until) {
        turned++;
        const slot = turned % SLOTS;
        for (let item = slots[slot]; item !== undefined; item = slots[slot]) {
          if (due === most) {
            turned--; // to be gone on with
            return false;
          }
          remove(item);
          if (item.wakeAtMs > nowMs) place(item);
          else {
            due++;
            onDue(item as T, nowMs);
          }
        }
      }
      return true;
    },
  };
}
