/**
 * Who wants the mesh to fall apart: somebody with the group's key who records and forges, and, under HM1, a member with a certificate whose host was taken over.
 * The core and the layer of that host run on as they were; what is here comes on top.
 */
import type { Prefix } from '@honeymesh/intel/address';
import { encodeIntel } from '@honeymesh/intel/advisories';
import type { EnvelopeHeader, EnvelopeType } from '@honeymesh/intel/envelope';
import { encodeAccusations, encodeLeave } from '@honeymesh/intel/envelope-bodies';
import { HOUR_MS, unixMs } from '@honeymesh/intel/time';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import { advice, signedBy } from '#test/support/hm1.ts';
import { endpointOf } from '#test/support/mesh-member.ts';
import type { Hm1, Mind } from './wire-hm1.ts';
import type { SimNode, World } from './wire-world.ts';

export const VILLAINIES = ['replay', 'forged-death', 'forged-goodbye', 'forged-life', 'lie', 'two-faces', 'echo', 'forged-origin', 'false-witness'] as const;
export type Villainy = (typeof VILLAINIES)[number];
/** What takes a certificate. */
export const INSIDE: readonly Villainy[] = ['lie', 'two-faces', 'echo', 'forged-origin', 'false-witness'];

/** Epochs of the taken-over host that it never was in itself. */
export const TRAITORS_EPOCHS = 1_000;
const TARGETS = ['198.18.7.1/32', '198.18.7.2/32', '198.18.7.0/29'] as Prefix[];

export interface VillainDeps {
  readonly world: World;
  readonly hm1: Hm1 | null;
  /** The taken-over member, where there is one. */
  readonly traitor: SimNode | null;
  readonly some: () => SimNode;
}

