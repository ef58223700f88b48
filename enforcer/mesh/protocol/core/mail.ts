/** How messages get into datagrams: what is asked for first, then what rides along within the budget. */
import type { Message } from '../messages.ts';
import { retransmitLimit } from './broadcast-queue.ts';
import type { Context } from './context.ts';
import type { Endpoint } from './endpoint.ts';
import { isGone, type Member, viewOf } from './member-table.ts';
import { pickSome } from './random.ts';
import { highestProtocol } from './versions.ts';

/** A compound's head, and what it costs for each part. */
const COMPOUND_BYTES = 2;
const PART_BYTES = 2;
/** Parts are counted in one byte. */
const MOST_PARTS = 255;

export interface Mail {
  /** A message to an address, with broadcasts on board. */
  withBroadcasts(message: Message, to: Endpoint): void;
  /** Exactly these, to a member whose versions are known. */
  plainly(messages: readonly Message[], to: Member): void;
  /** Exactly these, to whoever is there. */
  toAddress(messages: readonly Message[], to: Endpoint): void;
  /** One round: some members, each with a draw of its own. */
  gossip(nowMs: number): void;
  /** Whether user messages are for this one. */
  hearsUsers(member: Member | undefined): boolean;
  /** The longest message that a datagram can gossip: what is longer would wait for ever. */
  longestBytes(): number;
}

export function createMail({ options, deps, table, news, userItems, emit }: Context): Mail {
  const send = (messages: readonly Message[], to: Endpoint, knownMax: number | null): void => emit({ kind: 'send', to, messages, knownMax });

  /** Who is at no known member's address hears them where all do. */
  const hearsUsers = (member: Member | undefined): boolean =>
    deps.hooks?.hearsUsers === undefined || (member !== undefined && deps.hooks.hearsUsers(viewOf(member)));

  function draw(limitBytes: number, items: number, to: () => Member | undefined): readonly Message[] {
    const transmits = retransmitLimit(options.retransmitMult, table.list.length);
    // Member news first, but a storm of it leaves room for what users wait for (memberlist#299).
    const withUsers = userItems.size > 0 && hearsUsers(to());
    const kept = withUsers ? Math.min(userItems.bytes + PART_BYTES * userItems.size, Math.floor(limitBytes * options.userShare)) : 0;
    const drawn = news.draw({ limitBytes: limitBytes - kept, overheadBytes: PART_BYTES, items, transmits });
    if (!withUsers) return drawn.messages;
    const left = { limitBytes: limitBytes - drawn.bytes, overheadBytes: PART_BYTES, items: items - drawn.messages.length, transmits };
    return [...drawn.messages, ...userItems.draw(left).messages];
  }

  function withBroadcasts(message: Message, to: Endpoint): void {
    const limit = options.packetBytes - COMPOUND_BYTES - PART_BYTES - deps.sizeOf(message) - deps.envelopeBytes('piggyback');
    send([message, ...draw(limit, MOST_PARTS - 1, () => table.at(to))], to, null);
  }

  function gossip(nowMs: number): void {
    // Nobody is there whom they are for: who comes is told by push/pull.
    if (userItems.size > 0 && !table.list.some(member => member.name !== options.name && !isGone(member) && hearsUsers(member))) userItems.prune(0);
    if (news.size === 0 && userItems.size === 0) return;
    const targets = pickSome(table.list, options.gossipNodes, deps.random, member => {
      if (member.name === options.name || member.state === 'left') return false;
      // The dead are told for a while: one that lives refutes.
      return !isGone(member) || nowMs - member.stateSinceMs <= options.gossipToTheDeadMs;
    });
    const limit = options.packetBytes - COMPOUND_BYTES - deps.envelopeBytes('gossip');
    for (const target of targets) {
      const messages = draw(limit, MOST_PARTS, () => target);
      // Another may still hear what this one must not.
      if (messages.length === 0) continue;
      send(messages, target.endpoint, highestProtocol(target.versions));
    }
  }

  return {
    withBroadcasts,
    gossip,
    hearsUsers,
    plainly: (messages, to) => send(messages, to.endpoint, highestProtocol(to.versions)),
    toAddress: (messages, to) => send(messages, to, null),
    longestBytes: () => options.packetBytes - COMPOUND_BYTES - PART_BYTES - deps.envelopeBytes('gossip'),
  };
}
