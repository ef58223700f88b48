/** Events as rows of the log and back. What goes in is bounded here; what comes out is checked, for a file can be changed by anyone. */
import { type Address, addressBytes, addressFromBytes, bitsOf, familyOf, networkOf, type Prefix, parsePrefix } from '@honeymesh/intel/address';
import { EVENT_KINDS, type EventKind, LONGEST_DETAIL, type NewEvent, type StoredEvent, type Transport } from '@honeymesh/intel/events';
import { ORIGINS, type Origin, TIERS, type Tier } from '@honeymesh/intel/evidence';
import { reasonMask, reasonsOf } from '@honeymesh/intel/reasons';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { ChainValue } from './chain.ts';

/** Characters of a summary that are kept: it is one line. */
const LONGEST_SUMMARY = 2_000;
const TRANSPORTS: readonly Transport[] = ['tcp', 'udp', 'icmp'];

/** The columns that are hashed, in the order of the chain; `id` comes first, `hash` is the link itself. */
export const COLUMNS = [
  'id',
  'at',
  'kind',
  'source',
  'source_bits',
  'port',
  'protocol',
  'tier',
  'reasons',
  'origin',
  'summary',
  'would_ban',
  'target',
  'detail',
] as const;
/** Columns that hold text. Verifying reads their bytes: two different broken UTF-8 sequences can look like the same text. */
export const TEXT_COLUMNS: ReadonlySet<string> = new Set(['kind', 'protocol', 'tier', 'origin', 'summary', 'target', 'detail']);

/** An event without its number: flat. `source` is still text. */
export interface EventParts {
  readonly at: number;
  readonly kind: string;
  readonly source: string | null;
  readonly port: number | null;
  readonly protocol: string | null;
  readonly tier: string | null;
  readonly reasons: number;
  readonly origin: string | null;
  readonly summary: string;
  readonly wouldBan: number | null;
  readonly target: string | null;
  readonly detail: string | null;
}

/** Bounds an event and makes it flat. `kept` is what the log will give back: equal to `event` unless something was too long. Never throws. */
export function flatten(event: NewEvent, now: UnixMs): { readonly parts: EventParts; readonly kept: NewEvent; readonly bytes: number } {
  const at = Number.isSafeInteger(event.at) ? event.at : Number.isFinite(event.at) ? unixMs(Math.trunc(event.at)) : now;
  const wellFormed = event.summary.toWellFormed();
  const summary = wellFormed.length > LONGEST_SUMMARY ? `${wellFormed.slice(0, LONGEST_SUMMARY - 3).toWellFormed()}...` : wellFormed;
  const detail = detailText(event.detail);
  const mask = reasonMask(event.reasons);
  const reasons = event.reasons.length === 0 ? event.reasons : reasonsOf(mask);
  const whole = at === event.at && summary === event.summary && (detail === null || detail.whole) && sameList(reasons, event.reasons);
  const parts: EventParts = {
    at,
    kind: event.kind,
    source: event.source,
    port: event.port === null || !Number.isSafeInteger(event.port) ? null : event.port,
    protocol: event.protocol,
    tier: event.tier,
    reasons: mask,
    origin: event.origin,
    summary,
    wouldBan: event.wouldBan === undefined ? null : event.wouldBan ? 1 : 0,
    target: event.target ?? null,
    detail: detail?.text ?? null,
  };
  const kept: NewEvent = whole
    ? event
    : { ...event, at, summary, reasons, ...(detail === null || detail.whole ? {} : { detail: JSON.parse(detail.text) as Record<string, unknown> }) };
  return { parts, kept, bytes: 200 + summary.length + (detail?.text.length ?? 0) };
}

const sameList = (one: readonly string[], other: readonly string[]): boolean => one.length === other.length && one.every((value, nth) => value === other[nth]);

/** `whole` is false where the text is not all of what was given. What JSON cannot hold must not cost the event. */
function detailText(detail: NewEvent['detail']): { readonly text: string; readonly whole: boolean } | null {
  if (detail === undefined) return null;
  let text: string | undefined;
  try {
    text = JSON.stringify(detail); // well-formed whatever is in it (ECMA-262, 25.5.2.3)
  } catch {
    return { text: '{"leftOut":"not JSON"}', whole: false };
  }
  if (text === undefined) return { text: '{"leftOut":"not JSON"}', whole: false };
  if (text.length * 3 <= LONGEST_DETAIL) return { text, whole: true };
  const bytes = Buffer.byteLength(text);
  return bytes > LONGEST_DETAIL ? { text: `{"leftOut":"too long","bytes":${bytes}}`, whole: false } : { text, whole: true };
}

/** Events as one flat list: an object each would carry the names of its fields from thread to thread. */
export type PackedEvents = readonly (string | number | null)[];
const FIELDS = 12;

