/**
 * Messages on their way to one channel: one is tried, again and again with longer waits, while what comes meanwhile becomes one more. So a channel that was
 * away for a day gets two messages, and memory holds no more than that.
 */
import { rfc3339, type UnixMs } from '@honeymesh/intel/time';
import { mergeDigests } from './digest.ts';
import type { Channel, ChannelReport, Delivery, Digest } from './port.ts';

export interface OutboxOptions {
  /** Back-off: doubled from the first to the longest. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** After so long an attempt is the last one. */
  readonly giveUpMs: number;
}

export interface OutboxDeps {
  readonly channel: Channel;
  readonly now: () => UnixMs;
  /** From 0 up to 1: hosts that fell with the same outage do not come back at once. */
  readonly random: () => number;
  /** Told when it begins to fail, or fails otherwise; null: it works. */
  readonly onState: (failure: { readonly why: string; readonly fix: string } | null) => void;
}

export interface Outbox {
  put(digest: Digest): void;
  report(): ChannelReport;
  /** Gives a channel that works so long to take what is there; the rest is lost. */
  stop(graceMs: number): Promise<void>;
}

export function createOutbox(options: OutboxOptions, { channel, now, random, onState }: OutboxDeps): Outbox {
  let current: Digest | null = null;
  let next: Digest | null = null;
  let failure: { readonly why: string; readonly fix: string } | null = null;
  let running: Promise<void> | null = null;
  let [sent, givenUp, lostEvents] = [0, 0, 0];
  let lastSentAt: UnixMs | null = null;
  const over = new AbortController();

  async function run(): Promise<void> {
    for (current = next; current !== null && !over.signal.aborted; current = next) {
      next = null;
      await deliver(current);
    }
    current = null;
    running = null; // here and not later: who puts something in now has to start it again
  }

  async function deliver(digest: Digest): Promise<void> {
    const since = now();
    for (let waitMs = options.retryMs; ; waitMs = Math.min(waitMs * 2, options.longestRetryMs)) {
      const delivery = await channel.deliver(digest, over.signal);
      if (over.signal.aborted) return;
      see(delivery);
      if (delivery.ok) {
        sent++;
        lastSentAt = now();
        return;
      }
      if (delivery.final || now() - since >= options.giveUpMs) {
        givenUp++;
        lostEvents += digest.total;
        return;
      }
      await pause(waitMs * (0.75 + random() / 2));
      if (over.signal.aborted) return;
    }
  }

  function see(delivery: Delivery): void {
    const before = failure?.why;
    failure = delivery.ok ? null : { why: delivery.why, fix: delivery.fix };
    if (before !== failure?.why) onState(failure);
  }

  function pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(done, ms).unref();
      over.signal.addEventListener('abort', done, { once: true });
      function done(): void {
        clearTimeout(timer);
        over.signal.removeEventListener('abort', done);
        resolve();
      }
    });
  }

  return {
    put(digest) {
      if (over.signal.aborted) return;
      next = next === null ? digest : mergeDigests(next, digest);
      running ??= run();
    },
    report: () => ({
      channel: channel.name,
      state: failure !== null ? 'failing' : sent > 0 ? 'ok' : 'idle',
      waiting: (current === null ? 0 : 1) + (next === null ? 0 : 1),
      sent,
      givenUp,
      lostEvents,
      lastSentAt: lastSentAt === null ? null : rfc3339(lastSentAt),
      why: failure?.why ?? null,
    }),
    async stop(graceMs) {
      const late = setTimeout(() => over.abort(), failure === null ? graceMs : 0);
      await running;
      clearTimeout(late);
      over.abort();
    },
  };
}
