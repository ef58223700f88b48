/**
 * Simulator 1: real cores on virtual time, with a network between them that loses, doubles, delays and cuts, one way or both. All chance comes from the
 * seed: the same seed is the same run.
 */
import { placeOf } from '#enforcer/mesh/protocol/core/endpoint.ts';
import type { Hooks } from '#enforcer/mesh/protocol/core/hooks.ts';
import type { Input } from '#enforcer/mesh/protocol/core/inputs.ts';
import { type Core, createMember } from '#enforcer/mesh/protocol/core/member.ts';
import { type MemberOptions, memberOptions } from '#enforcer/mesh/protocol/core/options.ts';
import type { MemberEvent, Output } from '#enforcer/mesh/protocol/core/outputs.ts';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import { decodePacket, sealPacket } from '#enforcer/mesh/protocol/wire/packet.ts';
import { endpointOf, seeded } from '#test/support/mesh-member.ts';

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
  backlog: Input[];
  wakeAtMs: number;
  /** When something last happened to it that excuses a wrong judgement. */
  disturbedAtMs: number;
  stoppedAtMs: number;
}

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly own?: Partial<MemberOptions>;
  readonly hooks?: Hooks;
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

export function createWorld({ seed, nodes: count, own = {}, hooks, sabotage }: WorldOptions) {
  const random = seeded(seed);
  const chance = (share: number): boolean => random.fraction() < share;
  const queue = createQueue();
  const watchers: Watcher[] = [];
  const blocked = new Set<string>();
  const counts = { packets: 0, bytes: 0, lost: 0, doubled: 0, cut: 0, streams: 0, oversize: 0, deaths: 0, refusals: new Map<string, number>() };
  const streams = new Map<number, { readonly opener: SimNode; readonly life: number; readonly id: number }>();
  let lastStream = 0;
  let nowMs = 0;
  let weather = CALM;

  const nodes: SimNode[] = Array.from({ length: count }, (_, at) => ({
    name: `n${at + 1}`,
    core: null,
    incarnation: null,
    diskLost: false,
    peers: new Set(),
    meta: new Uint8Array(),
    rate: 1,
    bootedAtMs: 0,
    life: 0,
    paused: false,
    leaving: false,
    backlog: [],
    wakeAtMs: Number.POSITIVE_INFINITY,
    disturbedAtMs: 0,
    stoppedAtMs: 0,
  }));
  const byPlace = new Map(nodes.map(node => [placeOf(endpointOf(node.name)), node]));

  const localMs = (node: SimNode): number => (nowMs - node.bootedAtMs) * node.rate;
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
    schedule(node);
    for (const watcher of watchers) watcher.after(node, nowMs);
  }

  function schedule(node: SimNode): void {
    const deadline = node.core?.nextDeadline() ?? null;
    if (deadline === null) return;
    // A thousandth later: what was rounded down would never be due.
    const wakeAtMs = Math.max(nowMs, node.bootedAtMs + deadline / node.rate + 0.001);
    if (wakeAtMs >= node.wakeAtMs) return;
    node.wakeAtMs = wakeAtMs;
    const { life } = node;
    queue.push(wakeAtMs, () => {
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
    for (const watcher of watchers) watcher.event(node, event, nowMs);
  }

  /** The configured list (the first two), and three of those it once knew. */
  function rejoin(node: SimNode): void {
    const alive = new Set(node.core?.members().flatMap(({ name, state }) => (state === 'alive' ? [name] : [])));
    const missing = (name: string): boolean => !alive.has(name);
    const once = [...node.peers].filter(missing);
    while (once.length > 3) once.splice(random.below(once.length), 1);
    const targets = [...new Set([...nodes.slice(0, 2).map(({ name }) => name), ...once])].filter(missing);
    if (targets.length > 0) queue.push(nowMs, () => feed(node, { kind: 'join', id: 0, targets: targets.map(endpointOf) }));
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
    if (target === undefined) return;
    const copies = chance(weather.duplicate) ? 2 : 1;
    if (copies === 2) counts.doubled++;
    for (let copy = 0; copy < copies; copy++) {
      if (chance(weather.loss)) counts.lost++;
      else queue.push(nowMs + delayMs(), () => arrive(packet, node, target));
    }
  }

  function arrive(packet: Uint8Array, from: SimNode, to: SimNode): void {
    if (isCut(from, to)) {
      counts.cut++;
      return;
    }
    const opened = decodePacket(packet, { label: LABEL, skipLabelCheck: false, keyring: null, verifyIncoming: true });
    if (!opened.ok) throw new Error(`our own packet was refused: ${opened.why}`);
    const messages = sabotage === undefined ? opened.value.messages : sabotage(opened.value.messages, from, to);
    if (messages !== null) feed(to, { kind: 'packet', from: endpointOf(from.name), messages });
  }

  function dial(node: SimNode, { id, to, request, replyExpected }: Extract<Output, { kind: 'open' }>): void {
    const target = byPlace.get(placeOf(to));
    const stream = { opener: node, life: node.life, id };
    counts.streams++;
    // Retransmissions: slow, not lost.
    queue.push(nowMs + delayMs() * (1 + 4 * weather.loss), () => {
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
    if (stream !== undefined) queue.push(nowMs + delayMs(), () => feed(stream.opener, { kind: 'stream-failed', id: stream.id, why: 'closed' }));
  }

  function backTo(from: SimNode, { opener, life }: { readonly opener: SimNode; readonly life: number }, input: Input): void {
    queue.push(nowMs + delayMs() * (1 + 4 * weather.loss), () => {
      if (opener.life === life && !isCut(from, opener)) feed(opener, input);
    });
  }

  return {
    nodes,
    random,
    chance,
    counts,
    watchers,
    feed,
    isCut,
    isAnyCut: (node: SimNode): boolean => nodes.some(other => isCut(node, other) || isCut(other, node)),
    get nowMs() {
      return nowMs;
    },
    get weather() {
      return weather;
    },
    set weather(now: Weather) {
      weather = now;
    },
    at: (atMs: number, run: () => void) => queue.push(Math.max(nowMs, atMs), run),
    run(untilMs: number) {
      for (let next = queue.pop(untilMs); next !== undefined; next = queue.pop(untilMs)) {
        nowMs = next.atMs;
        next.run();
      }
      nowMs = untilMs;
    },
    start(node: SimNode, joins: readonly SimNode[]) {
      node.life++;
      node.bootedAtMs = nowMs;
      node.disturbedAtMs = nowMs;
      node.paused = false;
      node.leaving = false;
      node.backlog = [];
      node.wakeAtMs = Number.POSITIVE_INFINITY;
      const options = memberOptions('lan', {
        ...own,
        name: node.name,
        advertise: endpointOf(node.name),
        meta: node.meta,
        incarnation: (node.incarnation ?? 0) + 1,
      });
      node.core = createMember(options, {
        random: seeded(random.below(2 ** 31)),
        sizeOf: message => encodeMessage(message).length,
        envelopeBytes: () => 0,
        ...(hooks === undefined ? {} : { hooks }),
      });
      feed(node, { kind: 'start' });
      if (joins.length > 0) feed(node, { kind: 'join', id: 1, targets: joins.map(({ name }) => endpointOf(name)) });
    },
    crash(node: SimNode) {
      node.core = null;
      node.life++;
      node.disturbedAtMs = nowMs;
      node.stoppedAtMs = nowMs;
    },
    pause(node: SimNode) {
      node.paused = true;
      node.disturbedAtMs = nowMs;
    },
    resume(node: SimNode) {
      if (!node.paused) return;
      node.paused = false;
      node.disturbedAtMs = nowMs;
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
      for (const node of nodes) for (const other of nodes) if (isCut(node, other)) [node.disturbedAtMs, other.disturbedAtMs] = [nowMs, nowMs];
      blocked.clear();
    },
  };
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

function createQueue() {
  const heap: Event[] = [];
  let lastOrder = 0;
  const before = (one: Event, other: Event): boolean => one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
  return {
    push(atMs: number, run: () => void): void {
      const event = { atMs, order: ++lastOrder, run };
      let place = heap.push(event) - 1;
      for (let above = (place - 1) >> 1; place > 0 && before(event, heap[above] as Event); above = (place - 1) >> 1) {
        heap[place] = heap[above] as Event;
        place = above;
      }
      heap[place] = event;
    },
    pop(untilMs: number): Event | undefined {
      const top = heap[0];
      if (top === undefined || top.atMs > untilMs) return undefined;
      const last = heap.pop() as Event;
      if (heap.length === 0) return top;
      let place = 0;
      for (;;) {
        const left = 2 * place + 1;
        if (left >= heap.length) break;
        const least = left + 1 < heap.length && before(heap[left + 1] as Event, heap[left] as Event) ? left + 1 : left;
        if (!before(heap[least] as Event, last)) break;
        heap[place] = heap[least] as Event;
        place = least;
      }
      heap[place] = last;
      return top;
    },
  };
}
