/**
 * Judges advice. What others say bans only what this host has no ban of its own for, only for as long as enough of them say so, and never for long; all that
 * this host saw, or its operator ordered, comes first. What they said is remembered beside the book of bans: when an own ban ends, what advice still holds
 * is banned by it anew.
 */
import type { Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Book } from '../book.ts';
import type { SignerStanding } from '../decisions.ts';
import type { Outbox, Placing } from '../placing.ts';
import { endOf } from '../terms.ts';
import {
  type AdviceEffect,
  type AdviceRefusal,
  accountOf,
  isBefore,
  MOST_TOLD,
  type ReceivedAdvice,
  type ReceivedWithdrawal,
  SLOT_MS,
  type Wrong,
} from './advice.ts';
import { advisedBan, changeBetween } from './bans.ts';
import { clientsIn, type Ground, objection } from './ground.ts';
import type { AdviceMemory } from './memory.ts';
import { countsSince, heldFor, judge, longestHeld, type Standing } from './quorum.ts';
import type { Counted, TargetRecord, Vote } from './records.ts';
import { blamed, naming, trustOf } from './signers.ts';

export interface AdviceDesk {
  advise(advice: ReceivedAdvice, now: UnixMs, out: Outbox): void;
  withdraw(withdrawal: ReceivedWithdrawal, now: UnixMs, out: Outbox): void;
  misconduct(signer: string, now: UnixMs, out: Outbox): void;
  revoke(signer: string, now: UnixMs, out: Outbox): void;
  /** Draws the consequences of what was decided from decision number `from` on, and of what it decides by that itself. */
  follow(from: number, now: UnixMs, out: Outbox): void;
  standing(signer: string, now: UnixMs): SignerStanding;
}

export interface AdviceDeskDeps extends Ground {
  /** Mode observe: decided, not enforced. */
  readonly observes: boolean;
  readonly book: Book;
  readonly placing: Placing;
  readonly memory: AdviceMemory;
}

interface Tally {
  accepted: number;
  refused: number;
  slot: number;
  told: number;
  untold: number;
}

const LOOKED_AT = 64; // of the loudest signer's targets, for one that can be forgotten

