/** What a message says, who takes it, and what status tells of it. */
import type { EventRow } from '../control/operations.ts';

/** What happened in some time, as one message: of a storm its size and how it began. */
export interface Digest {
  /** The same at each attempt: who gets it twice knows it again. */
  readonly id: string;
  /** By `honeymesh notify test`: nothing happened. */
  readonly test: boolean;
  readonly host: string;
  readonly instance: string;
  /** RFC 3339: of the first and of the last event. */
  readonly from: string;
  readonly to: string;
  readonly total: number;
  readonly kinds: Readonly<Record<string, number>>;
  /** The sources of most events, most first. Of a storm of very many, of those that came first. */
  readonly sources: readonly { readonly source: string; readonly count: number }[];
  /** The first ones, without details, guessed passwords masked. */
  readonly events: readonly Omit<EventRow, 'detail'>[];
  /** 0 to 10: the worst of them. */
  readonly severity: number;
}

export const CHANNELS = ['webhook', 'slack', 'syslog'] as const;
export type ChannelName = (typeof CHANNELS)[number];

/** `final`: another attempt would end alike. */
export type Delivery = { readonly ok: true } | { readonly ok: false; readonly why: string; readonly fix: string; readonly final: boolean };

export interface Channel {
  readonly name: ChannelName;
  /** Never rejects. Ends by itself within some seconds, at once when the signal aborts. */
  deliver(digest: Digest, signal: AbortSignal): Promise<Delivery>;
}

export interface ChannelReport {
  readonly channel: ChannelName;
  readonly state: 'idle' | 'ok' | 'failing';
  /** Messages that wait to be tried again. */
  readonly waiting: number;
  readonly sent: number;
  /** Messages that were given up, and the events in them. */
  readonly givenUp: number;
  readonly lostEvents: number;
  readonly lastSentAt: string | null;
  readonly why: string | null;
}

export interface TestReport {
  readonly channel: ChannelName;
  readonly ok: boolean;
  readonly why: string | null;
  readonly fix: string | null;
  readonly tookMs: number;
}
