/** What the layer above says through us: to all by push and gossip, to one by datagram or stream. */
import type { Message } from '../messages.ts';
import type { Context } from './context.ts';
import type { Endpoint } from './endpoint.ts';
import type { Mail } from './mail.ts';
import { pickSome } from './random.ts';
import type { Streams } from './streams.ts';

export interface UserMessages {
  broadcast(payload: Uint8Array, options: { readonly push: boolean; readonly name: string | null }): void;
  bestEffort(to: string | Endpoint, payload: Uint8Array): void;
  reliable(id: number, to: string | Endpoint, payload: Uint8Array, nowMs: number): void;
}

/** Memberlist's limit for what a stream carries. */
const MOST_STREAM_BYTES = 20 * 1024 * 1024;

export function createUserMessages(context: Context, mail: Mail, streams: Streams): UserMessages {
  const { options, deps, table, userItems } = context;

  /**
   * To everybody alive who ever answered us; in a large mesh to some, and gossip does the rest. Without a checksum, which gossip always has: so who hears
   * it can tell that all were told at the same time, and need not tell them.
   */
  function push(message: Message): void {
    const reachable = table.list.filter(member => member.name !== options.name && member.state === 'alive' && member.acquainted && mail.hearsUsers(member));
    const targets = reachable.length <= options.eagerPeers ? reachable : pickSome(reachable, Math.ceil(Math.sqrt(reachable.length)), deps.random, () => true);
    for (const target of targets) mail.toAddress([message], target.endpoint);
  }

  return {
    broadcast(payload, { push: eager, name }) {
      const message: Message = { kind: 'user', payload };
      const bytes = deps.sizeOf(message);
      // Refused here, or it would sit in the queue for ever without a sound (alertmanager#1412).
      if (bytes > mail.longestBytes()) return context.refuse('payload-too-long', {});
      userItems.add({ name, message, bytes });
      userItems.prune(options.userQueueItems);
      if (eager && options.eagerPeers > 0) push(message);
    },
    bestEffort(to, payload) {
      const message: Message = { kind: 'user', payload };
      if (deps.sizeOf(message) > mail.longestBytes()) return context.refuse('payload-too-long', typeof to === 'string' ? { node: to } : { from: to });
      if (typeof to !== 'string') return mail.toAddress([message], to);
      const member = table.get(to);
      if (member === undefined) return context.refuse('unknown-member', { node: to });
      mail.plainly([message], member);
    },
    reliable(id, to, payload, nowMs) {
      const endpoint = typeof to === 'string' ? table.get(to)?.endpoint : to;
      if (endpoint === undefined) return context.tell({ kind: 'sent', id, failure: 'unknown' });
      if (payload.length > MOST_STREAM_BYTES) {
        context.refuse('payload-too-long', { from: endpoint });
        return context.tell({ kind: 'sent', id, failure: 'malformed' });
      }
      const stream = { to: endpoint, request: { kind: 'user', payload } as const, replyExpected: false, deadlineMs: nowMs + options.tcpTimeoutMs };
      streams.open(stream, result => context.tell({ kind: 'sent', id, failure: result.ok ? null : result.why }));
    },
  };
}
