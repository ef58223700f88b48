/** One seed is one story: a mesh comes up, then things happen to it for minutes, then there is calm, and all must be well. */
import type { Prefix } from '@honeymesh/intel/address';
import { advice } from '#test/support/hm1.ts';
import { type Checkers, createCheckers, type Violation } from './wire-checkers.ts';
import { createHm1, type Hm1, type Hm1Options } from './wire-hm1.ts';
import { createVillain, INSIDE, VILLAINIES, type Villainy } from './wire-villain.ts';
import { createWorld, type SimNode, type World, type WorldOptions } from './wire-world.ts';

/** Memberlist as it is; HM1 on all; HM1 with some beside that know nothing of it. */
export type Kind = 'plain' | 'required' | 'preferred';

export interface Story {
  readonly seed: number;
  /** By the seed, if absent. */
  readonly kind?: Kind;
  readonly nodes?: number;
  readonly chaosMs?: number;
  readonly calmMs?: number;
  /** What may happen; all by default. */
  readonly happenings?: readonly Happening[];
  readonly loss?: number;
  readonly world?: Partial<WorldOptions>;
  readonly hm1?: Partial<Hm1Options>;
}

const EVENTS = ['partition', 'one-way', 'pause', 'crash', 'leave', 'meta', 'weather', 'broadcast', 'advise', 'take-back'] as const;
export const HAPPENINGS = [...EVENTS, ...VILLAINIES] as const;
export type Happening = (typeof HAPPENINGS)[number];
/** Nothing of these can happen where nobody signs. */
const UNDER_HM1: readonly Happening[] = ['advise', 'take-back', ...INSIDE];

export interface Told {
  readonly kind: Kind;
  readonly violations: readonly Violation[];
  readonly checkers: Checkers;
  readonly world: World;
  readonly hm1: Hm1 | null;
  readonly happened: ReadonlyMap<Happening, number>;
}

const PATIENCE = 4;
const MORE_CALM_MS = 30_000;

/** A Go node as serf and consul run it: it greets nobody, does not look for the dead, tells too late that it could not help, and joins its list again. */
const AS_GO = { eagerPeers: 0, announceIntervalMs: 0, nackShare: 1 };

const KINDS: readonly Kind[] = ['required', 'plain', 'preferred'];

