/** For how long advice held an address, from decisions alone: by whatever targets, in pieces with less than a day between them. */
import { type Address, contains, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { DAY_MS, type UnixMs } from '@honeymesh/intel/time';
import type { Decision } from '#enforcer/ledger/decisions.ts';

interface Piece {
  readonly target: Prefix;
  readonly from: number;
  readonly to: number;
}

export interface Holds {
  follow(decisions: readonly Decision[], now: UnixMs): void;
  /** Goes up with each piece that is over. */
  readonly ended: number;
  pieces(address: Address): readonly Piece[];
  /** The longest sum of pieces between which there is less than a day. */
  longestMs(address: Address): number;
}

/** `counts`: which bans are reckoned. */
export function createHolds(counts: (ban: Ban) => boolean = ban => ban.advised !== undefined): Holds {
  const open = new Map<Prefix, number>();
  const done: Piece[] = [];

  function close(target: Prefix, to: number): void {
    const from = open.get(target);
    open.delete(target);
    if (from !== undefined && to > from) done.push({ target, from, to });
  }

  function pieces(address: Address): readonly Piece[] {
    return done.filter(piece => contains(piece.target, address)).sort((one, other) => one.from - other.from);
  }

  return {
    follow(decisions, now) {
      for (const decision of decisions) {
        if (decision.kind === 'ban' && counts(decision.ban)) {
          if (!open.has(decision.ban.target)) open.set(decision.ban.target, now);
        } else if (decision.kind === 'expire') close(decision.ban.target, Math.min(now, decision.ban.expiresAt ?? now));
        else if (decision.kind === 'aggregate') for (const ban of [decision.ban, ...decision.replaces]) close(ban.target, now);
        else if (decision.kind === 'ban' || decision.kind === 'lift' || decision.kind === 'evict') close(decision.ban.target, now);
      }
    },
    get ended() {
      return done.length;
    },
    pieces,
    longestMs(address) {
      let longest = 0;
      let sum = 0;
      let end = Number.NEGATIVE_INFINITY;
      for (const { from, to } of pieces(address)) {
        if (from >= end + DAY_MS) sum = 0;
        sum += Math.max(0, to - Math.max(from, end));
        end = Math.max(end, to);
        longest = Math.max(longest, sum);
      }
      return longest;
    },
  };
}
