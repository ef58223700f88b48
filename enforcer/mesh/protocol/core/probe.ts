/**
 * The failure detector (SWIM, with Lifeguard's awareness): one member is asked at a time, then others are asked to ask it and a stream is tried, then
 * it is suspected.
 */
import type { Message } from '../messages.ts';
import { createTicks } from './alarms.ts';
import type { Claims } from './claims.ts';
import type { Context } from './context.ts';
import { type Endpoint, samePlace } from './endpoint.ts';
import type { Mail } from './mail.ts';
import { isGone, type Member, viewOf } from './member-table.ts';
import { pickSome } from './random.ts';
import type { Streams } from './streams.ts';
import { highestProtocol, UNDERSTANDS } from './versions.ts';

export interface Prober {
  start(nowMs: number): void;
  /** A datagram to this address failed in our own socket. */
  sendFailed(to: Endpoint, nowMs: number): void;
}

interface Probe {
  readonly member: Member;
  readonly endpoint: Endpoint;
  readonly incarnation: number;
  readonly sequence: number;
  readonly endsAtMs: number;
  phase: 'direct' | 'indirect';
  /** Our own socket failed: an answer is then no merit of ours. */
  failedHere: boolean;
  expectedNacks: number;
  nacks: number;
  streamAnswered: boolean;
  /** Nobody listens there, says the host. */
  streamRefused: boolean;
}

export function createProber(
  context: Context,
  mail: Mail,
  claims: Claims,
  streams: Streams,
  reaped: (members: readonly Member[], nowMs: number) => void,
): Prober {
  const { options, deps, table, alarms, acks, awareness } = context;
  let place = 0;
  let current: Probe | null = null;
  /** A tick came while a probe was running: the next begins when that one ends, as with Go's ticker. */
  let due = false;

  function tick(nowMs: number): void {
    if (current === null) begin(nowMs);
    else due = true;
  }

  function begin(nowMs: number): void {
    const member = next(nowMs);
    if (member !== null) probe(member, nowMs);
  }

  function next(nowMs: number): Member | null {
    for (let checked = 0; checked < table.list.length; checked++) {
      if (place >= table.list.length) {
        reaped(table.reap(nowMs - options.gossipToTheDeadMs, options.name), nowMs);
        place = 0;
        continue;
      }
      const member = table.list[place++] as Member;
      if (member.name !== options.name && !isGone(member)) return member;
    }
    return null;
  }

  function probe(member: Member, nowMs: number): void {
    const sequence = context.nextSequence();
    const running: Probe = {
      member,
      endpoint: member.endpoint,
      incarnation: member.incarnation,
      sequence,
      endsAtMs: nowMs + awareness.scaled(options.probeIntervalMs),
      phase: 'direct',
      failedHere: false,
      expectedNacks: 0,
      nacks: 0,
      streamAnswered: false,
      streamRefused: false,
    };
    current = running;
    acks.wait(sequence, {
      ack: (payload, from, atMs) => answered(running, { payload, from, rttMs: atMs - nowMs }, atMs),
      nack: () => {
        running.nacks++;
        concludeEarly(running);
      },
    });
    alarms.set('probe timeout', nowMs + options.probeTimeoutMs, atMs => askAround(running, atMs));
    alarms.set('probe end', running.endsAtMs, atMs => conclude(running, atMs));
    const ping: Message = { kind: 'ping', sequence, node: member.name, replyTo: { ...options.advertise, node: options.name } };
    if (member.state === 'alive') {
      mail.withBroadcasts(ping, member.endpoint);
      return;
    }
    // The suspect hears of it with the ping itself: it can refute before it is too late.
    mail.plainly([ping, { kind: 'suspect', incarnation: member.incarnation, node: member.name, from: options.name }], member);
  }

  function answered(running: Probe, ack: { readonly payload: Uint8Array | null; readonly from: Endpoint; readonly rttMs: number }, nowMs: number): void {
    if (!running.failedHere) awareness.add(-1);
    context.answered(running.member, ack.from);
    if (running.phase === 'direct') context.tell({ kind: 'ping', id: null, node: running.member.name, rttMs: ack.rttMs, payload: ack.payload });
    end(running, nowMs);
  }

  function askAround(running: Probe, nowMs: number): void {
    if (running.phase === 'indirect') return;
    running.phase = 'indirect';
    const { member, endpoint, sequence } = running;
    const helpers = pickSome(
      table.list,
      options.indirectChecks,
      deps.random,
      helper => helper.name !== options.name && helper.name !== member.name && helper.state === 'alive',
    );
    const replyTo = { ...options.advertise, node: options.name };
    for (const helper of helpers) {
      const nack = highestProtocol(helper.versions) >= UNDERSTANDS.nack;
      if (nack) running.expectedNacks++;
      mail.withBroadcasts(
        { kind: 'indirect-ping', sequence, target: endpoint.address, port: endpoint.port, node: member.name, nack, replyTo },
        helper.endpoint,
      );
    }
    if (options.disableTcpPings || highestProtocol(member.versions) < UNDERSTANDS.tcpPing || nowMs >= running.endsAtMs) return;
    const request = { kind: 'ping', sequence, node: member.name, replyTo } as const;
    streams.open({ to: endpoint, request, replyExpected: true, deadlineMs: running.endsAtMs }, result => {
      if (!result.ok) {
        running.streamRefused = result.why === 'refused';
        concludeEarly(running);
        return;
      }
      if (result.message?.kind === 'ack' && result.message.sequence === sequence) running.streamAnswered = true;
      else context.refuse('unexpected-reply', { node: member.name, from: endpoint });
    });
  }

  /** Its port is closed and none of the helpers reached it: the rest of the interval brings nothing. Who distrusts itself waits all the same. */
  function concludeEarly(running: Probe): void {
    if (current !== running || !running.streamRefused || awareness.score > 0) return;
    if (running.expectedNacks === 0 || running.nacks < running.expectedNacks) return;
    alarms.set('probe end', Number.NEGATIVE_INFINITY, atMs => conclude(running, atMs));
  }

  function conclude(running: Probe, nowMs: number): void {
    if (running.streamAnswered) {
      if (!running.failedHere) awareness.add(-1);
      context.tell({ kind: 'udp-blocked', member: viewOf(running.member) });
      end(running, nowMs);
      return;
    }
    awareness.add(running.expectedNacks > 0 ? Math.max(0, running.expectedNacks - running.nacks) : 1);
    claims.accuse(running.member.name, running.incarnation, nowMs);
    end(running, nowMs);
  }

  function end(running: Probe, nowMs: number): void {
    acks.forget(running.sequence);
    alarms.cancel('probe timeout');
    alarms.cancel('probe end');
    current = null;
    if (!due) return;
    due = false;
    begin(nowMs);
  }

  return {
    start: nowMs => createTicks(alarms, 'probe tick', options.probeIntervalMs, nowMs, tick),
    sendFailed(to, nowMs) {
      if (current?.phase !== 'direct' || !samePlace(to, current.endpoint)) return;
      current.failedHere = true;
      askAround(current, nowMs);
    },
  };
}
