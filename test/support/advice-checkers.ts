/** What must hold in each run of the simulator of advice, at each step and at each host. */
import { type Address, bitsOf, contains, familyOf, hostPrefix, overlaps } from '@honeymesh/intel/address';
import type { Ban } from '@honeymesh/intel/bans';
import { DAY_MS, HOUR_MS, type UnixMs } from '@honeymesh/intel/time';
import { ADVICE_POLICY, type ReceivedAdvice } from '#enforcer/ledger/advice/advice.ts';
import { CAP, type Checker, type Host } from '#test/support/advice-simulator.ts';

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
const looked = new WeakMap<Host, number>();

/** No signer makes a host take more addresses in an hour than the cap. */
export const noFlood: Checker = (_, { name, named }) => {
  const last = named.at(-1);
  if (last === undefined) return null;
  let sum = 0;
  for (let at = named.length - 1; at >= 0; at--) {
    const one = named[at];
    if (one === undefined || one.at <= last.at - HOUR_MS) break;
    if (one.by === last.by && familyOf(one.target) === 4) sum += 2 ** (32 - bitsOf(one.target));
  }
  return sum > CAP.ipv4 ? `${name} took ${sum} addresses of ${last.by} in an hour` : null;
};

const isTakenBack = (host: Host, { signer, target, sequence }: ReceivedAdvice): boolean =>
  (host.takenBack.get(`${signer} ${target}`)?.sequence ?? -1) >= sequence;

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
  const newest = [...(host.heard.get(hostPrefix(address))?.values() ?? [])].flatMap(words =>
    words.filter(word => honest.has(word.signer) && !words.some(other => other.sequence > word.sequence)),
  );
  return newest.filter(
    word =>
      word.expiresAt > now && word.issuedAt <= now && !isTakenBack(host, word) && host.ledger.standing(word.signer, now).trust >= ADVICE_POLICY.trust.votesFrom,
  );
}

/** Prefixes hand on for how long they were held, so that all attackers, who share a network, are looked at together. */
const wasHeldLong = (attackers: readonly Address[], host: Host, now: UnixMs): boolean =>
  attackers.some(address => now - (host.holds.pieces(address)[0]?.from ?? now) > 20 * HOUR_MS);

/** What two honest sites say is in force, unless the operator let it go, so that words of a day were refused, or it was held for long already. */
export const honestWordCounts: Checker = (world, host, now) => {
  const honest = new Set(world.hosts.map(one => one.name));
  for (const address of world.attackers) {
    const words = standing(host, honest, address, now);
    if (new Set(words.map(word => word.site)).size < 2) continue;
    if ([...host.lifted].some(([target, at]) => at + 2 * DAY_MS > now && contains(target, address))) continue;
    if (host.ledger.banOn(address, now) === null && !wasHeldLong(world.attackers, host, now))
      return `${host.name} lets ${address} in, though ${words.map(word => word.signer).join(' and ')} warn of it`;
    world.counts.liveLookedAt++;
  }
  return null;
};

export const CHECKERS: readonly Checker[] = [nobodySpared, nobodyHeldForEver, noFlood, noDeadWord, honestWordCounts];
