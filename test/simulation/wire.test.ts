/** Simulator 1: what a mesh does in time, story by story. Its seeds and the faults that its checkers must find have files of their own. */
import { describe, expect, test } from 'vitest';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import { tell } from './wire-run.ts';
import { createWorld, type SimNode, type World } from './wire-world.ts';

test('the same seed is the same story', () => {
  for (const seed of [5, 6, 7]) expect(tell({ seed }).world.counts).toEqual(tell({ seed }).world.counts);
  expect(tell({ seed: 6 }).world.counts).not.toEqual(tell({ seed: 5 }).world.counts);
});

describe('a mesh of 32', () => {
  const LIVES = { kind: 'plain' as const, nodes: 32, happenings: [] as const, calmMs: 1000 };

  test.each([0.1, 0.25])('sees no false death in a minute at %d loss, and is complete', loss => {
    const { world, violations } = tell({ ...LIVES, seed: 7, loss, chaosMs: 62_000, calmMs: 10_000 });
    expect(world.counts.deaths).toBe(0);
    expect(violations).toEqual([]);
  });

  test('idle sends two packets a second and member', () => {
    const { world } = tell({ ...LIVES, seed: 8, loss: 0, chaosMs: 30_000 });
    const before = world.counts.packets;
    world.run(world.nowMs + 60_000);
    expect((world.counts.packets - before) / 60 / 32).toBeLessThanOrEqual(2.02);
  });

  test('learns of a kill in time, and of a leave within a second and a half', () => {
    for (const seed of [11, 12, 13]) {
      const { world } = tell({ ...LIVES, seed, loss: 0, chaosMs: 15_000 });
      const [victim, leaver, ...rest] = world.nodes as [SimNode, SimNode, ...SimNode[]];
      const times: number[] = [];
      world.watchers.push({
        event: (_, event, nowMs) => void (event.kind === 'leave' && event.member.name === victim.name && times.push(nowMs)),
        after: () => undefined,
      });
      const killedAtMs = world.nowMs;
      world.crash(victim);
      world.run(killedAtMs + 20_000);
      expect(times).toHaveLength(31);
      // Go, measured at 32: 7.6 to 8.8 s; the bounds are those of the protocol.
      expect(Math.max(...times) - killedAtMs).toBeLessThan(10_400);
      const leftAtMs = world.nowMs;
      world.leave(leaver);
      world.run(leftAtMs + 1500);
      for (const node of rest) expect(node.core?.members().find(({ name }) => name === leaver.name)?.state).toBe('left');
    }
  });

  test('has a pushed message everywhere after one way across the network', () => {
    const { world } = tell({ ...LIVES, seed: 9, loss: 0, chaosMs: 5000 });
    const heard = new Map<string, number>();
    world.watchers.push({
      event: (node, event, nowMs) => void (event.kind === 'user' && !heard.has(node.name) && heard.set(node.name, nowMs)),
      after: () => undefined,
    });
    const sentAtMs = world.nowMs;
    world.feed(world.nodes[4] as SimNode, { kind: 'broadcast', payload: new Uint8Array(300), push: true });
    world.run(sentAtMs + 50);
    expect(heard.size).toBe(31);
    expect(Math.max(...heard.values()) - sentAtMs).toBeLessThan(world.weather.latencyMs + world.weather.jitterMs + 1);
  });
});

