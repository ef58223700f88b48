/** The bans themselves, found by target, by what covers them, by room, by their end, and by the day on which the confined ones are full. */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { TIERS, type Tier } from '@honeymesh/intel/evidence';
import { createPrefixTable } from '@honeymesh/intel/prefix-table';
import type { UnixMs } from '@honeymesh/intel/time';
import { createDeadlines, type Deadlines } from './deadlines.ts';
import { ROOMS, type Room, roomOf, weightOf } from './rooms.ts';

export interface Book {
  readonly size: number;
  get(target: Prefix): Ban | undefined;
  /** Adds, or replaces the ban of the same target. */
  put(ban: Ban): void;
  remove(target: Prefix): void;
  /** Bans that equal or cover `target`, widest first. */
  covering(target: Prefix | Address): readonly Ban[];
  within(target: Prefix, limit?: number): readonly Ban[];
  all(): readonly Ban[];
  count(room: Room): number;
  /** Bans that weigh as little as E0: by advice, and those of E0, which only adoption brings in. */
  countWeak(room: Room): number;
  /** The ban of this weight that ends soonest. */
  soonest(room: Room, tier: Tier): Ban | undefined;
  /** A ban that is over at `now`, soonest first. */
  over(now: UnixMs): Ban | undefined;
  nextEnd(): UnixMs | null;
  /** A confined ban that is to be full at `now`, soonest first; one that began after `now` too: the clock was set back, and how long it lasted is not known. */
  due(now: UnixMs): Ban | undefined;
  nextDue(): UnixMs | null;
}

function byRoomAndTier(): Readonly<Record<Room, Readonly<Record<Tier, Deadlines>>>> {
  const tiers = () => Object.fromEntries(TIERS.map(tier => [tier, createDeadlines()])) as Record<Tier, Deadlines>;
  return Object.fromEntries(ROOMS.map(room => [room, tiers()])) as Record<Room, Record<Tier, Deadlines>>;
}

const endOf = (ban: Ban): number => ban.expiresAt ?? Number.POSITIVE_INFINITY;

/** `dueAt`: when a confined ban is to be full. */
export function createBook(bans: readonly Ban[], dueAt: (ban: Ban) => number): Book {
  const table = createPrefixTable<Ban>();
  const ends = byRoomAndTier();
  const allEnds: readonly Deadlines[] = ROOMS.flatMap(room => TIERS.map(tier => ends[room][tier]));
  let noneEndsBefore = Number.NEGATIVE_INFINITY; // so that most inputs look at no heap
  const dues = createDeadlines();
  let lastBegan = Number.NEGATIVE_INFINITY; // no confinement began later
  const endsOf = (room: Room, tier: Tier): Deadlines => ends[room][tier];

  function first(): { readonly key: string; readonly at: number } | undefined {
    let found: { readonly key: string; readonly at: number } | undefined;
    for (const deadlines of allEnds) {
      const next = deadlines.first();
      if (next !== undefined && (found === undefined || next.at < found.at || (next.at === found.at && next.key < found.key))) found = next;
    }
    return found;
  }

  function put(ban: Ban): void {
    const held = table.get(ban.target);
    if (held !== undefined && weightOf(held) !== weightOf(ban)) endsOf(roomOf(ban.target), weightOf(held)).delete(ban.target);
    table.set(ban.target, ban);
    endsOf(roomOf(ban.target), weightOf(ban)).set(ban.target, endOf(ban));
    noneEndsBefore = Math.min(noneEndsBefore, endOf(ban));
    if (ban.confined === undefined) {
      if (held?.confined !== undefined) dues.delete(ban.target);
      return;
    }
    dues.set(ban.target, dueAt(ban));
    lastBegan = Math.max(lastBegan, ban.confined.since);
  }

  /** What began later than `now` is due: how long it has lasted, no clock can tell. */
  function rewind(now: UnixMs): void {
    lastBegan = now;
    for (const key of dues.keys()) if ((table.get(key as Prefix)?.confined?.since ?? now) > now) dues.set(key, Number.NEGATIVE_INFINITY);
  }

  for (const ban of bans) put(ban);

  return {
    get size() {
      return table.size;
    },
    get: table.get,
    put,
    remove(target) {
      const held = table.get(target);
      if (held === undefined) return;
      table.delete(target);
      endsOf(roomOf(target), weightOf(held)).delete(target);
      if (held.confined !== undefined) dues.delete(target);
    },
    covering: table.covering,
    within: table.within,
    all: table.values,
    count(room) {
      const { E0, E1, E2, operator } = ends[room];
      return E0.size + E1.size + E2.size + operator.size;
    },
    countWeak: room => ends[room].E0.size,
    soonest(room, tier) {
      const next = endsOf(room, tier).first();
      return next === undefined ? undefined : table.get(next.key as Prefix);
    },
    over(now) {
      if (now < noneEndsBefore) return undefined;
      const next = first();
      noneEndsBefore = next?.at ?? Number.POSITIVE_INFINITY;
      return next !== undefined && next.at <= now ? table.get(next.key as Prefix) : undefined;
    },
    nextEnd() {
      const next = first();
      return next === undefined || next.at === Number.POSITIVE_INFINITY ? null : (next.at as UnixMs);
    },
    due(now) {
      if (now < lastBegan) rewind(now);
      const next = dues.first();
      return next !== undefined && next.at <= now ? table.get(next.key as Prefix) : undefined;
    },
    nextDue: () => (dues.first()?.at as UnixMs | undefined) ?? null,
  };
}
