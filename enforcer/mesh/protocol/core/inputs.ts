/** What goes into a member: what was received, what became of what it asked for, what its owner wants. */
import type { Message, PushPull, StreamMessage } from '../messages.ts';
import type { Endpoint } from './endpoint.ts';

export type StreamFailure = 'refused' | 'timeout' | 'closed' | 'malformed' | 'unreachable';

export type Input =
  | { readonly kind: 'start' }
  /** Nothing but time: what is due is done. */
  | { readonly kind: 'tick' }
  /** One datagram, taken apart. */
  | { readonly kind: 'packet'; readonly from: Endpoint; readonly messages: readonly Message[] }
  /** A datagram to there failed in our own socket (ECONNREFUSED, EHOSTUNREACH). */
  | { readonly kind: 'send-failed'; readonly to: Endpoint }
  /** A peer opened stream `id` (numbered by the driver) and said one thing. What is not answered by an output `reply` is closed. */
  | { readonly kind: 'stream-message'; readonly id: number; readonly from: Endpoint; readonly message: StreamMessage }
  /** What came back on a stream that an output `open` asked for; `null` where none was expected and all was written. */
  | { readonly kind: 'stream-reply'; readonly id: number; readonly message: StreamMessage | null }
  /** `text`: more about it, for whoever reads of the failed join. */
  | { readonly kind: 'stream-failed'; readonly id: number; readonly why: StreamFailure; readonly text?: string }
  | Command;

/** `id`: the owner's, comes back in the event that ends the command. */
export type Command =
  /** Push/pull with every one of these. */
  | { readonly kind: 'join'; readonly id: number; readonly targets: readonly Endpoint[] }
  /** Says goodbye, and goes on answering until the owner stops calling. */
  | { readonly kind: 'leave'; readonly id: number; readonly timeoutMs: number }
  | { readonly kind: 'update-meta'; readonly meta: Uint8Array }
  /** Queued for gossip; with `push` also sent at once to live members. `name`: replaces the queued one of that name. */
  | { readonly kind: 'broadcast'; readonly payload: Uint8Array; readonly push: boolean; readonly name?: string }
  | { readonly kind: 'send-best-effort'; readonly to: string | Endpoint; readonly payload: Uint8Array }
  | { readonly kind: 'send-reliable'; readonly id: number; readonly to: string | Endpoint; readonly payload: Uint8Array }
  | { readonly kind: 'ping'; readonly id: number; readonly node: string };

/** What the core asks of a dialled stream. */
export type StreamRequest = Extract<StreamMessage, { kind: 'ping' | 'user' }> | PushPull;