export function createVillain({ world, hm1, traitor, some }: VillainDeps): (what: Villainy) => void {
  const { random, chance } = world;
  let epoch = TRAITORS_EPOCHS;
  let seq = 0;
  const heardOf: Uint8Array[] = [];

  world.watchers.push({
    event(node, event) {
      if (node === traitor && event.kind === 'user' && heardOf.length < 200) heardOf.push(event.payload);
    },
    after: () => undefined,
  });

  function tell(to: SimNode, ...messages: Message[]): void {
    world.feed(to, { kind: 'packet', from: endpointOf((traitor ?? some()).name), messages });
  }

  function tellSome(...messages: Message[]): void {
    for (const node of world.nodes) if (chance(0.6)) tell(node, ...messages);
  }

  /** Where all sign nobody is taken in; else some may be for a while, and what follows is no fault of the mesh. */
  function impersonate(victim: SimNode): void {
    victim.disturbedAtMs = world.nowMs;
    if (hm1?.mode !== 'required') victim.impersonated = true;
  }

  /** Signed with the traitor's key, and put on record as its word. */
  function sign(mind: Mind, body: Uint8Array, header: Partial<EnvelopeHeader> & { readonly type?: EnvelopeType }): Uint8Array {
    const payload = signedBy(mind.host, body, (hm1 as Hm1).trusted.signatures, { epoch, issuedAt: mind.now(), ttlS: 3_600, ...header });
    (hm1 as Hm1).record(payload);
    return payload;
  }

  const intel = (): Uint8Array => encodeIntel({ advice: [advice(TARGETS[random.below(TARGETS.length)] ?? '198.18.7.1/32')], withdrawals: [] });
  const jump = (): number => [0, 1, 3, 1_000, 65_536, 65_537, 2 ** 31 - 2, 2 ** 31 - 1, 2 ** 32 - 1][random.below(9)] ?? 0;

  const outside: Partial<Record<Villainy, () => void>> = {
    replay() {
      for (let times = 0; times < 6 && world.records.length > 0; times++) {
        const record = world.records[random.below(world.records.length)];
        if (record !== undefined) world.replay(record, some());
      }
    },
    'forged-death'() {
      const victim = some();
      if (victim.core === null) return;
      const { incarnation } = victim.core.self();
      victim.disturbedAtMs = world.nowMs;
      tellSome({
        kind: chance(0.5) ? 'suspect' : 'dead',
        incarnation: Math.min(2 ** 32 - 1, incarnation + jump()),
        node: victim.name,
        from: `liar${random.below(3)}`,
      });
    },
    'forged-goodbye'() {
      const victim = some();
      if (victim.core === null) return;
      impersonate(victim);
      tellSome({ kind: 'dead', incarnation: victim.core.self().incarnation + random.below(3), node: victim.name, from: victim.name });
    },
    'forged-life'() {
      const victim = some();
      if (victim.core === null) return;
      const self = victim.core.self();
      const elsewhere = chance(0.5) ? { address: Uint8Array.of(203, 0, 113, 66), port: 7946 } : endpointOf(victim.name);
      const meta = chance(0.5) ? self.meta : Uint8Array.of(66);
      impersonate(victim);
      tellSome({ kind: 'alive', incarnation: self.incarnation + 1 + random.below(50), node: victim.name, ...elsewhere, meta, versions: self.versions });
    },
  };

  const inside: Partial<Record<Villainy, (mind: Mind) => void>> = {
    /** Dated back, ahead, over before it came, or too soon after the last. */
    lie(mind) {
      const agoMs = [0, 0, 20 * HOUR_MS, 30 * HOUR_MS, -20_000, -60_000][random.below(6)] ?? 0;
      if (chance(0.2)) epoch++;
      const payload = sign(mind, intel(), { seq: ++seq, issuedAt: unixMs(mind.now() - agoMs), ttlS: chance(0.5) ? 86_400 : 10 });
      tellSome({ kind: 'user', payload });
    },
    'two-faces'(mind) {
      seq++;
      const [one, other] = [sign(mind, intel(), { seq }), sign(mind, encodeIntel({ advice: [advice('198.18.8.8/32')], withdrawals: [] }), { seq })];
      for (const node of world.nodes) tell(node, { kind: 'user', payload: chance(0.5) ? one : other });
    },
    echo() {
      const payload = heardOf[random.below(Math.max(1, heardOf.length))];
      if (payload !== undefined) tellSome({ kind: 'user', payload });
    },
    'forged-origin'(mind) {
      const victim = (hm1 as Hm1).minds.get(some().name);
      if (victim === undefined || victim === mind) return;
      // Right but for the signature, which takes the victim's secret; at times its very words, under another content.
      const header = { kid: victim.host.certificate.kid, epoch: victim.epoch + random.below(2), seq: 1 + random.below(5), issuedAt: mind.now() };
      const { signatures } = (hm1 as Hm1).trusted;
      tellSome({ kind: 'user', payload: signedBy(mind.host, intel(), signatures, header) });
      const goodbye = encodeLeave({ incarnation: victim.node.core?.self().incarnation ?? 1 });
      tellSome({ kind: 'user', payload: signedBy(mind.host, goodbye, signatures, { ...header, seq: 900 + random.below(50), type: 'leave' }) });
    },
    'false-witness'(mind) {
      const victim = some();
      if (victim.core === null || victim === traitor) return;
      const { incarnation } = victim.core.self();
      (hm1 as Hm1).accused(victim.name, mind.node.name, world.nowMs);
      victim.disturbedAtMs = world.nowMs;
      const payload = sign(mind, encodeAccusations([{ subject: victim.name, incarnation }]), { seq: ++seq, type: 'accusation' });
      tellSome({ kind: 'user', payload }, { kind: 'dead', incarnation, node: victim.name, from: mind.node.name });
      // To each the state of a mesh in which the victim is dead: what they hear of is no accusation of theirs.
      const members = [
        {
          name: victim.name,
          ...endpointOf(victim.name),
          meta: new Uint8Array(),
          incarnation,
          state: 'dead' as const,
          versions: Uint8Array.of(1, 5, 2, 0, 0, 0),
        },
      ];
      const message = { kind: 'push-pull' as const, join: false, members, userState: new Uint8Array() };
      for (const node of world.nodes) if (chance(0.5)) world.replay({ kind: 'stream', from: mind.node, message }, node);
    },
  };

  return what => {
    outside[what]?.();
    const mind = traitor === null ? undefined : hm1?.minds.get(traitor.name);
    if (mind?.layer != null) inside[what]?.(mind);
  };
}
