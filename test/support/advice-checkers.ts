/** What must hold in each run of the simulator of advice, at each step and at each host. */
import { type Address, bitsOf, contains, familyOf, hostPrefix, overlaps, type Prefix } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { DAY_MS, HOUR_MS, MINUTE_MS, type UnixMs } from '@honeymesh/intel/time';
import { ADVICE_POLICY, isBefore, type Numbered, type ReceivedAdvice } from '#enforcer/ledger/advice/advice.ts';
import { itemOf } from '#test/support/advice-mesh.ts';
import { BEGINNING, CAP, type Checker, type Host } from '#test/support/advice-simulator.ts';

/** Nobody who is allowed, no member, no client and not this host is banned on others' word: nothing cuts a mesh apart. */
export const nobodySpared: Checker = ({ allowed, members, clients }, host) => {
  const spared = [...allowed, ...members.map(hostPrefix), ...clients.map(hostPrefix)];
  for (const ban of host.ledger.bans()) {
    if (spare.has(ban)) continue; // what is never touched is the same all along
    spare.add(ban);
    const hit = ban.advised === undefined ? undefined : spared.find(one => overlaps(ban.target, one));
    if (hit !== undefined) return `${host.name} bans ${ban.target} by advice, which touches ${hit}`;
  }
  return null;
};

const spare = new WeakSet<Ban>();

/** Those of whom only compromised hosts speak are held for a day at most, then free for one. */
export const nobodyHeldForEver: Checker = ({ victims }, host) => {
  if (looked.get(host) === host.holds.ended) return null;
  looked.set(host, host.holds.ended);
  for (const victim of victims) {
    const ms = host.holds.longestMs(victim);
    if (ms > DAY_MS) return `${host.name} held ${victim} for ${(ms / HOUR_MS).toFixed(2)} h on the word of compromised hosts`;
  }
  return null;
};

/** How much of a host's holds was looked at. */
const looked = new WeakMap<object, number>();

/** How much a target is: an IPv4 prefix its addresses, an IPv6 prefix its /64s. */
const sizeOf = (target: Prefix): number => (familyOf(target) === 4 ? 2 ** (32 - bitsOf(target)) : 2 ** Math.max(0, 64 - bitsOf(target)));

/** No signer makes a host take more in an hour than the cap. */
export const noFlood: Checker = (_, { name, named }) => {
  const last = named.at(-1);
  if (last === undefined) return null;
  const family = familyOf(last.target);
  let sum = 0;
  for (let at = named.length - 1; at >= 0; at--) {
    const one = named[at];
    if (one === undefined || one.at <= last.at - HOUR_MS) break;
    if (one.by === last.by && familyOf(one.target) === family) sum += sizeOf(one.target);
  }
  return sum > (family === 4 ? CAP.ipv4 : CAP.ipv6) ? `${name} took ${sum} addresses of ${last.by} in an hour` : null;
};

const isLater = (one: Numbered, other: Numbered): boolean => isBefore(other, one);

function isTakenBack({ takenBack }: Host, word: ReceivedAdvice): boolean {
  const { signer, target, epoch, sequence } = word;
  const back = takenBack.get(`${signer} ${target}`);
  return (back !== undefined && !isLater(word, back)) || takenBack.has(`${signer} ${epoch}/${sequence}`);
}

/** No ban stands on words that are over or were taken back, whatever is replayed. */
export const noDeadWord: Checker = (_, host, now) => {
  const { takenBack, ledger } = host;
  // Each ban when it is new, all of them where something was taken back and once in an hour.
  const all = seenOf.get(host)?.hour !== Math.floor(now / HOUR_MS) || seenOf.get(host)?.takenBack !== takenBack.size;
  const seen = all ? new WeakSet<Ban>() : (seenOf.get(host)?.bans ?? new WeakSet<Ban>());
  seenOf.set(host, { hour: Math.floor(now / HOUR_MS), takenBack: takenBack.size, bans: seen });
  for (const ban of ledger.bans()) {
    if (seen.has(ban)) continue;
    seen.add(ban);
    const { target, advised, advisers = [], expiresAt } = ban;
    if (advised === undefined || (expiresAt ?? 0) <= now) continue;
    const words = host.heard.get(target);
    const standing = advisers.filter(({ signer }) => words?.get(signer)?.some(word => word.expiresAt > now && !isTakenBack(host, word)));
    const sites = new Set(standing.map(adviser => adviser.site)).size;
    if (sites < (advised.provisional ? 1 : 2)) return `${host.name} bans ${target} on the word of ${sites} sites that stand`;
  }
  return null;
};

