/** The fleet as the hub sees it. Heartbeats are what hosts say; presence is what the broker says, unordered, doubled and minutes late: a hint. */
import type { Heartbeat } from '@honeymesh/intel/hub-messages';
import { counter, object, oneOf, type Shape, type ShapeOf, text } from '@honeymesh/intel/json-shape';
import { MINUTE_MS, SECOND_MS } from '@honeymesh/intel/time';

/** A little less than a minute: an honest clock drifts. */
export const HEARTBEAT_EVERY_MS = 55 * SECOND_MS;
/** A host that was not heard for so long is not counted among those who listen. */
export const SILENT_AFTER_MS = 3 * MINUTE_MS;

/** What of a presence event is used (IoT Core, lifecycle events); there are more fields, of the broker's. */
export interface Presence {
  readonly thing: string;
  readonly connected: boolean;
  readonly at: number;
}

const presenceFields = { clientId: text(128, /^[\x20-\x7e]+$/), timestamp: counter, eventType: oneOf(['connected', 'disconnected']) } as const;

export const presenceShape: Shape<Presence> = value => {
  if (typeof value !== 'object' || value === null) return undefined;
  const { clientId, timestamp, eventType } = value as Record<string, unknown>;
  const fields: ShapeOf<ReturnType<typeof object<typeof presenceFields>>> | undefined = object(presenceFields)({ clientId, timestamp, eventType });
  return fields === undefined ? undefined : { thing: fields.clientId, connected: fields.eventType === 'connected', at: fields.timestamp };
};

/** Of two hints the later one counts; of one moment, that it is gone: a host that is there says so within a minute. */
export const isNewer = (one: Presence, than: Presence | null): boolean => than === null || one.at > than.at || (one.at === than.at && !one.connected);

export interface HostState {
  readonly thing: string;
  readonly site: string | null;
  readonly quarantined: boolean;
  readonly heartbeat: { readonly receivedAt: number; readonly said: Heartbeat } | null;
  readonly presence: Presence | null;
}

export interface Fleet {
  readonly hosts: number;
  /** Who presumably listens: the governor's budget is counted by these. */
  readonly listening: number;
  readonly quarantined: number;
  readonly sites: number;
}

/** A heartbeat is proof, a presence event only a hint: it says nothing against a later heartbeat. */
export function isListening({ heartbeat, presence, quarantined }: HostState, nowMs: number): boolean {
  if (quarantined) return false;
  const heardAt = heartbeat?.receivedAt ?? Number.NEGATIVE_INFINITY;
  if (nowMs - heardAt > SILENT_AFTER_MS) return presence?.connected === true && nowMs - presence.at <= SILENT_AFTER_MS;
  return presence === null || presence.connected || presence.at < heardAt;
}

export function summarise(hosts: readonly HostState[], nowMs: number): Fleet {
  return {
    hosts: hosts.length,
    listening: hosts.filter(host => isListening(host, nowMs)).length,
    quarantined: hosts.filter(host => host.quarantined).length,
    sites: new Set(hosts.flatMap(host => (host.site === null ? [] : [host.site]))).size,
  };
}
