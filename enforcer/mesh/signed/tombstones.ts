/** What was taken back, kept as long as the advice would have held: advice that comes after its withdrawal is void on arrival. */
import type { Prefix } from '@honeymesh/intel/address';
import type { Advice, Withdrawal } from '@honeymesh/intel/advisories';
import { type EnvelopeHeader, type KeyId, LONGEST_LIFE_MS } from '@honeymesh/intel/envelope';
import type { UnixMs } from '@honeymesh/intel/time';

export interface Tombstones {
  /** False where it names what its signer had not said by then: nobody takes back the future. */
  lay(by: EnvelopeHeader, withdrawal: Withdrawal): boolean;
  /** What is left of the advice of this envelope. */
  standing(header: EnvelopeHeader, advice: readonly Advice[]): readonly Advice[];
  readonly size: number;
  prune(now: UnixMs): void;
}

/** Targets (or whole envelopes) taken back by one key within a day; beyond, the oldest fall. They still bar what was seen once. */
export const MOST_OF_A_KEY = 16_384;

interface Stone {
  whole: boolean;
  readonly targets: Set<Prefix>;
  until: number;
}

interface Yard {
  readonly stones: Map<string, Stone>;
  size: number;
}

const nameOf = (epoch: number, seq: number): string => `${epoch}/${seq}`;
const weightOf = (stone: Stone): number => stone.targets.size + 1;

export function createTombstones(mostOfAKey: number = MOST_OF_A_KEY): Tombstones {
  const yards = new Map<KeyId, Yard>();

  return {
    lay(by, { epoch, seq, targets }) {
      if (epoch > by.epoch || (epoch === by.epoch && seq >= by.seq)) return false;
      const yard = yards.get(by.kid) ?? { stones: new Map<string, Stone>(), size: 0 };
      yards.set(by.kid, yard);
      const name = nameOf(epoch, seq);
      const stone = yard.stones.get(name) ?? { whole: false, targets: new Set<Prefix>(), until: 0 };
      const before = yard.stones.has(name) ? weightOf(stone) : 0;
      if (targets.length === 0) {
        stone.whole = true;
        stone.targets.clear();
      }
      if (!stone.whole) for (const target of targets) stone.targets.add(target);
      // Said before this withdrawal, so it ends no later than a day after it.
      stone.until = Math.max(stone.until, by.issuedAt + LONGEST_LIFE_MS);
      yard.stones.set(name, stone);
      yard.size += weightOf(stone) - before;
      for (const [oldest, fallen] of yard.stones) {
        if (yard.size <= mostOfAKey) break;
        yard.stones.delete(oldest);
        yard.size -= weightOf(fallen);
      }
      return true;
    },
    standing({ kid, epoch, seq }, advice) {
      const stone = yards.get(kid)?.stones.get(nameOf(epoch, seq));
      if (stone === undefined) return advice;
      return stone.whole ? [] : advice.filter(({ target }) => !stone.targets.has(target));
    },
    get size() {
      let size = 0;
      for (const yard of yards.values()) size += yard.size;
      return size;
    },
    prune(now) {
      for (const [kid, yard] of yards) {
        for (const [name, stone] of yard.stones) {
          if (stone.until > now) continue;
          yard.stones.delete(name);
          yard.size -= weightOf(stone);
        }
        if (yard.stones.size === 0) yards.delete(kid);
      }
    },
  };
}
