/**
 * The book of bans: one input at a time, with its time, gives decisions (what to enforce and to record) and changes (what to keep on
 * disk). A pure state machine. A new policy (the configuration was read again) is a new ledger from the snapshot of the old one.
 *
 * Time only ever ends bans: where the clock goes back they last longer, nothing is shortened or dropped. A confinement is the other way round, as its end is
 * the stronger ban: it never lasts longer than it should, and one that began after `now` is over.
 */
import { type Address, bitsOf, contains, familyOf, hostPrefix, isHostPrefix, networkOf, type Prefix } from '@honeymesh/intel/address';
import type { AllowEntry, Ban } from '@honeymesh/intel/bans';
import { unreachable } from '@honeymesh/intel/parsed';
import type { Sighting } from '@honeymesh/intel/sightings';
import { NEVER_BANNED, specialRange } from '@honeymesh/intel/special-ranges';
import type { UnixMs } from '@honeymesh/intel/time';
import { ADVICE_POLICY, ALONE, type MeshSurroundings } from './advice/advice.ts';
import { inPlaceOf } from './advice/bans.ts';
import { createAdviceDesk } from './advice/desk.ts';
import { createAdviceMemory } from './advice/memory.ts';
import { createAllowList, type ListChange, weightiest } from './allow-list.ts';
import { createBook } from './book.ts';
import { confinedBan, dueAt, fullBan, heard, isHeardOut, unconfined } from './confinement.ts';
import type { Bystanders, CompletedBy, Completion, Decision, Ledger, LedgerInput, LedgerPolicy, LedgerSnapshot } from './decisions.ts';
import { createOffences } from './offences.ts';
import { allowRefusal, banRefusal, disallowRefusal, liftRefusal, type Refusal } from './orders.ts';
import { createPlacing, type Outbox } from './placing.ts';
import { ROOMS, roomOf } from './rooms.ts';
import { sightedTarget } from './targets.ts';
import { endOf, firstBan, merged, mergedSighting, offenceNumber } from './terms.ts';

/** Why a sighting is only recorded. */
type Recorded = Extract<Decision, { kind: 'record' }>['why'];

const EMPTY: LedgerSnapshot = { bans: [], allowed: [], offences: [] };
const BYSTANDERS_NAMED = 20; // in a dry run
const IN_THE_PAST: Refusal = { why: 'its end lies in the past', fix: 'give an end that is still to come, or none' };
const NO_RULE_LEFT: Refusal = {
  why: 'the room for allow entries and bans of prefixes is full',
  fix: '"honeymesh allow list" and "honeymesh bans list" show what holds it: write neighbours as one prefix, or remove what is not needed',
};