export function tell({
  seed,
  kind = KINDS[seed % 3] ?? 'plain',
  nodes,
  chaosMs = 120_000,
  calmMs = 120_000,
  happenings: wanted = HAPPENINGS,
  loss,
  world: own = {},
  hm1: broken = {},
}: Story): Told {
  // Most are small, so that there can be many; each hundredth is not.
  const count = nodes ?? (seed % 100 === 50 ? 12 + (seed % 21) : 4 + (seed % 5));
  // The first two are those that the others join.
  const isUnsigned = (node: SimNode): boolean => kind === 'preferred' && Number(node.name.slice(1)) % 4 === 3;
  const hm1 = kind === 'plain' ? null : createHm1({ mode: kind, isUnsigned, ...broken });
  const asTheyAre = { ownOf: (node: SimNode) => (isUnsigned(node) ? AS_GO : {}) };
  const world = createWorld({ seed, nodes: count, ...asTheyAre, ...(hm1 === null ? {} : { beside: hm1.beside }), ...own });
  const traitor = hm1 === null ? null : (world.nodes.findLast(node => !isUnsigned(node)) ?? null);
  const checkers = createCheckers(world, hm1);
  world.watchers.push(checkers);
  const happenings = wanted.filter(what => hm1 !== null || !UNDER_HM1.includes(what));
  const happened = new Map<Happening, number>();
  const { random, chance } = world;
  const some = (): SimNode => world.nodes[random.below(count)] as SimNode;
  const running = (): SimNode[] => world.nodes.filter(({ core, leaving }) => core !== null && !leaving);
  const villain = createVillain({ world, hm1, traitor, some });

  for (const [place, node] of world.nodes.entries()) {
    // Clocks that run up to half a percent fast or slow.
    node.rate = 1 + (random.fraction() - 0.5) / 100;
    world.at(place < 2 ? 100 * place : 300 + random.below(2000), () =>
      world.start(
        node,
        world.nodes.slice(0, 2).filter(other => other !== node),
      ),
    );
  }
  world.weather = { loss: loss ?? 0.1 * random.fraction(), duplicate: 0.1 * random.fraction(), latencyMs: 1 + random.below(20), jitterMs: random.below(50) };

  const untilCalm = (lengthMs: number): number => Math.min(world.nowMs + lengthMs, 3000 + chaosMs);

  function split(oneWay: boolean): void {
    const inside = new Set(world.nodes.filter(() => chance(0.5)));
    for (const from of world.nodes) {
      for (const to of world.nodes) {
        if (inside.has(from) === inside.has(to) || (oneWay && inside.has(to))) continue;
        world.cut(from, to);
        from.disturbedAtMs = to.disturbedAtMs = world.nowMs;
      }
    }
    // Some outlast the table's memory: nobody knows the other side any more.
    world.at(untilCalm(chance(0.3) ? 90_000 : 5000 + random.below(30_000)), () => world.heal());
  }

  const happen: Readonly<Record<Exclude<Happening, Villainy>, () => void>> = {
    partition: () => split(false),
    'one-way': () => split(true),
    pause() {
      const node = some();
      if (node.core === null || node.paused) return;
      world.pause(node);
      world.at(untilCalm(500 + random.below(15_000)), () => world.resume(node));
    },
    crash() {
      const node = some();
      if (node.core === null || running().length < 3) return;
      world.crash(node);
      if (chance(0.3)) {
        [node.incarnation, node.diskLost] = [null, true];
        node.peers.clear();
      }
      if (chance(0.8)) {
        world.at(untilCalm(500 + random.below(60_000)), () => {
          if (node.core === null) world.start(node, running().slice(0, 2));
        });
      }
    },
    leave() {
      const node = some();
      if (node.core === null || node.leaving || node.paused || running().length < 4) return;
      world.leave(node);
      world.at(world.nowMs + 5000, () => {
        if (node.leaving) world.crash(node);
      });
      if (chance(0.5))
        world.at(untilCalm(8000 + random.below(40_000)), () => void (node.core === null && node.leaving && world.start(node, running().slice(0, 2))));
    },
    meta() {
      const node = some();
      node.meta = Uint8Array.of(random.below(256), random.below(256));
      world.feed(node, { kind: 'update-meta', meta: node.meta });
    },
    weather() {
      world.weather = {
        loss: loss ?? 0.25 * random.fraction(),
        duplicate: 0.15 * random.fraction(),
        latencyMs: 1 + random.below(80),
        jitterMs: random.below(120),
      };
    },
    broadcast() {
      // Something foreign: to HM1 it is nothing, and refused.
      world.feed(some(), { kind: 'broadcast', payload: new Uint8Array(random.below(1395)), push: chance(0.5) });
    },
    advise() {
      const node = some();
      if (node === traitor || node.leaving) return;
      hm1?.advise(
        node,
        Array.from({ length: 1 + random.below(4) }, () => advice(`198.18.${random.below(4)}.${random.below(64)}/32`, { ttlS: 30 + random.below(3_600) })),
      );
    },
    'take-back'() {
      const speakers = [...(hm1?.minds.values() ?? [])].flatMap(({ node, host, holds }) => {
        const own = [...holds.keys()].filter(item => item.startsWith(`${host.certificate.kid} `) && !node.leaving && node !== traitor);
        return own.map(item => ({ node, target: item.split(' ')[2] as Prefix }));
      });
      const said = speakers[random.below(Math.max(1, speakers.length))];
      if (said !== undefined) hm1?.withdraw(said.node, [said.target]);
    },
  };

  for (let atMs = 3000; atMs < 3000 + chaosMs && happenings.length > 0; atMs += 300 + random.below(4000)) {
    world.at(atMs, () => {
      const what = happenings[random.below(happenings.length)] as Happening;
      happened.set(what, (happened.get(what) ?? 0) + 1);
      if (isVillainy(what)) villain(what);
      else happen[what]();
      if (hm1 !== null && happenings.includes('advise') && chance(0.5)) happen.advise();
    });
  }
  world.run(3000 + chaosMs);
  world.heal();
  for (const node of world.nodes) world.resume(node);
  world.weather = { loss: loss ?? 0, duplicate: 0, latencyMs: 1, jitterMs: 5 };
  world.run(3000 + chaosMs + calmMs);
  // Whom one exchanges with is chance: a few of a thousand meshes need some more.
  for (let more = 0; more < PATIENCE && !checkers.isSettled(); more++) world.run(world.nowMs + MORE_CALM_MS);
  checkers.end();
  return { kind, violations: checkers.violations, checkers, world, hm1, happened };
}

const isVillainy = (what: Happening): what is Villainy => VILLAINIES.includes(what as Villainy);
