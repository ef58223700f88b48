/**
 * Simulator of advice: whole ledgers on virtual time, and between them a mesh that loses, doubles, delays and reorders what they say, with anti-entropy that
 * brings it in the end. Up to a third of the sites is in an attacker's hands. A run is a function of its seed; the mesh's own wire has a simulator of its own.
 */
import { type Address, contains, hostPrefix, type Prefix } from '@honeymesh/intel/address';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
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
import { bystandersOf, entry, POLICY, sighting, T0 } from '#test/support/ledger.ts';

export const SITES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
const HOURS = 72;
const ANTI_ENTROPY_MS = 2 * MINUTE_MS;
export const CAP = { ipv4: 400, ipv6: 400 };

export interface World {
  readonly seed: number;
  readonly hosts: readonly Host[];
  readonly attackers: readonly Address[];
  /** Never do anything wrong. */
  readonly victims: readonly Address[];
  readonly allowed: readonly Prefix[];
  /** Addresses of all members, and clients of all hosts. */
  readonly members: readonly Address[];
  readonly clients: readonly Address[];
  /** What happened, for whoever asks whether the run was one at all. */
  readonly counts: Record<'advised' | 'withdrawn' | 'lost' | 'replayed' | 'restarts' | 'byAdvice' | 'refused' | 'liveLookedAt', number>;
}

export interface Host {
  readonly name: string;
  readonly address: Address;
  readonly compromised: boolean;
  readonly skewMs: number;
  ledger: Ledger;
  /** What advice held here. */
  readonly holds: Holds;
  readonly named: { readonly at: number; readonly by: string; readonly target: Prefix }[];
  /** What each signer said here of a target. */
  readonly heard: Map<Prefix, Map<string, ReceivedAdvice[]>>;
  readonly takenBack: Map<string, ReceivedWithdrawal>;
  /** What the operator lifted, and when. */
  readonly lifted: Map<Prefix, number>;
}

/** What is wrong, in words, or null. Asked after each step of a host. */
export type Checker = (world: World, host: Host, now: UnixMs) => string | null;

/** Breaks the rules that a checker watches, to show that it can fire. */
export interface Sabotage extends Partial<AdvicePolicy> {
  /** The ledgers are not told of the allow-list, of withdrawals, of members. */
  readonly deafTo?: 'allow-list' | 'withdrawals' | 'members';
}

type Message = { readonly kind: 'advice'; readonly advice: ReceivedAdvice } | { readonly kind: 'withdrawal'; readonly withdrawal: ReceivedWithdrawal };
type Happening = { readonly at: number; readonly order: number; readonly run: () => void };

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