/** `mesh`: what is known of peers; without it every peer is taken for a host of the same site. */
export function createLedger(policy: LedgerPolicy, bystanders: Bystanders, snapshot: LedgerSnapshot = EMPTY, mesh: MeshSurroundings = ALONE): Ledger {
  const book = createBook(snapshot.bans, ban => dueAt(ban, policy));
  const allowList = createAllowList(snapshot.allowed);
  // As many offences as bans: who waits in memory is bounded like who is banned.
  const offencesAtMost = ROOMS.reduce((sum, room) => sum + policy.capacity[room], 0);
  const offences = createOffences({ memoryMs: policy.memoryMs, atMost: offencesAtMost }, snapshot.offences);
  const placing = createPlacing({ policy, book, allowList, offences, bystanders });
  const advice = policy.advice ?? ADVICE_POLICY;
  const memory = createAdviceMemory(advice, snapshot.advice ?? []);
  const desk = createAdviceDesk({ policy: advice, observes: policy.mode === 'observe', book, placing, memory, allowList, bystanders, mesh });

  /** Bans what was seen, or says why it is only recorded. */
  function sight(sighting: Sighting, now: UnixMs, out: Outbox): Recorded | Refusal | null {
    const { source } = sighting;
    if (allowList.covering(source).length > 0 || bystanders.own.includes(addressOf(source))) return 'allowed';
    if (sighting.tier === 'E0') return 'spoofable';
    const sighted = sightedTarget(source, allowList, bystanders);
    if (!sighted.ok) return sighted.refusal;
    if (policy.mode === 'observe') return 'observe';
    const { target } = sighted;
    const held = book.get(target);
    if (held?.confined !== undefined) return hear(held, sighting, now, out);
    if (held !== undefined && held.advised === undefined) {
      const more = mergedSighting(held, sighting, policy, now);
      if (more === null) return 'banned';
      placing.replace(more, sighting, out);
      return null;
    }
    const ban = firstBan(target, sighting, offenceNumber(offences, target, now), policy, now);
    if (held !== undefined) {
      placing.own(inPlaceOf(held, ban), sighting, now, out);
      return null;
    }
    const covers = book.covering(target);
    // Evidence about one address never prolongs the ban of a prefix: it gets a ban of its own where it would outlast that.
    if (covers.some(cover => cover.advised === undefined && endOf(cover) >= endOf(ban))) return 'banned';
    // Who is in a full ban of a prefix has been heard enough.
    const listening = isHeardOut(sighting, policy) && covers.every(cover => cover.confined !== undefined);
    return placing.place(listening ? confinedBan(ban, policy, now) : ban, sighting, now, out);
  }

  function hear(held: Ban, sighting: Sighting, now: UnixMs, out: Outbox): Recorded | null {
    const more = heard(held, sighting, policy, now);
    if (more === null) return 'banned';
    if ('full' in more) placing.complete(more.full, more.why, sighting, now, out);
    else placing.replace(more.confined, sighting, out);
    return null;
  }

  function complete(source: Address, why: Completion, now: UnixMs, out: Outbox): void {
    for (const ban of book.covering(source)) if (ban.confined !== undefined) placing.complete(fullBan(ban, policy, now), why, null, now, out);
  }

  /** Puts a full ban in, or adds what it says to the one that is there; never shortens that. `why`: what ends a confinement. */
  function add(ban: Ban, why: CompletedBy, now: UnixMs, out: Outbox): Refusal | null {
    const held = book.get(ban.target);
    if (held === undefined) return placing.admit(ban, null, now, out);
    if (held.advised !== undefined) {
      placing.own(inPlaceOf(held, ban), null, now, out);
      return null;
    }
    const more = merged(held, ban) ?? { ban: held, change: 'prolonged' };
    if (held.confined === undefined) placing.replace(more, null, out);
    else placing.complete(unconfined(more.ban), why, null, now, out);
    return null;
  }

  /** For a shorter ban than the one that is there it is lifted first. */
  function orderBan({ target, expiresAt, note }: Extract<LedgerInput, { kind: 'order-ban' }>, now: UnixMs, out: Outbox): Refusal | null {
    const refusal = banRefusal(target, allowList, bystanders);
    if (refusal !== null) return refusal;
    if (expiresAt !== null && expiresAt <= now) return IN_THE_PAST;
    const before = book.get(target);
    const count = before !== undefined && before.advised === undefined ? before.offences : offenceNumber(offences, target, now);
    const words = note === undefined ? {} : { note };
    const ban: Ban = { target, tier: 'operator', reasons: ['order'], origins: ['operator'], createdAt: now, expiresAt, offences: count, ...words };
    const noRoom = add(ban, 'order', now, out);
    if (noRoom !== null) return noRoom;
    for (const inside of book.within(target)) if (inside.confined !== undefined) placing.complete(fullBan(inside, policy, now), 'order', null, now, out);
    return null;
  }

  /** What holds for exactly this target is lifted and forgiven: the operator says that it was no offence. Nothing to lift is no decision. */
  function orderLift(target: Prefix, now: UnixMs, out: Outbox): Refusal | null {
    const held = book.get(target);
    if (held === undefined) return liftRefusal(target, book.covering(target).at(-1) ?? null, book.within(target).length);
    placing.lift(held, 'order', now, out);
    return null;
  }

  function allow(entry: AllowEntry, now: UnixMs, out: Outbox): Refusal | null {
    const refusal = allowRefusal(entry.target);
    if (refusal !== null) return refusal;
    const inside = book.within(entry.target);
    const freed = inside.filter(ban => roomOf(ban.target) === 'rules').length;
    if (allowList.get(entry.target) === undefined && !placing.makeRuleRoom(entry.target, freed, now, out)) return NO_RULE_LEFT;
    append(allowList.put(entry), out);
    for (const ban of inside) placing.lift(ban, 'allowed', now, out);
    return null;
  }

  function disallow(target: Prefix, out: Outbox): Refusal | null {
    const entry = allowList.order(target);
    if (entry === undefined) return disallowRefusal(target, allowList);
    append(allowList.remove(entry), out);
    return null;
  }

  function autoAllow(entries: readonly AllowEntry[], now: UnixMs, out: Outbox): void {
    const wanted = new Map(weightiest(entries.filter(entry => entry.cause !== 'operator')).map(entry => [entry.target, entry]));
    for (const held of allowList.automatics()) if (!wanted.has(held.target)) append(allowList.remove(held), out);
    for (const entry of wanted.values()) {
      const held = allowList.automatic(entry.target);
      if (held === undefined || held.cause !== entry.cause || held.why !== entry.why) refuse(entry.target, allow(entry, now, out), null, out);
    }
  }

  /** What the kernel holds and may not hold is decided away, so that it leaves the kernel too. */
  function adopt(found: Ban, now: UnixMs, out: Outbox): void {
    const ban = unconfined(found);
    const never = specialRange(ban.target, NEVER_BANNED) !== undefined || bystanders.own.some(address => contains(ban.target, address));
    if (endOf(ban) <= now && book.get(ban.target) === undefined) out.decisions.push({ kind: 'expire', ban });
    else if (never || allowList.covering(ban.target).length > 0) out.decisions.push({ kind: 'lift', ban, why: 'allowed' });
    else if (add(ban, 'time', now, out) !== null) out.decisions.push({ kind: 'evict', ban, for: ban.target });
  }

  function banOn(target: Prefix | Address, now: UnixMs): Ban | null {
    return book.covering(target).findLast(ban => endOf(ban) > now) ?? null;
  }

  return {
    handle(input, now) {
      const out: Outbox = { decisions: [], changes: [] };
      placing.expire(now, out);
      placing.fit(now, out);
      out.changes.push(...offences.clean(now));
      desk.follow(0, now, out);
      memory.clean(now, out.changes);
      const before = out.decisions.length;
      switch (input.kind) {
        case 'sighting': {
          const { sighting } = input;
          const kept = sight(sighting, now, out);
          if (typeof kept === 'string')
            out.decisions.push({
              kind: 'record',
              sighting,
              why: kept,
              wouldBan: policy.mode === 'observe' && (kept === 'observe' || actsAlone(sighting, kept)),
            });
          else refuse(asPrefix(sighting.source), kept, sighting, out);
          break;
        }
        case 'complete':
          complete(input.source, input.why, now, out);
          break;
        case 'order-ban':
          refuse(input.target, orderBan(input, now, out), null, out);
          break;
        case 'order-lift':
          refuse(input.target, orderLift(input.target, now, out), null, out);
          break;
        case 'allow':
          refuse(input.entry.target, allow(input.entry, now, out), null, out);
          break;
        case 'disallow':
          refuse(input.target, disallow(input.target, out), null, out);
          break;
        case 'auto-allow':
          autoAllow(input.entries, now, out);
          break;
        case 'adopt':
          adopt(input.ban, now, out);
          break;
        case 'advice':
          desk.advise(input.advice, now, out);
          break;
        case 'withdrawal':
          desk.withdraw(input.withdrawal, now, out);
          break;
        case 'misconduct':
          desk.misconduct(input.signer, now, out);
          break;
        case 'revoked':
          desk.revoke(input.signer, now, out);
          break;
        case 'tick':
          break;
        default:
          return unreachable(input);
      }
      desk.follow(before, now, out);
      return out;
    },
    nextDeadline() {
      const ends = [book.nextEnd(), book.nextDue(), offences.nextEnd()].filter(end => end !== null);
      return ends.length === 0 ? null : (Math.min(...ends) as UnixMs);
    },
    dryRun(target, now) {
      const live = (ban: Ban): boolean => endOf(ban) > now;
      return {
        target,
        refused: banRefusal(target, allowList, bystanders) ?? placing.noRoomFor(target),
        allowedWithin: allowList.within(target),
        bystanders: bystanders.within(target, BYSTANDERS_NAMED),
        bansWithin: book.within(target).filter(ban => ban.target !== target && live(ban)),
        coveredBy: banOn(target, now),
        addresses: (1n << BigInt((familyOf(target) === 4 ? 32 : 128) - bitsOf(target))).toString(),
      };
    },
    banOn,
    allowOn: target => allowList.covering(target).at(-1) ?? null,
    bans: book.all,
    fullRooms: placing.fullRooms,
    allowed: allowList.all,
    offence: target => offences.get(target) ?? null,
    standing: desk.standing,
    snapshot() {
      const remembered = memory.all();
      return { bans: book.all(), allowed: allowList.orders(), offences: offences.all(), ...(remembered.length === 0 ? {} : { advice: remembered }) };
    },
  };
}

/** What the kernel shuns by itself it only counts in mode observe. */
const actsAlone = ({ kind }: Sighting, kept: Recorded): boolean => kept === 'spoofable' && (kind === 'scan' || kind === 'flood');

function refuse(target: Prefix, refusal: Refusal | null, because: Sighting | null, out: Outbox): void {
  if (refusal !== null) out.decisions.push({ kind: 'refuse', target, ...refusal, because });
}

function append(change: ListChange, out: Outbox): void {
  out.decisions.push(...change.decisions);
  out.changes.push(...change.changes);
}

/** The one address that a source is, or what equals none. */
const addressOf = (source: Address | Prefix): Address =>
  source.includes('/') && isHostPrefix(source as Prefix) ? networkOf(source as Prefix) : (source as Address);

const asPrefix = (source: Address | Prefix): Prefix => (source.includes('/') ? (source as Prefix) : hostPrefix(source as Address));
