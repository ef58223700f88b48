/** Events become one message: how many of which kind, from whom most of all, and how it began. Bounded, whatever comes. */
import type { EventRow } from '../control/operations.ts';
import { severityOf } from '../store/exports/form.ts';
import type { Digest } from './port.ts';

const MOST_EVENTS = 20;
const MOST_SOURCES = 1_000;
const SHOWN_SOURCES = 5;

export interface Gathering {
  add(row: EventRow): void;
  /** What was gathered; null: nothing. It begins anew. */
  take(id: string): Digest | null;
  readonly total: number;
}

export function createGathering({ host, instance }: { readonly host: string; readonly instance: string }): Gathering {
  let events: Omit<EventRow, 'detail'>[] = [];
  let kinds: Record<string, number> = {};
  let sources = new Map<string, number>();
  let [total, severity, from, to] = [0, 0, '', ''];
  return {
    add({ detail: _detail, ...row }) {
      if (total++ === 0) from = row.at;
      to = row.at;
      kinds[row.kind] = (kinds[row.kind] ?? 0) + 1;
      severity = Math.max(severity, severityOf(row));
      if (row.source !== null && (sources.has(row.source) || sources.size < MOST_SOURCES)) sources.set(row.source, (sources.get(row.source) ?? 0) + 1);
      if (events.length < MOST_EVENTS) events.push(row);
    },
    take(id) {
      if (total === 0) return null;
      const digest: Digest = { id, test: false, host, instance, from, to, total, kinds, sources: most(sources), events, severity };
      [events, kinds, sources] = [[], {}, new Map()];
      [total, severity, from, to] = [0, 0, '', ''];
      return digest;
    },
    get total() {
      return total;
    },
  };
}

/** Two messages that wait become one. Sources that were few in both may be missing in the sum. */
export function mergeDigests(one: Digest, other: Digest): Digest {
  const sources = new Map(one.sources.map(({ source, count }) => [source, count]));
  for (const { source, count } of other.sources) sources.set(source, (sources.get(source) ?? 0) + count);
  const kinds = { ...one.kinds };
  for (const [kind, count] of Object.entries(other.kinds)) kinds[kind] = (kinds[kind] ?? 0) + count;
  return {
    ...other,
    from: one.from,
    total: one.total + other.total,
    kinds,
    sources: most(sources),
    events: [...one.events, ...other.events].slice(0, MOST_EVENTS),
    severity: Math.max(one.severity, other.severity),
  };
}

const most = (sources: ReadonlyMap<string, number>): Digest['sources'] =>
  [...sources]
    .map(([source, count]) => ({ source, count }))
    .sort((one, other) => other.count - one.count)
    .slice(0, SHOWN_SOURCES);

/** One line. */
export function headline({ test, host, total, kinds, sources }: Digest): string {
  if (test) return `HoneyMesh on ${host}: a test. Notifications arrive.`;
  const what = Object.entries(kinds)
    .sort(([, one], [, other]) => other - one)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
  const who = sources.map(({ source, count }) => (count === 1 ? source : `${source} (${count})`)).join(', ');
  return `HoneyMesh on ${host}: ${total === 1 ? '1 event' : `${total} events`}: ${what}${who === '' ? '' : `; from ${who}`}`;
}
