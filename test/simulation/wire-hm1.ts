/** HM1 beside the cores of simulator 1, wired by the hooks of the real host; and the truth: who really said what, accused whom and left. */
import type { Prefix } from '@honeymesh/intel/address';
import { type Advice, decodeIntel, type Intel } from '@honeymesh/intel/advisories';
import { type KeyId, openEnvelope, type Signatures } from '@honeymesh/intel/envelope';
import { SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { createNeighbours } from '#enforcer/mesh/host/neighbours.ts';
import { createSigning } from '#enforcer/mesh/host/signing.ts';
import { textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import type { Hooks } from '#enforcer/mesh/protocol/core/hooks.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import type { Roster } from '#enforcer/mesh/signed/roster.ts';
import type { LayerOutput, SignedLayer } from '#enforcer/mesh/signed/signed-layer.ts';
import { CLUSTER, type Host, keyedHash, NOON, type Trust, trust } from '#test/support/hm1.ts';
import { endpointOf } from '#test/support/mesh-member.ts';
import type { Beside, SimNode, World } from './wire-world.ts';

export type IntelHeard = Extract<LayerOutput, { kind: 'intel' }>;

/** One node under HM1, over all its lives. */
export interface Mind {
  readonly node: SimNode;
  readonly skewMs: number;
  host: Host;
  layer: SignedLayer | null;
  roster: Roster | null;
  /** On its disk. */
  epoch: number;
  kept: readonly Uint8Array[];
  names: readonly string[];
  /** Set up so often: with its disk it lost its keys. */
  setUps: number;
  /** What it takes to hold now: `kid epoch/seq target`, and until when. */
  readonly holds: Map<string, UnixMs>;
  now(): UnixMs;
  /** Does what the layer wants done. */
  take: (outputs: readonly LayerOutput[]) => void;
}

export interface Truth {
  /** Targets and withdrawals under each number that was signed with a key, by whoever has it. */
  readonly said: Map<string, Intel[]>;
  /** Who really found whom silent, or was made to say so; and when. */
  readonly accusers: Map<string, Map<string, number>>;
  readonly goodbyes: Map<string, number>;
  readonly counts: Record<'advised' | 'delivered' | 'withdrawn' | 'misuses' | 'restored' | 'refused', number>;
}

export interface Hm1Options {
  readonly mode: 'preferred' | 'required';
  readonly isUnsigned?: (node: SimNode) => boolean;
  /** Planted faults. */
  readonly signatures?: Signatures;
  readonly breaksLayer?: (layer: SignedLayer, makeAnother: () => SignedLayer, mind: Mind) => Partial<SignedLayer>;
  readonly breaksHooks?: (hooks: Hooks) => Hooks;
}

export type Hm1 = ReturnType<typeof createHm1>;

/** Where a certified host stands, by its number. */
export const SITES = ['home', 'lab', 'shop'] as const;
const WIDEST_SKEW_MS = 12 * SECOND_MS;
/** How often a driver writes down what holds. */
const KEEP_EVERY_MS = 5 * SECOND_MS;

const TRUSTED = trust(keyedHash(), SITES);
/** Keys are slow to make, and the same in each run. */
const hosts = new Map<string, Host>();

const hopOf = textOfEndpoint;

export const itemOf = (kid: KeyId, epoch: number, seq: number): string => `${kid} ${epoch}/${seq}`;

export function createHm1({ mode, isUnsigned = () => false, signatures, breaksLayer, breaksHooks = hooks => hooks }: Hm1Options) {
  const trusted: Trust = signatures === undefined ? TRUSTED : { ...TRUSTED, ...trust(signatures, SITES) };
  const minds = new Map<string, Mind>();
  const truth: Truth = {
    said: new Map(),
    accusers: new Map(),
    goodbyes: new Map(),
    counts: { advised: 0, delivered: 0, withdrawn: 0, misuses: 0, restored: 0, refused: 0 },
  };
  const listeners: ((mind: Mind, heard: IntelHeard) => void)[] = [];

  function hostOf(name: string, setUps: number, at: UnixMs): Host {
    const site = SITES[Number(name.slice(1)) % SITES.length] ?? 'home';
    if (setUps > 1 || signatures !== undefined) return trusted.host(name, site, setUps > 1 ? at : undefined, setUps);
    const known = hosts.get(name) ?? trusted.host(name, site);
    hosts.set(name, known);
    return known;
  }

  function mindOf(node: SimNode, world: World): Mind {
    const known = minds.get(node.name);
    if (known !== undefined) return known;
    const skewMs = world.random.below(2 * WIDEST_SKEW_MS) - WIDEST_SKEW_MS;
    const now = (): UnixMs => unixMs(NOON + Math.floor(world.nowMs) + skewMs);
    const host = hostOf(node.name, 1, NOON);
    const mind: Mind = {
      node,
      skewMs,
      host,
      layer: null,
      roster: null,
      epoch: 0,
      kept: [],
      names: [],
      setUps: 1,
      holds: new Map(),
      now,
      take: () => undefined,
    };
    minds.set(node.name, mind);
    return mind;
  }

  function record(payload: Uint8Array): void {
    const envelope = openEnvelope(payload);
    const intel = envelope.ok && envelope.value.type === 'intel' ? decodeIntel(envelope.value.body) : null;
    if (!envelope.ok || !intel?.ok) return;
    const name = itemOf(envelope.value.kid, envelope.value.epoch, envelope.value.seq);
    truth.said.set(name, [...(truth.said.get(name) ?? []), intel.value]);
  }

  function accused(subject: string, accuser: string, nowMs: number): void {
    truth.accusers.set(subject, (truth.accusers.get(subject) ?? new Map()).set(accuser, nowMs));
  }

  function beside(node: SimNode, world: World): Beside | null {
    if (isUnsigned(node)) return null;
    const mind = mindOf(node, world);
    if (node.diskLost && mind.epoch > 0 && node.incarnation === null) {
      mind.host = hostOf(node.name, ++mind.setUps, mind.now());
      [mind.epoch, mind.kept, mind.names] = [0, [], []];
    }
    const neighbours = createNeighbours(node.name, (name, at) => {
      const certificate = mind.roster?.named(name) ?? null;
      if (certificate === null || layer.claims.signedIncarnation(name) === null) return null;
      return mind.roster?.node(certificate.kid, at).ok === true ? certificate : null;
    });
    const make = () => {
      const roster = trusted.roster(mind.now());
      roster.knowNames(mind.names);
      mind.roster = roster;
      const { signatures: signing, rootSecret } = trusted;
      const signer = { mode, ...mind.host, roster, signatures: signing, clusterId: CLUSTER, rootPublic: edPublicOf(rootSecret) };
      const later = (outputs: readonly LayerOutput[]): void => void pending.push(...outputs);
      const options = { label: new Uint8Array(), packetBytes: 1400, keys: [new Uint8Array(32)], keyGeneration: 0, epoch: mind.epoch + 1 };
      return createSigning(signer, endpointOf(node.name), options, { now: mind.now, neighbours, refused: () => truth.counts.refused++, later });
    };
    /** What the layer wants: carried out, as the host's runner does it, after all that the core put out. */
    let pending: LayerOutput[] = [];
    const { layer, hooks } = make();
    if (breaksLayer !== undefined)
      Object.assign(
        layer,
        breaksLayer({ ...layer }, () => make().layer, mind),
      );
    mind.layer = layer;
    mind.epoch++;
    mind.holds.clear();
    const own = mind.host.certificate.kid;
    let keptAtMs = world.nowMs;

    function take(outputs: readonly LayerOutput[]): void {
      for (const output of outputs) {
        switch (output.kind) {
          case 'broadcast':
            if (output.push) record(output.payload);
            world.feed(node, { kind: 'broadcast', payload: output.payload, push: output.push });
            break;
          case 'send-reliable': {
            const to = world.nodes.find(one => hopOf(endpointOf(one.name)) === output.hop);
            if (to !== undefined && neighbours.isCertifiedAt(endpointOf(to.name), true, mind.now()))
              world.feed(node, { kind: 'send-reliable', id: 0, to: endpointOf(to.name), payload: output.payload });
            break;
          }
          case 'intel':
            heard(output);
            break;
          case 'said':
            for (const advice of output.advice) hold(own, output, advice, mind.now(), Number.POSITIVE_INFINITY);
            truth.counts.advised += output.advice.length;
            break;
          case 'left': {
            const goodbye = { kind: 'dead', node: output.node, from: output.node, incarnation: output.incarnation } as const;
            world.feed(node, { kind: 'packet', from: endpointOf(output.node), messages: [goodbye] });
            break;
          }
          case 'misuse':
            truth.counts.misuses++;
            break;
          case 'refused':
            truth.counts.refused++;
            break;
          default:
            break;
        }
      }
    }

    function hold(kid: KeyId, { epoch, seq }: { readonly epoch: number; readonly seq: number }, advice: Advice, issuedAt: UnixMs, endsAt: number): void {
      mind.holds.set(`${itemOf(kid, epoch, seq)} ${advice.target}`, unixMs(Math.min(endsAt, issuedAt + advice.ttlS * SECOND_MS)));
    }

    function heard(output: IntelHeard): void {
      truth.counts.delivered++;
      for (const listener of listeners) listener(mind, output);
      for (const back of output.withdrawals) for (const target of back.targets) mind.holds.delete(`${itemOf(output.kid, back.epoch, back.seq)} ${target}`);
      for (const advice of output.advice) hold(output.kid, output, advice, output.issuedAt, output.endsAt);
    }

    mind.take = take;
    return {
      hooks: breaksHooks(hooks),
      event(event) {
        neighbours.heard(event, mind.now());
        if (event.kind === 'user') {
          // Whoever holds key and label can say something here: heard are certified members.
          if (neighbours.isCertifiedAt(event.from, false, mind.now())) pending.push(...layer.payload(event.payload, hopOf(event.from), mind.now()));
          else truth.counts.refused++;
        } else if (event.kind === 'accused') {
          accused(event.member.name, node.name, world.nowMs);
          pending.push(...layer.accuse([{ subject: event.member.name, incarnation: event.member.incarnation }], mind.now()));
        }
      },
      nextMs() {
        if (pending.length > 0) return world.nowMs;
        const next = layer.nextDeadline();
        return next === 'never' ? Number.POSITIVE_INFINITY : next - NOON - mind.skewMs;
      },
      tick() {
        const outputs = pending;
        pending = [];
        take(outputs);
        take(layer.tick(mind.now()));
        if (world.nowMs - keptAtMs < KEEP_EVERY_MS) return;
        keptAtMs = world.nowMs;
        mind.kept = layer.kept();
        mind.names = mind.roster?.names() ?? [];
      },
      started() {
        if (mind.kept.length > 0) truth.counts.restored++;
        take(layer.restore(mind.kept, mind.now()));
      },
      leave() {
        const incarnation = node.core?.self().incarnation ?? 0;
        truth.goodbyes.set(node.name, incarnation);
        take(layer.leave(incarnation, mind.now()));
      },
      stop() {
        [mind.layer, mind.take] = [null, () => undefined];
        mind.holds.clear();
      },
    };
  }

  /** A node says something that it knows. */
  function say(node: SimNode, what: (layer: SignedLayer, mind: Mind) => readonly LayerOutput[]): boolean {
    const mind = minds.get(node.name);
    if (mind === undefined || mind.layer === null || node.paused) return false;
    mind.take(what(mind.layer, mind));
    return true;
  }

  return {
    mode,
    trusted,
    truth,
    minds,
    listeners,
    record,
    accused,
    beside,
    advise: (node: SimNode, advice: readonly Advice[]): boolean => say(node, (layer, mind) => layer.advise(advice, mind.now())),
    withdraw: (node: SimNode, targets: readonly Prefix[]): boolean =>
      say(node, (layer, { holds, host, now }) => {
        for (const item of holds.keys())
          if (item.startsWith(`${host.certificate.kid} `) && targets.some(target => item.endsWith(` ${target}`))) holds.delete(item);
        truth.counts.withdrawn += targets.length;
        return layer.withdraw(targets, false, now());
      }),
  };
}
