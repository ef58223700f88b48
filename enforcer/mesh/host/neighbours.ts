/** Who the members are to the layer above: certified or not, of which site, when they last answered, and who may be behind an address. */
import type { UnixMs } from '@honeymesh/intel/time';
import { hostOf, textOfEndpoint } from '../node/places.ts';
import type { MeshPeer } from '../port.ts';
import { type Endpoint, samePlace } from '../protocol/core/endpoint.ts';
import type { MemberEvent, MemberView } from '../protocol/core/outputs.ts';
import type { NodeCertificate } from '../signed/certificates.ts';

export interface Neighbours {
  heard(event: MemberEvent, now: UnixMs): void;
  /** The certificate of a member, where it holds and its meta bears it. */
  certificateOf(name: string, now: UnixMs): NodeCertificate | null;
  /** Whether a certified member lives at that host. `exactly`: at that port, too. */
  isCertifiedAt(place: Endpoint, exactly: boolean, now: UnixMs): boolean;
  /** Whether any live member is there, or, `exactly` false, at that host. */
  isMemberAt(place: Endpoint, exactly: boolean): boolean;
  peerOf(member: MemberView, now: UnixMs): MeshPeer;
}

/** Peers in one view. */
export const MOST_PEERS_SHOWN = 16_384;

export function createNeighbours(selfName: string, certificateOf: (name: string, now: UnixMs) => NodeCertificate | null): Neighbours {
  const answers = new Map<string, { readonly at: UnixMs; readonly place: Endpoint }>();
  /** Live members by host: a stream's source port says nothing. */
  const byHost = new Map<string, Map<string, Endpoint>>();
  const hosts = new Map<string, string>();

  function forget(name: string): void {
    const host = hosts.get(name);
    if (host === undefined) return;
    hosts.delete(name);
    const there = byHost.get(host);
    there?.delete(name);
    if (there?.size === 0) byHost.delete(host);
  }

  function settle({ name, address, port }: MemberView): void {
    forget(name);
    const host = hostOf({ address, port });
    hosts.set(name, host);
    const there = byHost.get(host) ?? new Map<string, Endpoint>();
    byHost.set(host, there.set(name, { address, port }));
  }

  return {
    certificateOf,
    heard(event, now) {
      if ('member' in event && typeof event.member === 'object' && event.member?.name === selfName) return;
      if (event.kind === 'join' || event.kind === 'update' || event.kind === 'alive') settle(event.member);
      else if (event.kind === 'leave') {
        forget(event.member.name);
        answers.delete(event.member.name);
      } else if (event.kind === 'answered') answers.set(event.node, { at: now, place: event.at });
    },
    isCertifiedAt(place, exactly, now) {
      for (const [name, at] of byHost.get(hostOf(place)) ?? []) if ((!exactly || samePlace(at, place)) && certificateOf(name, now) !== null) return true;
      return false;
    },
    isMemberAt: (place, exactly) => [...(byHost.get(hostOf(place))?.values() ?? [])].some(at => !exactly || samePlace(at, place)),
    peerOf(member, now) {
      const certificate = certificateOf(member.name, now);
      const answer = answers.get(member.name);
      return {
        name: shownName(member.name),
        address: textOfEndpoint(member),
        state: member.state,
        signed: certificate !== null,
        signer: certificate?.kid ?? null,
        site: certificate?.site ?? null,
        answeredAt: answer !== undefined && samePlace(answer.place, member) ? answer.at : null,
      };
    },
  };
}

/** Names are bytes on the wire, and a stranger's may be anything: here they become text that harms no terminal. */
export const shownName = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8').replace(/\p{C}/gu, '?');
