/**
 * What the traps' server asks of its TCP connections: a port, since ten thousand of them at once must not cost an object of Node's each. Connections are
 * numbers; events come in batches, in order for each connection. One implementation, on the addon: sockets.ts.
 */
import type { Address } from '@honeymesh/intel/address';

/** Grows by one for each connection; never used twice. */
export type SocketId = number & { readonly __brand: 'SocketId' };

export interface Accepted {
  readonly id: SocketId;
  readonly source: Address;
  readonly sourcePort: number;
  /** The own address and port that the source connected to: the kernel steered it here. */
  readonly destination: Address;
  readonly port: number;
}

/** `gone` is the last event of a connection, whoever ended it; after `close` nothing but that comes. */
export interface SocketEvents {
  accepted(socket: Accepted): void;
  /** `bytes` is a view that is valid during the call only. */
  received(id: SocketId, bytes: Uint8Array): void;
  /** The peer will send nothing more (FIN). */
  finished(id: SocketId): void;
  /** All that was written has been taken by the kernel, after a `write` that said `waiting`. */
  drained(id: SocketId): void;
  /** Closed. `reset`: by the peer, or by an error. */
  gone(id: SocketId, how: 'closed' | 'reset'): void;
  /** The batch is over: what was gathered in it can be sent on. */
  settled(): void;
}

export interface TrapSockets {
  /** Listens on inherited descriptors. */
  start(fds: readonly number[], events: SocketEvents): void;
  /** Takes a copy. `waiting`: the peer reads slowly, and what does not fit the kernel's buffer is kept until it does, up to LARGEST_UNSENT; beyond that the
   * connection is reset. `gone`: nobody is there to take it; what the peer said before it left is told yet. */
  write(id: SocketId, bytes: Uint8Array): 'sent' | 'waiting' | 'gone';
  /** Ends it by RST, which leaves no TIME-WAIT on a port that is not ours; `lingerMs`: first what waits goes out, for so long at the most. */
  close(id: SocketId, lingerMs: number): void;
  /** Stops and goes on reading from it: bounds what a fast sender costs. */
  pause(id: SocketId): void;
  resume(id: SocketId): void;
  /** Open connections. */
  count(): number;
  /** Resets all, stops listening (the descriptors stay open). Nothing is told any more. */
  stop(): void;
}

export const LARGEST_UNSENT = 256 * 1024;
