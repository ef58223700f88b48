/** Whole members on virtual time: memberlist's core and HM1 beside it, wired as a driver does it, over a network that delivers what it is not told to lose. */
import { encodeIntel } from '@honeymesh/intel/advisories';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { placeOf } from '#enforcer/mesh/protocol/core/endpoint.ts';
import type { Hooks } from '#enforcer/mesh/protocol/core/hooks.ts';
import type { Input } from '#enforcer/mesh/protocol/core/inputs.ts';
import { type Core, createMember } from '#enforcer/mesh/protocol/core/member.ts';
import { type MemberOptions, memberOptions } from '#enforcer/mesh/protocol/core/options.ts';
import type { Output } from '#enforcer/mesh/protocol/core/outputs.ts';
import { encodeMessage } from '#enforcer/mesh/protocol/wire/message-codec.ts';
import type { LayerOutput, SignedLayer } from '#enforcer/mesh/signed/signed-layer.ts';
import { advice, layerOf, NOON, signedBy, type Trust } from '#test/support/hm1.ts';
import { endpointOf, seeded } from '#test/support/mesh-member.ts';

export interface SignedMember {
  readonly name: string;
  readonly core: Core;
  /** Null: a Go node, so to say. */
  readonly layer: SignedLayer | null;
  readonly told: LayerOutput[];
  readonly refused: string[];
  holds(): readonly string[];
}

export interface SignedMesh {
  readonly members: readonly SignedMember[];
  now(): UnixMs;
  member(name: string): SignedMember;
  input(member: SignedMember, input: Input): void;
  layer(member: SignedMember, outputs: readonly LayerOutput[]): void;
  pass(ms: number): void;
  /** Whether a datagram is lost, from now on. */
  loses: (from: string, to: string) => boolean;
}

interface Post {
  readonly atMs: number;
  readonly to: SignedMember;
  readonly input: Input;
}