export function packEvents(events: readonly EventParts[]): PackedEvents {
  const packed: (string | number | null)[] = [];
  for (const { at, kind, source, port, protocol, tier, reasons, origin, summary, wouldBan, target, detail } of events)
    packed.push(at, kind, source, port, protocol, tier, reasons, origin, summary, wouldBan, target, detail);
  return packed;
}

export function unpackEvents(packed: PackedEvents): readonly EventParts[] {
  const events: EventParts[] = [];
  for (let from = 0; from < packed.length; from += FIELDS) {
    events.push({
      at: packed[from] as number,
      kind: packed[from + 1] as string,
      source: packed[from + 2] as string | null,
      port: packed[from + 3] as number | null,
      protocol: packed[from + 4] as string | null,
      tier: packed[from + 5] as string | null,
      reasons: packed[from + 6] as number,
      origin: packed[from + 7] as string | null,
      summary: packed[from + 8] as string,
      wouldBan: packed[from + 9] as number | null,
      target: packed[from + 10] as string | null,
      detail: packed[from + 11] as string | null,
    });
  }
  return events;
}

/** The values of COLUMNS for event number `id`. */
export function rowOf(id: number, parts: EventParts): ChainValue[] {
  const prefix = parts.source?.includes('/') ?? false;
  const network = parts.source === null ? null : prefix ? networkOf(parts.source as Prefix) : (parts.source as Address);
  const bits = prefix ? wideBits(parts.source as Prefix) : null;
  const source = network === null ? null : addressBytes(network);
  return [
    id,
    parts.at,
    parts.kind,
    source,
    bits,
    parts.port,
    parts.protocol,
    parts.tier,
    parts.reasons,
    parts.origin,
    parts.summary,
    parts.wouldBan,
    parts.target,
    parts.detail,
  ];
}

/** Prefix length within the 16-byte form, where IPv4 is ::ffff:0:0/96. */
export const wideBits = (prefix: Prefix): number => bitsOf(prefix) + (familyOf(prefix) === 4 ? 96 : 0);

export interface RawRow {
  readonly id: number;
  readonly at: number;
  readonly kind: string;
  readonly source: Uint8Array | null;
  readonly source_bits: number | null;
  readonly port: number | null;
  readonly protocol: string | null;
  readonly tier: string | null;
  readonly reasons: number;
  readonly origin: string | null;
  readonly summary: string;
  readonly would_ban: number | null;
  readonly target: string | null;
  readonly detail: string | null;
}

/** The event of a row, or undefined where the row holds what this program never wrote. Never throws. */
export function eventOf(row: RawRow): StoredEvent | undefined {
  if (!hasTypes(row)) return undefined;
  const source = sourceOf(row);
  const target = row.target === null ? null : parsePrefix(row.target);
  const detail = row.detail === null ? null : readObject(row.detail);
  const known =
    within(EVENT_KINDS, row.kind) &&
    (row.protocol === null || within(TRANSPORTS, row.protocol)) &&
    (row.tier === null || within(TIERS, row.tier)) &&
    (row.origin === null || within(ORIGINS, row.origin));
  if (!known || source === undefined || target?.ok === false || detail === undefined) return undefined;
  return {
    id: row.id,
    at: unixMs(row.at),
    kind: row.kind as EventKind,
    source,
    port: row.port,
    protocol: row.protocol as Transport | null,
    tier: row.tier as Tier | null,
    reasons: reasonsOf(row.reasons),
    origin: row.origin as Origin | null,
    summary: row.summary,
    ...(row.would_ban === null ? {} : { wouldBan: row.would_ban === 1 }),
    ...(target === null ? {} : { target: target.value }),
    ...(detail === null ? {} : { detail }),
  };
}

/** STRICT tables keep the types, until somebody edits the file. */
function hasTypes(row: RawRow): boolean {
  const numbers: readonly unknown[] = [row.id, row.at, row.reasons];
  const perhapsNumbers: readonly unknown[] = [row.source_bits, row.port, row.would_ban];
  const texts: readonly unknown[] = [row.kind, row.summary];
  const perhapsTexts: readonly unknown[] = [row.protocol, row.tier, row.origin, row.target, row.detail];
  return (
    numbers.every(Number.isSafeInteger) &&
    perhapsNumbers.every(value => value === null || Number.isSafeInteger(value)) &&
    texts.every(value => typeof value === 'string') &&
    perhapsTexts.every(value => value === null || typeof value === 'string')
  );
}

function sourceOf(row: RawRow): Address | Prefix | null | undefined {
  if (row.source === null) return null;
  if (!(row.source instanceof Uint8Array) || row.source.length !== 16) return undefined;
  const address = addressFromBytes(row.source);
  if (row.source_bits === null) return address;
  const prefix = parsePrefix(`${address}/${familyOf(address) === 4 ? row.source_bits - 96 : row.source_bits}`);
  return prefix.ok ? prefix.value : undefined;
}

function readObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const within = (list: readonly string[], text: string): boolean => list.includes(text);
