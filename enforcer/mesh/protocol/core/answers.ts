/** What others ask of us: are you there, and is that one there. */
import type { Message, StreamMessage } from '../messages.ts';
import { isGreeting } from './acquaintance.ts';
import type { Claims } from './claims.ts';
import type { Context } from './context.ts';
import type { Endpoint } from './endpoint.ts';
import type { Mail } from './mail.ts';

export interface Answers {
  ping(ping: Extract<Message, { kind: 'ping' }>, from: Endpoint): void;
  indirectPing(request: Extract<Message, { kind: 'indirect-ping' }>, from: Endpoint, nowMs: number): void;
  /** Null: closed without a word. */
  streamPing(ping: Extract<StreamMessage, { kind: 'ping' }>, from: Endpoint): StreamMessage | null;
}

/** Pings on behalf of others that wait for an ack at one time. */
const MOST_RELAYS = 1024;

type WithReplyTo = { readonly replyTo?: Endpoint };
const replyAddress = ({ replyTo }: WithReplyTo, from: Endpoint): Endpoint =>
  replyTo !== undefined && replyTo.address.length > 0 && replyTo.port > 0 ? replyTo : from;

export function createAnswers(context: Context, mail: Mail, claims: Claims): Answers {
  const { options, deps, alarms, acks } = context;
  let relays = 0;

  function isForUs(ping: { readonly node: string }, from: Endpoint): boolean {
    if (ping.node === '' || ping.node === options.name) return true;
    context.refuse('ping-for-another', { node: ping.node, from });
    return false;
  }

  return {
    ping(ping, from) {
      if (!isForUs(ping, from)) return;
      if (isGreeting(ping)) {
        mail.toAddress([{ kind: 'ack', sequence: ping.sequence, payload: null }], from);
        return;
      }
      if (context.leaving) {
        // Who still asks has missed our goodbye.
        const ack = { kind: 'ack', sequence: ping.sequence, payload: null } as const;
        mail.toAddress([ack, { kind: 'dead', incarnation: claims.self.incarnation, node: options.name, from: options.name }], replyAddress(ping, from));
        return;
      }
      const payload = deps.hooks?.ackPayload?.() ?? null;
      mail.withBroadcasts({ kind: 'ack', sequence: ping.sequence, payload }, replyAddress(ping, from));
    },
    indirectPing(request, from, nowMs) {
      if (relays >= MOST_RELAYS) return context.refuse('too-many-relays', { node: request.node, from });
      const to = replyAddress(request, from);
      // Protocol 1 has no port in its messages: its members share one.
      const port = request.port === 0 || (options.versions[2] ?? 0) < 2 ? options.advertise.port : request.port;
      const sequence = context.nextSequence();
      const name = `relay ${sequence}`;
      let open = true;
      relays++;
      acks.wait(sequence, {
        ack: () => {
          open = false;
          mail.withBroadcasts({ kind: 'ack', sequence: request.sequence, payload: null }, to);
        },
      });
      mail.withBroadcasts(
        { kind: 'ping', sequence, node: request.node, replyTo: { ...options.advertise, node: options.name } },
        { address: request.target, port },
      );
      // The nack goes out before the asker's time is over, and an ack that comes later is passed on all the same.
      if (request.nack) {
        alarms.set(`${name} nack`, nowMs + options.nackShare * options.probeTimeoutMs, () => {
          if (open) mail.withBroadcasts({ kind: 'nack', sequence: request.sequence }, to);
        });
      }
      alarms.set(name, nowMs + options.probeTimeoutMs, () => {
        relays--;
        acks.forget(sequence);
      });
    },
    streamPing: (ping, from) => (isForUs(ping, from) ? { kind: 'ack', sequence: ping.sequence, payload: null } : null),
  };
}
