/** Who is known. The order of the list is the order of probing: a newcomer goes to a random place, the whole is shuffled at each round. */
import type { MemberState, Message, PushedMember } from '../messages.ts';
import { type Endpoint, placeOf, samePlace } from './endpoint.ts';
import type { MemberView } from './outputs.ts';
import { type Random, shuffle } from './random.ts';
import type { Suspicion } from './suspicion.ts';
import { padded } from './versions.ts';

export interface Member {
  readonly name: string;
  endpoint: Endpoint;
  meta: Uint8Array;
  versions: Uint8Array;
  incarnation: number;
  state: MemberState;
  stateSinceMs: number;
  suspicion: Suspicion | null;
  /** It answered us at this endpoint. */
  acquainted: boolean;
  /** Pings sent to get acquainted, and when the last one was. */
  greetings: number;
  greetedAtMs: number;
  /** When it was last told that it counts as dead. */
  remindedAtMs: number;
}

export const isGone = (member: Member): boolean => member.state === 'dead' || member.state === 'left';

/** An answer to a ping of ours came: whether from where the member is said to live. */
export function acquaint(member: Member, from: Endpoint): boolean {
  if (!samePlace(from, member.endpoint)) return false;
  member.acquainted = true;
  return true;
}

export interface MemberTable {
  /** All entries: ourselves, the dead and the left too. Every formula with log n counts them. */
  readonly list: readonly Member[];
  get(name: string): Member | undefined;
  /** A stub that is dead at incarnation 0: only an alive above that makes it a member. */
  add(name: string, endpoint: Endpoint, meta: Uint8Array, versions: Uint8Array): Member;
  /** Which live member is at this address. */
  at(endpoint: Endpoint): Member | undefined;
  /** To be called where a member's endpoint has changed. */
  moved(member: Member, before: Endpoint): void;
  /** Removes what is gone since before `sinceMs`, `keep` never, then shuffles; returns what was removed. */
  reap(sinceMs: number, keep: string): readonly Member[];
}

export function createMemberTable(random: Random): MemberTable {
  let list: Member[] = [];
  const byName = new Map<string, Member>();
  const byPlace = new Map<string, Set<Member>>();

  function settle(member: Member): void {
    const place = placeOf(member.endpoint);
    const there = byPlace.get(place);
    if (there === undefined) byPlace.set(place, new Set([member]));
    else there.add(member);
  }

  function unsettle(member: Member, endpoint: Endpoint): void {
    const place = placeOf(endpoint);
    const there = byPlace.get(place);
    there?.delete(member);
    if (there?.size === 0) byPlace.delete(place);
  }

  return {
    get list() {
      return list;
    },
    get: name => byName.get(name),
    add(name, endpoint, meta, versions) {
      const member: Member = {
        name,
        endpoint,
        meta,
        versions: padded(versions),
        incarnation: 0,
        state: 'dead',
        stateSinceMs: Number.NEGATIVE_INFINITY,
        suspicion: null,
        acquainted: false,
        greetings: 0,
        greetedAtMs: Number.NEGATIVE_INFINITY,
        remindedAtMs: Number.NEGATIVE_INFINITY,
      };
      byName.set(name, member);
      settle(member);
      const place = random.below(list.length + 1);
      list.push(member);
      list[list.length - 1] = list[place] as Member;
      list[place] = member;
      return member;
    },
    at(endpoint) {
      for (const member of byPlace.get(placeOf(endpoint)) ?? []) if (!isGone(member)) return member;
      return undefined;
    },
    moved(member, before) {
      unsettle(member, before);
      settle(member);
    },
    reap(sinceMs, keep) {
      const reaped: Member[] = [];
      list = list.filter(member => {
        if (!isGone(member) || member.stateSinceMs >= sinceMs || member.name === keep) return true;
        reaped.push(member);
        return false;
      });
      for (const member of reaped) {
        byName.delete(member.name);
        unsettle(member, member.endpoint);
      }
      shuffle(list, random);
      return reaped;
    },
  };
}

export const viewOf = (member: Member): MemberView => ({
  name: member.name,
  address: member.endpoint.address,
  port: member.endpoint.port,
  meta: member.meta,
  incarnation: member.incarnation,
  state: member.state,
  versions: member.versions,
  acquainted: member.acquainted,
});

export const aliveOf = ({ name, incarnation, endpoint, meta, versions }: Member): Extract<Message, { kind: 'alive' }> => ({
  kind: 'alive',
  incarnation,
  node: name,
  address: endpoint.address,
  port: endpoint.port,
  meta,
  versions,
});

export const pushedOf = (member: Member): PushedMember => ({
  name: member.name,
  address: member.endpoint.address,
  port: member.endpoint.port,
  meta: member.meta,
  incarnation: member.incarnation,
  state: member.state,
  versions: member.versions,
});
