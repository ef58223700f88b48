/**
 * Who may in. A wrong token is counted for its source, told as an `auth` event (a flood as a number), and evidence once there are several: nobody mistypes 64
 * digits five times. Pure but for the keeper that it asks: the caller owns the clock.
 */
import { type Address, parseAddress } from '@honeymesh/intel/address';
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import type { NewEvent } from '@honeymesh/intel/events';
import type { Sighting } from '@honeymesh/intel/sightings';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { groupOf } from '../mesh/registrar/admission.ts';
import type { TokenKeeper, TokenNumber } from './token-keeper.ts';

export type Pass =
  | { readonly in: true; readonly token: TokenNumber }
  | { readonly in: false; readonly why: 'no-token' | 'wrong-token' }
  | { readonly in: false; readonly why: 'too-many'; readonly retryInMs: number };

export interface Gate {
  /** `source`: the socket's other end, as text. */
  enter(source: string, presented: string | undefined): Pass;
  counts(): { readonly wrong: number; readonly missing: number; readonly limited: number; readonly evidence: number };
}

export interface GateLimits {
  /** Wrong tokens of one source. */
  readonly wrong: BucketLimits;
  readonly told: BucketLimits;
  /** So many wrong tokens of one source within `evidenceMs` are evidence. */
  readonly evidenceAt: number;
  readonly evidenceMs: number;
  readonly mostSources: number;
}

export const GATE_LIMITS: GateLimits = {
  wrong: { burst: 10, everyMs: 3_000 },
  told: { burst: 32, everyMs: 10_000 },
  evidenceAt: 5,
  evidenceMs: 10 * 60_000,
  mostSources: 1_024,
};

export interface GateDeps {
  readonly tokens: Pick<TokenKeeper, 'check'>;
  readonly port: () => number;
  readonly record: (event: NewEvent) => void;
  /** The ledger has the last word: who is allowed is not banned. */
  readonly sight: (sighting: Sighting) => void;
  readonly now: () => UnixMs;
}

interface Guesser {
  readonly bucket: Bucket;
  readonly firstAt: UnixMs;
  readonly guesses: number;
}

export function createGate({ tokens, port, record, sight, now }: GateDeps, limits: GateLimits = GATE_LIMITS): Gate {
  const guessers = new Map<string, Guesser>();
  const counts = { wrong: 0, missing: 0, limited: 0, evidence: 0 };
  let told: Bucket = emptyBucket;
  let untold = 0;

  function remember(group: string, guesser: Guesser): void {
    guessers.delete(group);
    if (guessers.size >= limits.mostSources) for (const oldest of guessers.keys()) if (guessers.delete(oldest)) break;
    guessers.set(group, guesser);
  }

  function tell(source: Address | null, at: UnixMs): void {
    const poured = pour(told, limits.told, at);
    told = poured.bucket;
    if (!poured.admitted) {
      untold++;
      return;
    }
    const more = untold === 0 ? '' : `; ${untold} before it were only counted`;
    untold = 0;
    record({
      at,
      kind: 'auth',
      source,
      port: port(),
      protocol: 'tcp',
      tier: null,
      reasons: [],
      origin: null,
      summary: `a wrong token at the dashboard${more}`,
    });
  }

  return {
    enter(text, presented) {
      if (presented === undefined) {
        counts.missing++;
        return { in: false, why: 'no-token' };
      }
      const at = now();
      const group = groupOf(text);
      const known = guessers.get(group);
      const poured = pour(known?.bucket ?? emptyBucket, limits.wrong, at);
      // Not even a right one: who may go on trying while being refused is not limited at all.
      if (!poured.admitted) {
        counts.limited++;
        return { in: false, why: 'too-many', retryInMs: poured.retryInMs };
      }
      const token = tokens.check(presented);
      if (token !== null) return { in: true, token };
      counts.wrong++;
      const isRecent = known !== undefined && at - known.firstAt < limits.evidenceMs && at >= known.firstAt;
      const guesses = isRecent ? known.guesses + 1 : 1;
      remember(group, { bucket: poured.bucket, firstAt: isRecent ? known.firstAt : at, guesses });
      const read = parseAddress(text.replace(/%.*$/, ''));
      const source = read.ok ? read.value : null;
      tell(source, at);
      if (guesses < limits.evidenceAt || source === null || isLoopback(source)) return { in: false, why: 'wrong-token' };
      counts.evidence++;
      remember(group, { bucket: poured.bucket, firstAt: at, guesses: 0 });
      sight(guessing({ source, guesses, port: port(), at }));
      return { in: false, why: 'wrong-token' };
    },
    counts: () => ({ ...counts }),
  };
}

/** A TCP connection came about, so its source is who it says it is (E1). */
function guessing({ source, guesses, port, at }: { source: Address; guesses: number; port: number; at: UnixMs }): Sighting {
  return {
    at: unixMs(at),
    source,
    kind: 'auth',
    tier: 'E1',
    reasons: ['dashboard-guessing'],
    origin: 'trap',
    port,
    protocol: 'tcp',
    summary: `guessed at the dashboard's token ${guesses} times`,
    detail: { guesses },
  };
}

export const isLoopback = (address: string): boolean => address === '::1' || /^(::ffff:)?127\./.test(address);
