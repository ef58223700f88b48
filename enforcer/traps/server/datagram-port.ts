/** What the traps' UDP server asks of its sockets. One implementation, on the addon: datagrams.ts. */
import type { Address } from '@honeymesh/intel/address';

export interface Datagram {
  /** May be forged. */
  readonly source: Address;
  readonly sourcePort: number;
  /** The own address and port that it was sent to: the kernel steered it here. */
  readonly destination: Address;
  readonly port: number;
  /** Of it in all; what is beyond LONGEST_DATAGRAM was not read. */
  readonly length: number;
}

export interface DatagramEvents {
  /** `bytes` is a view that is valid during the call only. */
  received(datagram: Datagram, bytes: Uint8Array): void;
  /** The batch is over: what was gathered in it can be sent on. */
  settled(): void;
}

export interface TrapDatagrams {
  /** Receives on inherited descriptors. */
  start(fds: readonly number[], events: DatagramEvents): void;
  /** Answers the datagram that is being told, from the address that it was sent to; only while `received` runs. False: the kernel did not take it. */
  reply(bytes: Uint8Array): boolean;
  /** Stops receiving (the descriptors stay open). Nothing is told any more. */
  stop(): void;
}

export const LONGEST_DATAGRAM = 4_096;
