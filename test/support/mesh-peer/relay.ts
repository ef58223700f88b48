/**
 * `-relay`: user messages are passed on at first sight, as an application on memberlist does it. At once to all, where the message came by gossip and so
 * reached a few only; into our own gossip, where its sender said it to all at the same time: 64 members that each told 63 what those have just heard would
 * only be slower.
 */
import type { Envelope } from '#enforcer/mesh/node/envelope.ts';

interface Relayed {
  readonly payload: Uint8Array;
  /** At once to all. */
  readonly push: boolean;
}

export interface Relay {
  take(payload: Uint8Array): void;
  /** Sees which messages were said to all: alone in a datagram, and without a checksum (core/user-messages.ts). */
  wrap(envelope: Envelope): Envelope;
}

export function createRelay(pass: (relayed: Relayed) => void): Relay {
  const saidToAll = new WeakSet<Uint8Array>();
  const waiting: Relayed[] = [];

  return {
    take(payload) {
      waiting.push({ payload, push: !saidToAll.has(payload) });
      if (waiting.length > 1) return;
      // From within an event the core is busy: right after it.
      setImmediate(() => {
        for (const each of waiting.splice(0)) pass(each);
      });
    },
    wrap: envelope => ({
      ...envelope,
      openDatagram(bytes, source) {
        const opened = envelope.openDatagram(bytes, source);
        if (!opened.ok || opened.value.checked) return opened;
        const [first, second] = opened.value.messages;
        if (first?.kind === 'user' && second === undefined) saidToAll.add(first.payload);
        return opened;
      },
    }),
  };
}
