/** What the parts of one member share. */
import type { Message } from '../messages.ts';
import type { Alarms } from './alarms.ts';
import type { Awareness } from './awareness.ts';
import type { BroadcastQueue } from './broadcast-queue.ts';
import type { Endpoint } from './endpoint.ts';
import type { MemberDeps } from './hooks.ts';
import type { Member, MemberTable } from './member-table.ts';
import type { MemberOptions } from './options.ts';
import type { MemberEvent, Output, Refusal } from './outputs.ts';

export interface Context {
  readonly options: MemberOptions;
  readonly deps: MemberDeps;
  readonly table: MemberTable;
  readonly awareness: Awareness;
  readonly alarms: Alarms;
  /** News of members, by name; and messages of the layer above. */
  readonly news: BroadcastQueue<Message>;
  readonly userItems: BroadcastQueue<Message>;
  readonly acks: Acks;
  /** True from the command `leave` on. */
  leaving: boolean;
  /** Below 2^31: what is above is a greeting. */
  nextSequence(): number;
  emit(output: Output): void;
  tell(event: MemberEvent): void;
  refuse(why: Refusal, about: { readonly node?: string; readonly from?: Endpoint }): void;
  /** An answer of this member came from there. */
  answered(member: Member, from: Endpoint): void;
}

/** Who waits for an ack, by sequence number; the first ack ends the waiting, nacks do not. */
export interface Acks {
  wait(sequence: number, waiter: AckWaiter): void;
  forget(sequence: number): void;
  ack(sequence: number, payload: Uint8Array | null, from: Endpoint, nowMs: number): void;
  nack(sequence: number): void;
}

export interface AckWaiter {
  readonly ack: (payload: Uint8Array | null, from: Endpoint, nowMs: number) => void;
  readonly nack?: () => void;
}

export function createAcks(): Acks {
  const waiting = new Map<number, AckWaiter>();
  return {
    wait: (sequence, waiter) => void waiting.set(sequence, waiter),
    forget: sequence => void waiting.delete(sequence),
    ack(sequence, payload, from, nowMs) {
      const waiter = waiting.get(sequence);
      waiting.delete(sequence);
      waiter?.ack(payload, from, nowMs);
    },
    nack: sequence => waiting.get(sequence)?.nack?.(),
  };
}
