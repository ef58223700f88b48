/**
 * A member on real sockets: UDP and TCP on one port, the system's clock and chance around the core. It does what the core says and tells it what became
 * of it; nothing that a peer sends, and nothing that the network does, throws.
 */
import { randomInt } from 'node:crypto';
import type { Parsed } from '@honeymesh/intel/parsed';
import { type Endpoint, placeOf } from '../protocol/core/endpoint.ts';
import type { Hooks } from '../protocol/core/hooks.ts';
import type { Command } from '../protocol/core/inputs.ts';
import { type CoreStats, createMember } from '../protocol/core/member.ts';
import { MAX_INCARNATION, type MemberOptions } from '../protocol/core/options.ts';
import type { MemberEvent, MemberView, Output, Refusal } from '../protocol/core/outputs.ts';
import type { StreamMessage } from '../protocol/messages.ts';
import { describeFault, type WireFault } from '../protocol/wire/faults.ts';
import { encodeMessage } from '../protocol/wire/message-codec.ts';
import { ACCEPTOR_LIMITS, type Acceptor, openAcceptor, type StreamRefusal } from './acceptor.ts';
import { createCalls } from './calls.ts';
import type { Datagrams } from './datagrams.ts';
import { createDialer } from './dialer.ts';
import { createEnvelope, type Envelope, type EnvelopeOptions } from './envelope.ts';
import { advertisedAddress, openPort, type PortFault } from './listen.ts';
import { createMeeting } from './meeting.ts';
import type { NodeMemory } from './node-memory.ts';
import type { Lookup, Unresolved } from './resolve.ts';
import { createTurns, type Turns } from './turns.ts';

export interface NodeOptions {
  /** `incarnation` comes from memory; `advertise` from what is bound where it is absent. Port 0 there: the bound one. */
  readonly member: Omit<MemberOptions, 'advertise' | 'incarnation'>;
  readonly advertise?: Endpoint;
  /** An address; `::` is both families. */
  readonly bind: string;
  /** 0: any that is free for both UDP and TCP. */
  readonly port: number;
  /** Names or addresses, resolved anew at each re-join. */
  readonly join: readonly string[];
  readonly envelope: Omit<EnvelopeOptions, 'protocol'>;
}

export interface NodeDeps {
  /** As a function of what others are told: signatures are over it. */
  readonly hooks?: Hooks | ((advertised: Endpoint) => Hooks);
  readonly memory?: NodeMemory;
  readonly lookup?: Lookup;
  readonly onEvent: (event: MemberEvent) => void;
  readonly onRefusal?: (refusal: NodeRefusal) => void;
  readonly onTrouble?: (error: Error) => void;
  /** False swallows a datagram of ours: the network's losses, for tests and benches. */
  readonly letsOut?: (bytes: Uint8Array, to: Endpoint) => boolean;
  /** Around what seals and opens, for whoever wants to see it all. */
  readonly wrap?: (envelope: Envelope) => Envelope;
}

export type NodeRefusal =
  | { readonly by: 'core'; readonly why: Refusal; readonly node: string | null; readonly from: Endpoint | null }
  | { readonly by: 'datagram'; readonly why: WireFault; readonly from: Endpoint }
  | { readonly by: 'stream'; readonly why: StreamRefusal; readonly from: Endpoint };

type EventOf<Kind extends MemberEvent['kind']> = Extract<MemberEvent, { kind: Kind }>;

export interface Joined extends Pick<EventOf<'joined'>, 'contacted' | 'failed'> {
  readonly unresolved: readonly Unresolved[];
}

export interface NodeStats extends CoreStats {
  readonly datagramsIn: number;
  readonly datagramsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly sendsFailed: number;
  readonly streamsIn: number;
  readonly streamsOut: number;
  readonly refused: number;
  /** Under the primary key, since it is that. */
  readonly encrypted: number;
}

export interface MeshNode {
  /** What others are told. */
  readonly advertised: Endpoint;
  /** Push/pull with every address of these; without a list, with those of the options and those that are remembered. */
  join(targets?: readonly string[]): Promise<Joined>;
  leave(timeoutMs: number): Promise<EventOf<'left'>['how']>;
  ping(node: string): Promise<EventOf<'ping'> | EventOf<'ping-failed'>>;
  sendReliable(to: string | Endpoint, payload: Uint8Array): Promise<EventOf<'sent'>['failure']>;
  /** A goodbye that was proven otherwise than by the base protocol's word: as if the member said it. */
  left(node: string, incarnation: number): void;
  /** What is over at once; the reasons why not, if any. */
  tell(command: Extract<Command, { kind: 'update-meta' | 'broadcast' | 'send-best-effort' }>): readonly Refusal[];
  members(): readonly MemberView[];
  self(): MemberView;
  stats(): NodeStats;
  /** Closes everything, says nothing to anybody. Resolves when the port is free and memory is written. */
  stop(): Promise<void>;
}

