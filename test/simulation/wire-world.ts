/**
 * Simulator 1: real cores on virtual time, with HM1 beside them or without, and a network between them that loses, doubles, delays and cuts, one way or both.
 * All chance comes from the seed: the same seed is the same run.
 */
import { placeOf } from '#enforcer/mesh/protocol/core/endpoint.ts';
import type { Hooks } from '#enforcer/mesh/protocol/core/hooks.ts';
import type { Input } from '#enforcer/mesh/protocol/core/inputs.ts';
import { type Core, createMember } from '#enforcer/mesh/protocol/core/member.ts';
import { type MemberOptions, memberOptions } from '#enforcer/mesh/protocol/core/options.ts';
import type { MemberEvent, Output } from '#enforcer/mesh/protocol/core/outputs.ts';
import type { Message, StreamMessage } from '#enforcer/mesh/protocol/messages.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { decodePacket, sealPacket } from '#enforcer/mesh/protocol/wire/packet.ts';
import { endpointOf, seeded } from '#test/support/mesh-member.ts';
import { createTimeline } from '#test/support/virtual-time.ts';

export interface Weather {
  /** Shares of datagrams, 0..1. Streams are slower in bad weather, not lost. */
  readonly loss: number;
  readonly duplicate: number;
  readonly latencyMs: number;
  /** Up to so much more: what is sent later may arrive earlier. */
  readonly jitterMs: number;
}

export const CALM: Weather = { loss: 0, duplicate: 0, latencyMs: 1, jitterMs: 1 };

export interface SimNode {
  readonly name: string;
  core: Core | null;
  /** HM1, where it speaks that. */
  beside: Beside | null;
  /** What survives a crash, as the driver keeps it; null: its disk was lost, too. */
  incarnation: number | null;
  /** It began again from 1: an incarnation of its may then have had two metas. */
  diskLost: boolean;
  /** Names that were ever its members: a driver keeps them beside the configured list, which may name machines that are long gone. */
  peers: Set<string>;
  meta: Uint8Array;
  /** Of its clock: 1 is true. */
  rate: number;
  bootedAtMs: number;
  /** Counts its starts: what was sent to a former life does not arrive. */
  life: number;
  paused: boolean;
  leaving: boolean;
  /** Others spoke in its name where nobody could tell: what is known of it may be theirs. */
  impersonated: boolean;
  backlog: Input[];
  wakeAtMs: number;
  /** When something last happened to it that excuses a wrong judgement. */
  disturbedAtMs: number;
  stoppedAtMs: number;
}

/** What a driver runs beside the core of a node, from its start to its end. Times are the simulator's. */
export interface Beside {
  readonly hooks: Hooks;
  event(event: MemberEvent): void;
  /** The core has started. */
  started(): void;
  /** When `tick` has something to do. */
  nextMs(): number;
  tick(): void;
  /** Before the core says goodbye. */
  leave(): void;
  /** The node stops: what is on its disk is all that is left. */
  stop(): void;
}

/** What was sent once, and can be sent again by whoever took it down. */
export type Recorded =
  | { readonly kind: 'packet'; readonly from: SimNode; readonly packet: Uint8Array }
  | { readonly kind: 'stream'; readonly from: SimNode; readonly message: StreamMessage };

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly own?: Partial<MemberOptions>;
  /** On top of `own`, for this one. */
  readonly ownOf?: (node: SimNode) => Partial<MemberOptions>;
  readonly beside?: (node: SimNode, world: World) => Beside | null;
  /** A planted fault: what it makes of what is to be delivered; null: swallowed. */
  readonly sabotage?: (messages: readonly Message[], from: SimNode, to: SimNode) => readonly Message[] | null;
}

export interface Watcher {
  event(node: SimNode, event: MemberEvent, nowMs: number): void;
  after(node: SimNode, nowMs: number): void;
}

export type World = ReturnType<typeof createWorld>;

