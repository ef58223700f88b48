/** Receipts of a batch of changed spans: one a host and epoch, with all that is settled by then. */
import { isNodeName } from '@honeymesh/intel/certificates';
import { writeReceipt } from '@honeymesh/intel/hub-messages';
import { receiptTopic } from '@honeymesh/intel/hub-topics';
import type { Refused } from '../../hub/admit.ts';
import { mergeRanges, type Range, receiptOf, settledBy } from '../../hub/receipts.ts';
import { bytesOf, textOf } from '../../store/fields.ts';
import type { Peers } from '../../store/peers.ts';
import type { Item } from '../../store/port.ts';
import { decodeSpan, spanOfText } from '../../store/span-format.ts';
import { inTurns } from '../shared/in-turns.ts';

export interface ReceiptDeps {
  readonly peers: Pick<Peers, 'settled' | 'keepSettled'>;
  readonly publish: (topic: string, payload: Uint8Array) => Promise<void>;
  readonly now: () => number;
}

interface Settled {
  readonly thing: string;
  readonly epoch: number;
  ranges: readonly Range[];
  refused: readonly Refused[];
}

const MOST_TRIES = 5;

/** `items`: new images of the table of paces, in the order of the stream. The number of receipts. */
export async function makeReceipts(items: readonly Item[], deps: ReceiptDeps): Promise<number> {
  const byEpoch = new Map<string, Settled>();
  for (const item of items) {
    const thing = textOf(item, 'thing');
    const span = spanOfText(textOf(item, 'span'));
    if (span === null || !isNodeName(thing)) continue;
    const record = decodeSpan(span, bytesOf(item, 'record'));
    const name = `${thing}#${span.epoch}`;
    const all = byEpoch.get(name) ?? { thing, epoch: span.epoch, ranges: [], refused: [] };
    all.ranges = mergeRanges([...all.ranges, ...settledBy(record)], Number.POSITIVE_INFINITY);
    all.refused = [...new Map([...all.refused, ...record.refused].map(one => [one.seq, one])).values()];
    byEpoch.set(name, all);
  }
  await inTurns([...byEpoch.values()], one => send(one, deps));
  return byEpoch.size;
}

async function send({ thing, epoch, ranges, refused }: Settled, { peers, publish, now }: ReceiptDeps): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const before = await peers.settled(thing, epoch);
    const value = mergeRanges([...before.value, ...ranges]);
    if (!(await peers.keepSettled(thing, epoch, { value, version: before.version }, now()))) continue;
    return publish(receiptTopic(thing), writeReceipt(receiptOf(epoch, value, refused, now())));
  }
  throw new Error(`what is settled of ${thing} changed ${MOST_TRIES} times`);
}
