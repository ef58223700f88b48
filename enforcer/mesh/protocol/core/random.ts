/** Chance comes in from outside: the driver's from the system, a simulator's from a seed. */
export interface Random {
  /** A whole number from 0 to `limit` - 1. `limit` is at least 1. */
  below(limit: number): number;
}

/** Fisher and Yates, in place. */
export function shuffle<T>(list: T[], random: Random): void {
  for (let at = list.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    const kept = list[at] as T;
    list[at] = list[other] as T;
    list[other] = kept;
  }
}

/**
 * At most `count` different ones that are wanted (memberlist's kRandomNodes). A short list is gone through whole, in random order: random
 * picks would miss one of few too often. A long one gets 3n picks, so that a table full of the dead costs a bounded time.
 */
export function pickSome<T>(list: readonly T[], count: number, random: Random, wanted: (item: T) => boolean): T[] {
  const picked: T[] = [];
  if (count < 1) return picked;
  if (list.length < 3 * count) {
    const order = [...list];
    shuffle(order, random);
    for (const item of order) {
      if (picked.length === count) break;
      if (wanted(item)) picked.push(item);
    }
    return picked;
  }
  for (let tries = 0; tries < 3 * list.length && picked.length < count; tries++) {
    const item = list[random.below(list.length)] as T;
    if (wanted(item) && !picked.includes(item)) picked.push(item);
  }
  return picked;
}
