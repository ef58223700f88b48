/**
 * Simulator 2, of advice: whole ledgers over real HM1 on virtual time, for 72 hours. Hosts see attackers, their operators lift and restart; up to a third of
 * the sites is in an attacker's hands. A run is a function of its seed; the mesh's own wire has a simulator of its own.
 */
import { type Address, contains, hostPrefix, type Prefix } from '@honeymesh/intel/address';
import { HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import {
  ADVICE_POLICY,
  type AdvicePolicy,
  ALONE,
  type MeshSurroundings,
  type ReceivedAdvice,
  type ReceivedWithdrawal,
} from '#enforcer/ledger/advice/advice.ts';
import { adviceText, readAdvice } from '#enforcer/ledger/advice/records.ts';
import { sharedBy } from '#enforcer/ledger/advice/share.ts';
import type { Decision, Ledger, LedgerInput, LedgerPolicy, LedgerSnapshot } from '#enforcer/ledger/decisions.ts';
import { createLedger } from '#enforcer/ledger/ledger.ts';
import { createHolds, type Holds } from '#test/support/advice-holds.ts';
import { type AdviceMesh, createAdviceMesh, siteOf, type Voice } from '#test/support/advice-mesh.ts';
import { createVillains, VILLAINIES, type Villainy } from '#test/support/advice-villains.ts';
import { keyedHash, NOON } from '#test/support/hm1.ts';
import { bystandersOf, entry, POLICY, sighting } from '#test/support/ledger.ts';
import { createTimeline } from '#test/support/virtual-time.ts';

export const SITES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
const NAMES = SITES.flatMap(site => [1, 2].map(nth => `${site}${nth}`));
const HOURS = 72;
export const CAP = { ipv4: 400, ipv6: 400 };

export interface World {
  readonly seed: number;
  readonly hosts: readonly Host[];
  readonly mesh: AdviceMesh;
  readonly attackers: readonly Address[];
  /** Never do anything wrong. */
  readonly victims: readonly Address[];
  readonly allowed: readonly Prefix[];
  /** Addresses of all members, and clients of all hosts. */
  readonly members: readonly Address[];
  readonly clients: readonly Address[];
  /** Key ids of hosts that keep the rules. */
  readonly honest: ReadonlySet<string>;
  /** What happened, for whoever asks whether the run was one at all. */
  readonly counts: Record<'advised' | 'withdrawn' | 'lost' | 'repaired' | 'restarts' | 'byAdvice' | 'refused' | 'misuses' | 'liveLookedAt', number>;
  readonly did: ReadonlyMap<Villainy, number>;
}

export interface Host {
  readonly name: string;
  readonly kid: string;
  readonly voice: Voice;
  ledger: Ledger;
  /** What advice held here. */
  readonly holds: Holds;
  readonly named: { readonly at: number; readonly by: string; readonly target: Prefix }[];
  /** What each signer said here of a target. */
  readonly heard: Map<Prefix, Map<string, ReceivedAdvice[]>>;
  /** By signer and target, or, of a whole envelope, its number. */
  readonly takenBack: Map<string, ReceivedWithdrawal>;
  /** What the operator lifted, and when. */
  readonly lifted: Map<Prefix, number>;
}

/** What is wrong, in words, or null. Asked after each step of a host; `hourly`: nothing but time has passed. */
export type Checker = (world: World, host: Host, now: UnixMs, hourly: boolean) => string | null;

/** Breaks the rules that a checker watches, to show that it can fire. */
export interface Sabotage extends Partial<AdvicePolicy> {
  /** The ledgers are not told of the allow-list, of withdrawals, of members. */
  readonly deafTo?: 'allow-list' | 'withdrawals' | 'members';
  /** HM1 without its exchanges, or with signatures that prove nothing. */
  readonly mesh?: 'unrepaired' | 'unsigned';
}

/** mulberry32: small, seeded, good enough to choose. */
function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Run {
  readonly world: World;
  /** What the first checker said, or null. */
  readonly complaint: string | null;
}

export function simulate(seed: number, checkers: readonly Checker[], { deafTo, mesh: broken, ...rules }: Sabotage = {}): Run {
  const random = chance(seed);
  const below = (most: number): number => Math.floor(random() * most);
  const pick = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  const timeline = createTimeline();
  const advice: AdvicePolicy = { ...ADVICE_POLICY, mostPerHour: CAP, ...rules };
  const policy: LedgerPolicy = { ...POLICY, aggregateAt: below(2) * 3, advice };
  const evilSites = below(3); // at most a third
  const isEvil = (name: string): boolean => SITES.indexOf(siteOf(name) as 'a') < evilSites;
  const addresses = new Map(NAMES.map((name, at) => [name, `192.0.2.${(at >> 1) * 16 + (at % 2) + 1}` as Address]));
  const allowed = ['198.51.100.1/32', '198.51.100.64/28'] as Prefix[];
  const victims = [2, 3, 4].map(at => `198.51.100.${at}` as Address);
  const clients = ['198.51.100.130'] as Address[];
  const attackers = [1, 2, 3, 4, 5].map(at => `203.0.113.${at * 3}` as Address);
  const members = [...addresses.values()];
  const counts: World['counts'] = { advised: 0, withdrawn: 0, lost: 0, repaired: 0, restarts: 0, byAdvice: 0, refused: 0, misuses: 0, liveLookedAt: 0 };
  const did = new Map<Villainy, number>();
  const answered = new Map<Prefix, string | null>();
  const surroundings: MeshSurroundings = {
    ...ALONE,
    sites: SITES.length,
    hosts: NAMES.length,
    answered(prefix) {
      if (deafTo === 'members') return null;
      let known = answered.get(prefix);
      if (known === undefined) {
        known = NAMES.find(name => contains(prefix, addresses.get(name) as Address)) ?? null;
        answered.set(prefix, known);
      }
      return known;
    },
  };
  const newLedger = (name: string, from?: LedgerSnapshot): Ledger =>
    createLedger(policy, bystandersOf({ own: [addresses.get(name) as Address], proven: clients }), from, surroundings);

  let complaint: string | null = null;
  const byVoice = new Map<Voice, Host>();
  const mesh = createAdviceMesh({
    timeline,
    random,
    names: NAMES,
    compromised: isEvil,
    isRepaired: broken !== 'unrepaired',
    ...(broken === 'unsigned' ? { signatures: { ...keyedHash(), verify: () => true } } : {}),
    hear(voice, inputs) {
      for (const input of inputs) hear(byVoice.get(voice) as Host, input);
    },
  });
  const hosts = mesh.voices.map((voice): Host => {
    const kid = voice.certified.certificate.kid;
    const { name } = voice;
    return { name, kid, voice, ledger: newLedger(name), holds: createHolds(), named: [], heard: new Map(), takenBack: new Map(), lifted: new Map() };
  });
  for (const host of hosts) byVoice.set(host.voice, host);
  const world: World = { seed, hosts, mesh, attackers, victims, allowed, members, clients, honest: new Set(hosts.map(({ kid }) => kid)), counts, did };

  function tell(host: Host, input: LedgerInput): void {
    const time = mesh.now(host.voice);
    const { decisions } = host.ledger.handle(input, time);
    host.holds.follow(decisions, time);
    for (const decision of decisions) {
      count(host, decision, time);
      const shared = sharedBy(decision, advice.never);
      if (shared !== null) mesh.share(host.voice, shared);
    }
    // Nothing was decided: nothing is otherwise than before, but for the time.
    if (decisions.length === 0 && input.kind !== 'tick') return;
    for (const checker of checkers) complaint ??= checker(world, host, time, input.kind === 'tick');
  }

  function count(host: Host, decision: Decision, time: UnixMs): void {
    if (decision.kind === 'advice-accepted') host.named.push({ at: time, by: decision.advice.signer, target: decision.advice.target });
    else if (decision.kind === 'advice-refused') counts.refused++;
    else if (decision.kind === 'withdrawal') counts.withdrawn++;
    else if (decision.kind === 'ban' && decision.ban.advised !== undefined) counts.byAdvice++;
    else if (decision.kind === 'lift' && decision.why === 'order') host.lifted.set(decision.ban.target, time);
  }

  function hear(host: Host, input: LedgerInput): void {
    if (input.kind === 'advice') {
      counts.advised++;
      const { target, signer, epoch, sequence } = input.advice;
      const words = host.heard.get(target) ?? new Map<string, ReceivedAdvice[]>();
      const ofSigner = words.get(signer) ?? [];
      if (!ofSigner.some(word => word.epoch === epoch && word.sequence === sequence)) words.set(signer, [...ofSigner, input.advice]);
      host.heard.set(target, words);
    } else if (input.kind === 'withdrawal') {
      const { signer, target, epoch, sequence } = input.withdrawal;
      host.takenBack.set(`${signer} ${target ?? `${epoch}/${sequence}`}`, input.withdrawal);
    } else if (input.kind === 'misconduct') counts.misuses++;
    if (input.kind !== 'withdrawal' || deafTo !== 'withdrawals') tell(host, input);
  }

  /** What honest hosts see and their operators do. */
  function honestLife(): void {
    const host = pick(hosts);
    const what = random();
    if (what < 0.7) tell(host, { kind: 'sighting', sighting: sighting(pick(attackers), random() < 0.6 ? 'E1' : 'E2', { at: mesh.now(host.voice) }) });
    else if (what < 0.8) {
      const ban = pick(host.ledger.bans().length > 0 ? host.ledger.bans() : [null]);
      if (ban !== null) tell(host, { kind: 'order-lift', target: ban.target });
    } else if (what < 0.85) {
      counts.restarts++;
      host.ledger = newLedger(host.name, fromDisk(host.ledger.snapshot()));
      begin(host);
      mesh.restart(host.voice);
    } else tell(host, { kind: 'tick' });
  }

  function begin(host: Host): void {
    if (deafTo !== 'allow-list') for (const target of allowed) tell(host, { kind: 'allow', entry: entry(target, 'config') });
  }

  const evil = NAMES.filter(isEvil);
  const prey = [...allowed, ...members.map(hostPrefix), ...clients.map(hostPrefix)];
  const villains = createVillains({ mesh, timeline, random, evil, victims, prey });

  for (const host of hosts) begin(host);
  for (let hour = 0; hour < HOURS; hour++) {
    const from = hour * HOUR_MS;
    if (random() < 0.5) timeline.at(from + below(HOUR_MS), honestLife);
    if (evil.length > 0 && random() < 0.4) {
      const what = random() < 0.2 ? 're-issue' : pick(VILLAINIES);
      did.set(what, (did.get(what) ?? 0) + 1);
      timeline.at(from + below(HOUR_MS), () => villains(what));
    }
    for (const host of hosts) {
      timeline.at(from + HOUR_MS - 1, () => {
        mesh.hourly(host.voice);
        tell(host, { kind: 'tick' });
      });
    }
  }
  timeline.run((HOURS + 72) * HOUR_MS, () => complaint === null);
  for (const host of hosts) if (complaint === null) tell(host, { kind: 'tick' });
  return { world: { ...world, counts: { ...counts, lost: mesh.counts.lost, repaired: mesh.counts.repaired } }, complaint };
}

/** What a store would give back. */
const fromDisk = (snapshot: LedgerSnapshot): LedgerSnapshot => ({
  ...snapshot,
  advice: (snapshot.advice ?? []).flatMap(record => readAdvice(adviceText(record)) ?? []),
});

/** When a run begins. */
export const BEGINNING: UnixMs = unixMs(NOON);
