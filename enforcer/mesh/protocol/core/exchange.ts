/** Push/pull: two members show each other all they know, over a stream. It is how one joins, and what gossip missed is found by it. */
import type { PushedMember, PushPull, StreamMessage } from '../messages.ts';
import type { Claims } from './claims.ts';
import type { Context } from './context.ts';
import { type Endpoint, endpointOf, sameHost } from './endpoint.ts';
import { isGone, type Member, pushedOf, viewOf } from './member-table.ts';
import type { JoinFailure } from './outputs.ts';
import { pickSome } from './random.ts';
import type { Streams } from './streams.ts';
import { whoCannotTalk } from './versions.ts';

export interface Exchange {
  start(nowMs: number): void;
  join(id: number, targets: readonly Endpoint[], nowMs: number): void;
  /** One peer, as a join does it; `done` with the failure or null. */
  with(to: Endpoint, join: boolean, nowMs: number, done: (failure: Omit<JoinFailure, 'target'> | null) => void): void;
  /** Somebody's push: what we answer. It is merged after that. */
  serve(push: PushPull, from: Endpoint, nowMs: number): StreamMessage;
}

/** The larger the mesh, the rarer the exchange: twice the members of 32, one interval more. */
export const pushPullScale = (members: number): number => (members <= 32 ? 1 : Math.ceil(Math.log2(members) - Math.log2(32)) + 1);

export function createExchange(context: Context, claims: Claims, streams: Streams): Exchange {
  const { options, deps, table, alarms } = context;
  const hooks = deps.hooks ?? {};

  function userStateFor(join: boolean, asked: { readonly userState: Uint8Array } | null, there: readonly (Member | undefined)[]): Uint8Array {
    if (hooks.localState === undefined) return new Uint8Array();
    const members = there.flatMap(member => (member === undefined || member.name === options.name || isGone(member) ? [] : [viewOf(member)]));
    return hooks.localState(join, asked, members);
  }

  const ownState = (join: boolean, to: Endpoint): PushPull => ({
    kind: 'push-pull',
    join,
    members: table.list.map(pushedOf),
    userState: userStateFor(join, null, [table.at(to)]),
  });

  /** Memberlist's protocol 1 has no ports, and port 0 means ours. */
  function withPorts(members: readonly PushedMember[]): readonly PushedMember[] {
    const portless = (options.versions[2] ?? 0) < 2;
    return members.map(member => (portless || member.port === 0 ? { ...member, port: options.advertise.port } : member));
  }

  function merge(pushed: PushPull, join: boolean, from: Endpoint, dialled: boolean, nowMs: number): Omit<JoinFailure, 'target'> | null {
    const members = withPorts(pushed.members);
    const speakers = [...table.list, ...members].map(({ name, versions, state }) => ({ name, versions, alive: state === 'alive' }));
    const odd = whoCannotTalk(speakers);
    if (odd !== null) {
      context.refuse('incompatible-versions', { node: odd, from });
      return { why: 'refused-merge', text: odd };
    }
    if (join && hooks.admitMerge?.(members, from) === false) {
      context.refuse('vetoed', { from });
      return { why: 'refused-merge', text: 'vetoed' };
    }
    if (pushed.userState.length > 0) hooks.merging?.({ join, userState: pushed.userState, from: endpointOf(from), dialled });
    claims.merge(members, endpointOf(from), nowMs);
    if (pushed.userState.length > 0) context.tell({ kind: 'merge', join, userState: pushed.userState, from: endpointOf(from), members });
    return null;
  }

  function withPeer(to: Endpoint, join: boolean, nowMs: number, done: (failure: Omit<JoinFailure, 'target'> | null) => void): void {
    const stream = { to: endpointOf(to), request: ownState(join, to), replyExpected: true, deadlineMs: nowMs + options.tcpTimeoutMs };
    streams.open(stream, (result, atMs) => {
      if (!result.ok) return done({ why: result.why, text: result.text });
      if (result.message?.kind === 'push-pull') {
        const failure = merge(result.message, join, to, true, atMs);
        const member = table.at(to);
        if (member !== undefined) context.answered(member, to);
        return done(failure);
      }
      if (result.message?.kind === 'error') return done({ why: 'refused', text: result.message.text });
      context.refuse('unexpected-reply', { from: to });
      done({ why: 'malformed', text: '' });
    });
  }

  function schedule(afterMs: number, nowMs: number): void {
    alarms.set('push-pull', nowMs + afterMs, atMs => {
      const [peer] = pickSome(table.list, 1, deps.random, member => member.name !== options.name && member.state === 'alive');
      if (peer !== undefined && !context.leaving) withPeer(peer.endpoint, false, atMs, () => undefined);
      schedule(options.pushPullIntervalMs * pushPullScale(table.list.length), atMs);
    });
  }

  return {
    start(nowMs) {
      const interval = options.pushPullIntervalMs;
      // Members that start together must not exchange together.
      if (interval > 0) schedule(deps.random.below(Math.ceil(interval)) + interval, nowMs);
    },
    with: withPeer,
    join(id, targets, nowMs) {
      const failed: JoinFailure[] = [];
      let open = targets.length;
      const finish = (): void => context.tell({ kind: 'joined', id, contacted: targets.length - failed.length, failed });
      if (open === 0) return finish();
      for (const target of targets) {
        withPeer(target, true, nowMs, failure => {
          if (failure !== null) failed.push({ target: endpointOf(target), ...failure });
          if (--open === 0) finish();
        });
      }
    },
    serve(push, from, nowMs) {
      // As memberlist answers, whom it hears of by this push is not in it; what we say beside can count on who it is that asks.
      const members = table.list.map(pushedOf);
      merge(push, push.join, from, false, nowMs);
      // A stream's own port is nobody's.
      const there = table.list.filter(member => sameHost(member.endpoint, from));
      return { kind: 'push-pull', join: push.join, members, userState: userStateFor(push.join, { userState: push.userState }, there) };
    },
  };
}
