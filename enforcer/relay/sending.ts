/**
 * Which of the outbox to report now. What was signed just now goes at once, whatever lies before it; what is late goes as fast as the hub takes late words,
 * and everything again after a while until a receipt covers it. Pure, over the outbox.
 */
import { cutReports, encodeReport, MOST_REPORTED, type ReportEntry } from '@honeymesh/intel/hub-report';
import { MINUTE_MS, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { Outbox, OutboxEntry } from './outbox.ts';

export interface Sending {
  /** Reports to publish now. */
  due(now: UnixMs): readonly Uint8Array[];
  /** The outbox has changed. */
  changed(): void;
  /** Sent, and without a receipt for so long: null, if all is well. */
  unanswered(now: UnixMs): number | null;
}

/** The hub counts what is older as late, and takes 1,280 of these a minute from one host. */
export const LATE_AFTER_MS = 2 * MINUTE_MS;
/** 128 in so long are 1,097 a minute. */
export const LATE_EVERY_MS = 7 * SECOND_MS;
export const AGAIN_MS = 10 * SECOND_MS;
export const LONGEST_AGAIN_MS = 5 * MINUTE_MS;
const MOST_LIVE = 256;
const LATE_WINDOW = 512;

interface SentEntry {
  /** Since when without a receipt. */
  readonly firstAt: UnixMs;
  readonly tries: number;
  readonly againAt: UnixMs;
}

export function createSending(outbox: Pick<Outbox, 'oldest' | 'since'>, { random }: { readonly random: () => number }): Sending {
  let sent = new Map<string, SentEntry>();
  let live: readonly OutboxEntry[] = [];
  let late: readonly OutboxEntry[] = [];
  let stale = true;
  let lookedAt = 0;
  let lateAt = 0;

  /** Read anew when it changed, and now and then: what is live becomes late. */
  function look(now: UnixMs): void {
    if (!stale && now - lookedAt < AGAIN_MS && now >= lookedAt) return;
    stale = false;
    lookedAt = now;
    const since = unixMs(now - LATE_AFTER_MS);
    live = outbox.since(since, MOST_LIVE);
    late = outbox.oldest(LATE_WINDOW).filter(entry => entry.issuedAt < since);
    const known = new Set([...live, ...late].map(nameOf));
    sent = new Map([...sent].filter(([name]) => known.has(name)));
  }

  const isDue =
    (now: UnixMs) =>
    (entry: OutboxEntry): boolean =>
      (sent.get(nameOf(entry))?.againAt ?? 0) <= now;

  function mark(entry: OutboxEntry, now: UnixMs): ReportEntry {
    const before = sent.get(nameOf(entry));
    const tries = before?.tries ?? 0;
    const waitMs = Math.min(LONGEST_AGAIN_MS, AGAIN_MS * 2 ** tries) * (1 + random() / 4);
    sent.set(nameOf(entry), { firstAt: before?.firstAt ?? now, tries: tries + 1, againAt: unixMs(now + Math.ceil(waitMs)) });
    return { previous: entry.previous, envelope: entry.bytes };
  }

  return {
    due(now) {
      look(now);
      const ready = live.filter(isDue(now));
      if (now - lateAt >= LATE_EVERY_MS || now < lateAt) {
        const old = late.filter(isDue(now)).slice(0, MOST_REPORTED);
        if (old.length > 0) lateAt = now;
        ready.unshift(...old);
      }
      return cutReports(ready.map(entry => mark(entry, now))).map(encodeReport);
    },
    changed() {
      stale = true;
    },
    unanswered(now) {
      const firsts = [...sent.values()].map(({ firstAt }) => firstAt);
      return firsts.length === 0 ? null : now - Math.min(...firsts);
    },
  };
}

const nameOf = ({ epoch, seq }: OutboxEntry): string => `${epoch} ${seq}`;
