/** What a UDP trap is: a datagram in, at most one out, never a larger one. No state: a source can be forged, so nothing is remembered of it. */
import type { Address } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Observation } from '../observation.ts';
import type { Persona } from '../persona.ts';

/** What a responder knows of the datagram and of the host that it plays. */
export interface DatagramContext {
  /** The port that the datagram was sent to. */
  readonly port: number;
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly persona: Persona;
  /** At least 32 fresh bytes. */
  readonly random: Uint8Array;
  readonly receivedAt: UnixMs;
}

export interface Answer {
  /** No longer than the datagram that it answers: a forged source must gain nothing by us. */
  readonly reply?: Uint8Array;
  readonly observations: readonly Observation[];
}

export interface UdpProtocol {
  /** As it appears in events: lower-case letters, digits, dashes. */
  readonly name: string;
  readonly ports: readonly number[];
  /** Whether a datagram to a port of no protocol looks like this one's request. Never throws. */
  readonly recognise: (datagram: Uint8Array) => boolean;
  /** Never throws; `datagram` is hostile. What looks like a reply is never answered: two traps must not talk to each other for ever. */
  readonly respond: (datagram: Uint8Array, context: DatagramContext) => Answer;
}

/** The answer with `reply` if that fits, with none otherwise. */
export function answerWithin(datagram: Uint8Array, reply: Uint8Array, observations: readonly Observation[]): Answer {
  return reply.length <= datagram.length ? { reply, observations } : { observations };
}
