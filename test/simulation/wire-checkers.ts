/** What must hold in every run, whatever the network does and whoever lies. Each checker says who saw what, and when. */
import type { MemberEvent, MemberView } from '#enforcer/mesh/protocol/core/outputs.ts';
import { createHm1Checkers, HM1_CHECKERS } from './wire-checkers-hm1.ts';
import type { Hm1 } from './wire-hm1.ts';
import type { SimNode, Watcher, World } from './wire-world.ts';

export const CHECKERS = [
  'convergence',
  'no false death',
  'every kill is detected',
  'a leave is seen',
  'no resurrection',
  'legal steps',
  'incarnations rise',
  'one meta an incarnation',
  'own incarnation rises',
  'the living live',
  'bounded members',
  'bounded queues',
  'bounded datagrams',
  ...HM1_CHECKERS,
] as const;
export type Checker = (typeof CHECKERS)[number];

export interface Violation {
  readonly checker: Checker;
  readonly text: string;
}

/** Puts on record that a checker looked, and what it found wrong. */
export type Check = (checker: Checker, holds: boolean, text: () => string) => void;

/** Who was not disturbed for so long, and is judged by somebody who was not either, must not be declared dead: two suspicions, and what comes before. */
const SETTLED_MS = 60_000;
const REAP_MS = 30_000;
/** News about each, and the gossip queue's tail. */
const MOST_NEWS_PER_NODE = 1;
/** Of each node's tables all is looked at each so many inputs: between, events tell what changes. */
const LOOKS_EVERY = 64;

export interface Checkers extends Watcher {
  readonly violations: Violation[];
  /** How often each was in a position to fire. */
  readonly looked: ReadonlyMap<Checker, number>;
  /** Whether all would be well, were this the end. */
  isSettled(): boolean;
  /** At the end of the calm. */
  end(): void;
}

interface Belief {
  readonly state: string;
  readonly incarnation: number;
  /** Since when it is what it is, where that is dead or left. */
  readonly goneMs: number;
  readonly life: number;
}

const isGone = (state: string): boolean => state === 'dead' || state === 'left';

