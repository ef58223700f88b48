/**
 * What we say: advice and withdrawals gathered into one envelope each 500 ms, everything else when it comes up. No number is used twice: an epoch is
 * written down by the owner before its first number is used, and each start takes the next one.
 */
import type { Prefix } from '@honeymesh/intel/address';
import { type Advice, adviceBytes, encodeIntel, type Intel, isAdvisable } from '@honeymesh/intel/advisories';
import {
  ENVELOPE_OVERHEAD_BYTES,
  type EnvelopeType,
  type KeyId,
  LONGEST_ENVELOPE_BYTES,
  LONGEST_LIFE_MS,
  type Signatures,
  sealEnvelope,
} from '@honeymesh/intel/envelope';
import { SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { SPACING_MS } from './misuse.ts';
import { createOutTray, type OutTray } from './out-tray.ts';
import { createOwnWords, type OwnWords } from './own-words.ts';

export interface SenderOptions {
  readonly clusterId: Uint8Array;
  readonly kid: KeyId;
  readonly secret: Uint8Array;
  /** The last epoch that was written down, 0 if none ever was. */
  readonly lastEpoch: number;
  /** What label, encryption and path leave of a datagram; at most LONGEST_ENVELOPE_BYTES. */
  readonly longestBytes: number;
  /** Targets that wait for their turn: beyond, the oldest of the weakest evidence is dropped. */
  readonly mostWaiting: number;
}

export const SENDER_LIMITS = { longestBytes: LONGEST_ENVELOPE_BYTES, mostWaiting: 65_536 } as const;

export type Sent =
  /** Write this down for good, then call `persisted`. Until then nothing goes out. */
  | { readonly kind: 'persist-epoch'; readonly epoch: number }
  | {
      readonly kind: 'say';
      readonly type: EnvelopeType;
      readonly epoch: number;
      readonly seq: number;
      readonly payload: Uint8Array;
      readonly intel: Intel | null;
    }
  /** More came than can be said: these never left. */
  | { readonly kind: 'dropped'; readonly advice: readonly Advice[] };

export interface Sender {
  readonly epoch: number;
  /** Asks for an epoch; call it once. */
  start(): readonly Sent[];
  persisted(epoch: number, now: UnixMs): readonly Sent[];
  /** Throws a RangeError on a target that is too wide: the policy asks `isAdvisable` before. */
  advise(advice: readonly Advice[], now: UnixMs): readonly Sent[];
  /** Takes back everything that we said of these targets, or of what lies in them, and that still holds, or that waits. `asError`: it was wrong, not only over. */
  withdraw(targets: readonly Prefix[], asError: boolean, now: UnixMs): readonly Sent[];
  /** Takes back what envelope `seq` of this or an earlier epoch said; false: nothing of it holds. */
  withdrawItem(epoch: number, seq: number, asError: boolean, now: UnixMs): readonly Sent[] | false;
  /** An accusation, a leave or sealed keys. `ttlS` counts from when it goes out. */
  signal(type: Exclude<EnvelopeType, 'intel'>, body: Uint8Array, ttlS: number, now: UnixMs): readonly Sent[];
  /** Words of ours that came back from others after a start: they can be withdrawn again. */
  recall(header: { readonly epoch: number; readonly seq: number; readonly issuedAt: UnixMs }, advice: readonly Advice[], now: UnixMs): void;
  due(now: UnixMs): readonly Sent[];
  nextDeadline(): UnixMs | 'never';
}

const MOST_SIGNALS = 256;
/** Waited out. */
const SMALL_STEP_MS = 1_000;
/** Below, not even one withdrawal would fit. */
const SHORTEST_ENVELOPE_BYTES = 256;

export function createSender(options: SenderOptions, { signatures }: { readonly signatures: Signatures }): Sender {
  if (options.longestBytes < SHORTEST_ENVELOPE_BYTES) throw new RangeError(`envelopes of ${options.longestBytes} bytes hold nothing`);
  const room = Math.min(options.longestBytes, LONGEST_ENVELOPE_BYTES) - ENVELOPE_OVERHEAD_BYTES;
  const tray: OutTray = createOutTray({ mostWaiting: options.mostWaiting });
  const said: OwnWords = createOwnWords();
  const signals: { readonly type: Exclude<EnvelopeType, 'intel'>; readonly body: Uint8Array; readonly ttlS: number }[] = [];
  let epoch = options.lastEpoch;
  let ready = false;
  let seq = 0;
  /** Signed time of the last of each type; none may be closer, none goes back within an epoch. */
  const lastAt = new Map<EnvelopeType, number>();

  const dueAt = (type: EnvelopeType): number => (lastAt.get(type) ?? Number.NEGATIVE_INFINITY) + SPACING_MS[type];

  function nextEpoch(): readonly Sent[] {
    ready = false;
    return [{ kind: 'persist-epoch', epoch: epoch + 1 }];
  }

  /** Signed time never goes back within an epoch (it would look like cheating): after a step of our clock it begins anew, in an epoch of its own. */
  const clockWentBack = (now: UnixMs): boolean => [...lastAt.values()].some(at => at > now + SMALL_STEP_MS);

  function say(type: EnvelopeType, body: Uint8Array, ttlS: number, now: UnixMs, intel: Intel | null): Sent {
    lastAt.set(type, now);
    seq++;
    const header = { kid: options.kid, epoch, seq, issuedAt: now, ttlS, type };
    const payload = sealEnvelope(header, body, { clusterId: options.clusterId, secret: options.secret, signatures });
    return { kind: 'say', type, epoch, seq, payload, intel };
  }

  function sayIntel(now: UnixMs): readonly Sent[] {
    const dropped = tray.takeDropped();
    const told: Sent[] = dropped.length === 0 ? [] : [{ kind: 'dropped', advice: dropped }];
    if (tray.empty || dueAt('intel') > now) return told;
    const intel = tray.take(room);
    // What withdraws must be about as long as what it withdraws.
    const stillHolds = Math.max(0, ...intel.withdrawals.map(one => said.endOf(one.epoch, one.seq) - now));
    const ttlS = Math.ceil(Math.max(stillHolds / SECOND_MS, 1, ...intel.advice.map(one => one.ttlS)));
    const sent = say('intel', encodeIntel(intel), Math.min(ttlS, LONGEST_LIFE_MS / SECOND_MS), now, intel);
    for (const advice of intel.advice) said.add(advice, { epoch, seq, issuedAt: now });
    for (const withdrawal of intel.withdrawals) said.remove(withdrawal);
    return [...told, sent];
  }

  function saySignals(now: UnixMs): readonly Sent[] {
    const sent: Sent[] = [];
    for (let at = 0; at < signals.length; ) {
      const signal = signals[at];
      if (signal === undefined || dueAt(signal.type) > now) {
        at++;
        continue;
      }
      signals.splice(at, 1);
      sent.push(say(signal.type, signal.body, signal.ttlS, now, null));
    }
    return sent;
  }

  function due(now: UnixMs): readonly Sent[] {
    if (!ready) return [];
    if (clockWentBack(now)) return nextEpoch();
    said.prune(now);
    return [...saySignals(now), ...sayIntel(now)];
  }

  return {
    get epoch() {
      return epoch;
    },
    start: nextEpoch,
    persisted(written, now) {
      if (ready || written <= epoch) return [];
      epoch = written;
      ready = true;
      seq = 0;
      lastAt.clear();
      return due(now);
    },
    advise(advice, now) {
      for (const one of advice) if (!isAdvisable(one.target)) throw new RangeError(`${one.target} is too wide to be advised`);
      for (const one of advice) if (adviceBytes(one) + 2 <= room) tray.advise(one);
      return due(now);
    },
    withdraw(targets, asError, now) {
      for (const target of targets) {
        tray.forget(target);
        for (const inner of said.within(target))
          for (const { epoch: of, seq: number } of said.of(inner)) tray.withdraw({ epoch: of, seq: number, asError, targets: [inner] });
      }
      return due(now);
    },
    withdrawItem(of, number, asError, now) {
      const targets = said.targetsOf(of, number);
      if (targets.length === 0) return false;
      tray.withdraw({ epoch: of, seq: number, asError, targets: [] });
      return due(now);
    },
    signal(type, body, ttlS, now) {
      if (body.length > room) throw new RangeError(`a body of ${body.length} bytes, of at most ${room}`);
      signals.push({ type, body, ttlS });
      if (signals.length > MOST_SIGNALS) signals.shift();
      return due(now);
    },
    recall(header, advice, now) {
      for (const one of advice) said.add(one, header);
      said.prune(now);
    },
    due,
    nextDeadline() {
      if (!ready) return 'never';
      const times = signals.map(signal => dueAt(signal.type));
      if (!tray.empty) times.push(dueAt('intel'));
      return times.length === 0 ? 'never' : unixMs(Math.max(0, Math.min(...times)));
    },
  };
}
