/** Tells others what happens here: events are gathered, a message goes to each channel, and no channel waits for another. Nothing here holds a ban back. */
import { readFileSync, statSync } from 'node:fs';
import type { DegradedPart, StoredEvent } from '@honeymesh/intel/events';
import { rfc3339, type UnixMs } from '@honeymesh/intel/time';
import type { NotifyConfig } from '../config/notify-fields.ts';
import { maskRow } from '../control/masking.ts';
import type { DegradedBoard } from '../health/degraded.ts';
import { toEventRow } from '../store/exports.ts';
import { createGathering } from './digest.ts';
import { createSlack, createWebhook, type HookDeps } from './hooks.ts';
import { createOutbox } from './outbox.ts';
import type { Channel, ChannelReport, Digest, TestReport } from './port.ts';
import { createSyslog } from './syslog.ts';

export interface NotifierOptions {
  /** Absent: nobody is told. */
  readonly config: NotifyConfig | undefined;
  readonly host: string;
  readonly instance: string;
  /** Back-off; 1 s to 5 min, for a day. */
  readonly retryMs?: number;
  readonly longestRetryMs?: number;
  readonly giveUpMs?: number;
}

export interface NotifierDeps {
  readonly degraded: Pick<DegradedBoard, 'raise' | 'clear'>;
  readonly now: () => UnixMs;
  readonly random: () => number;
  readonly newId: () => string;
}

export interface Notifier {
  hear(event: StoredEvent): void;
  /** One message to each channel, or to this one, now. */
  test(channel?: string): Promise<readonly TestReport[]>;
  report(): readonly ChannelReport[];
  /** Tells what was gathered, within a second, and ends. */
  stop(): Promise<void>;
}

const PART: DegradedPart = 'notify';
/** The daemon's end waits for no slow server. */
const LAST_WORDS_MS = 1_000;
const LONGEST_FILE = 64 * 1024;

export function createNotifier({ config, host, instance, ...limits }: NotifierOptions, { degraded, now, random, newId }: NotifierDeps): Notifier {
  const channels = config === undefined ? [] : channelsOf(config, { now, readText });
  const kinds = new Set(config?.kinds ?? []);
  const gathering = createGathering({ host, instance });
  const outboxes = channels.map(channel =>
    createOutbox(
      { retryMs: limits.retryMs ?? 1_000, longestRetryMs: limits.longestRetryMs ?? 300_000, giveUpMs: limits.giveUpMs ?? 86_400_000 },
      {
        channel,
        now,
        random,
        onState: failure => (failure === null ? degraded.clear(PART, channel.name) : degraded.raise({ part: PART, ...failure }, channel.name)),
      },
    ),
  );
  let timer: NodeJS.Timeout | null = null;
  let lastAt = Number.NEGATIVE_INFINITY;

  function tell(): void {
    timer = null;
    const digest = gathering.take(newId());
    if (digest === null) return;
    lastAt = now();
    for (const outbox of outboxes) outbox.put(digest);
  }

  return {
    hear(event) {
      if (channels.length === 0 || !kinds.has(event.kind)) return;
      gathering.add(maskRow(toEventRow(event)));
      if (timer !== null) return;
      const { gatherMs = 0, everyMs = 0 } = config ?? {};
      // A clock that was set back must not silence it for longer than `every`
      const sinceLast = Math.max(0, now() - lastAt);
      timer = setTimeout(tell, Math.max(gatherMs, everyMs - sinceLast)).unref();
    },
    test: wanted => Promise.all(channels.filter(({ name }) => wanted === undefined || name === wanted).map(testOne)),
    report: () => outboxes.map(outbox => outbox.report()),
    async stop() {
      if (timer !== null) clearTimeout(timer);
      tell(); // the last thing that happened may be why it stops
      await Promise.all(outboxes.map(outbox => outbox.stop(LAST_WORDS_MS)));
    },
  };

  async function testOne(channel: Channel): Promise<TestReport> {
    const at = rfc3339(now());
    const digest: Digest = { id: newId(), test: true, host, instance, from: at, to: at, total: 0, kinds: {}, sources: [], events: [], severity: 0 };
    const startedMs = performance.now();
    const delivery = await channel.deliver(digest, new AbortController().signal);
    const tookMs = Math.round(performance.now() - startedMs);
    return { channel: channel.name, ok: delivery.ok, why: delivery.ok ? null : delivery.why, fix: delivery.ok ? null : delivery.fix, tookMs };
  }
}

function channelsOf({ webhook, slack, syslog }: NotifyConfig, deps: HookDeps): readonly Channel[] {
  return [
    ...(webhook === undefined ? [] : [createWebhook(webhook, deps)]),
    ...(slack === undefined ? [] : [createSlack(slack, deps)]),
    ...(syslog === undefined ? [] : [createSyslog(syslog, { readText: deps.readText, pid: process.pid })]),
  ];
}

/** A secret's file, or a certificate's. Throws also where it is empty, or too long to be one. */
function readText(path: string): string {
  const size = statSync(path).size;
  const text = size > LONGEST_FILE ? '' : readFileSync(path, 'utf8').trim();
  if (text === '') throw Object.assign(new Error(), { path });
  return text;
}
