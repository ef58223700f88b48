/**
 * An address that somebody tells of a member is aimed at by everybody who pushes to it. So each newcomer is pinged once by each, soon, and what is
 * pushed goes only to those that answered. Costs one ping and one ack a pair; the failure detector's round alone would take a second a member.
 * The ack to such a greeting carries no news: else a newcomer that greets all would use up everybody's gossip on itself. Go's members do not know
 * that, so greetings wait until the worst of the newcomer's own gossip is over. A greeting says who greets: the gossip of a join leaves out about one in
 * three thousand (each is told at random, 8 times in a mesh of 64), and they would miss it until their next push/pull.
 */
import type { Message } from '../messages.ts';
import { createTicksOnDemand } from './alarms.ts';
import type { Context } from './context.ts';
import type { Mail } from './mail.ts';
import { aliveOf, type Member } from './member-table.ts';

const INTERVAL_MS = 100;
/** A newcomer is greeted within so much. */
const SPREAD_MS = 2000;
/** A tick; so 256 members take under two seconds. */
const MOST_AT_ONCE = 16;
const MOST_TRIES = 3;
const BETWEEN_TRIES_MS = 1000;

/** Memberlist numbers its pings from 1, and all of them say where to answer. */
export const GREETINGS_FROM = 2 ** 31;
export const isGreeting = (ping: { readonly sequence: number; readonly replyTo?: object }): boolean =>
  ping.sequence >= GREETINGS_FROM && ping.replyTo === undefined;

export interface Acquaintance {
  start(nowMs: number): void;
  /** There is somebody new, or somebody lives elsewhere now. */
  newcomer(): void;
  /** To be called after each input. */
  arm(nowMs: number): void;
}

export function createAcquaintance(context: Context, mail: Mail): Acquaintance {
  const { options, deps, table, alarms, acks } = context;
  let wanted = false;
  let ticks: (nowMs: number) => void = () => undefined;

  function greet(member: Member, nowMs: number): void {
    member.greetings++;
    member.greetedAtMs = nowMs;
    const sequence = GREETINGS_FROM + context.nextSequence();
    acks.wait(sequence, { ack: (_payload, from) => context.answered(member, from) });
    alarms.set(`greeting ${sequence}`, nowMs + options.probeTimeoutMs, () => acks.forget(sequence));
    const self = table.get(options.name);
    const news: readonly Message[] = self === undefined ? [] : [aliveOf(self)];
    mail.toAddress([{ kind: 'ping', sequence, node: member.name }, ...news], member.endpoint);
  }

  function tick(nowMs: number): void {
    wanted = false;
    if (context.leaving || table.list.length > options.eagerPeers + 1) return;
    let greeted = 0;
    for (const member of table.list) {
      if (member.acquainted || member.state !== 'alive' || member.name === options.name || member.greetings >= MOST_TRIES) continue;
      wanted = true;
      if (member.greetedAtMs === Number.NEGATIVE_INFINITY) member.greetedAtMs = nowMs - BETWEEN_TRIES_MS + deps.random.below(SPREAD_MS);
      if (nowMs - member.greetedAtMs < BETWEEN_TRIES_MS) continue;
      greet(member, nowMs);
      if (++greeted === MOST_AT_ONCE) return;
    }
  }

  return {
    start(nowMs) {
      // At an offset of its own: members that start together must not all ask the same newcomer at once.
      if (options.eagerPeers > 0) ticks = createTicksOnDemand(alarms, 'greet', INTERVAL_MS, nowMs - deps.random.below(INTERVAL_MS), tick);
    },
    newcomer() {
      wanted = true;
    },
    arm(nowMs) {
      if (wanted) ticks(nowMs);
    },
  };
}
