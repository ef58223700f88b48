/** Each checker of simulator 1 is shown a fault that it must find: in the mesh where one can be planted, else in a story made up for it. */

import { HOUR_MS, unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { Hooks } from '#enforcer/mesh/protocol/core/hooks.ts';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import type { LayerOutput, SignedLayer } from '#enforcer/mesh/signed/signed-layer.ts';
import { keyedHash } from '#test/support/hm1.ts';
import { type Checker, createCheckers } from './wire-checkers.ts';
import type { Hm1Options } from './wire-hm1.ts';
import { type Story, tell } from './wire-run.ts';
import { createWorld, type SimNode } from './wire-world.ts';

describe('a checker fires where the mesh is sabotaged', () => {
  const firesOn = (checker: Checker, story: Omit<Story, 'seed'>): boolean => {
    for (let seed = 1; seed <= 12; seed++) if (tell({ seed, kind: 'plain', ...story }).violations.some(violation => violation.checker === checker)) return true;
    return false;
  };
  const dropping = (unwanted: (message: Message, to: SimNode) => boolean) => (messages: readonly Message[], _from: SimNode, to: SimNode) =>
    messages.filter(message => !unwanted(message, to));

  test('convergence: nobody hears a refutation', () => {
    const own = { announceIntervalMs: 0, rejoinIntervalMs: 0, pushPullIntervalMs: 0 };
    const sabotage = dropping(message => message.kind === 'alive');
    expect(firesOn('convergence', { happenings: ['forged-death'], world: { own, sabotage } })).toBe(true);
  });

  test('no false death: the datagrams to one are swallowed, and nobody says so', () => {
    const sabotage = (messages: readonly Message[], _from: SimNode, to: SimNode) => (to.name === 'n1' ? null : messages);
    expect(firesOn('no false death', { happenings: [], world: { own: { disableTcpPings: true }, sabotage } })).toBe(true);
  });

  test('every kill is detected: nobody probes', () => {
    expect(firesOn('every kill is detected', { happenings: ['crash'], world: { own: { probeIntervalMs: 0 } } })).toBe(true);
  });

  test('a leave is seen: the goodbye is swallowed, and nobody probes', () => {
    const sabotage = dropping(message => message.kind === 'dead' && message.node === message.from);
    expect(firesOn('a leave is seen', { happenings: ['leave'], world: { own: { probeIntervalMs: 0 }, sabotage } })).toBe(true);
  });

  const signedly = (checker: Checker, hm1: Partial<Hm1Options>, story: Omit<Story, 'seed'> = {}): boolean =>
    firesOn(checker, { kind: 'required', hm1, ...story });
  const hooks = (broken: (hooks: Hooks) => Hooks): Partial<Hm1Options> => ({ breaksHooks: broken });
  const layer = (breaksLayer: NonNullable<Hm1Options['breaksLayer']>): Partial<Hm1Options> => ({ breaksLayer });

  test('intel comes once: two layers in one host do not know of each other', () => {
    const twice = layer((one, another) => {
      const other = another();
      const alive: SignedLayer['claims']['alive'] = (claim, now) =>
        [other.claims.alive(claim, now), one.claims.alive(claim, now)][1] as ReturnType<typeof alive>;
      return { claims: { ...one.claims, alive }, payload: (bytes, hop, now) => [...one.payload(bytes, hop, now), ...other.payload(bytes, hop, now)] };
    });
    expect(signedly('intel comes once', twice)).toBe(true);
  });

  test('intel is fresh: a clock that is a day and an hour behind', () => {
    const late = layer(one => ({ payload: (bytes, hop, now) => one.payload(bytes, hop, unixMs(now - 25 * HOUR_MS)) }));
    expect(signedly('intel is fresh', late, { happenings: ['lie'] })).toBe(true);
  });

  test('intel is signed: every signature is as good as any', () => {
    expect(signedly('intel is signed', { signatures: { ...keyedHash(), verify: () => true } }, { happenings: ['forged-origin'] })).toBe(true);
  });

  test('all hold what holds: nothing is repaired', () => {
    const unrepaired = hooks(({ localState: _, ...rest }) => rest);
    expect(signedly('all hold what holds', unrepaired, { happenings: ['advise', 'partition', 'crash'] })).toBe(true);
  });

  test('taken back is gone: withdrawals are not heard', () => {
    const deaf = (outputs: readonly LayerOutput[]) => outputs.map(output => (output.kind === 'intel' ? { ...output, withdrawals: [] } : output));
    const stubborn = layer(one => ({ payload: (bytes, hop, now) => deaf(one.payload(bytes, hop, now)) }));
    expect(signedly('taken back is gone', stubborn, { happenings: ['advise', 'take-back'] })).toBe(true);
  });

  test('no eviction by few: every word of death is believed', () => {
    const gullible = hooks(rest => ({ ...rest, admitAccusation: () => 'accept' }));
    for (const happening of ['forged-death', 'false-witness'] as const)
      expect(signedly('no eviction by few', gullible, { happenings: [happening] })).toBe(true);
  });

  test('no stolen goodbye: every goodbye is believed', () => {
    const gullible = hooks(rest => ({ ...rest, admitAccusation: () => 'accept' }));
    expect(signedly('no stolen goodbye', gullible, { happenings: ['forged-goodbye'] })).toBe(true);
  });

  test('nobody is moved: whoever says goodbye for another may say where it lives', () => {
    const gullible = hooks(rest => ({ ...rest, admitAccusation: () => 'accept', admitAlive: () => true }));
    expect(signedly('nobody is moved', gullible, { happenings: ['forged-goodbye', 'forged-life'] })).toBe(true);
  });

  test.each<[Checker, (stage: Stage) => void]>([
    ['no resurrection', ({ saw }) => [saw('leave', 'dead', 5), saw('join', 'alive', 5)]],
    ['legal steps', ({ saw }) => [saw('leave', 'left', 5), saw('suspect', 'suspect', 6)]],
    ['legal steps', ({ saw }) => [saw('leave', 'dead', 5), saw('suspect', 'suspect', 5)]],
    ['incarnations rise', ({ saw }) => [saw('join', 'alive', 5), saw('update', 'alive', 4)]],
    ['one meta an incarnation', ({ saw }) => [saw('join', 'alive', 5), saw('update', 'alive', 5, [1])]],
    ['one meta an incarnation', ({ saw }) => [saw('join', 'alive', 5), saw('update', 'alive', 5, [], [1, 5, 3, 0, 0, 0])]],
    ['bounded members', ({ after }) => after({ self: 'alive', newsQueued: 0, listed: 3 })],
    ['own incarnation rises', ({ own }) => [own(5), own(4)]],
    ['the living live', ({ after }) => after({ self: 'dead', newsQueued: 0 })],
    ['bounded queues', ({ after }) => after({ self: 'alive', newsQueued: 3 })],
    ['bounded datagrams', ({ end }) => end(1)],
  ])('%s: by a story made up for it', (checker, happens) => {
    const stage = told();
    happens(stage);
    expect(stage.violations().map(violation => violation.checker)).toEqual([checker]);
  });
});

type Stage = ReturnType<typeof told>;

/** A world of two in which nothing runs, and what one of them claims to see. */
function told() {
  const world = createWorld({ seed: 1, nodes: 2 });
  const checkers = createCheckers(world);
  const [observer, subject] = world.nodes as [SimNode, SimNode];
  const view = (state: 'alive' | 'suspect' | 'dead' | 'left', incarnation: number, meta: number[], versions: number[] = [1, 5, 2, 0, 0, 0]) => ({
    name: subject.name,
    address: Uint8Array.of(10, 0, 0, 2),
    port: 7946,
    meta: Uint8Array.from(meta),
    incarnation,
    state,
    versions: Uint8Array.from(versions),
    acquainted: true,
  });
  return {
    saw(kind: 'join' | 'leave' | 'update' | 'suspect', state: Parameters<typeof view>[0], incarnation: number, meta: number[] = [], versions?: number[]) {
      const member = view(state, incarnation, meta, versions);
      checkers.event(observer, kind === 'suspect' ? { kind, member, by: 'n9' } : { kind, member }, 1000);
    },
    own: (incarnation: number) => checkers.event(observer, { kind: 'incarnation', incarnation }, 1000),
    after({ self, newsQueued, listed = 0 }: { readonly self: 'alive' | 'dead'; readonly newsQueued: number; readonly listed?: number }) {
      const stats = { members: 2, alive: 2, health: 0, newsQueued, userQueued: 0, handoffQueued: 0, sleptMs: 0 };
      const core = {
        handle: () => [],
        nextDeadline: () => null,
        members: () => Array(listed).fill(view('alive', 1, [])),
        self: () => view(self, 1, []),
        stats: () => stats,
      };
      checkers.after({ ...observer, core }, 1000);
    },
    end(oversize: number) {
      world.counts.oversize = oversize;
      checkers.end();
    },
    violations: () => checkers.violations,
  };
}
