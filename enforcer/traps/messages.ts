/** What the trap process (hostile bytes) and the daemon say to each other over Node's IPC channel. The trap's side is not trusted: `readTrapMessage`. */
import type { Address, Prefix } from '@honeymesh/intel/address';
import type { Finding } from '@honeymesh/intel/findings';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import type { UnixMs } from '@honeymesh/intel/time';
import { isCount, isRecord, readObservation } from './reading.ts';
import type { Receipt } from './receipts.ts';

export const LARGEST_BATCH = 512;

interface Seen {
  readonly at: UnixMs;
  readonly source: Address;
  /** The port that the source asked for. */
  readonly port: number;
}

/**
 * `touch` leaves at accept(): the handshake alone is the proof. `content` follows as soon as something hostile was said, and again when it gives a reason
 * that the session had not given before. `ended` comes once for each session that was opened, and holds all of it: what needs no decision is recorded from
 * it alone. `datagram` is what came over UDP, where no source is proven.
 */
export type TrapObservation =
  | (Seen & {
      readonly kind: 'touch';
      /** Connections that this stands for. */
      readonly count: number;
      /** Of them were turned away at the door, as too many are open: no `ended` follows for these. */
      readonly refused: number;
    })
  | (Seen & { readonly kind: 'content'; readonly protocol: string; readonly findings: readonly Finding[] })
  | (Seen & {
      readonly kind: 'ended';
      readonly protocol: string;
      readonly receipt: Receipt;
      /** Sessions that the source still has open. */
      readonly open: number;
    })
  | (Seen & {
      readonly kind: 'datagram';
      readonly protocol: string;
      readonly findings: readonly Finding[];
      /** The first bytes of the first one, base64; at most LONGEST_HEAD of them. */
      readonly head: string;
      readonly receivedBytes: number;
      readonly answered: boolean;
      /** Datagrams of this source to this port that this stands for. */
      readonly count: number;
    });

export type TrapMessage =
  | { readonly kind: 'listening' }
  | {
      readonly kind: 'observations';
      readonly observations: readonly TrapObservation[];
      /** Open now. */
      readonly sessions: number;
      /** Not reported since the last message: the channel was full. */
      readonly lost: number;
    }
  /** A session ended by a mistake of ours; the others go on. */
  | { readonly kind: 'fault'; readonly why: string }
  /** The last words before it gives up. */
  | { readonly kind: 'trouble'; readonly why: string };

/** Everything that the trap process starts from: the first message that it gets. */
export interface TrapOptions {
  /** File descriptors, inherited: TCP listeners, and the UDP sockets of `udpPort`. */
  readonly ipv4: number | null;
  readonly ipv6: number | null;
  readonly udp4: number | null;
  readonly udp6: number | null;
  /** The folder of the instance's pinned maps: `heartbeat`, and `udp_replies`, which tells tc egress the port that a reply is to come from. */
  readonly pins: string;
  readonly identity: TrapIdentity;
  readonly limits: TrapLimits;
}

/** Who the traps play, the same at each start: what a host keeps for life. */
export interface TrapIdentity {
  /** 32 bytes, base64: versions, names, choices. */
  readonly seed: string;
  /** PEM, PKCS #8. */
  readonly tlsKey: string;
  /** PEM. */
  readonly tlsCertificate: string;
  /** PEM or OpenSSH format, as ssh2 reads them: one of each kind that the persona's sshd has. */
  readonly sshHostKeys: readonly string[];
}

export interface TrapLimits {
  readonly sessions: number;
  readonly sessionsPerSource: number;
  /** Silence that ends a session, from the last complete message. */
  readonly deadlineMs: number;
  readonly sessionMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly messages: number;
  readonly heartbeatMs: number;
  /** Datagrams that are answered, in all and to one source, a second. */
  readonly repliesPerSecond: number;
  readonly repliesPerSecondPerSource: number;
}

export type ToTrap =
  | { readonly kind: 'start'; readonly options: TrapOptions }
  /** Ends the sessions of sources that are banned now. */
  | { readonly kind: 'close'; readonly targets: readonly Prefix[] }
  /** The rows of so many sessions that ended are in the log: as many more may come. */
  | { readonly kind: 'recorded'; readonly sessions: number };

const LONGEST_WHY = 200;

/** Reads a message of the trap process. It handles hostile bytes, so what it says is bounded and checked like anything from outside. Never throws. */
export function readTrapMessage(message: unknown): Parsed<TrapMessage, 'not-a-message' | 'too-many'> {
  if (!isRecord(message)) return unparsed('not-a-message');
  const { kind } = message;
  if (kind === 'listening') return parsed({ kind });
  if (kind === 'trouble' || kind === 'fault')
    return typeof message.why === 'string' ? parsed({ kind, why: message.why.slice(0, LONGEST_WHY) }) : unparsed('not-a-message');
  if (kind !== 'observations' || !Array.isArray(message.observations)) return unparsed('not-a-message');
  if (message.observations.length > LARGEST_BATCH) return unparsed('too-many');
  const observations: TrapObservation[] = [];
  for (const item of message.observations) {
    const observation = readObservation(item);
    if (observation === undefined) return unparsed('not-a-message');
    observations.push(observation);
  }
  if (!isCount(message.sessions) || !isCount(message.lost)) return unparsed('not-a-message');
  return parsed({ kind, observations, sessions: message.sessions, lost: message.lost });
}
