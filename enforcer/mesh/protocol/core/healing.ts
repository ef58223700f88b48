/**
 * What memberlist does not do, and its users miss (memberlist#222): after a partition that outlasted the memory of the table nobody would ever look
 * for the other half again. Members that died are tried over a stream from time to time, long after the table forgot them; and the list of peers is.
 */
import { createTicks } from './alarms.ts';
import type { Context } from './context.ts';
import type { Endpoint } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import type { Member } from './member-table.ts';

export interface Healing {
  start(nowMs: number): void;
  /** The table forgot these. */
  forgotten(members: readonly Member[], nowMs: number): void;
}

/** Names that are remembered after the table forgot them: the newest. */
const MOST_LOST = 1024;

export function createHealing(context: Context, exchange: Exchange): Healing {
  const { options, deps, table, alarms } = context;
  const lost = new Map<string, { readonly endpoint: Endpoint; readonly sinceMs: number }>();

  function announce(nowMs: number): void {
    for (const [name, { endpoint, sinceMs }] of lost) {
      if (nowMs - sinceMs > options.rememberLostMs || table.get(name) !== undefined || table.at(endpoint) !== undefined) lost.delete(name);
    }
    const candidates = [...lost.values()].map(({ endpoint }) => endpoint);
    for (const member of table.list)
      if (member.state === 'dead' && member.name !== options.name && table.at(member.endpoint) === undefined) candidates.push(member.endpoint);
    if (candidates.length === 0 || context.leaving) return;
    exchange.with(candidates[deps.random.below(candidates.length)] as Endpoint, true, nowMs, () => undefined);
  }

  return {
    start(nowMs) {
      // Staggered, or both halves of a partition and all members of a half would do it at once.
      const stagger = (intervalMs: number): number => nowMs - deps.random.below(Math.max(1, Math.ceil(intervalMs)));
      createTicks(alarms, 'announce to the lost', options.announceIntervalMs, stagger(options.announceIntervalMs), announce);
      createTicks(alarms, 'rejoin', options.rejoinIntervalMs, stagger(options.rejoinIntervalMs), () => {
        if (!context.leaving) context.tell({ kind: 'rejoin-due' });
      });
    },
    forgotten(members, nowMs) {
      for (const { name, endpoint, state, incarnation } of members) {
        // Who left is not looked for, and a stub never was a member.
        if (state !== 'dead' || incarnation === 0) continue;
        lost.delete(name);
        lost.set(name, { endpoint, sinceMs: nowMs });
      }
      for (const name of lost.keys()) {
        if (lost.size <= MOST_LOST) break;
        lost.delete(name);
      }
    },
  };
}