export function simulate(seed: number, checkers: readonly Checker[], { deafTo, ...rules }: Sabotage = {}): Run {
  const random = chance(seed);
  const below = (most: number): number => Math.floor(random() * most);
  const pick = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  const advice: AdvicePolicy = { ...ADVICE_POLICY, mostPerHour: CAP, ...rules };
  const policy: LedgerPolicy = { ...POLICY, aggregateAt: below(2) * 3, advice };
  const addresses = SITES.flatMap((site, at) => [1, 2].map(nth => ({ name: `${site}${nth}`, address: `192.0.2.${at * 16 + nth}` as Address })));
  const evilSites = below(3); // at most a third
  const allowed = ['198.51.100.1/32', '198.51.100.64/28'] as Prefix[];
  const victims = [2, 3, 4].map(at => `198.51.100.${at}` as Address);
  const clients = ['198.51.100.130'] as Address[];
  const attackers = [1, 2, 3, 4, 5].map(at => `203.0.113.${at * 3}` as Address);
  const counts: World['counts'] = { advised: 0, withdrawn: 0, lost: 0, replayed: 0, restarts: 0, byAdvice: 0, refused: 0, liveLookedAt: 0 };
  const answered = new Map<Prefix, string | null>();
  const mesh: MeshSurroundings = {
    ...ALONE,
    sites: SITES.length,
    hosts: addresses.length,
    answered(prefix) {
      if (deafTo === 'members') return null;
      let known = answered.get(prefix);
      if (known === undefined) {
        known = addresses.find(({ address }) => contains(prefix, address))?.name ?? null;
        answered.set(prefix, known);
      }
      return known;
    },
  };
  const newLedger = (own: Address, from?: LedgerSnapshot): Ledger => createLedger(policy, bystandersOf({ own: [own], proven: clients }), from, mesh);
  const hosts = addresses.map(({ name, address }): Host => {
    const compromised = SITES.indexOf(name.slice(0, 1) as 'a') < evilSites;
    return {
      name,
      address,
      compromised,
      skewMs: compromised ? 0 : below(30 * SECOND_MS) - 15 * SECOND_MS,
      ledger: newLedger(address),
      holds: createHolds(),
      named: [],
      heard: new Map(),
      takenBack: new Map(),
      lifted: new Map(),
    };
  });
  const honest = hosts.filter(host => !host.compromised);
  const evil = hosts.filter(host => host.compromised);
  const world: World = { seed, hosts: honest, attackers, victims, allowed, members: addresses.map(({ address }) => address), clients, counts };

  const queue: Happening[] = [];
  let order = 0;
  let now: number = T0;
  let complaint: string | null = null;
  const numbers = new Map<string, number>();
  const said = new Map<string, ReceivedAdvice[]>();
  const aired: Message[] = [];
  const at = (when: number, run: () => void): void => push(queue, { at: when, order: order++, run });

  function check(host: Host): void {
    for (const checker of checkers) complaint ??= checker(world, host, unixMs(now + host.skewMs));
  }

  function tell(host: Host, input: LedgerInput): readonly Decision[] {
    const time = unixMs(now + host.skewMs);
    const { decisions } = host.ledger.handle(input, time);
    host.holds.follow(decisions, time);
    for (const decision of decisions) {
      if (decision.kind === 'advice-accepted') host.named.push({ at: time, by: decision.advice.signer, target: decision.advice.target });
      else if (decision.kind === 'advice-refused') counts.refused++;
      else if (decision.kind === 'ban' && decision.ban.advised !== undefined) counts.byAdvice++;
      else if (decision.kind === 'lift' && decision.why === 'order') host.lifted.set(decision.ban.target, time);
      const shared = sharedBy(decision, advice.never);
      if (shared?.kind === 'advise') say(host, shared.target, { tier: shared.tier, reasons: shared.reasons, expiresAt: shared.expiresAt });
      else if (shared?.kind === 'withdraw') takeBack(host, shared.target, shared.asError);
    }
    check(host);
    return decisions;
  }

  function say(host: Host, target: Prefix, more: Partial<ReceivedAdvice>): void {
    const sequence = (numbers.get(host.name) ?? 0) + 1;
    numbers.set(host.name, sequence);
    const issuedAt = unixMs(now + host.skewMs);
    const base = { signer: host.name, certified: true, site: host.name.slice(0, 1), path: 'mesh' as const, epoch: 1, sequence, issuedAt, target };
    const word: ReceivedAdvice = { ...base, tier: 'E1', reasons: ['trap-touch'], expiresAt: unixMs(issuedAt + 4 * HOUR_MS), ...more };
    said.set(host.name, [...(said.get(host.name) ?? []), word]);
    counts.advised++;
    spread(host, { kind: 'advice', advice: word });
  }

  function takeBack(host: Host, target: Prefix, asError: boolean): void {
    const word = (said.get(host.name) ?? []).findLast(one => one.target === target);
    if (word === undefined) return;
    const { signer, certified, site, path, epoch, sequence } = word;
    counts.withdrawn++;
    spread(host, { kind: 'withdrawal', withdrawal: { signer, certified, site, path, epoch, sequence, target, asError, issuedAt: unixMs(now + host.skewMs) } });
  }

  /** To each other host at once, or lost and brought by anti-entropy; sometimes twice. */
  function spread(from: Host, message: Message): void {
    aired.push(message);
    for (const to of honest) {
      if (to === from) continue;
      const lost = random() < 0.2;
      if (lost) counts.lost++;
      at(now + (lost ? ANTI_ENTROPY_MS + below(ANTI_ENTROPY_MS) : 1 + below(2 * SECOND_MS)), () => receive(to, message));
      if (random() < 0.05) at(now + below(HOUR_MS), () => receive(to, message));
    }
  }

  function receive(host: Host, message: Message): void {
    if (message.kind === 'advice') {
      const words = host.heard.get(message.advice.target) ?? new Map<string, ReceivedAdvice[]>();
      const { signer, sequence } = message.advice;
      const ofSigner = words.get(signer) ?? [];
      if (!ofSigner.some(word => word.sequence === sequence)) words.set(signer, [...ofSigner, message.advice]);
      host.heard.set(message.advice.target, words);
    } else host.takenBack.set(`${message.withdrawal.signer} ${message.withdrawal.target}`, message.withdrawal);
    if (message.kind === 'advice' || deafTo !== 'withdrawals') tell(host, message);
  }

  /** What honest hosts see and their operators do. */
  function honestLife(): void {
    const host = pick(honest);
    const what = random();
    if (what < 0.7) tell(host, { kind: 'sighting', sighting: sighting(pick(attackers), random() < 0.6 ? 'E1' : 'E2') });
    else if (what < 0.8) {
      const ban = pick(host.ledger.bans().length > 0 ? host.ledger.bans() : [null]);
      if (ban !== null) tell(host, { kind: 'order-lift', target: ban.target });
    } else if (what < 0.85) {
      counts.restarts++;
      host.ledger = newLedger(host.address, fromDisk(host.ledger.snapshot()));
      if (deafTo !== 'allow-list') for (const target of allowed) tell(host, { kind: 'allow', entry: entry(target, 'config') });
      for (const message of aired.slice(-20)) receive(host, message); // anti-entropy brings all that lives
    } else tell(host, { kind: 'tick' });
  }

  /** What compromised hosts try: poison, re-issuing for ever, back-dating, floods, replays, taking back and saying again. */
  function evilLife(): void {
    const host = pick(evil);
    const what = random();
    const poison = [...allowed, ...victims.map(hostPrefix), ...hosts.map(one => hostPrefix(one.address)), ...clients.map(one => hostPrefix(one))];
    if (what < 0.5) {
      const target = pick(victims);
      for (const one of evil) say(one, hostPrefix(target), random() < 0.3 ? { expiresAt: unixMs(now + 60 * DAY_MS) } : {});
    } else if (what < 0.65) say(host, pick(poison), { tier: 'E2', issuedAt: unixMs(now - below(DAY_MS)), expiresAt: unixMs(now + 30 * DAY_MS) });
    else if (what < 0.75)
      say(host, pick(['198.51.100.0/24', '198.51.100.2/31', '198.51.100.0/29', '0.0.0.0/0', '203.0.113.0/24', '192.0.2.0/24'] as Prefix[]), {});
    else if (what < 0.8) {
      for (let nth = 0; nth < 12; nth++) say(host, `203.0.114.${(below(8) * 32 + nth) % 256}/32` as Prefix, {});
      for (const target of ['203.0.115.0/24', '203.0.116.0/24'] as Prefix[]) say(host, target, {});
    } else if (what < 0.9) takeBack(host, hostPrefix(pick(victims)), random() < 0.5);
    else {
      counts.replayed++;
      for (const to of honest) for (let nth = 0; nth < 3; nth++) if (aired.length > 0) receive(to, pick(aired));
    }
  }

  for (const host of honest) if (deafTo !== 'allow-list') for (const target of allowed) tell(host, { kind: 'allow', entry: entry(target, 'config') });
  for (let hour = 0; hour < HOURS; hour++) {
    const from = T0 + hour * HOUR_MS;
    if (random() < 0.5) at(from + below(HOUR_MS), honestLife);
    if (evil.length > 0 && random() < 0.5) at(from + below(HOUR_MS), evilLife);
    for (const host of honest) at(from + HOUR_MS - 1, () => tell(host, { kind: 'tick' }));
  }
  for (let next = pop(queue); next !== undefined && complaint === null; next = pop(queue)) {
    now = next.at;
    next.run();
  }
  now = T0 + (HOURS + 72) * HOUR_MS;
  for (const host of honest) if (complaint === null) tell(host, { kind: 'tick' });
  return { world, complaint };
}

/** What a store would give back. */
const fromDisk = (snapshot: LedgerSnapshot): LedgerSnapshot => ({
  ...snapshot,
  advice: (snapshot.advice ?? []).flatMap(record => readAdvice(adviceText(record)) ?? []),
});

const isSooner = (one: Happening, other: Happening): boolean => one.at < other.at || (one.at === other.at && one.order < other.order);

function push(heap: Happening[], one: Happening): void {
  let place = heap.push(one) - 1;
  while (place > 0) {
    const above = (place - 1) >> 1;
    const parent = heap[above] as Happening;
    if (!isSooner(one, parent)) break;
    heap[place] = parent;
    place = above;
  }
  heap[place] = one;
}

function pop(heap: Happening[]): Happening | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let place = 0;
  for (;;) {
    const left = 2 * place + 1;
    if (left >= heap.length) break;
    const right = left + 1;
    const least = right < heap.length && isSooner(heap[right] as Happening, heap[left] as Happening) ? right : left;
    const child = heap[least] as Happening;
    if (!isSooner(child, last)) break;
    heap[place] = child;
    place = least;
  }
  heap[place] = last;
  return first;
}