/** What a datagram may measure: memberlist's budget and the CRC on top. */
const LARGEST_BYTES = 1405;
const LABEL = new Uint8Array();
const NONCE = new Uint8Array(12);
/** What an eavesdropper keeps: a share of all there is, the newest. */
const TAKEN_DOWN = 0.02;
const MOST_RECORDED = 400;

export function createWorld({ seed, nodes: count, own = {}, ownOf, beside, sabotage }: WorldOptions) {
  const random = seeded(seed);
  const chance = (share: number): boolean => random.fraction() < share;
  const timeline = createTimeline();
  const records: Recorded[] = [];
  const watchers: Watcher[] = [];
  const blocked = new Set<string>();
  const counts = { packets: 0, bytes: 0, lost: 0, doubled: 0, cut: 0, streams: 0, oversize: 0, deaths: 0, refusals: new Map<string, number>() };
  const streams = new Map<number, { readonly opener: SimNode; readonly life: number; readonly id: number }>();
  let lastStream = 0;
  let weather = CALM;

  const nodes: SimNode[] = Array.from({ length: count }, (_, at) => ({
    name: `n${at + 1}`,
    core: null,
    beside: null,
    incarnation: null,
    diskLost: false,
    peers: new Set(),
    meta: new Uint8Array(),
    rate: 1,
    bootedAtMs: 0,
    life: 0,
    paused: false,
    leaving: false,
    impersonated: false,
    backlog: [],
    wakeAtMs: Number.POSITIVE_INFINITY,
    disturbedAtMs: 0,
    stoppedAtMs: 0,
  }));
  const byPlace = new Map(nodes.map(node => [placeOf(endpointOf(node.name)), node]));

  const localMs = (node: SimNode): number => (timeline.nowMs - node.bootedAtMs) * node.rate;
  const takeDown = (record: Recorded): void => {
    if (!chance(TAKEN_DOWN)) return;
    if (records.length < MOST_RECORDED) records.push(record);
    else records[random.below(MOST_RECORDED)] = record;
  };
  const delayMs = (): number => weather.latencyMs + random.fraction() * weather.jitterMs;
  const isCut = (from: SimNode, to: SimNode): boolean => blocked.has(`${from.name}>${to.name}`);

  function feed(node: SimNode, input: Input): void {
    if (node.core === null) return;
    if (node.paused) {
      // A socket's buffer is finite, too.
      if (node.backlog.length < 500 && input.kind !== 'tick') node.backlog.push(input);
      return;
    }
    const outputs = node.core.handle(input, localMs(node));
    for (const output of outputs) obey(node, output);
    if (input.kind === 'stream-message' && !outputs.some(output => output.kind === 'reply')) closeStream(input.id);
    if (node.beside !== null && node.beside.nextMs() <= timeline.nowMs) node.beside.tick();
    schedule(node);
    for (const watcher of watchers) watcher.after(node, timeline.nowMs);
  }

  function schedule(node: SimNode): void {
    const deadline = node.core?.nextDeadline() ?? null;
    if (deadline === null) return;
    // A thousandth later: what was rounded down would never be due.
    const coreMs = node.bootedAtMs + deadline / node.rate + 0.001;
    const wakeAtMs = Math.max(timeline.nowMs, Math.min(coreMs, node.beside?.nextMs() ?? Number.POSITIVE_INFINITY));
    if (wakeAtMs >= node.wakeAtMs) return;
    node.wakeAtMs = wakeAtMs;
    const { life } = node;
    timeline.at(wakeAtMs, () => {
      if (node.wakeAtMs !== wakeAtMs || node.life !== life) return;
      node.wakeAtMs = Number.POSITIVE_INFINITY;
      feed(node, { kind: 'tick' });
    });
  }

  function obey(node: SimNode, output: Output): void {
    switch (output.kind) {
      case 'send':
        post(node, output);
        return;
      case 'open':
        dial(node, output);
        return;
      case 'reply': {
        const stream = streams.get(output.id);
        streams.delete(output.id);
        if (stream !== undefined) backTo(node, stream, { kind: 'stream-reply', id: stream.id, message: output.message });
        return;
      }
      case 'refused':
        counts.refusals.set(output.why, (counts.refusals.get(output.why) ?? 0) + 1);
        return;
      case 'event':
        heard(node, output.event);
        return;
    }
  }

  function heard(node: SimNode, event: MemberEvent): void {
    if (event.kind === 'incarnation') node.incarnation = event.incarnation;
    if (event.kind === 'leave' && event.member.state === 'dead') counts.deaths++;
    if (event.kind === 'join' && event.member.name !== node.name) node.peers.add(event.member.name);
    if (event.kind === 'rejoin-due') rejoin(node);
    for (const watcher of watchers) watcher.event(node, event, timeline.nowMs);
    node.beside?.event(event);
  }

  /** The configured list (the first two), and three of those it once knew. */
  function rejoin(node: SimNode): void {
    const alive = new Set(node.core?.members().flatMap(({ name, state }) => (state === 'alive' ? [name] : [])));
    const missing = (name: string): boolean => !alive.has(name);
    const once = [...node.peers].filter(missing);
    while (once.length > 3) once.splice(random.below(once.length), 1);
    const targets = [...new Set([...nodes.slice(0, 2).map(({ name }) => name), ...once])].filter(missing);
    if (targets.length > 0) timeline.at(timeline.nowMs, () => feed(node, { kind: 'join', id: 0, targets: targets.map(endpointOf) }));
  }

  function post(node: SimNode, { to, messages, knownMax }: Extract<Output, { kind: 'send' }>): void {
    const target = byPlace.get(placeOf(to));
    const packet = sealPacket(messages.map(encodeMessage), {
      label: LABEL,
      keyring: null,
      compress: false,
      checksum: (knownMax ?? 0) >= 5,
      encryption: 1,
      nonce: NONCE,
    });
    counts.packets++;
    counts.bytes += packet.length;
    if (packet.length > LARGEST_BYTES) counts.oversize++;
    takeDown({ kind: 'packet', from: node, packet });
    if (target === undefined) return;
    const copies = chance(weather.duplicate) ? 2 : 1;
    if (copies === 2) counts.doubled++;
    for (let copy = 0; copy < copies; copy++) {
      if (chance(weather.loss)) counts.lost++;
      else timeline.at(timeline.nowMs + delayMs(), () => arrive(packet, node, target));
    }
  }

  function arrive(packet: Uint8Array, from: SimNode, to: SimNode): void {
    if (isCut(from, to)) counts.cut++;
    else deliver(packet, from, to);
  }

  function deliver(packet: Uint8Array, from: SimNode, to: SimNode): void {
    const opened = decodePacket(packet, { label: LABEL, skipLabelCheck: false, keyring: null, verifyIncoming: true });
    if (!opened.ok) throw new Error(`our own packet was refused: ${opened.why}`);
    const messages = sabotage === undefined ? opened.value.messages : sabotage(opened.value.messages, from, to);
    if (messages !== null) feed(to, { kind: 'packet', from: endpointOf(from.name), messages });
  }

  function dial(node: SimNode, { id, to, request, replyExpected }: Extract<Output, { kind: 'open' }>): void {
    const target = byPlace.get(placeOf(to));
    const stream = { opener: node, life: node.life, id };
    counts.streams++;
    takeDown({ kind: 'stream', from: node, message: request });
    // Retransmissions: slow, not lost.
    timeline.at(timeline.nowMs + delayMs() * (1 + 4 * weather.loss), () => {
      if (target === undefined || isCut(node, target) || isCut(target, node)) return;
      if (target.core === null) return backTo(target, stream, { kind: 'stream-failed', id, why: 'refused' });
      const number = ++lastStream;
      if (replyExpected) streams.set(number, stream);
      else backTo(target, stream, { kind: 'stream-reply', id, message: null });
      feed(target, { kind: 'stream-message', id: number, from: { ...endpointOf(node.name), port: 40_000 }, message: request });
    });
  }

  function closeStream(number: number): void {
    const stream = streams.get(number);
    streams.delete(number);
    if (stream !== undefined) timeline.at(timeline.nowMs + delayMs(), () => feed(stream.opener, { kind: 'stream-failed', id: stream.id, why: 'closed' }));
  }

  function backTo(from: SimNode, { opener, life }: { readonly opener: SimNode; readonly life: number }, input: Input): void {
    timeline.at(timeline.nowMs + delayMs() * (1 + 4 * weather.loss), () => {
      if (opener.life === life && !isCut(from, opener)) feed(opener, input);
    });
  }

  const world = {
    nodes,
    random,
    chance,
    counts,
    watchers,
    records: records as readonly Recorded[],
    feed,
    isCut,
    isAnyCut: (node: SimNode): boolean => nodes.some(other => isCut(node, other) || isCut(other, node)),
    get nowMs(): number {
      return timeline.nowMs;
    },
    get weather(): Weather {
      return weather;
    },
    set weather(now: Weather) {
      weather = now;
    },
    at: timeline.at,
    run: (untilMs: number) => timeline.run(untilMs),
    /** Sends again what was taken down. */
    replay(record: Recorded, to: SimNode) {
      if (record.kind === 'packet') deliver(record.packet, record.from, to);
      else feed(to, { kind: 'stream-message', id: ++lastStream, from: { ...endpointOf(record.from.name), port: 40_001 }, message: record.message });
    },
    start(node: SimNode, joins: readonly SimNode[]) {
      node.life++;
      node.bootedAtMs = timeline.nowMs;
      node.disturbedAtMs = timeline.nowMs;
      node.paused = false;
      node.leaving = false;
      node.backlog = [];
      node.wakeAtMs = Number.POSITIVE_INFINITY;
      node.beside = beside?.(node, world) ?? null;
      const options = memberOptions('lan', {
        ...own,
        ...ownOf?.(node),
        name: node.name,
        advertise: endpointOf(node.name),
        meta: node.meta,
        incarnation: (node.incarnation ?? 0) + 1,
      });
      node.core = createMember(options, {
        random: seeded(random.below(2 ** 31)),
        sizeOf: message => encodeMessage(message).length,
        envelopeBytes: () => 0,
        ...(node.beside === null ? {} : { hooks: node.beside.hooks }),
      });
      feed(node, { kind: 'start' });
      node.beside?.started();
      if (joins.length > 0) feed(node, { kind: 'join', id: 1, targets: joins.map(({ name }) => endpointOf(name)) });
    },
    leave(node: SimNode) {
      node.leaving = true;
      node.disturbedAtMs = timeline.nowMs;
      node.beside?.leave();
      feed(node, { kind: 'leave', id: 1, timeoutMs: 5000 });
    },
    crash(node: SimNode) {
      node.beside?.stop();
      node.beside = null;
      node.core = null;
      node.life++;
      node.disturbedAtMs = timeline.nowMs;
      node.stoppedAtMs = timeline.nowMs;
    },
    pause(node: SimNode) {
      node.paused = true;
      node.disturbedAtMs = timeline.nowMs;
    },
    resume(node: SimNode) {
      if (!node.paused) return;
      node.paused = false;
      node.disturbedAtMs = timeline.nowMs;
      const { backlog } = node;
      node.backlog = [];
      // Timers first, then what lies in the sockets: as an event loop does it, and the worse order.
      feed(node, { kind: 'tick' });
      for (const input of backlog) feed(node, input);
    },
    cut(from: SimNode, to: SimNode) {
      blocked.add(`${from.name}>${to.name}`);
    },
    heal() {
      for (const node of nodes) for (const other of nodes) if (isCut(node, other)) [node.disturbedAtMs, other.disturbedAtMs] = [timeline.nowMs, timeline.nowMs];
      blocked.clear();
    },
  };
  return world;
}
