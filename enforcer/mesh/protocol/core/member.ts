/**
 * One member of a mesh that speaks memberlist's protocol, without sockets, timers or chance of its own: inputs and the time go in, what is to be sent
 * and what was seen comes out. The driver calls `handle` for whatever happens, and with `tick` when `nextDeadline` has come.
 */
import type { Message } from '../messages.ts';
import { createAcquaintance } from './acquaintance.ts';
import { createAlarms, createTicksOnDemand } from './alarms.ts';
import { createAnswers } from './answers.ts';
import { createAwakeClock } from './awake-clock.ts';
import { createAwareness } from './awareness.ts';
import { createBroadcastQueue } from './broadcast-queue.ts';
import { createClaims } from './claims.ts';
import { type Context, createAcks } from './context.ts';
import type { Endpoint } from './endpoint.ts';
import { createExchange } from './exchange.ts';
import { createHandoff, type Gossip } from './handoff.ts';
import { createHealing } from './healing.ts';
import type { MemberDeps } from './hooks.ts';
import type { Command, Input } from './inputs.ts';
import { createMail } from './mail.ts';
import { acquaint, createMemberTable, viewOf } from './member-table.ts';
import { MAX_META_BYTES, type MemberOptions } from './options.ts';
import type { MemberView, Output } from './outputs.ts';
import { createProber } from './probe.ts';
import { createStreams } from './streams.ts';
import { createUserMessages } from './user-messages.ts';

export interface Core {
  /** `nowMs`: a monotonic clock. What was due before is done first. */
  handle(input: Input, nowMs: number): readonly Output[];
  /** When `tick` has something to do next; null before the start. */
  nextDeadline(): number | null;
  members(): readonly MemberView[];
  self(): MemberView;
  stats(): CoreStats;
}

export interface CoreStats {
  /** Entries of the table, and how many of them are alive. */
  readonly members: number;
  readonly alive: number;
  /** Lifeguard's score: 0 is healthy. */
  readonly health: number;
  readonly newsQueued: number;
  readonly userQueued: number;
  readonly handoffQueued: number;
  /** Time that this process slept through, ms. */
  readonly sleptMs: number;
}

