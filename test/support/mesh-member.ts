/** One core on virtual time, and the words of its peers. */
import type { MemberDeps } from '#enforcer/mesh/protocol/core/hooks.ts';
import type { Input } from '#enforcer/mesh/protocol/core/inputs.ts';
import { type Core, createMember } from '#enforcer/mesh/protocol/core/member.ts';
import { type MemberOptions, memberOptions, PROFILES } from '#enforcer/mesh/protocol/core/options.ts';
import type { MemberEvent, MemberView, Output, Refusal } from '#enforcer/mesh/protocol/core/outputs.ts';
import type { Random } from '#enforcer/mesh/protocol/core/random.ts';
import type { Message, PushedMember, PushPull } from '#enforcer/mesh/protocol/messages.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';

/** splitmix32: small, and every seed gives another sequence from its first number on. */
export function seeded(seed: number): Random & { fraction(): number } {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }
  return { below: limit => Math.floor((next() / 2 ** 32) * limit), fraction: () => next() / 2 ** 32 };
}

/** `n7` lives at 10.0.0.7:7946. */
export const endpointOf = (name: string) => {
  const number = Number(name.slice(1));
  return { address: Uint8Array.of(10, 0, number >> 8, number & 255), port: 7946 };
};

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

export const VERSIONS = Uint8Array.of(1, 5, 2, 0, 0, 0);

type AliveParts = Partial<Extract<Message, { kind: 'alive' }>>;

export const alive = (node: string, incarnation = 1, more: AliveParts = {}): Extract<Message, { kind: 'alive' }> => ({
  kind: 'alive',
  incarnation,
  node,
  ...endpointOf(node),
  meta: new Uint8Array(),
  versions: VERSIONS,
  ...more,
});
export const suspect = (node: string, incarnation = 1, from = 'n9'): Message => ({ kind: 'suspect', incarnation, node, from });
export const dead = (node: string, incarnation = 1, from = 'n9'): Message => ({ kind: 'dead', incarnation, node, from });

export const pushed = (name: string, more: Partial<PushedMember> = {}): PushedMember => ({
  name,
  ...endpointOf(name),
  meta: new Uint8Array(),
  incarnation: 1,
  state: 'alive',
  versions: VERSIONS,
  ...more,
});

/** What a test leaves out of the way, unless it is its subject. */
export const QUIET = {
  gossipIntervalMs: 0,
  pushPullIntervalMs: 0,
  probeIntervalMs: 0,
  rejoinIntervalMs: 0,
  announceIntervalMs: 0,
  eagerPeers: 0,
} as const satisfies Partial<MemberOptions>;

export interface TestMember {
  readonly core: Core;
  nowMs: number;
  /** All that came out since it was last asked, by `take`. */
  readonly outputs: Output[];
  input(input: Input): readonly Output[];
  packet(from: string, ...messages: Message[]): readonly Output[];
  /** Lets time pass, deadline by deadline. */
  pass(ms: number): readonly Output[];
  view(name: string): MemberView | undefined;
  state(name: string): string;
}

export function startMember(own: Partial<MemberOptions> = {}, deps: Partial<MemberDeps> = {}): TestMember {
  const options = memberOptions('lan', { name: 'n0', advertise: endpointOf('n0'), ...QUIET, ...own });
  const core = createMember(options, { random: seeded(1), sizeOf: message => encodeMessage(message).length, envelopeBytes: () => 0, ...deps });
  const member: TestMember = {
    core,
    nowMs: 0,
    outputs: [],
    input(input) {
      const outputs = core.handle(input, member.nowMs);
      member.outputs.push(...outputs);
      return outputs;
    },
    packet: (from, ...messages) => member.input({ kind: 'packet', from: endpointOf(from), messages }),
    pass(ms) {
      const outputs: Output[] = [];
      const untilMs = member.nowMs + ms;
      for (let next = core.nextDeadline(); next !== null && next <= untilMs; next = core.nextDeadline()) {
        member.nowMs = Math.max(member.nowMs, next);
        outputs.push(...member.input({ kind: 'tick' }));
      }
      member.nowMs = untilMs;
      return outputs;
    },
    view: name => core.members().find(one => one.name === name),
    state: name => {
      const view = member.view(name);
      return view === undefined ? 'unknown' : `${view.state} ${view.incarnation}`;
    },
  };
  member.input({ kind: 'start' });
  return member;
}

/** With the timings of a profile switched on again. */
export const timings = (...names: (keyof typeof QUIET)[]): Partial<MemberOptions> => Object.fromEntries(names.map(name => [name, PROFILES.lan[name]]));

export const sent = (outputs: readonly Output[]) => outputs.filter(output => output.kind === 'send');
export const opened = (outputs: readonly Output[]) => outputs.filter(output => output.kind === 'open');
export const replies = (outputs: readonly Output[]) => outputs.filter(output => output.kind === 'reply');
export const messagesTo = (outputs: readonly Output[], name: string): readonly Message[] =>
  sent(outputs)
    .filter(({ to }) => to.address.join() === endpointOf(name).address.join())
    .flatMap(({ messages }) => messages);
export const allSent = (outputs: readonly Output[]): readonly Message[] => sent(outputs).flatMap(({ messages }) => messages);
export const refusals = (outputs: readonly Output[]): readonly Refusal[] => outputs.flatMap(output => (output.kind === 'refused' ? [output.why] : []));
export const events = (outputs: readonly Output[]): readonly MemberEvent[] => outputs.flatMap(output => (output.kind === 'event' ? [output.event] : []));
/** `join n1`, `leave n1 dead`: what happened to whom. */
export const story = (outputs: readonly Output[]): readonly string[] =>
  events(outputs).flatMap(event =>
    'member' in event && typeof event.member === 'object' && event.member !== null ? [`${event.kind} ${event.member.name}`] : [],
  );

export const pushPull = (members: readonly PushedMember[], more: Partial<PushPull> = {}): PushPull => ({
  kind: 'push-pull',
  join: false,
  members,
  userState: new Uint8Array(),
  ...more,
});

/** Everything on, as in a real mesh. */
export const PROFILE_OF_LAN: Partial<MemberOptions> = PROFILES.lan;
