/** What a member stands on: chance, sizes, and the questions that the layer above answers. All synchronous and pure to the core. */
import type { Message, PushedMember } from '../messages.ts';
import type { Endpoint } from './endpoint.ts';
import type { MemberView } from './outputs.ts';
import type { Random } from './random.ts';

export type Alive = Extract<Message, { kind: 'alive' }>;
export type Suspect = Extract<Message, { kind: 'suspect' }>;
export type Dead = Extract<Message, { kind: 'dead' }>;

/** `as-suspect`: a foreign word that a member is dead weighs as a suspicion only. */
export type AccusationVerdict = 'accept' | 'as-suspect' | 'refuse';

export interface MemberDeps {
  readonly random: Random;
  /** Bytes of the encoded message, its type byte included. */
  readonly sizeOf: (message: Message) => number;
  /**
   * What label and encryption add to a datagram. Asked each time: a key may be installed while running. Memberlist counts the encryption into gossip
   * whenever it has a key, into what rides on pings and acks only if it encrypts what it sends.
   */
  readonly envelopeBytes: (use: 'gossip' | 'piggyback') => number;
  readonly hooks?: Hooks;
}

export interface Hooks {
  /** Our meta for this incarnation and address (a signature over both); absent: what `update-meta` said last. At most 512 bytes. */
  readonly meta?: (incarnation: number, meta: Uint8Array) => Uint8Array;
  /** False: this alive of another is refused. `known` null: a newcomer. `exchange`: with whom, where it stood in the list of a push/pull. */
  readonly admitAlive?: (claim: Alive, known: MemberView | null, exchange: Endpoint | null) => boolean;
  /** A suspect or dead of somebody, about another. */
  readonly admitAccusation?: (claim: Suspect | Dead, known: MemberView) => AccusationVerdict;
  /** False: the members of this push/pull are not merged (asked at joins only, as memberlist does). */
  readonly admitMerge?: (members: readonly PushedMember[], from: Endpoint) => boolean;
  /** The other side's user state of a push/pull, before its members are weighed: what it proves counts for them already. `dialled`: by us, so `from` is its own place. */
  readonly merging?: (push: { readonly join: boolean; readonly userState: Uint8Array; readonly from: Endpoint; readonly dialled: boolean }) => void;
  /**
   * User state for a push/pull. `asked`: what the other side said, where we answer; its members are weighed by then. `there`: live members at the address
   * of the other side, at its port too where we dial.
   */
  readonly localState?: (join: boolean, asked: { readonly userState: Uint8Array } | null, there: readonly MemberView[]) => Uint8Array;
  /** False: no user messages for this one, neither pushed nor gossiped. */
  readonly hearsUsers?: (member: MemberView) => boolean;
  /** Payload of acks to pings over UDP. */
  readonly ackPayload?: () => Uint8Array | null;
}