export function createCheckers(world: Pick<World, 'nodes' | 'counts' | 'nowMs' | 'isAnyCut'>, hm1: Hm1 | null = null): Checkers {
  const violations: Violation[] = [];
  const looked = new Map<Checker, number>(CHECKERS.map(checker => [checker, 0]));
  /** By events, and by looks at the tables. */
  const beliefs = { told: new Map<string, Belief>(), seen: new Map<string, Belief>() };
  const metas = new Map<string, string>();
  const owns = new Map<string, number>();
  const inputs = new Map<string, number>();
  const byName = new Map(world.nodes.map(node => [node.name, node]));

  const check: Check = (checker, holds, text) => {
    looked.set(checker, (looked.get(checker) ?? 0) + 1);
    // The first few tell the story.
    if (!holds && violations.length < 20) violations.push({ checker, text: `${(world.nowMs / 1000).toFixed(2)} s: ${text()}` });
  };
  const ofHm1 = hm1 === null ? null : createHm1Checkers(world, hm1, check);
  const running = (): readonly SimNode[] => world.nodes.filter(({ core, leaving }) => core !== null && !leaving);

  function compare(which: 'told' | 'seen', observer: SimNode, member: MemberView, nowMs: number): void {
    const key = `${observer.name} of ${member.name}`;
    const before = beliefs[which].get(key);
    const isStill = before?.life === observer.life && isGone(before.state) && isGone(member.state);
    const belief = { state: member.state, incarnation: member.incarnation, goneMs: isStill ? before.goneMs : nowMs, life: observer.life };
    beliefs[which].set(key, belief);
    if (which === 'told') beliefs.seen.set(key, belief);
    if (before === undefined || before.life !== observer.life) return;
    // By then it may have been forgotten, and told of anew.
    if (isGone(before.state) && nowMs - before.goneMs > REAP_MS) return;
    const story = (): string => `${observer.name} held ${member.name} ${before.state}@${before.incarnation}, now ${member.state}@${member.incarnation}`;
    // Who said goodbye, or was said to, may come back from elsewhere with what incarnation it will.
    if (byName.get(member.name)?.impersonated === true) return;
    check('incarnations rise', member.incarnation >= before.incarnation, story);
    if (!isGone(before.state)) return;
    const higher = member.incarnation > before.incarnation;
    check('no resurrection', member.state !== 'alive' || higher, story);
    // From death nobody becomes a suspect without having been alive between: which a look may have missed, an event not.
    check('legal steps', member.state !== 'suspect' || (which === 'seen' && higher), story);
  }

  function believes(observer: SimNode, member: MemberView, nowMs: number): void {
    const subject = byName.get(member.name);
    // A stub's or an accused one's meta belongs to an older incarnation.
    if (member.state === 'alive' && subject?.diskLost === false && !subject.impersonated) {
      const name = `${member.name}@${member.incarnation}`;
      const said = `${member.meta} ${member.versions}`;
      const known = metas.get(name) ?? said;
      check('one meta an incarnation', known === said, () => `${observer.name} has ${name} with meta and versions [${said}], others with [${known}]`);
      metas.set(name, known);
    }
    compare('told', observer, member, nowMs);
  }

  function death(observer: SimNode, member: MemberView, nowMs: number): void {
    const subject = byName.get(member.name);
    if (subject === undefined || member.state !== 'dead') return;
    const settled = (node: SimNode): boolean =>
      node.core !== null && !node.leaving && !node.paused && nowMs - node.disturbedAtMs > SETTLED_MS && !world.isAnyCut(node);
    check('no false death', !(settled(subject) && settled(observer)), () => `${observer.name} declared ${member.name} dead, which lives and was not disturbed`);
  }

  function ownIncarnation(node: SimNode, incarnation: number): void {
    const before = owns.get(node.name);
    owns.set(node.name, incarnation);
    // With its disk it lost count.
    if (before !== undefined && !node.diskLost) check('own incarnation rises', incarnation > before, () => `${node.name} was ${before}, now ${incarnation}`);
  }

  function look(node: SimNode, members: readonly MemberView[]): void {
    check('bounded members', members.length <= world.nodes.length, () => `${node.name} lists ${members.length} members of ${world.nodes.length}`);
    for (const member of members) compare('seen', node, member, world.nowMs);
  }

  /** All who run see all who run as they see themselves, and nobody else. */
  function agree(to: Check): void {
    const all = running();
    for (const observer of all) {
      const members = observer.core?.members() ?? [];
      for (const subject of world.nodes) {
        const held = members.find(({ name }) => name === subject.name);
        const text = (): string => `${observer.name} holds ${subject.name} ${held === undefined ? 'unknown' : `${held.state}@${held.incarnation}`}`;
        const isHeld = held?.state === 'alive' || held?.state === 'suspect';
        if (all.includes(subject)) {
          const self = subject.core?.self();
          const same = held?.state === 'alive' && held.incarnation === self?.incarnation && `${held.meta}` === `${self.meta}`;
          to('convergence', same, () => `${text()}, it is alive@${self?.incarnation}`);
        } else to(subject.leaving ? 'a leave is seen' : 'every kill is detected', !isHeld, text);
      }
    }
  }

  return {
    violations,
    looked,
    event(node, event, nowMs) {
      if (event.kind === 'incarnation') ownIncarnation(node, event.incarnation);
      if (event.kind === 'leave') death(node, event.member, nowMs);
      if (isNews(event)) believes(node, event.member, nowMs);
      ofHm1?.event(node, event, nowMs);
    },
    after(node) {
      const core = node.core;
      if (core === null) return;
      const self = core.self();
      check('the living live', node.leaving || self.state === 'alive', () => `${node.name} holds itself ${self.state}@${self.incarnation}`);
      const count = (inputs.get(node.name) ?? -1) + 1;
      inputs.set(node.name, count);
      if (count % LOOKS_EVERY !== 0) return;
      const { newsQueued } = core.stats();
      check('bounded queues', newsQueued <= MOST_NEWS_PER_NODE * world.nodes.length, () => `${node.name} has ${newsQueued} news queued`);
      look(node, core.members());
    },
    isSettled() {
      let settled = true;
      const note: Check = (_, holds) => {
        settled &&= holds;
      };
      agree(note);
      ofHm1?.agree(running(), note);
      return settled;
    },
    end() {
      check('bounded datagrams', world.counts.oversize === 0, () => `${world.counts.oversize} datagrams were too long`);
      for (const observer of running()) look(observer, observer.core?.members() ?? []);
      agree(check);
      ofHm1?.agree(running(), check);
    },
  };
}

const isNews = (event: MemberEvent): event is Extract<MemberEvent, { readonly kind: 'join' | 'leave' | 'suspect' | 'alive' | 'update' }> =>
  event.kind === 'join' || event.kind === 'leave' || event.kind === 'suspect' || event.kind === 'alive' || event.kind === 'update';
