/** Section 9 of docs/packet-path.md: what is remembered of a source, when it has crossed a threshold, and what follows. */
import { type Model, SECOND_NS, SLOTS, type Tracker } from './model.ts';
import type { KernelReason, Probe, ShunKind, WindowName } from './scenario.ts';

export interface OracleEvent {
  readonly kind: 'touch' | 'suspect' | 'scan' | 'flood' | 'ban-hit';
  /** Hex of the packet's source, 4 or 16 bytes. */
  readonly source: string;
  readonly port: number;
  readonly reasons: readonly KernelReason[];
  readonly fastPorts: number;
  readonly slowPorts: number;
  readonly shunMs: number;
  readonly proven: boolean;
}

/** The packet's source as this section sees it, and where its events go. */
export interface Suspect {
  readonly model: Model;
  readonly key: bigint;
  readonly source: string;
  readonly proven: boolean;
  /** Its ban says so: what it opens here, it may. */
  readonly confined: boolean;
  readonly nowNs: bigint;
  readonly emit: (event: OracleEvent) => void;
}

const REASON: Readonly<Record<Probe, KernelReason>> = { syn: 'syn-scan', flag: 'flag-scan', udp: 'udp-scan', malformed: 'malformed' };
const SUSPECT_PORTS = 3;

/** The source's entry, made where there is none. The flood guard's sampling is random: the model refuses to guess it. */
function trackerOf({ model, key, nowNs }: Suspect): Tracker {
  const known = (model.settings.hasWatch ? model.watch.get(key) : undefined) ?? model.trackers.get(key);
  if (known !== undefined) return known;
  const fresh = countIn(model.newSources, nowNs);
  if (model.settings.newSourcesPerSecond !== 0 && fresh > model.settings.newSourcesPerSecond) {
    throw new Error('the scenario puts the flood guard up, whose sampling no oracle can know');
  }
  const tracker: Tracker = { slots: Array.from({ length: SLOTS }, () => undefined), windows: new Map() };
  model.trackers.set(key, tracker);
  return tracker;
}

/** Counts this packet in a rate window; whether it is above the limit. A limit of 0 is off. */
export function exceeds(suspect: Suspect, name: WindowName, limit: number): boolean {
  const { windows } = trackerOf(suspect);
  const window = windows.get(name) ?? { startNs: suspect.nowNs, count: 0 };
  windows.set(name, window);
  const count = countIn(window, suspect.nowNs);
  return limit !== 0 && count > limit;
}

function countIn(window: { startNs: bigint; count: number }, nowNs: bigint): number {
  if (nowNs - window.startNs >= SECOND_NS) {
    window.startNs = nowNs;
    window.count = 1;
  } else window.count++;
  return window.count;
}

/** `count(port, kind)`: whether this packet crossed a threshold. */
export function crosses(suspect: Suspect, port: number, probe: Probe): boolean {
  const { model, nowNs } = suspect;
  const { settings } = model;
  const { slots } = trackerOf(suspect);
  const within = (slot: Tracker['slots'][number], windowNs: bigint): boolean => slot !== undefined && nowNs - slot.atNs < windowNs;
  const seen = slots.findIndex(slot => slot?.port === port && (slot.probe === 'udp') === (probe === 'udp') && within(slot, settings.slowWindowNs));
  if (seen >= 0) {
    slots[seen] = { port, probe, atNs: nowNs };
    return false;
  }
  slots[freeSlot(slots, slot => within(slot, settings.slowWindowNs))] = { port, probe, atNs: nowNs };

  const inFast = slots.filter(slot => within(slot, settings.fastWindowNs));
  const inSlow = slots.filter(slot => within(slot, settings.slowWindowNs));
  const counts = { fastPorts: inFast.length, slowPorts: inSlow.length };
  const say = (kind: OracleEvent['kind'], reasons: readonly KernelReason[], shunMs: number): void =>
    suspect.emit({ kind, source: suspect.source, port, reasons, ...counts, shunMs, proven: suspect.proven });
  const fast = inFast.length >= settings.fastPorts;
  const crossed = fast || inSlow.length >= settings.slowPorts;

  say('touch', [], 0);
  if (!crossed) {
    if (inSlow.length === SUSPECT_PORTS) say('suspect', [], 0);
    return false;
  }
  const reasons = new Set((fast ? inFast : inSlow).flatMap(slot => (slot === undefined ? [] : [REASON[slot.probe]])));
  if (!fast) reasons.add('slow-scan');
  const made = shun(suspect, probe === 'udp' ? 'udp' : 'tcp', reasons);
  if (made.isNew) say('scan', [...reasons], made.ms);
  return true;
}

function freeSlot(slots: Tracker['slots'], isTaken: (slot: Tracker['slots'][number]) => boolean): number {
  const free = slots.findIndex(slot => !isTaken(slot));
  if (free >= 0) return free;
  let oldest = 0;
  for (let at = 1; at < slots.length; at++) if ((slots[at]?.atNs ?? 0n) < (slots[oldest]?.atNs ?? 0n)) oldest = at;
  return oldest;
}

/** `flooded(kind)`. */
export function flooded(suspect: Suspect, kind: ShunKind, port: number): void {
  const made = shun(suspect, kind, new Set(['flood']));
  if (made.isNew)
    suspect.emit({ kind: 'flood', source: suspect.source, port, reasons: ['flood'], fastPorts: 0, slowPorts: 0, shunMs: made.ms, proven: suspect.proven });
}

function shun({ model, key, nowNs }: Suspect, kind: ShunKind, reasons: ReadonlySet<KernelReason>): { isNew: boolean; ms: number } {
  const { shunTtlNs, shunTtlMaxNs } = model.settings;
  const old = model.shuns.get(key);
  const repeats = old === undefined ? 0 : old.repeats + 1;
  let ttlNs = shunTtlNs;
  for (let repeat = 0; repeat < repeats && ttlNs < shunTtlMaxNs; repeat++) ttlNs *= 2n;
  if (ttlNs > shunTtlMaxNs) ttlNs = shunTtlMaxNs;
  const alive = old !== undefined && old.expiresNs > nowNs ? old : undefined;
  const isNew = !alive?.kinds.has(kind);
  model.shuns.set(key, {
    expiresNs: nowNs + ttlNs,
    kinds: new Set([...(alive?.kinds ?? []), kind]),
    reasons: new Set([...(alive?.reasons ?? []), ...reasons]),
    repeats,
  });
  return { isNew, ms: Number(ttlNs / 1_000_000n) };
}

/** Whether an entry of `shuns` that is not expired holds the kind. */
export function isShunned({ model, key, nowNs }: Suspect, kind: ShunKind): boolean {
  const entry = model.shuns.get(key);
  return entry !== undefined && entry.expiresNs > nowNs && entry.kinds.has(kind);
}

export const floodVerdict = ({ proven }: Suspect): 'drop-policed' | 'drop-flood' => (proven ? 'drop-policed' : 'drop-flood');