/** Binds and starts; joins nobody yet. Never rejects. */
export async function startNode(options: NodeOptions, deps: NodeDeps): Promise<Parsed<MeshNode, PortFault>> {
  const remembered = (await deps.memory?.recall()) ?? null;
  const counts = { datagramsIn: 0, datagramsOut: 0, bytesIn: 0, bytesOut: 0, sendsFailed: 0, streamsIn: 0, streamsOut: 0, refused: 0 };
  const inner = createEnvelope({ ...options.envelope, protocol: options.member.versions[2] ?? 0 });
  const envelope = deps.wrap?.(inner) ?? inner;
  const dialer = createDialer(envelope);
  const calls = createCalls();
  const trouble = deps.onTrouble ?? (() => undefined);
  // What comes before the core is there finds nobody, as before the start.
  let turns: Turns | null = null;

  const refuse = (refusal: NodeRefusal): void => {
    counts.refused++;
    deps.onRefusal?.(refusal);
  };

  function datagram(bytes: Uint8Array, from: Endpoint): void {
    counts.datagramsIn++;
    counts.bytesIn += bytes.length;
    const opened = envelope.openDatagram(bytes, placeOf(from));
    if (!opened.ok) {
      refuse({ by: 'datagram', why: opened.why, from });
      return;
    }
    for (const why of opened.value.refused) refuse({ by: 'datagram', why, from });
    if (opened.value.messages.length > 0) turns?.received({ kind: 'packet', from, messages: opened.value.messages });
  }

  let lastStream = 0;
  function stream(message: StreamMessage, from: Endpoint): StreamMessage | null {
    counts.streamsIn++;
    const id = ++lastStream;
    const outputs = turns?.received({ kind: 'stream-message', id, from, message }) ?? [];
    const reply = outputs.find(output => output.kind === 'reply' && output.id === id);
    return reply?.kind === 'reply' ? reply.message : null;
  }

  const opened = await openPort(options.bind, options.port, {
    datagrams: { received: datagram, trouble },
    acceptor: (host, port) =>
      openAcceptor(
        host,
        port,
        envelope,
        { ...ACCEPTOR_LIMITS, timeoutMs: options.member.tcpTimeoutMs },
        { message: stream, refused: (why, from) => refuse({ by: 'stream', why, from }), trouble },
      ),
  });
  if (!opened.ok) return opened;
  const { datagrams, acceptor }: { datagrams: Datagrams; acceptor: Acceptor } = opened.value;
  const wanted = options.advertise ?? advertisedAddress(options.bind, acceptor.port);
  const advertised: Endpoint = wanted.port === 0 ? { ...wanted, port: acceptor.port } : wanted;
  const incarnation = Math.min((remembered?.incarnation ?? 0) + 1, MAX_INCARNATION);
  const core = createMember(
    { ...options.member, advertise: advertised, incarnation },
    {
      random: { below: limit => randomInt(limit) },
      sizeOf: message => encodeMessage(message).length,
      envelopeBytes: envelope.bytes,
      ...(deps.hooks === undefined ? {} : { hooks: typeof deps.hooks === 'function' ? deps.hooks(advertised) : deps.hooks }),
    },
  );
  const running = createTurns(core, obey);
  turns = running;
  const meeting = createMeeting(
    { join: options.join, port: options.port === 0 ? advertised.port : options.port, incarnation, remembered: remembered?.peers ?? [] },
    {
      members: core.members,
      self: core.self,
      memory: deps.memory ?? null,
      lookup: deps.lookup,
      trouble,
      push: async targets => calls.ask('joined', id => running.now({ kind: 'join', id, targets })),
    },
  );
  running.now({ kind: 'start' });

  function obey(outputs: readonly Output[]): void {
    for (const output of outputs) {
      switch (output.kind) {
        case 'send':
          send(output);
          break;
        case 'open':
          open(output);
          break;
        case 'event':
          happened(output.event);
          break;
        case 'refused':
          refuse({ by: 'core', why: output.why, node: output.node, from: output.from });
          break;
        case 'reply':
          break; // `stream` takes it from what `received` returns
      }
    }
  }

  function send({ to, messages, knownMax }: Extract<Output, { kind: 'send' }>): void {
    const bytes = envelope.sealDatagram(messages, knownMax);
    counts.datagramsOut++;
    counts.bytesOut += bytes.length;
    if (deps.letsOut?.(bytes, to) === false) return;
    datagrams.send(bytes, to, () => {
      counts.sendsFailed++;
      // Never from within the core's own call.
      setImmediate(() => running.now({ kind: 'send-failed', to }));
    });
  }

  function open({ id, to, request, replyExpected, deadlineMs }: Extract<Output, { kind: 'open' }>): void {
    counts.streamsOut++;
    dialer.dial({ to, request, replyExpected, timeoutMs: Math.max(1, deadlineMs - running.clock()) }, result => {
      if (result.ok) {
        running.received({ kind: 'stream-reply', id, message: result.message });
        return;
      }
      const { why, fault } = result;
      if (fault !== undefined) refuse({ by: 'stream', why: fault, from: to });
      running.received({ kind: 'stream-failed', id, why, ...(fault === undefined ? {} : { text: describeFault(fault) }) });
    });
  }

  function happened(event: MemberEvent): void {
    calls.answer(event);
    meeting.heard(event);
    deps.onEvent(event);
  }

  let stopping: Promise<void> | null = null;
  async function stop(): Promise<void> {
    running.stop();
    dialer.close();
    calls.giveUp();
    await Promise.all([datagrams.close(), acceptor.close(), meeting.stop()]);
  }

  return {
    ok: true,
    value: {
      advertised,
      join: targets => meeting.meet(targets),
      leave: async timeoutMs => (await calls.ask('left', id => running.now({ kind: 'leave', id, timeoutMs }))).how,
      ping: node => calls.ask('ping', id => running.now({ kind: 'ping', id, node })),
      sendReliable: async (to, payload) => (await calls.ask('sent', id => running.now({ kind: 'send-reliable', id, to, payload }))).failure,
      left(node, incarnation) {
        const member = core.members().find(({ name }) => name === node);
        if (member === undefined) return;
        running.now({ kind: 'packet', from: { address: member.address, port: member.port }, messages: [{ kind: 'dead', incarnation, node, from: node }] });
      },
      tell: command => running.now(command).flatMap(output => (output.kind === 'refused' ? [output.why] : [])),
      members: core.members,
      self: core.self,
      stats: () => ({ ...core.stats(), ...counts, encrypted: envelope.encrypted() }),
      stop() {
        stopping ??= stop();
        return stopping;
      },
    },
  };
}