const seenOf = new WeakMap<Host, { readonly hour: number; readonly takenBack: number; readonly bans: WeakSet<Ban> }>();

/** The newest words on an address that stand here, of honest hosts that are trusted. */
function standing(host: Host, honest: ReadonlySet<string>, address: Address, now: UnixMs): readonly ReceivedAdvice[] {
  const found: ReceivedAdvice[] = [];
  for (const [signer, words] of host.heard.get(hostPrefix(address)) ?? []) {
    if (!honest.has(signer)) continue;
    const newest = words.reduce((one, other) => (isLater(other, one) ? other : one));
    if (newest.expiresAt <= now || newest.issuedAt > now || isTakenBack(host, newest)) continue;
    if (host.ledger.standing(signer, now).trust >= ADVICE_POLICY.trust.votesFrom) found.push(newest);
  }
  return found;
}

/** Prefixes hand on for how long they were held, so that all attackers, who share a network, are looked at together. */
const wasHeldLong = (attackers: readonly Address[], host: Host, now: UnixMs): boolean =>
  attackers.some(address => now - (host.holds.pieces(address)[0]?.from ?? now) > 20 * HOUR_MS);

/** What two honest sites say is in force, unless the operator let it go, so that words of a day were refused, or it was held for long already. */
export const honestWordCounts: Checker = (world, host, now) => {
  for (const address of world.attackers) {
    const words = standing(host, world.honest, address, now);
    if (new Set(words.map(word => word.site)).size < 2) continue;
    if ([...host.lifted].some(([target, at]) => at + 2 * DAY_MS > now && contains(target, address))) continue;
    if (host.ledger.banOn(address, now) === null && !wasHeldLong(world.attackers, host, now))
      return `${host.name} lets ${address} in, though ${words.map(word => word.signer).join(' and ')} warn of it`;
    world.counts.liveLookedAt++;
  }
  return null;
};

/** What a host is told, it is told by whoever has the key. */
export const nothingForged: Checker = ({ mesh }, host) => {
  const last = host.named.at(-1);
  if (last === undefined || looked.get(host.named) === host.named.length) return null;
  looked.set(host.named, host.named.length);
  const words = host.heard.get(last.target)?.get(last.by) ?? [];
  const forged = words.find(
    ({ signer, epoch, sequence, target }) => !mesh.said.get(itemOf(signer, epoch, sequence))?.some(({ advice }) => advice.target === target),
  );
  return forged === undefined ? null : `${host.name} takes for ${forged.signer}'s what that never said of ${forged.target}`;
};

/** What repair and its tries may take. */
const ARRIVES_MS = HOUR_MS;

/** What an honest host says, and did not take back, is heard by all who keep the rules. */
export const honestWordArrives: Checker = ({ mesh, honest }, host, now, hourly) => {
  if (!hourly) return null;
  for (const words of mesh.said.values()) {
    for (const { signer, epoch, sequence, advice, issuedAt, expiresAt } of words) {
      if (issuedAt > now - ARRIVES_MS || expiresAt < now + MINUTE_MS || signer === host.kid || !honest.has(signer)) continue;
      if (mesh.takenBackAt.has(`${itemOf(signer, epoch, sequence)} ${advice.target}`)) continue;
      const heard = host.heard.get(advice.target)?.get(signer) ?? [];
      if (!heard.some(word => word.epoch === epoch && word.sequence === sequence)) return `${host.name} never heard ${signer} on ${advice.target}`;
    }
  }
  return null;
};

/** What its signer took back an hour ago counts nowhere, whatever is replayed. */
export const takenBackIsGone: Checker = ({ mesh }, host, now, hourly) => {
  if (!hourly) return null;
  for (const { target, advised, advisers = [], expiresAt } of host.ledger.bans()) {
    if (advised === undefined || (expiresAt ?? 0) <= now) continue;
    for (const { signer } of advisers) {
      const words = host.heard.get(target)?.get(signer) ?? [];
      if (words.length === 0) continue;
      const newest = words.reduce((one, other) => (isLater(other, one) ? other : one));
      const backAt = mesh.takenBackAt.get(`${itemOf(signer, newest.epoch, newest.sequence)} ${target}`) ?? Number.POSITIVE_INFINITY;
      if (BEGINNING + backAt < now - ARRIVES_MS) return `${host.name} bans ${target} on what ${signer} took back`;
    }
  }
  return null;
};

export const CHECKERS: readonly Checker[] = [
  nobodySpared,
  nobodyHeldForEver,
  noFlood,
  noDeadWord,
  honestWordCounts,
  nothingForged,
  honestWordArrives,
  takenBackIsGone,
];
