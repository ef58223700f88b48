/** What the trap process (hostile bytes) and the daemon say to each other over Node's IPC channel. The trap's side is not trusted: `readTrapMessage`. */
import { type Address, type Prefix, parseAddress } from '@honeymesh/intel/address';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';

export const LONGEST_HEAD = 256; // bytes of what a source said that leave the trap process
export const LARGEST_BATCH = 512;

/** How a session came to its end. */
export const SESSION_ENDS = ['deadline', 'peer', 'too-much', 'full', 'banned', 'stopped'] as const;
export type SessionEnd = (typeof SESSION_ENDS)[number];

/** `touch` is sent at accept(): the handshake alone is the proof. `ended` follows when there is something more to tell. */
export type TrapObservation =
  | {
      readonly kind: 'touch';
      readonly at: UnixMs;
      readonly source: Address;
      readonly port: number /** Connections that this stands for. */;
      readonly count: number;
    }
  | {
      readonly kind: 'ended';
      readonly at: UnixMs;
      readonly source: Address;
      readonly port: number;
      readonly protocol: string;
      /** The first bytes that the source sent, base64; at most LONGEST_HEAD of them. */
      readonly head: string;
      readonly receivedBytes: number;
      readonly durationMs: number;
      readonly end: SessionEnd;
    };

export type TrapMessage =
  | { readonly kind: 'listening' }
  | {
      readonly kind: 'observations';
      readonly observations: readonly TrapObservation[];
      readonly sessions: number /** Not reported since the last message: the channel was full. */;
      readonly lost: number;
    }
  | { readonly kind: 'trouble'; readonly why: string };

/** Everything that the trap process starts from: the first message that it gets. */
export interface TrapOptions {
  /** File descriptors of the listeners, inherited. */
  readonly ipv4: number | null;
  readonly ipv6: number | null;
  /** The pinned `heartbeat` map. */
  readonly heartbeatPin: string;
  readonly limits: TrapLimits;
}

export interface TrapLimits {
  readonly sessions: number;
  readonly sessionsPerSource: number;
  readonly receivedBytes: number;
  readonly patienceMs: number;
  readonly heartbeatMs: number;
}

export type ToTrap =
  | { readonly kind: 'start'; readonly options: TrapOptions }
  /** Ends the sessions of a source that is banned now. */
  | { readonly kind: 'close'; readonly target: Prefix };

/** Reads a message of the trap process. It handles hostile bytes, so what it says is bounded and checked like anything from outside. Never throws. */
export function readTrapMessage(message: unknown): Parsed<TrapMessage, 'not-a-message' | 'too-many'> {
  if (!isRecord(message)) return unparsed('not-a-message');
  if (message.kind === 'listening') return parsed({ kind: 'listening' });
  if (message.kind === 'trouble') return parsed({ kind: 'trouble', why: String(message.why).slice(0, 200) });
  if (message.kind !== 'observations' || !Array.isArray(message.observations)) return unparsed('not-a-message');
  if (message.observations.length > LARGEST_BATCH) return unparsed('too-many');
  const observations: TrapObservation[] = [];
  for (const item of message.observations) {
    const observation = readObservation(item);
    if (observation === undefined) return unparsed('not-a-message');
    observations.push(observation);
  }
  if (!isCount(message.sessions) || !isCount(message.lost)) return unparsed('not-a-message');
  return parsed({ kind: 'observations', observations, sessions: message.sessions, lost: message.lost });
}

function readObservation(item: unknown): TrapObservation | undefined {
  if (!isRecord(item) || !isCount(item.at) || !isCount(item.port) || item.port > 65535 || typeof item.source !== 'string') return undefined;
  const source = parseAddress(item.source);
  if (!source.ok) return undefined;
  const common = { at: unixMs(item.at), source: source.value, port: item.port };
  if (item.kind === 'touch') return isCount(item.count) ? { kind: 'touch', ...common, count: item.count } : undefined;
  const end = SESSION_ENDS.find(known => known === item.end);
  if (item.kind !== 'ended' || end === undefined || !isCount(item.receivedBytes) || !isCount(item.durationMs)) return undefined;
  if (typeof item.protocol !== 'string' || !/^[a-z0-9-]{1,32}$/.test(item.protocol)) return undefined;
  if (typeof item.head !== 'string' || item.head.length > Math.ceil(LONGEST_HEAD / 3) * 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(item.head)) return undefined;
  return { kind: 'ended', ...common, protocol: item.protocol, head: item.head, receivedBytes: item.receivedBytes, durationMs: item.durationMs, end };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