export function signedMesh(
  trusted: Trust,
  names: readonly string[],
  more: { readonly unsigned?: readonly string[]; readonly mode?: 'preferred' | 'required' } = {},
): SignedMesh {
  let nowMs = 0;
  const post: Post[] = [];
  const streams = new Map<number, { readonly from: SignedMember; readonly id: number }>();
  let lastStream = 0;
  const wall = (): UnixMs => unixMs(NOON + nowMs);
  const send = (to: SignedMember, input: Input): void => void post.push({ atMs: nowMs + 1, to, input });

  const mesh: SignedMesh = {
    members: names.map((name, at) => create(name, at)),
    now: wall,
    member(name) {
      const found = mesh.members.find(one => one.name === name);
      if (found === undefined) throw new Error(`no ${name}`);
      return found;
    },
    input: (member, input) => took(member, member.core.handle(input, nowMs)),
    layer(member, outputs) {
      for (const output of outputs) {
        member.told.push(output);
        if (output.kind === 'broadcast') mesh.input(member, { kind: 'broadcast', payload: output.payload, push: output.push });
        const target = output.kind === 'send-reliable' ? mesh.members.find(one => placeOf(endpointOf(one.name)) === output.hop) : undefined;
        if (output.kind === 'send-reliable' && target !== undefined) {
          mesh.input(member, { kind: 'send-reliable', id: 0, to: endpointOf(target.name), payload: output.payload });
        }
        if (output.kind === 'left') mesh.input(member, packetOf(member, output.node, output.incarnation));
      }
    },
    pass(ms) {
      for (const untilMs = nowMs + ms; nowMs < untilMs; ) {
        const deadlines = mesh.members.map(one => one.core.nextDeadline() ?? untilMs);
        const layers = mesh.members.map(one => Number(one.layer?.nextDeadline() ?? Number.NaN) - NOON).filter(at => !Number.isNaN(at));
        nowMs = Math.max(nowMs, Math.min(untilMs, ...deadlines, ...layers, ...post.map(({ atMs }) => atMs)));
        for (const { to, input } of post.splice(0).filter(item => item.atMs <= nowMs || !post.push(item))) mesh.input(to, input);
        for (const one of mesh.members) {
          if ((one.core.nextDeadline() ?? Number.POSITIVE_INFINITY) <= nowMs) mesh.input(one, { kind: 'tick' });
          if (one.layer !== null && Number(one.layer.nextDeadline()) <= NOON + nowMs) mesh.layer(one, one.layer.tick(wall()));
        }
      }
    },
    loses: () => false,
  };

  /** A goodbye that was signed is put to the core as the member's own. */
  const packetOf = (_member: SignedMember, node: string, incarnation: number): Input => ({
    kind: 'packet',
    from: endpointOf(node),
    messages: [{ kind: 'dead', node, from: node, incarnation }],
  });

  function create(name: string, at: number): SignedMember {
    const unsigned = more.unsigned?.includes(name) === true;
    const layer = unsigned ? null : layerOf(trusted, trusted.host(name), { mode: more.mode ?? 'required', advertise: endpointOf(name) }).layer;
    const hooks: Hooks =
      layer === null
        ? {}
        : {
            meta: (incarnation, extra) => layer.meta(incarnation, extra),
            admitAlive: claim => layer.claims.alive(claim, wall()).admitted,
            admitAccusation: claim => layer.claims.accusation(claim, wall()),
            localState: join => layer.localState(join, wall()),
          };
    const options: MemberOptions = memberOptions('lan', { name, advertise: endpointOf(name) });
    const core = createMember(options, { random: seeded(at + 1), sizeOf: message => encodeMessage(message).length, envelopeBytes: () => 40, hooks });
    const told: LayerOutput[] = [];
    const holds = (): readonly string[] => {
      const standing = new Set<string>();
      for (const output of told) {
        if (output.kind !== 'intel') continue;
        for (const back of output.withdrawals) for (const target of back.targets) standing.delete(`${output.kid} ${back.epoch}/${back.seq} ${target}`);
        for (const { target } of output.advice) standing.add(`${output.kid} ${output.epoch}/${output.seq} ${target}`);
      }
      return [...standing].map(item => item.split(' ')[2] ?? '').sort();
    };
    return { name, core, layer, told, refused: [], holds };
  }

  function took(member: SignedMember, outputs: readonly Output[]): void {
    for (const output of outputs) {
      const target = 'to' in output ? mesh.members.find(one => placeOf(endpointOf(one.name)) === placeOf(output.to)) : undefined;
      if (output.kind === 'send' && target !== undefined && !mesh.loses(member.name, target.name)) {
        send(target, { kind: 'packet', from: endpointOf(member.name), messages: output.messages });
      }
      if (output.kind === 'open' && target !== undefined) {
        const id = ++lastStream;
        streams.set(id, { from: member, id: output.id });
        send(target, { kind: 'stream-message', id, from: endpointOf(member.name), message: output.request });
        if (!output.replyExpected) send(member, { kind: 'stream-reply', id: output.id, message: null });
      }
      const opener = output.kind === 'reply' ? streams.get(output.id) : undefined;
      if (output.kind === 'reply' && opener !== undefined) send(opener.from, { kind: 'stream-reply', id: opener.id, message: output.message });
      if (output.kind === 'refused') member.refused.push(output.why);
      if (output.kind !== 'event' || member.layer === null) continue;
      const { event } = output;
      if (event.kind === 'user') mesh.layer(member, member.layer.payload(event.payload, placeOf(event.from), wall()));
      if (event.kind === 'merge') mesh.layer(member, member.layer.merge(event.userState, placeOf(event.from), wall()));
    }
  }

  for (const member of mesh.members) mesh.input(member, { kind: 'start' });
  return mesh;
}

/** One of a host that keeps no rules. */
export const lie = (trusted: Trust, name: string, seq: number, target: string, at: UnixMs): Uint8Array =>
  signedBy(trusted.host(name), encodeIntel({ advice: [advice(target)], withdrawals: [] }), trusted.signatures, { epoch: 9, seq, issuedAt: at });
