/** What must hold in every run, whatever the network does. Each checker says who saw what, and when. */
import type { MemberView } from '#enforcer/mesh/protocol/core/outputs.ts';
import type { SimNode, Watcher, World } from './wire-world.ts';

export const CHECKERS = [
  'convergence',
  'no false death',
  'every kill is detected',
  'a leave is seen',
  'no resurrection',
  'incarnations rise',
  'one meta an incarnation',
  'own incarnation rises',
  'the living live',
  'bounded queues',
  'bounded datagrams',
] as const;
export type Checker = (typeof CHECKERS)[number];

export interface Violation {
  readonly checker: Checker;
  readonly text: string;
}

/** Who was not disturbed for so long, and is judged by somebody who was not either, must not be declared dead: two suspicions, and what comes before. */
const SETTLED_MS = 60_000;
const REAP_MS = 30_000;
/** News about each, and the gossip queue's tail. */
const MOST_NEWS_PER_NODE = 1;

export interface Checkers extends Watcher {
  readonly violations: Violation[];
  /** How often each was in a position to fire. */
  readonly looked: ReadonlyMap<Checker, number>;
  /** At the end of the calm: `gone` stopped long ago. */
  end(): void;
}

interface Belief {
  readonly state: string;
  readonly incarnation: number;
  readonly atMs: number;
  readonly life: number;
}

export function createCheckers(world: Pick<World, 'nodes' | 'counts' | 'nowMs' | 'isAnyCut'>): Checkers {
  const violations: Violation[] = [];
  const looked = new Map<Checker, number>(CHECKERS.map(checker => [checker, 0]));
  const beliefs = new Map<string, Belief>();
  const metas = new Map<string, string>();
  const owns = new Map<string, { readonly life: number; readonly incarnation: number }>();
  const byName = new Map(world.nodes.map(node => [node.name, node]));

  function check(checker: Checker, holds: boolean, text: () => string): void {
    looked.set(checker, (looked.get(checker) ?? 0) + 1);
    // The first few tell the story.
    if (!holds && violations.length < 20) violations.push({ checker, text: `${(world.nowMs / 1000).toFixed(2)} s: ${text()}` });
  }

  function believes(observer: SimNode, member: MemberView, nowMs: number): void {
    const key = `${observer.name} of ${member.name}`;
    const before = beliefs.get(key);
    beliefs.set(key, { state: member.state, incarnation: member.incarnation, atMs: nowMs, life: observer.life });
    const meta = `${member.name}@${member.incarnation}`;
    // A stub's or an accused one's meta belongs to an older incarnation.
    if (member.state === 'alive' && byName.get(member.name)?.diskLost === false) {
      const said = `${member.meta}`;
      const known = metas.get(meta) ?? said;
      check('one meta an incarnation', known === said, () => `${observer.name} has ${meta} with meta [${said}], others with [${known}]`);
      metas.set(meta, known);
    }
    if (before === undefined || before.life !== observer.life) return;
    const forgotten = (before.state === 'dead' || before.state === 'left') && nowMs - before.atMs > REAP_MS;
    if (forgotten) return;
    const story = (): string => `${observer.name} held ${member.name} ${before.state}@${before.incarnation}, now ${member.state}@${member.incarnation}`;
    check('incarnations rise', member.incarnation >= before.incarnation, story);
    if (before.state !== 'dead' && before.state !== 'left') return;
    const revived = member.state === 'alive' || member.state === 'suspect';
    check('no resurrection', !revived || (member.state === 'alive' && member.incarnation > before.incarnation), story);
  }

  function death(observer: SimNode, member: MemberView, nowMs: number): void {
    const subject = byName.get(member.name);
    if (subject === undefined || member.state !== 'dead') return;
    const settled = (node: SimNode): boolean =>
      node.core !== null && !node.leaving && !node.paused && nowMs - node.disturbedAtMs > SETTLED_MS && !world.isAnyCut(node);
    check('no false death', !(settled(subject) && settled(observer)), () => `${observer.name} declared ${member.name} dead, which lives and was not disturbed`);
  }

  return {
    violations,
    looked,
    event(node, event, nowMs) {
      if (event.kind === 'incarnation') {
        const before = owns.get(node.name);
        owns.set(node.name, { life: node.life, incarnation: event.incarnation });
        if (before?.life === node.life)
          check('own incarnation rises', event.incarnation >= before.incarnation, () => `${node.name} fell to ${event.incarnation}`);
      }
      if (event.kind === 'leave') death(node, event.member, nowMs);
      if (event.kind === 'join' || event.kind === 'leave' || event.kind === 'suspect' || event.kind === 'alive' || event.kind === 'update')
        believes(node, event.member, nowMs);
    },
    after(node) {
      const core = node.core;
      if (core === null) return;
      const self = core.self();
      check('the living live', node.leaving || self.state === 'alive', () => `${node.name} holds itself ${self.state}@${self.incarnation}`);
      const { newsQueued } = core.stats();
      check('bounded queues', newsQueued <= MOST_NEWS_PER_NODE * world.nodes.length, () => `${node.name} has ${newsQueued} news queued`);
    },
    end() {
      check('bounded datagrams', world.counts.oversize === 0, () => `${world.counts.oversize} datagrams were too long`);
      const running = world.nodes.filter(({ core, leaving }) => core !== null && !leaving);
      for (const observer of running) {
        for (const subject of world.nodes) {
          const held = observer.core?.members().find(({ name }) => name === subject.name);
          const text = (): string => `${observer.name} holds ${subject.name} ${held === undefined ? 'unknown' : `${held.state}@${held.incarnation}`}`;
          if (running.includes(subject)) {
            const self = subject.core?.self();
            const same = held?.state === 'alive' && held.incarnation === self?.incarnation && `${held.meta}` === `${self.meta}`;
            check('convergence', same, () => `${text()}, it is alive@${self?.incarnation}`);
          } else if (subject.leaving) check('a leave is seen', held?.state !== 'alive' && held?.state !== 'suspect', text);
          else check('every kill is detected', held?.state !== 'alive' && held?.state !== 'suspect', text);
        }
      }
    },
  };
}
