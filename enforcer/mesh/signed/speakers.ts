/**
 * What each key has said before, by number, and how fast it comes in. Numbers of an epoch are remembered until everything in it has ended: from then
 * on a replay is refused for its age.
 */
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import { type EnvelopeHeader, type EnvelopeType, type KeyId, LONGEST_LIFE_MS } from '@honeymesh/intel/envelope';
import { MINUTE_MS, type UnixMs } from '@honeymesh/intel/time';
import { createSeen, type Range, type SeenNumbers } from './seen.ts';

/** Live arrivals of one key, for load only: whether a peer is honest is judged on signed time. */
export const ARRIVAL: Readonly<Record<EnvelopeType, BucketLimits>> = {
  intel: { burst: 16, everyMs: 500 },
  accusation: { burst: 16, everyMs: 500 },
  leave: { burst: 4, everyMs: 500 },
  rekey: { burst: 128, everyMs: 50 },
};
/** A restart is an epoch. Who starts more often than this has its words heard later, by repair. */
export const NEW_EPOCHS: BucketLimits = { burst: 16, everyMs: 10 * MINUTE_MS };
export const MOST_EPOCHS = 32;

export interface EpochNumbers {
  readonly epoch: number;
  readonly ranges: readonly Range[];
}

export type EpochRefusal = 'old-epoch' | 'too-many-epochs';

export interface Speakers {
  has(kid: KeyId, epoch: number, seq: number): boolean;
  /** Whether numbers of this epoch would be taken now; pours nothing. */
  epochRefusal(header: EnvelopeHeader, now: UnixMs): EpochRefusal | null;
  mark(header: EnvelopeHeader, now: UnixMs): void;
  /** Whether one more may come in live; pours nothing. */
  mayArrive(header: EnvelopeHeader, now: UnixMs): boolean;
  arrived(header: EnvelopeHeader, now: UnixMs): void;
  numbersOf(kid: KeyId): readonly EpochNumbers[];
  keys(): readonly KeyId[];
  forget(kid: KeyId): void;
  prune(now: UnixMs): void;
}

interface Epoch {
  readonly seen: SeenNumbers;
  latestIssuedAt: number;
}

interface Speaker {
  readonly epochs: Map<number, Epoch>;
  /** Epochs below were pushed out: they stay refused. */
  floor: number;
  newEpochs: Bucket;
  readonly arrivals: Partial<Record<EnvelopeType, Bucket>>;
}

export function createSpeakers(): Speakers {
  const speakers = new Map<KeyId, Speaker>();

  function speakerOf(kid: KeyId): Speaker {
    const known = speakers.get(kid);
    if (known !== undefined) return known;
    const fresh: Speaker = { epochs: new Map(), floor: 0, newEpochs: emptyBucket, arrivals: {} };
    speakers.set(kid, fresh);
    return fresh;
  }

  return {
    has: (kid, epoch, seq) => speakers.get(kid)?.epochs.get(epoch)?.seen.has(seq) === true,
    epochRefusal({ kid, epoch }, now) {
      const speaker = speakers.get(kid);
      if (speaker === undefined || speaker.epochs.has(epoch)) return null;
      if (epoch < speaker.floor) return 'old-epoch';
      return pour(speaker.newEpochs, NEW_EPOCHS, now).admitted ? null : 'too-many-epochs';
    },
    mark({ kid, epoch, seq, issuedAt }, now) {
      const speaker = speakerOf(kid);
      let known = speaker.epochs.get(epoch);
      if (known === undefined) {
        speaker.newEpochs = pour(speaker.newEpochs, NEW_EPOCHS, now).bucket;
        known = { seen: createSeen(), latestIssuedAt: issuedAt };
        speaker.epochs.set(epoch, known);
        if (speaker.epochs.size > MOST_EPOCHS) {
          const lowest = Math.min(...speaker.epochs.keys());
          speaker.epochs.delete(lowest);
          speaker.floor = Math.max(speaker.floor, lowest + 1);
        }
      }
      known.seen.add(seq);
      known.latestIssuedAt = Math.max(known.latestIssuedAt, issuedAt);
    },
    mayArrive: ({ kid, type }, now) => pour(speakers.get(kid)?.arrivals[type] ?? emptyBucket, ARRIVAL[type], now).admitted,
    arrived({ kid, type }, now) {
      const speaker = speakerOf(kid);
      speaker.arrivals[type] = pour(speaker.arrivals[type] ?? emptyBucket, ARRIVAL[type], now).bucket;
    },
    numbersOf: kid => [...(speakers.get(kid)?.epochs ?? [])].map(([epoch, { seen }]) => ({ epoch, ranges: seen.ranges() })),
    keys: () => [...speakers.keys()],
    forget: kid => void speakers.delete(kid),
    prune(now) {
      for (const [kid, speaker] of speakers) {
        for (const [epoch, { latestIssuedAt }] of speaker.epochs) if (latestIssuedAt + LONGEST_LIFE_MS <= now) speaker.epochs.delete(epoch);
        if (speaker.epochs.size === 0 && speaker.floor === 0) speakers.delete(kid);
      }
    },
  };
}
