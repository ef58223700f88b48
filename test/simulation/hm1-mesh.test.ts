/** Members with HM1, 64 of them, on virtual time: how fast a ban and its lift are everywhere, and that neither loss nor replay leaves one behind. */
import type { Prefix } from '@honeymesh/intel/address';
import { HOUR_MS } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import { advice } from '#test/support/hm1.ts';
import { endpointOf } from '#test/support/mesh-member.ts';
import type { Hm1, IntelHeard, Mind } from './wire-hm1.ts';
import { tell } from './wire-run.ts';
import type { SimNode, World } from './wire-world.ts';

const TARGET = '203.0.113.7/32' as Prefix;
/** Twice the interval in a mesh of 33 to 64, and what the exchange takes. */
const ONE_PUSH_PULL_MS = 61_000;

interface Sixty4 {
  readonly world: World;
  readonly hm1: Hm1;
  readonly speaker: SimNode;
  readonly others: readonly SimNode[];
}

/** All know each other, and have been acquainted. */
function sixtyFour(seed: number, loss: number): Sixty4 {
  const { world, hm1, violations } = tell({ kind: 'required', seed, nodes: 64, happenings: [], loss: 0, chaosMs: 8_000, calmMs: 4_000 });
  if (hm1 === null) throw new Error('no HM1');
  expect(violations).toEqual([]);
  world.weather = { loss, duplicate: 0.05, latencyMs: 1, jitterMs: 9 };
  const [speaker, ...others] = [...world.nodes].reverse() as [SimNode, ...SimNode[]];
  return { world, hm1, speaker, others };
}

/** Longer than a sender waits between two envelopes. */
const PAUSE_MS = 600;

/** When each hears, ms from `say` on, sorted; until all do or `limitMs` is over. */
function times({ world, hm1, others }: Sixty4, say: () => void, is: (heard: IntelHeard) => boolean, limitMs: number): readonly number[] {
  const heardAt = new Map<string, number>();
  world.run(world.nowMs + PAUSE_MS);
  const from = world.nowMs;
  hm1.listeners.push(({ node }, heard) => void (is(heard) && !heardAt.has(node.name) && heardAt.set(node.name, world.nowMs - from)));
  say();
  while (heardAt.size < others.length && world.nowMs < from + limitMs) world.run(world.nowMs + 100);
  hm1.listeners.pop();
  return [...heardAt.values()].sort((one, other) => one - other);
}

const bans = (mesh: Sixty4, limitMs: number): readonly number[] =>
  times(
    mesh,
    () => mesh.hm1.advise(mesh.speaker, [advice(TARGET, { ttlS: 12 * 3_600 })]),
    heard => heard.advice.some(({ target }) => target === TARGET),
    limitMs,
  );
const lifts = (mesh: Sixty4, limitMs: number): readonly number[] =>
  times(
    mesh,
    () => mesh.hm1.withdraw(mesh.speaker, [TARGET]),
    heard => heard.withdrawals.some(({ targets }) => targets.includes(TARGET)),
    limitMs,
  );

const holders = ({ hm1 }: Sixty4): readonly string[] =>
  [...hm1.minds.values()].filter(({ holds }) => [...holds.keys()].some(item => item.endsWith(` ${TARGET}`))).map(({ node }) => node.name);

/** All that was ever said goes out again, to all, from a member: nobody else is heard. */
function replayAll({ world, hm1 }: Sixty4, said: readonly Uint8Array[]): void {
  for (const node of world.nodes) {
    for (const payload of said) world.feed(node, { kind: 'packet', from: endpointOf(node.name === 'n1' ? 'n2' : 'n1'), messages: [{ kind: 'user', payload }] });
    const { layer } = hm1.minds.get(node.name) as Mind;
    expect(layer).not.toBeNull();
  }
}

function recorded(world: World): readonly Uint8Array[] {
  const said: Uint8Array[] = [];
  world.watchers.push({ event: (_, event) => void (event.kind === 'user' && said.push(event.payload)), after: () => undefined });
  return said;
}

describe('a mesh of 64', () => {
  test('lifts on all as fast as it bans: in one way across the network', () => {
    const mesh = sixtyFour(1, 0);
    const banned = bans(mesh, 1_000);
    const lifted = lifts(mesh, 1_000);
    expect([banned.length, lifted.length]).toEqual([63, 63]);
    expect(holders(mesh)).toEqual([]);
    // One way takes 1 to 10 ms. Where nothing is lost nobody waits for gossip.
    for (const all of [banned, lifted]) expect(all.at(-1)).toBeLessThanOrEqual(10.001);
  });

  test.each([2, 3, 4])('at a quarter loss misses neither after one push/pull, and most hear of either at once: seed %i', seed => {
    const mesh = sixtyFour(seed, 0.25);
    const banned = bans(mesh, ONE_PUSH_PULL_MS);
    const lifted = lifts(mesh, ONE_PUSH_PULL_MS);
    expect([banned.length, lifted.length]).toEqual([63, 63]);
    expect(holders(mesh)).toEqual([]);
    for (const all of [banned, lifted]) expect(all[31]).toBeLessThanOrEqual(10.001);
    // Who was missed is told by gossip, of which each has a round each 200 ms.
    for (const all of [banned, lifted]) expect(all[60]).toBeLessThanOrEqual(1_500);
  });

  test('has no ban brought back by replays, neither at once nor hours later, nor in who starts anew', () => {
    const mesh = sixtyFour(5, 0.25);
    const { world, hm1, others } = mesh;
    const said = recorded(world);
    bans(mesh, ONE_PUSH_PULL_MS);
    lifts(mesh, ONE_PUSH_PULL_MS);
    const all = [...new Map(said.map(payload => [Buffer.from(payload).toString('hex'), payload])).values()];
    expect(all.length).toBeGreaterThan(1);
    replayAll(mesh, all);
    expect(holders(mesh)).toEqual([]);
    // One starts from its disk, one without any: that one may hear the ban before its withdrawal, and both by the next push/pull.
    const [kept, bare] = others as [SimNode, SimNode];
    for (const node of [kept, bare]) world.crash(node);
    [bare.incarnation, bare.diskLost] = [null, true];
    world.run(world.nowMs + 15_000);
    for (const node of [kept, bare]) world.start(node, world.nodes.slice(0, 2));
    world.run(world.nowMs + 500);
    replayAll(mesh, all);
    expect(holders(mesh).filter(name => name !== bare.name)).toEqual([]);
    world.run(world.nowMs + ONE_PUSH_PULL_MS);
    expect(holders(mesh)).toEqual([]);
    const skipped = 3 * HOUR_MS;
    for (const mind of hm1.minds.values()) expect(mind.layer?.tick((mind.now() + skipped) as ReturnType<Mind['now']>)).toBeDefined();
    replayAll(mesh, all);
    expect(holders(mesh)).toEqual([]);
  });
});

describe('a mesh of 32', () => {
  test.each([
    ['plain', 11],
    ['plain', 12],
    ['required', 13],
    ['required', 14],
    ['preferred', 15],
    ['preferred', 16],
    ['preferred', 17],
  ] as const)('sees no false death in a minute at a quarter loss, and is complete: %s, seed %i', (kind, seed) => {
    const { world, violations } = tell({ kind, seed, nodes: 32, happenings: [], loss: 0.25, chaosMs: 62_000, calmMs: 10_000 });
    expect(world.counts.deaths).toBe(0);
    expect(violations).toEqual([]);
  });
});