export function createAdviceDesk(deps: AdviceDeskDeps): AdviceDesk {
  const { policy, mesh, book, placing, memory, observes, bystanders } = deps;
  const tallies = new Map<string, Tally>();

  const trustIn = (account: string, now: UnixMs): number => trustOf(memory.signer(account, now), policy.trust, now);
  const standingAt = (now: UnixMs): Standing => ({ policy, mesh, trusted: account => trustIn(account, now) >= policy.trust.votesFrom });

  function tally(account: string): Tally {
    const known = tallies.get(account) ?? { accepted: 0, refused: 0, slot: 0, told: 0, untold: 0 };
    tallies.set(account, known);
    return known;
  }

  function refuse(advice: ReceivedAdvice, why: AdviceRefusal, text: string, now: UnixMs, out: Outbox): void {
    const count = tally(accountOf(advice));
    const slot = Math.floor(now / SLOT_MS);
    if (slot !== count.slot) Object.assign(count, { slot, told: 0 });
    count.refused++;
    if (count.told >= MOST_TOLD) {
      count.untold++;
      return;
    }
    out.decisions.push({ kind: 'advice-refused', advice, why, text, untold: count.untold });
    Object.assign(count, { told: count.told + 1, untold: 0 });
  }

  function blame(account: string, wrong: Wrong, now: UnixMs, out: Outbox): void {
    const before = memory.signer(account, now);
    const after = blamed(before, wrong, policy.trust, now);
    memory.put(after, out.changes);
    if (trustOf(before, policy.trust, now) >= policy.trust.votesFrom && after.trust < policy.trust.votesFrom)
      for (const target of memory.spokenOf(account)) settle(target, now, out);
  }

  /** Makes the book say of `target` what the votes on it amount to now. */
  function settle(target: Prefix, now: UnixMs, out: Outbox): AdviceEffect | 'no-room' {
    const held = book.get(target);
    if (held !== undefined && held.advised === undefined) return 'own-ban';
    const record = memory.target(target);
    // Nobody says anything of it any more, and nothing holds it: so it is with thousands when they end in one moment.
    if (held === undefined && record?.votes.some(vote => vote.expiresAt > now) !== true) return 'counted';
    const untouchable = memory.isImmune(target, now) || objection(target, deps) !== null;
    const verdict = record === undefined || untouchable ? null : judge(record.votes, memory.overlapping(target), standingAt(now), now);
    if (record === undefined || verdict === null) {
      if (held !== undefined) placing.lift(held, 'withdrawn', now, out);
      return 'counted';
    }
    const effect = verdict.provisional ? 'provisional' : 'banned';
    if (observes) return effect;
    if (held === undefined && book.covering(target).some(cover => cover.advised === undefined && endOf(cover) >= verdict.end)) return 'own-ban';
    const ban = advisedBan(target, verdict, held, now);
    const change = held === undefined ? 'new' : changeBetween(held, ban);
    if (change === 'new') {
      if (placing.admit(ban, null, now, out) !== null) return 'no-room';
    } else if (change !== null) placing.replace({ ban, change }, null, out);
    const overlapping = memory.overlapping(target);
    const counted = withCounted(record.counted, verdict.votes, overlapping, now);
    const starts = record.heldSince === null ? { heldMs: longestHeld(overlapping, policy, now), heldSince: now } : {};
    if (change !== null || counted.length !== record.counted.length) memory.put({ ...record, counted, ...starts }, out.changes);
    return effect;
  }

  function withCounted(counted: readonly Counted[], votes: readonly Vote[], overlapping: readonly TargetRecord[], now: UnixMs): readonly Counted[] {
    const all = overlapping.flatMap(record => record.counted);
    const kept = counted.filter(entry => entry.since + policy.longestMs + policy.restMs > now);
    const more = votes.filter(({ account }) => !kept.some(entry => entry.account === account));
    return [...kept, ...more.map(({ account, site }) => ({ account, site, since: countsSince({ account, site }, all, deps, now) ?? now }))];
  }

  /** Advice holds the target no longer, as of `at`. */
  function release(target: Prefix, at: UnixMs, out: Outbox): void {
    const record = memory.target(target);
    if (record === undefined || record.heldSince === null) return;
    memory.put({ ...record, heldMs: heldFor(record, policy, at), heldSince: null, heldUntil: at }, out.changes);
  }

  /** The operator let it go: whoever advised what held it was wrong, and nobody talks this host into it again for a day. */
  function lifted(ban: Ban, now: UnixMs, out: Outbox): void {
    memory.put({ kind: 'immune', target: ban.target, until: (now + policy.immuneMs) as UnixMs }, out.changes);
    for (const other of [...book.covering(ban.target), ...book.within(ban.target)])
      if (other.advised !== undefined && book.get(other.target) === other) placing.lift(other, 'withdrawn', now, out);
    if (ban.advised === undefined) return;
    const accounts = new Set((memory.target(ban.target)?.votes ?? []).map(vote => vote.account));
    for (const account of accounts) blame(account, 'lifted', now, out);
  }

  /** Room for one more target: the signer who named most gives one up that advice hardly held. False: there is none. */
  function hasRoom(account: string, out: Outbox): boolean {
    if (memory.targets < policy.targetsAtMost) return true;
    const loudest = memory.loudest();
    if (loudest === undefined || loudest === account) return false;
    const records = memory.spokenOf(loudest, LOOKED_AT).map(target => memory.target(target));
    const leaving = records.find(record => record !== undefined && record.heldSince === null && record.heldMs <= policy.provisionalMs);
    if (leaving === undefined) return false;
    memory.forget(leaving, out.changes);
    return true;
  }

  /** Why this advice is not taken, or null; takes account of what it names. */
  function refusal(advice: ReceivedAdvice, expiresAt: UnixMs, now: UnixMs, out: Outbox): readonly [AdviceRefusal, string] | null {
    const { signer, target, tier, epoch, sequence } = advice;
    const account = accountOf(advice);
    if (!advice.certified && advice.path === 'mesh') return ['unsigned', 'its sender has no certificate of this mesh'];
    if (tier !== 'E1' && tier !== 'E2') return ['not-proven', `its evidence (${tier}) proves nothing to others`];
    if (advice.issuedAt > now + policy.skewMs) return ['ahead-of-time', 'it was signed in the future'];
    if (expiresAt <= now) return ['expired', 'its time was up when it came'];
    const taken = [memory.withdrawn(signer, target, epoch, sequence), memory.withdrawn(signer, null, epoch, sequence)];
    if (taken.some(record => record !== undefined && !isBefore(record, advice))) return ['withdrawn', 'its signer took it back'];
    const trust = trustIn(account, now);
    if (trust < policy.trust.votesFrom) return ['distrusted', `what its signer said was wrong too often (trust ${trust.toFixed(2)})`];
    const against = objection(target, deps);
    if (against !== null) return [against.why, against.text];
    if (memory.isImmune(target, now)) return ['immune', 'the operator lifted it within a day'];
    // Before all that looks at what lies in a prefix, which is work: so much of it an hour, no more.
    const named = naming(memory.signer(account, now), target, policy, now);
    if (named === null) return ['too-many', 'its signer named more in an hour than one may'];
    memory.put(named, out.changes);
    const counted = memory.overlapping(target).flatMap(record => record.counted);
    if (countsSince({ account, site: advice.site }, counted, deps, now) === null) return ['spent', 'the word of its signer held it for long enough'];
    const clients = clientsIn(target, bystanders);
    if (clients !== 'none') {
      blame(account, clients === 'it-is-one' ? 'named-client' : 'hit-clients', now, out);
      return ['clients', clients === 'it-is-one' ? 'it has sessions with services of this host' : 'clients of this host live in it'];
    }
    return memory.target(target) === undefined && !hasRoom(account, out) ? ['no-room', 'too many targets are advised'] : null;
  }

  return {
    advise(advice, now, out) {
      const { target } = advice;
      const account = accountOf(advice);
      const expiresAt = Math.min(advice.expiresAt, advice.issuedAt + policy.longestMs) as UnixMs;
      const before = memory.target(target)?.votes.find(vote => vote.account === account);
      // The newest word holds, so that what comes twice or late changes nothing; of the hub's many signers the one that holds longest.
      if (before !== undefined && before.expiresAt > now && (before.signer === advice.signer ? !isBefore(before, advice) : before.expiresAt >= expiresAt))
        return;
      const no = refusal(advice, expiresAt, now, out);
      if (no !== null) {
        refuse(advice, ...no, now, out);
        return;
      }
      const record = memory.target(target) ?? { kind: 'target', target, votes: [], counted: [], heldMs: 0, heldSince: null, heldUntil: now };
      const { signer, site, path, epoch, sequence, issuedAt, reasons } = advice;
      const vote: Vote = { account, signer, site, path, epoch, sequence, issuedAt, expiresAt, tier: advice.tier === 'E2' ? 'E2' : 'E1', reasons };
      const others = record.votes.filter(held => held.account !== account && held.expiresAt > now);
      memory.put({ ...record, votes: [...others, vote] }, out.changes);
      tally(account).accepted++;
      const at = out.decisions.length;
      const effect = settle(target, now, out);
      const accepted = effect === 'no-room' ? 'counted' : effect;
      const wouldBan = observes && (accepted === 'banned' || accepted === 'provisional');
      out.decisions.splice(at, 0, { kind: 'advice-accepted', advice, effect: accepted, wouldBan });
    },

    withdraw(withdrawal, now, out) {
      const { signer, target, epoch, sequence, issuedAt } = withdrawal;
      const account = accountOf(withdrawal);
      if (!withdrawal.certified && withdrawal.path === 'mesh') return;
      if (issuedAt > now + policy.skewMs || issuedAt + policy.longestMs <= now) return; // what it takes back is over before
      const known = memory.withdrawn(signer, target, epoch, sequence);
      if (known !== undefined && !isBefore(known, withdrawal)) return;
      const until = (now + policy.longestMs + policy.skewMs) as UnixMs;
      memory.put({ kind: 'withdrawn', account, signer, target, epoch, sequence, until }, out.changes);
      const at = out.decisions.length;
      const concerned = (target === null ? memory.saidIn(signer, epoch, sequence) : [target]).filter(each => {
        const record = memory.target(each);
        const votes = record?.votes.filter(vote => vote.account !== account || vote.signer !== signer || isBefore(withdrawal, vote)) ?? [];
        if (record === undefined || votes.length === record.votes.length) return false;
        memory.put({ ...record, votes }, out.changes);
        settle(each, now, out);
        return true;
      });
      out.decisions.splice(at, 0, { kind: 'withdrawal', withdrawal, targets: concerned });
      if (withdrawal.asError && concerned.length > 0) blame(account, 'erred', now, out);
    },

    misconduct: (signer, now, out) => blame(signer, 'misconduct', now, out),

    revoke(signer, now, out) {
      for (const target of memory.spokenOf(signer)) {
        const record = memory.target(target);
        if (record === undefined) continue;
        memory.put({ ...record, votes: record.votes.filter(vote => vote.account !== signer) }, out.changes);
        settle(target, now, out);
      }
    },

    follow(from, now, out) {
      for (let at = from; at < out.decisions.length; at++) {
        const decision = out.decisions[at];
        if (decision?.kind === 'expire') {
          release(decision.ban.target, Math.min(now, endOf(decision.ban)) as UnixMs, out);
          // What an own ban hid is looked at again; and what too few say for good one may still say for some minutes.
          const concerned = decision.ban.advised === undefined ? memory.within(decision.ban.target).map(record => record.target) : [decision.ban.target];
          for (const target of concerned) settle(target, now, out);
        } else if (decision?.kind === 'lift' || decision?.kind === 'evict') {
          release(decision.ban.target, now, out);
          if (decision.kind === 'lift' && decision.why === 'order') lifted(decision.ban, now, out);
        } else if (decision?.kind === 'ban' && decision.ban.advised === undefined) release(decision.ban.target, now, out);
        else if (decision?.kind === 'aggregate') for (const ban of [decision.ban, ...decision.replaces]) release(ban.target, now, out);
        else if (decision?.kind === 'allow') {
          for (const ban of book.covering(decision.entry.target)) if (ban.advised !== undefined) placing.lift(ban, 'allowed', now, out);
        }
      }
    },

    standing(signer, now) {
      const { accepted, refused } = tallies.get(signer) ?? { accepted: 0, refused: 0 };
      return { trust: trustIn(signer, now), accepted, refused };
    },
  };
}