export function createMember(options: MemberOptions, deps: MemberDeps): Core {
  let outputs: Output[] = [];
  let sequence = deps.random.below(2 ** 31);
  let running = false;
  let gossipTicks: (nowMs: number) => void = () => undefined;
  const clock = createAwakeClock(options.probeTimeoutMs);
  const alarms = createAlarms();
  const emit = (output: Output): void => {
    outputs.push(output.kind === 'open' ? { ...output, deadlineMs: clock.outside(output.deadlineMs) } : output);
  };
  const context: Context = {
    options,
    deps,
    table: createMemberTable(deps.random),
    awareness: createAwareness(options.awarenessMaxMultiplier),
    alarms,
    news: createBroadcastQueue(),
    userItems: createBroadcastQueue(),
    acks: createAcks(),
    leaving: false,
    nextSequence() {
      sequence = (sequence + 1) & 0x7fff_ffff;
      return sequence;
    },
    emit,
    tell(event) {
      if (event.kind === 'join' || event.kind === 'alive') acquaintance.newcomer();
      emit({ kind: 'event', event });
    },
    refuse: (why, { node, from }) => emit({ kind: 'refused', why, node: node ?? null, from: from ?? null }),
    answered(member, from) {
      if (acquaint(member, from)) emit({ kind: 'event', event: { kind: 'answered', node: member.name, at: from } });
    },
  };
  const mail = createMail(context);
  const claims = createClaims(context, mail);
  const streams = createStreams(context);
  const exchange = createExchange(context, claims, streams);
  const healing = createHealing(context, exchange);
  const prober = createProber(context, mail, claims, streams, healing.forgotten);
  const answers = createAnswers(context, mail, claims);
  const acquaintance = createAcquaintance(context, mail);
  const users = createUserMessages(context, mail, streams);
  const handoff = createHandoff(options.handoffQueueDepth, gossip);

  function gossip(message: Gossip, from: Endpoint, nowMs: number): void {
    switch (message.kind) {
      case 'alive': {
        const portless = (options.versions[2] ?? 0) < 2 || message.port === 0;
        claims.alive(portless ? { ...message, port: options.advertise.port } : message, nowMs);
        return;
      }
      case 'suspect':
        claims.suspect(message, nowMs);
        return;
      case 'dead':
        claims.dead(message, nowMs);
        return;
      case 'user':
        heard(message.payload, 'packet', from);
        return;
    }
  }

  function heard(payload: Uint8Array, via: 'packet' | 'stream', from: Endpoint): void {
    context.tell({ kind: 'user', payload, via, from, member: context.table.at(from)?.name ?? null });
  }

  function packet(message: Message, from: Endpoint, nowMs: number): void {
    switch (message.kind) {
      case 'ping':
        answers.ping(message, from);
        return;
      case 'indirect-ping':
        answers.indirectPing(message, from, nowMs);
        return;
      case 'ack':
        context.acks.ack(message.sequence, message.payload, from, nowMs);
        return;
      case 'nack':
        context.acks.nack(message.sequence);
        return;
      case 'error':
        context.refuse('unexpected-message', { from });
        return;
      default:
        if (!handoff.take(message, from, nowMs)) context.refuse('handoff-full', { from });
    }
  }

  function stream(input: Extract<Input, { kind: 'stream-message' }>, nowMs: number): void {
    const { id, from, message } = input;
    switch (message.kind) {
      case 'ping': {
        const answer = answers.streamPing(message, from);
        if (answer !== null) emit({ kind: 'reply', id, message: answer });
        return;
      }
      case 'push-pull': {
        emit({ kind: 'reply', id, message: exchange.serve(message, from, nowMs) });
        return;
      }
      case 'user':
        if (message.payload.length > 0) heard(message.payload, 'stream', from);
        return;
      default:
        context.refuse('unexpected-message', { from });
    }
  }

  function start(nowMs: number): void {
    running = true;
    claims.announce(nowMs);
    prober.start(nowMs);
    gossipTicks = createTicksOnDemand(alarms, 'gossip', options.gossipIntervalMs, nowMs, mail.gossip);
    exchange.start(nowMs);
    healing.start(nowMs);
    acquaintance.start(nowMs);
  }

  function leave(id: number, timeoutMs: number, nowMs: number): void {
    let open = true;
    const done = (how: 'told' | 'timeout' | 'alone'): void => {
      if (open) context.tell({ kind: 'left', id, how });
      open = false;
      alarms.cancel('leave');
    };
    if (context.leaving) {
      done('told');
      return;
    }
    context.leaving = true;
    const alone = !context.table.list.some(member => member.name !== options.name && member.state === 'alive');
    if (!alone) alarms.set('leave', nowMs + timeoutMs, () => done('timeout'));
    claims.leave(nowMs, () => done('told'));
    if (alone) done('alone');
  }

  function obey(command: Command, nowMs: number): void {
    switch (command.kind) {
      case 'join':
        exchange.join(command.id, command.targets, nowMs);
        return;
      case 'leave':
        leave(command.id, command.timeoutMs, nowMs);
        return;
      case 'update-meta':
        if (command.meta.length > MAX_META_BYTES) {
          context.refuse('meta-too-long', { node: options.name });
          return;
        }
        if (!context.leaving) claims.updateMeta(command.meta);
        return;
      case 'broadcast':
        users.broadcast(command.payload, { push: command.push, name: command.name ?? null });
        return;
      case 'send-best-effort':
        users.bestEffort(command.to, command.payload);
        return;
      case 'send-reliable':
        users.reliable(command.id, command.to, command.payload, nowMs);
        return;
      case 'ping':
        ping(command.id, command.node, nowMs);
        return;
    }
  }

  function ping(id: number, node: string, nowMs: number): void {
    const member = context.table.get(node);
    if (member === undefined) {
      context.tell({ kind: 'ping-failed', id, why: 'unknown' });
      return;
    }
    const number = context.nextSequence();
    context.acks.wait(number, {
      ack: (payload, from, atMs) => {
        alarms.cancel(`ping ${number}`);
        context.answered(member, from);
        context.tell({ kind: 'ping', id, node, rttMs: atMs - nowMs, payload });
      },
    });
    alarms.set(`ping ${number}`, nowMs + options.probeTimeoutMs, () => {
      context.acks.forget(number);
      context.tell({ kind: 'ping-failed', id, why: 'timeout' });
    });
    mail.withBroadcasts({ kind: 'ping', sequence: number, node, replyTo: { ...options.advertise, node: options.name } }, member.endpoint);
  }

  function take(input: Exclude<Input, { kind: 'start' | 'tick' }>, nowMs: number): void {
    switch (input.kind) {
      case 'packet':
        for (const message of input.messages) packet(message, input.from, nowMs);
        return;
      case 'send-failed':
        prober.sendFailed(input.to, nowMs);
        return;
      case 'stream-message':
        stream(input, nowMs);
        return;
      case 'stream-reply':
        return void streams.end(input.id, { ok: true, message: input.message }, nowMs);
      case 'stream-failed':
        return void streams.end(input.id, { ok: false, why: input.why, text: input.text ?? '' }, nowMs);
      default:
        obey(input, nowMs);
        return;
    }
  }

  return {
    handle(input, outsideMs) {
      outputs = [];
      if (!running && input.kind !== 'start') {
        context.refuse('not-running', {});
        return outputs;
      }
      const nowMs = clock.inside(outsideMs, alarms.nextMs());
      if (input.kind === 'start') {
        if (!running) start(nowMs);
      } else {
        handoff.drain(nowMs);
        // An ack that lies in the socket at the time of its deadline has come in time: what was received goes first.
        if (input.kind !== 'tick') take(input, nowMs);
        alarms.run(nowMs);
      }
      if (context.news.size > 0 || context.userItems.size > 0) gossipTicks(nowMs);
      acquaintance.arm(nowMs);
      return outputs;
    },
    nextDeadline() {
      const alarmMs = alarms.nextMs();
      const nextMs = alarmMs === null ? null : clock.outside(alarmMs);
      return handoff.size > 0 ? Math.min(clock.lastOutside() + 1, nextMs ?? Number.POSITIVE_INFINITY) : nextMs;
    },
    members: () => context.table.list.map(viewOf),
    self: () => viewOf(claims.self),
    stats: () => ({
      members: context.table.list.length,
      alive: context.table.list.filter(member => member.state === 'alive').length,
      health: context.awareness.score,
      newsQueued: context.news.size,
      userQueued: context.userItems.size,
      handoffQueued: handoff.size,
      sleptMs: clock.sleptMs(),
    }),
  };
}
