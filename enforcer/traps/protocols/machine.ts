/** What a trap's protocol is: bytes and time in, effects out as values. No sockets, no timers: the driver (server/session.ts) owns them, a simulator may too. */
export interface TrapMachine {
  /** As it appears in events: lower-case letters, digits, dashes. */
  readonly protocol: string;
  open(nowMs: number): Outcome;
  /** `bytes` are hostile and of any length. */
  receive(bytes: Uint8Array, nowMs: number): Outcome;
  /** The time asked for by `wakeAtMs` has come. */
  expire(nowMs: number): Outcome;
}

export interface Outcome {
  readonly send?: Uint8Array;
  readonly observations: readonly Observation[];
  readonly wakeAtMs: number | 'never';
  readonly close: boolean;
}

/** What a source did in a trap, beyond having connected to it. */
export type Observation = { readonly kind: 'too-much'; readonly receivedBytes: number } | { readonly kind: 'deadline' };
