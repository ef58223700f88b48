/**
 * Puts bans into the book and takes them out, within the room that the kernel's maps have. When a room is full, who goes is
 * decided, never left to chance: bans that are over went before; then neighbours are made one prefix; then the weakest tier goes,
 * of it the ban that ends soonest. An operator's ban never goes, proof never goes for what is weaker, and what is weaker never
 * gets the reserved share.
 */
import type { Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { TIERS, tierNumber } from '@honeymesh/intel/evidence';
import type { Sighting } from '@honeymesh/intel/sightings';
import type { UnixMs } from '@honeymesh/intel/time';
import { fullBan } from './confinement.ts';
import type { BanChange, CompletedBy, Decision, LedgerChange } from './decisions.ts';
import type { Refusal } from './orders.ts';
import { isAutomatic, isStrong, ROOMS, type Room, roomOf, weakLimit, weightOf } from './rooms.ts';
import { endOf } from './terms.ts';
import { replacedBy, type WideningDeps, widened } from './widening.ts';

/** What one input led to, gathered in order. */
export interface Outbox {
  readonly decisions: Decision[];
  readonly changes: LedgerChange[];
}

export interface Replacement {
  readonly ban: Ban;
  readonly change: Exclude<BanChange, 'new' | 'completed'>;
}

export interface Placing {
  /** Puts a new ban in, or a wider one that it completes. Returns why not, where there is no room. */
  place(ban: Ban, because: Sighting | null, now: UnixMs, out: Outbox): Refusal | null;
  /** Puts a new ban in as it is. Returns why not, where there is no room. */
  admit(ban: Ban, because: Sighting | null, now: UnixMs, out: Outbox): Refusal | null;
  /** Replaces the ban of the same target. */
  replace(more: Replacement, because: Sighting | null, out: Outbox): void;
  /** Puts a ban on own evidence in the place of one by advice. From now on it counts among its neighbours. */
  own(ban: Ban, because: Sighting | null, now: UnixMs, out: Outbox): void;
  /** Puts a full ban in the place of the confined one of the same target. From now on it counts among its neighbours. */
  complete(full: Ban, why: CompletedBy, because: Sighting | null, now: UnixMs, out: Outbox): void;
  /** Takes a ban out and forgives it: its offence does not count. */
  lift(ban: Ban, why: 'order' | 'allowed' | 'withdrawn', now: UnixMs, out: Outbox): void;
  /** Makes full whom nobody listens to any longer, and ends what is over. */
  expire(now: UnixMs, out: Outbox): void;
  /** Makes the book fit rooms that became smaller. */
  fit(now: UnixMs, out: Outbox): void;
  /** Makes room for one more allow rule; `freed` are bans of rules that leave with it. False: there is none. */
  makeRuleRoom(target: Prefix, freed: number, now: UnixMs, out: Outbox): boolean;
  /** Why an order's ban of this target would find no room, or null. */
  noRoomFor(target: Prefix): Refusal | null;
  fullRooms(): readonly Refusal[];
}

export function createPlacing(deps: WideningDeps): Placing {
  const { policy, book, allowList, offences } = deps;

  const used = (room: Room): number => book.count(room) + (room === 'rules' ? allowList.size : 0);

  function put(ban: Ban, out: Outbox): void {
    book.put(ban);
    out.changes.push({ kind: 'put-ban', ban }, ...(ban.advised === undefined ? offences.forget(ban.target) : []));
  }

  /** Takes a ban out and remembers it as an offence that ended, or will end, at `endedAt`. */
  function remove(ban: Ban, count: number, endedAt: UnixMs, out: Outbox): void {
    book.remove(ban.target);
    out.changes.push({ kind: 'remove-ban', target: ban.target });
    // What others say of it is no offence that this host saw.
    if (count > 0 && ban.advised === undefined) out.changes.push(...offences.remember({ target: ban.target, count, lastEndedAt: endedAt }));
  }

  function evict(ban: Ban, target: Prefix, now: UnixMs, out: Outbox): void {
    remove(ban, ban.offences, now, out);
    out.decisions.push({ kind: 'evict', ban, for: target });
  }

  const isFull = (room: Room): boolean => used(room) >= policy.capacity[room];
  const isOverShare = (ban: Ban, room: Room): boolean => !isStrong(weightOf(ban)) && book.countWeak(room) >= weakLimit(policy, room);

  function victim(room: Room, atMost: Ban['tier']): Ban | undefined {
    for (const tier of TIERS) {
      if (!isAutomatic(tier) || tierNumber(tier) > tierNumber(atMost)) break;
      const found = book.soonest(room, tier);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  const freedRules = (wide: Ban): number => replacedBy(wide.target, wide.expiresAt, book).filter(held => roomOf(held.target) === 'rules').length;

  /** Puts a prefix ban in the place of its members. `widened` saw to it that a rule is free. */
  function placeWide(wide: Ban, because: Sighting | null, now: UnixMs, out: Outbox): void {
    const wider = widened(wide, deps, now);
    if (wider !== undefined) {
      if (endOf(wide) <= endOf(wider)) {
        placeInstead(wide, wider, because, now, out);
        return;
      }
      placeWide(wider, null, now, out); // it replaces two rules or more, so there is one for `wide` still
    }
    // `widened` reckoned with the rules that weak bans hold.
    while (book.get(wide.target) === undefined && used('rules') - freedRules(wide) >= policy.capacity.rules) {
      const weak = book.soonest('rules', 'E0');
      if (weak === undefined) break;
      evict(weak, wide.target, now, out);
    }
    const replaces = replacedBy(wide.target, wide.expiresAt, book);
    for (const ban of replaces) remove(ban, ban.offences, wide.expiresAt ?? now, out);
    put(wide, out);
    out.decisions.push({ kind: 'aggregate', ban: wide, replaces, because });
  }

  /** The wider ban lasts at least as long: the other one is not made, but remembered as an offence that goes on in it. */
  function placeInstead(ban: Ban, wide: Ban, because: Sighting | null, now: UnixMs, out: Outbox): void {
    placeWide(wide, because, now, out);
    out.changes.push(...offences.remember({ target: ban.target, count: ban.offences, lastEndedAt: wide.expiresAt ?? now }));
  }

  function place(ban: Ban, because: Sighting | null, now: UnixMs, out: Outbox): Refusal | null {
    const wide = widened(ban, deps, now);
    if (wide !== undefined) {
      if (endOf(ban) <= endOf(wide)) {
        placeInstead(ban, wide, because, now, out);
        return null;
      }
      placeWide(wide, null, now, out);
    }
    return admit(ban, because, now, out);
  }

  function admit(ban: Ban, because: Sighting | null, now: UnixMs, out: Outbox): Refusal | null {
    const room = roomOf(ban.target);
    const lacksRoom = (): boolean => isFull(room) || isOverShare(ban, room);
    if (lacksRoom()) {
      const leaving = victim(room, weightOf(ban));
      const around = leaving === undefined ? undefined : widened(leaving, deps, now);
      if (around !== undefined) placeWide(around, null, now, out);
      const next = lacksRoom() ? victim(room, weightOf(ban)) : undefined;
      if (next !== undefined) evict(next, ban.target, now, out);
      if (lacksRoom()) return fullOf(room, policy.capacity[room], 'and nothing weaker can make way');
    }
    put(ban, out);
    out.decisions.push({ kind: 'ban', ban, change: 'new', because });
    return null;
  }

  function end(ban: Ban, now: UnixMs, out: Outbox): void {
    remove(ban, ban.offences, ban.expiresAt ?? now, out);
    out.decisions.push({ kind: 'expire', ban });
  }

  function makeFull(ban: Ban, why: CompletedBy, because: Sighting | null, out: Outbox): void {
    put(ban, out);
    out.decisions.push({ kind: 'ban', ban, change: 'completed', because, why });
  }

  /** A ban that just became full may be the one that was missing to a wider one. */
  function widenAround(full: Ban, now: UnixMs, out: Outbox): void {
    if (book.get(full.target) !== full) return;
    const wide = widened(full, deps, now);
    if (wide !== undefined) placeWide(wide, null, now, out);
  }

  return {
    place,
    admit,
    replace({ ban, change }, because, out) {
      put(ban, out);
      out.decisions.push({ kind: 'ban', ban, change, because });
    },
    lift(ban, why, now, out) {
      remove(ban, ban.offences - 1, now, out);
      out.decisions.push({ kind: 'lift', ban, why });
    },
    own(ban, because, now, out) {
      put(ban, out);
      out.decisions.push({ kind: 'ban', ban, change: 'strengthened', because });
      widenAround(ban, now, out);
    },
    complete(full, why, because, now, out) {
      makeFull(full, why, because, out);
      widenAround(full, now, out);
    },
    expire(now, out) {
      const completed: Ban[] = [];
      for (let ban = book.due(now); ban !== undefined; ban = book.due(now)) {
        const full = fullBan(ban, policy, Math.min(now, ban.confined?.fullAt ?? now));
        if (endOf(full) <= now) {
          end(full, now, out); // both came while nobody watched
          continue;
        }
        makeFull(full, 'time', null, out);
        completed.push(full);
      }
      for (let ban = book.over(now); ban !== undefined; ban = book.over(now)) end(ban, now, out);
      for (const full of completed) widenAround(full, now, out);
    },
    fit(now, out) {
      for (const room of ROOMS) {
        while (used(room) > policy.capacity[room]) {
          const leaving = victim(room, 'operator');
          if (leaving === undefined) break; // orders only: the kernel says "full", and status with it
          evict(leaving, leaving.target, now, out);
        }
      }
    },
    makeRuleRoom(target, freed, now, out) {
      if (used('rules') - freed < policy.capacity.rules) return true;
      const leaving = victim('rules', 'operator');
      if (leaving === undefined) return false;
      evict(leaving, target, now, out);
      return true;
    },
    noRoomFor(target) {
      const room = roomOf(target);
      return book.get(target) === undefined && isFull(room) && victim(room, 'operator') === undefined
        ? fullOf(room, policy.capacity[room], 'and nothing weaker can make way')
        : null;
    },
    fullRooms: () => ROOMS.filter(isFull).map(room => fullOf(room, policy.capacity[room], 'and what is new comes in only where something weaker makes way')),
  };
}

const IN_WORDS: Readonly<Record<Room, string>> = {
  ipv4: 'bans of IPv4 addresses',
  ipv6: 'bans of IPv6 /64',
  ipv6Exact: 'bans of single IPv6 addresses',
  rules: 'allow entries and bans of prefixes',
};

function fullOf(room: Room, capacity: number, consequence: string): Refusal {
  const bySetting = room === 'ipv4' || room === 'ipv6';
  return {
    why: `the room for ${capacity} ${IN_WORDS[room]} is full, ${consequence}`,
    fix: `"honeymesh bans list" shows what holds it: lift what is not needed${bySetting ? ', or raise bans.capacity in the configuration' : ''}`,
  };
}