describe('a mesh of eight', () => {
  const QUIET = { kind: 'plain' as const, nodes: 8, happenings: [] as const, chaosMs: 10_000, calmMs: 1000, loss: 0 };
  const everybodySees = (world: World, count: number): boolean => world.nodes.every(({ core }) => core === null || core.stats().alive === count);
  const timeUntil = (world: World, limitMs: number, holds: () => boolean): number => {
    const sinceMs = world.nowMs;
    while (!holds() && world.nowMs - sinceMs < limitMs) world.run(world.nowMs + 250);
    return world.nowMs - sinceMs;
  };
  const halve = (world: World): void => {
    const half = new Set(world.nodes.slice(0, 4));
    for (const from of world.nodes) for (const to of world.nodes) if (half.has(from) !== half.has(to)) world.cut(from, to);
  };

  test('that was split for longer than it remembers is whole again within half a minute', () => {
    for (const seed of [1, 2, 3]) {
      const { world } = tell({ ...QUIET, seed });
      halve(world);
      world.run(world.nowMs + 300_000);
      expect(world.nodes.map(({ core }) => core?.members().length)).toEqual(Array(8).fill(4));
      world.heal();
      expect(timeUntil(world, 60_000, () => everybodySees(world, 8))).toBeLessThanOrEqual(30_000);
    }
  });

  test("without that it stays split, as memberlist's does (memberlist#222)", () => {
    const { world, checkers } = tell({ ...QUIET, seed: 1, world: { own: { announceIntervalMs: 0, rejoinIntervalMs: 0 } } });
    halve(world);
    world.run(world.nowMs + 300_000);
    world.heal();
    world.run(world.nowMs + 600_000);
    expect(world.nodes.map(({ core }) => core?.stats().alive)).toEqual(Array(8).fill(4));
    checkers.end();
    expect(new Set(checkers.violations.map(({ checker }) => checker))).toEqual(new Set(['convergence']));
  });

  test('keeps one whose datagrams are all lost while its streams work, and says what is wrong', () => {
    const sabotage = (messages: readonly Message[], from: SimNode, to: SimNode) => (to.name === 'n3' || from.name === 'n3' ? null : messages);
    const { world, violations } = tell({ ...QUIET, seed: 4, chaosMs: 120_000, world: { sabotage } });
    expect(violations).toEqual([]);
    const blocked: string[] = [];
    world.watchers.push({ event: (_, event) => void (event.kind === 'udp-blocked' && blocked.push(event.member.name)), after: () => undefined });
    world.run(world.nowMs + 20_000);
    expect(blocked).toContain('n3');
    expect(world.counts.deaths).toBe(0);
  });

  test('takes back one that forgot how often it had been accused, within seconds (memberlist#311)', () => {
    const { world } = tell({ ...QUIET, seed: 5 });
    const veteran = world.nodes[5] as SimNode;
    for (let times = 0; times < 100; times++) {
      const incarnation = veteran.core?.self().incarnation ?? 0;
      world.feed(veteran, {
        kind: 'packet',
        from: { address: Uint8Array.of(10, 0, 0, 1), port: 7946 },
        messages: [{ kind: 'suspect', incarnation, node: veteran.name, from: 'n1' }],
      });
    }
    world.run(world.nowMs + 5000);
    world.crash(veteran);
    world.run(world.nowMs + 20_000);
    expect(everybodySees(world, 7)).toBe(true);
    veteran.incarnation = null;
    world.start(veteran, world.nodes.slice(0, 1));
    expect(timeUntil(world, 10_000, () => everybodySees(world, 8))).toBeLessThanOrEqual(3000);
    expect(veteran.core?.self().incarnation).toBeGreaterThan(100);
  });

  test('that restarts as a whole without its disks is whole again within seconds', () => {
    const { world } = tell({ ...QUIET, seed: 6 });
    for (const node of world.nodes) {
      world.crash(node);
      node.incarnation = null;
      node.peers.clear();
    }
    world.run(world.nowMs + 1000);
    for (const [at, node] of world.nodes.entries()) world.at(world.nowMs + 200 * at, () => world.start(node, world.nodes.slice(0, 1)));
    expect(timeUntil(world, 20_000, () => everybodySees(world, 8))).toBeLessThanOrEqual(5000);
  });

  test('with one that was stopped for a while loses nobody, and the sleeper accuses nobody', () => {
    for (const seed of [7, 8, 9]) {
      const { world } = tell({ ...QUIET, seed });
      const sleeper = world.nodes[2] as SimNode;
      world.pause(sleeper);
      world.run(world.nowMs + 3000);
      world.resume(sleeper);
      world.run(world.nowMs + 30_000);
      expect(world.counts.deaths).toBe(0);
      expect(world.nodes.map(({ core }) => core?.stats().health)).toEqual(Array(8).fill(0));
    }
  });
});

test('sixteen that start within a tenth of a second know each other a quarter of a second later', () => {
  const world = createWorld({ seed: 1, nodes: 16, own: { probeIntervalMs: 20, probeTimeoutMs: 100, gossipIntervalMs: 20, pushPullIntervalMs: 200 } });
  for (const [at, node] of world.nodes.entries()) world.at(at * 6, () => world.start(node, world.nodes.slice(0, at === 0 ? 0 : 1)));
  world.run(16 * 6 + 250);
  expect(world.nodes.map(({ core }) => core?.stats().alive)).toEqual(Array(16).fill(16));
});

test('a message that all pass on at first sight reaches all of 32 at 25 % loss', () => {
  const { world } = tell({ kind: 'plain', nodes: 32, happenings: [], seed: 3, loss: 0.25, chaosMs: 15_000, calmMs: 1000 });
  const heard = new Set<string>();
  const passOn = (node: SimNode, payload: Uint8Array): void => {
    if (heard.has(node.name)) return;
    heard.add(node.name);
    world.at(world.nowMs, () => world.feed(node, { kind: 'broadcast', payload, push: false }));
  };
  world.watchers.push({ event: (node, event) => void (event.kind === 'user' && passOn(node, event.payload)), after: () => undefined });
  const sender = world.nodes[6] as SimNode;
  heard.add(sender.name);
  world.feed(sender, { kind: 'broadcast', payload: new Uint8Array(250), push: true });
  world.run(world.nowMs + 1500);
  expect(heard.size).toBe(32);
});
