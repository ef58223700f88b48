/**
 * What waits in memory while the disk refuses. Events are bounded by number and size, the latest are given up first: how an attack began tells
 * more than how it went on. Changes of the ledger are never given up; of two about the same target only the later one is kept, so the ledger's
 * own capacity bounds them.
 */
import type { LedgerChange } from '../ledger/decisions.ts';
import { changeKey } from './ledger-tables.ts';
import type { EventParts } from './rows.ts';

export interface BacklogLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

export interface Weighed {
  readonly parts: EventParts;
  readonly bytes: number;
}

export interface Backlog {
  /** Returns how many events were given up. */
  add(events: readonly Weighed[], changes: readonly LedgerChange[]): number;
  /** Takes the oldest `most` events and all changes out. */
  take(most: number): { readonly events: readonly EventParts[]; readonly changes: readonly LedgerChange[] };
  readonly events: number;
  readonly empty: boolean;
}

export function createBacklog(limits: BacklogLimits): Backlog {
  let events: Weighed[] = [];
  let bytes = 0;
  const changes = new Map<string, LedgerChange>();
  return {
    add(more, changed) {
      let lost = 0;
      for (const event of more) {
        if (events.length >= limits.maxEvents || bytes + event.bytes > limits.maxBytes) {
          lost++;
          continue;
        }
        events.push(event);
        bytes += event.bytes;
      }
      for (const change of changed) {
        const key = changeKey(change);
        changes.delete(key); // so that the order is that of the last word about each
        changes.set(key, change);
      }
      return lost;
    },
    take(most) {
      const taken = events.slice(0, most);
      events = events.slice(most);
      for (const event of taken) bytes -= event.bytes;
      const all = [...changes.values()];
      changes.clear();
      return { events: taken.map(event => event.parts), changes: all };
    },
    get events() {
      return events.length;
    },
    get empty() {
      return events.length === 0 && changes.size === 0;
    },
  };
}
