/**
 * The envelopes that hold now, as bytes to pass on to whoever missed them. Each speaker has a bounded share, and a flood pushes out only the words
 * of whoever floods: of a full book the one who has most gives way.
 */
import { type Envelope, type EnvelopeType, expiryOf, type KeyId } from '@honeymesh/intel/envelope';
import type { UnixMs } from '@honeymesh/intel/time';

export interface BookLimits {
  readonly speakerItems: number;
  readonly speakerBytes: number;
  readonly bytes: number;
}

/** 2,000 full envelopes are some 170,000 targets of one host within a day. */
export const BOOK_LIMITS: BookLimits = { speakerItems: 4_000, speakerBytes: 2 * 1_048_576, bytes: 32 * 1_048_576 };

export interface LiveBook {
  readonly bytes: number;
  readonly items: number;
  get(kid: KeyId, epoch: number, seq: number): Envelope | null;
  /** Those of one type and epoch right before and right after `seq`. */
  neighbours(envelope: Envelope): readonly Envelope[];
  /** Keeps it until it ends; `envelope.bytes` must be the book's own. */
  add(envelope: Envelope): void;
  remove(kid: KeyId, epoch: number, seq: number): void;
  speakers(): IterableIterator<KeyId>;
  /** Latest epoch first, highest seq first. */
  latestOf(kid: KeyId): readonly Envelope[];
  forget(kid: KeyId): void;
  prune(now: UnixMs): void;
  /** When the next one ends, or `never`. */
  nextEnd(): UnixMs | 'never';
}

interface Shelf {
  /** By epoch, then seq. */
  readonly items: Envelope[];
  bytes: number;
  /** No item ends before. */
  endsFrom: number;
}

export function createLiveBook(limits: BookLimits = BOOK_LIMITS): LiveBook {
  const shelves = new Map<KeyId, Shelf>();
  let total = 0;
  let items = 0;

  function placeIn(shelf: Shelf, epoch: number, seq: number): number {
    let low = 0;
    let high = shelf.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const item = shelf.items[middle];
      if (item !== undefined && (item.epoch < epoch || (item.epoch === epoch && item.seq < seq))) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function drop(kid: KeyId, shelf: Shelf, at: number): void {
    const [gone] = shelf.items.splice(at, 1);
    if (gone === undefined) return;
    shelf.bytes -= gone.bytes.length;
    total -= gone.bytes.length;
    items--;
    if (shelf.items.length === 0) shelves.delete(kid);
  }

  function largest(): readonly [KeyId, Shelf] | undefined {
    let found: [KeyId, Shelf] | undefined;
    for (const entry of shelves) if (found === undefined || entry[1].bytes > found[1].bytes) found = entry;
    return found;
  }

  function nearest(shelf: Shelf, from: number, step: 1 | -1, like: { readonly epoch: number; readonly type: EnvelopeType }): Envelope | null {
    for (let at = from; ; at += step) {
      const item = shelf.items[at];
      if (item === undefined || item.epoch !== like.epoch) return null;
      if (item.type === like.type) return item;
    }
  }

  const find = (kid: KeyId, epoch: number, seq: number): { readonly shelf: Shelf; readonly at: number } | null => {
    const shelf = shelves.get(kid);
    if (shelf === undefined) return null;
    const at = placeIn(shelf, epoch, seq);
    const item = shelf.items[at];
    return item?.epoch === epoch && item.seq === seq ? { shelf, at } : null;
  };

  return {
    get bytes() {
      return total;
    },
    get items() {
      return items;
    },
    get(kid, epoch, seq) {
      const found = find(kid, epoch, seq);
      return found === null ? null : (found.shelf.items[found.at] ?? null);
    },
    neighbours(envelope) {
      const shelf = shelves.get(envelope.kid);
      if (shelf === undefined) return [];
      const at = placeIn(shelf, envelope.epoch, envelope.seq);
      return [nearest(shelf, at - 1, -1, envelope), nearest(shelf, at, 1, envelope)].filter(one => one !== null);
    },
    add(envelope) {
      const { kid, epoch, seq, bytes } = envelope;
      const shelf = shelves.get(kid) ?? { items: [], bytes: 0, endsFrom: Number.POSITIVE_INFINITY };
      const at = placeIn(shelf, epoch, seq);
      const there = shelf.items[at];
      if (there?.epoch === epoch && there.seq === seq) return;
      shelves.set(kid, shelf);
      shelf.items.splice(at, 0, envelope);
      shelf.bytes += bytes.length;
      shelf.endsFrom = Math.min(shelf.endsFrom, expiryOf(envelope));
      total += bytes.length;
      items++;
      while (shelf.items.length > limits.speakerItems || shelf.bytes > limits.speakerBytes) drop(kid, shelf, 0);
      while (total > limits.bytes) {
        const most = largest();
        if (most === undefined) return;
        drop(most[0], most[1], 0);
      }
    },
    remove(kid, epoch, seq) {
      const found = find(kid, epoch, seq);
      if (found !== null) drop(kid, found.shelf, found.at);
    },
    speakers: () => shelves.keys(),
    latestOf: kid => shelves.get(kid)?.items.toReversed() ?? [],
    forget(kid) {
      const shelf = shelves.get(kid);
      while (shelf !== undefined && shelf.items.length > 0) drop(kid, shelf, shelf.items.length - 1);
    },
    prune(now) {
      for (const [kid, shelf] of shelves) {
        if (shelf.endsFrom > now) continue;
        const kept = shelf.items.filter(item => expiryOf(item) > now);
        const keptBytes = kept.reduce((sum, item) => sum + item.bytes.length, 0);
        total -= shelf.bytes - keptBytes;
        items -= shelf.items.length - kept.length;
        if (kept.length === 0) {
          shelves.delete(kid);
          continue;
        }
        const endsFrom = kept.reduce((least, item) => Math.min(least, expiryOf(item)), Number.POSITIVE_INFINITY);
        shelves.set(kid, { items: kept, bytes: keptBytes, endsFrom });
      }
    },
    nextEnd() {
      let next = Number.POSITIVE_INFINITY;
      for (const shelf of shelves.values()) next = Math.min(next, shelf.endsFrom);
      return Number.isFinite(next) ? (next as UnixMs) : 'never';
    },
  };
}
