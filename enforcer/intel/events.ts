/** What the log holds: one event, of a closed list of kinds. */
import type { Address, Prefix } from './address.ts';
import type { Origin, Tier } from './evidence.ts';
import type { Reason } from './reasons.ts';
import type { UnixMs } from './time.ts';

export const EVENT_KINDS = [
  'scan',
  'flood',
  'touch',
  'credentials',
  'command',
  'exploit',
  'payload',
  'ban',
  'lift',
  'expire',
  'evict',
  'allow',
  'advice-sent',
  'advice-accepted',
  'advice-refused',
  'withdrawal',
  'peer',
  'hub',
  'auth',
  'config',
  'lifecycle',
  'degraded',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export const DEGRADED_PARTS = ['kernel', 'traps', 'store', 'mesh', 'hub', 'dashboard', 'clock', 'disk', 'notify'] as const;
export type DegradedPart = (typeof DEGRADED_PARTS)[number];

/** Something this host cannot do just now, and what the operator can do about it. */
export interface Degraded {
  readonly part: DegradedPart;
  readonly why: string;
  readonly fix: string;
}

export type Transport = 'tcp' | 'udp' | 'icmp';

/** Bytes of an event's detail as JSON; a longer one is left out, and the event says so. */
export const LONGEST_DETAIL = 16_384;

/** An event before the store numbered it. `source` is null for what has none (lifecycle, config). */
export interface NewEvent {
  readonly at: UnixMs;
  readonly kind: EventKind;
  readonly source: Address | Prefix | null;
  readonly port: number | null;
  readonly protocol: Transport | null;
  readonly tier: Tier | null;
  readonly reasons: readonly Reason[];
  readonly origin: Origin | null;
  /** One line for people; bytes of an attacker are escaped before they get here. */
  readonly summary: string;
  /** True where the mode is observe: decided, recorded, not enforced. */
  readonly wouldBan?: boolean;
  /** The ban that this event led to, lifted or prolonged. */
  readonly target?: Prefix;
  /** Structured detail, at most LONGEST_DETAIL bytes as JSON. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface StoredEvent extends NewEvent {
  /** Counts up from 1, without a gap. */
  readonly id: number;
}
