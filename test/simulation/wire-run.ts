/** One seed is one story: a mesh comes up, then things happen to it for minutes, then there is calm, and all must be well. */
import { type Checkers, createCheckers, type Violation } from './wire-checkers.ts';
import { createWorld, type SimNode, type World, type WorldOptions } from './wire-world.ts';

export interface Story {
  readonly seed: number;
  readonly nodes?: number;
  readonly chaosMs?: number;
  readonly calmMs?: number;
  /** What may happen; all by default. */
  readonly happenings?: readonly Happening[];
  readonly loss?: number;
  readonly world?: Partial<WorldOptions>;
}

export const HAPPENINGS = ['partition', 'one-way', 'pause', 'crash', 'leave', 'meta', 'weather', 'forgery', 'broadcast'] as const;
export type Happening = (typeof HAPPENINGS)[number];

export interface Told {
  readonly violations: readonly Violation[];
  readonly checkers: Checkers;
  readonly world: World;
  readonly happened: ReadonlyMap<Happening, number>;
}

export function tell({ seed, nodes, chaosMs = 120_000, calmMs = 120_000, happenings = HAPPENINGS, loss, world: own = {} }: Story): Told {
  // Most are small, so that there can be many; each twentieth is not.
  const count = nodes ?? (seed % 20 === 0 ? 12 + (seed % 21) : 4 + (seed % 5));
  const world = createWorld({ seed, nodes: count, ...own });
  const checkers = createCheckers(world);
  world.watchers.push(checkers);
  const happened = new Map<Happening, number>();
  const { random, chance } = world;
  const some = (): SimNode => world.nodes[random.below(count)] as SimNode;
  const running = (): SimNode[] => world.nodes.filter(({ core, leaving }) => core !== null && !leaving);

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

  const happen: Readonly<Record<Happening, () => void>> = {
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
      node.leaving = true;
      node.disturbedAtMs = world.nowMs;
      world.feed(node, { kind: 'leave', id: 1, timeoutMs: 5000 });
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
    forgery() {
      const [victim, listener] = [some(), some()];
      if (victim.core === null) return;
      const { incarnation } = victim.core.self();
      const kind = chance(0.5) ? 'suspect' : 'dead';
      victim.disturbedAtMs = world.nowMs;
      world.feed(listener, {
        kind: 'packet',
        from: { address: Uint8Array.of(192, 0, 2, 1), port: 7946 },
        messages: [{ kind, incarnation: incarnation + random.below(3), node: victim.name, from: 'liar' }],
      });
    },
    broadcast() {
      world.feed(some(), { kind: 'broadcast', payload: new Uint8Array(random.below(1395)), push: chance(0.5) });
    },
  };

  for (let atMs = 3000; atMs < 3000 + chaosMs && happenings.length > 0; atMs += 1000 + random.below(8000)) {
    world.at(atMs, () => {
      const what = happenings[random.below(happenings.length)] as Happening;
      happened.set(what, (happened.get(what) ?? 0) + 1);
      happen[what]();
    });
  }
  world.run(3000 + chaosMs);
  world.heal();
  for (const node of world.nodes) world.resume(node);
  world.weather = { loss: loss ?? 0, duplicate: 0, latencyMs: 1, jitterMs: 5 };
  world.run(3000 + chaosMs + calmMs);
  checkers.end();
  return { violations: checkers.violations, checkers, world, happened };
}
