/** What the owner asked the core for and waits for: the core answers by an event that bears the number of the command. */
import type { MemberEvent } from '../protocol/core/outputs.ts';

type Ending = Extract<MemberEvent, { kind: 'joined' | 'left' | 'ping' | 'ping-failed' | 'sent' }>;
type EndingOf = {
  joined: Extract<Ending, { kind: 'joined' }>;
  left: Extract<Ending, { kind: 'left' }>;
  ping: Extract<Ending, { kind: 'ping' | 'ping-failed' }>;
  sent: Extract<Ending, { kind: 'sent' }>;
};

export interface Calls {
  /** Gives the command a number; resolves with the event that ends it. */
  ask<Kind extends keyof EndingOf>(kind: Kind, command: (id: number) => void): Promise<EndingOf[Kind]>;
  answer(event: MemberEvent): void;
  /** The core goes away: whoever waits is told the least that is true. */
  giveUp(): void;
}

export function createCalls(): Calls {
  const waiting = new Map<number, { readonly resolve: (event: Ending) => void; readonly given: Ending }>();
  let lastId = 0;

  const atTheEnd = (kind: keyof EndingOf, id: number): Ending => {
    switch (kind) {
      case 'joined':
        return { kind, id, contacted: 0, failed: [] };
      case 'left':
        return { kind, id, how: 'timeout' };
      case 'ping':
        return { kind: 'ping-failed', id, why: 'timeout' };
      case 'sent':
        return { kind, id, failure: 'closed' };
    }
  };

  return {
    ask(kind, command) {
      const id = ++lastId;
      const { promise, resolve } = Promise.withResolvers<Ending>();
      waiting.set(id, { resolve, given: atTheEnd(kind, id) });
      command(id);
      return promise as Promise<EndingOf[typeof kind]>;
    },
    answer(event) {
      if (event.kind !== 'joined' && event.kind !== 'left' && event.kind !== 'ping' && event.kind !== 'ping-failed' && event.kind !== 'sent') return;
      if (event.id === null) return;
      waiting.get(event.id)?.resolve(event);
      waiting.delete(event.id);
    },
    giveUp() {
      for (const { resolve, given } of waiting.values()) resolve(given);
      waiting.clear();
    },
  };
}
