/**
 * An address that somebody tells of a member is aimed at by everybody who pushes to it. So each newcomer is pinged once by each, soon, and what is
 * pushed goes only to those that answered. Costs one ping and one ack a pair; the failure detector's round alone would take a second a member.
 */
import { createTicksOnDemand } from './alarms.ts';
import type { Context } from './context.ts';
import type { Mail } from './mail.ts';
import { acquaint, type Member } from './member-table.ts';

const INTERVAL_MS = 100;
/** A tick; so 256 members take under two seconds. */
const MOST_AT_ONCE = 16;
const MOST_TRIES = 3;
const BETWEEN_TRIES_MS = 1000;

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
    const sequence = context.nextSequence();
    acks.wait(sequence, { ack: (_payload, from) => acquaint(member, from) });
    alarms.set(`greeting ${sequence}`, nowMs + options.probeTimeoutMs, () => acks.forget(sequence));
    mail.toAddress({ kind: 'ping', sequence, node: member.name, replyTo: { ...options.advertise, node: options.name } }, member.endpoint);
  }

  function tick(nowMs: number): void {
    wanted = false;
    if (context.leaving || table.list.length > options.eagerPeers + 1) return;
    let greeted = 0;
    for (const member of table.list) {
      if (member.acquainted || member.state !== 'alive' || member.name === options.name || member.greetings >= MOST_TRIES) continue;
      wanted = true;
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
