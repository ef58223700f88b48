/**
 * Epochs of a host: each start of it is one. The pace runs within an epoch, so new epochs have a pace too: by arrival, for an honest host starts seldom and
 * a liar would start with each message. Whoever starts more often is heard later: the refusal is not final.
 */
import { type Bucket, type BucketLimits, emptyBucket, pour } from '@honeymesh/intel/bucket';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { MINUTE_MS, type UnixMs } from '@honeymesh/intel/time';

export interface Epochs {
  /** Ascending, at most MOST_EPOCHS. */
  readonly known: readonly number[];
  /** Those below were pushed out and stay refused. */
  readonly floor: number;
  readonly bucket: Bucket;
}

export const NEW_EPOCHS: BucketLimits = { burst: 16, everyMs: 10 * MINUTE_MS };
export const MOST_EPOCHS = 256;
export const noEpochs: Epochs = { known: [], floor: 0, bucket: emptyBucket };

/** The epochs with this one in them; the same object where it was known. */
export function withEpoch(epochs: Epochs, epoch: number, now: UnixMs): Parsed<Epochs, 'old-epoch' | 'too-many-epochs'> {
  if (epochs.known.includes(epoch)) return parsed(epochs);
  if (epoch < epochs.floor) return unparsed('old-epoch');
  const poured = pour(epochs.bucket, NEW_EPOCHS, now);
  if (!poured.admitted) return unparsed('too-many-epochs');
  const known = [...epochs.known, epoch].sort((one, other) => one - other);
  const pushedOut = known.length > MOST_EPOCHS ? (known.shift() ?? 0) : -1;
  return parsed({ known, floor: Math.max(epochs.floor, pushedOut + 1), bucket: poured.bucket });
}
