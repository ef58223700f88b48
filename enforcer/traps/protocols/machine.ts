/** What a trap's protocol is: bytes and time in, effects out as values. No sockets, no timers: the driver (server/session.ts) owns them, a simulator may too. */
import type { Address } from '@honeymesh/intel/address';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Observation } from './observation.ts';
import type { Persona } from './persona.ts';

export type { Observation } from './observation.ts';

export interface TrapMachine {
  /** As it appears in events: lower-case letters, digits, dashes. It may become more precise while the source speaks. */
  readonly protocol: string;
  open(nowMs: number): Outcome;
  /** `bytes` are hostile and of any length. */
  receive(bytes: Uint8Array, nowMs: number): Outcome;
  /** The time asked for by `wakeAtMs` has come. */
  expire(nowMs: number): Outcome;
  /** TLS that an outcome asked for by `startTls` stands: `receive` gets clear bytes from here on. */
  secured?(nowMs: number): Outcome;
  /** The connection is gone, whoever ended it: for what holds more than memory. Nothing is called after. */
  ended?(): void;
}

export interface Outcome {
  readonly send?: Uint8Array;
  readonly observations: readonly Observation[];
  readonly wakeAtMs: number | 'never';
  /** Once `send` is out the driver answers as a TLS server, with a certificate of the persona's subject. What was received before and not named here is not TLS. */
  readonly startTls?: true;
  /** With `startTls`: bytes that the machine was given and that belong to TLS (the ClientHello). */
  readonly replay?: Uint8Array;
  readonly close: boolean;
}

/** Bounds of one session. All of them hold whatever the source sends. */
export interface MachineLimits {
  /** From the last complete message to the end of listening: a byte of an unfinished message prolongs nothing. */
  readonly patienceMs: number;
  /** From `open` to the end, however well the talk goes. */
  readonly sessionMs: number;
  /** More than this is not read. */
  readonly receivedBytes: number;
  /** More than this is not sent. */
  readonly sentBytes: number;
  /** Complete messages that are answered. */
  readonly messages: number;
}

/** What a machine knows of the connection and of the host that it plays. */
export interface TrapContext {
  /** The port that the source connected to. */
  readonly port: number;
  readonly source: Address;
  /** The own address that the source connected to. */
  readonly destination: Address;
  readonly persona: Persona;
  /** At least 32 fresh bytes: challenges, session ids. */
  readonly random: Uint8Array;
  /** Wall clock at `open`. */
  readonly acceptedAt: UnixMs;
  readonly limits: MachineLimits;
  /** Whether the driver can answer `startTls`: where it cannot, no machine offers it. */
  readonly tls: boolean;
}

export type ProtocolFactory = (context: TrapContext) => TrapMachine;

/** `maybe`: the bytes are a beginning of this protocol and of others. */
export type Recognition = 'yes' | 'no' | 'maybe';

/** A protocol as the registry lists it. */
export interface TrapProtocol {
  readonly name: string;
  /** Ports that the protocol is known for. */
  readonly ports: readonly number[];
  readonly create: ProtocolFactory;
  /** From the first bytes of a client that spoke first, on a port without a protocol of its own. Absent: the server speaks first. Never throws. */
  readonly recognise?: (first: Uint8Array) => Recognition;
}
