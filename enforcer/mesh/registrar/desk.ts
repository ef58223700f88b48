/**
 * The registrar's desk: a host with a good invitation gets a certificate and the group's keys, a certified one has its certificate renewed or fetches keys that
 * it slept through. Nothing else is given out. It is asked by the HTTPS routes; who may ask how often is settled before.
 */
import { CLOCK_SKEW_MS, type Signatures } from '@honeymesh/intel/envelope';
import { encodeRekey } from '@honeymesh/intel/envelope-bodies';
import { hexOf, sameBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import { SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { MeshKeys, MeshTrust } from '../port.ts';
import { issueNodeCertificate, NODE_LIFE_MS, type NodeCertificate, type RegistrarCertificate, readCertificate } from '../signed/certificates.ts';
import { KEY_BYTES, kidOf } from '../signed/keys.ts';
import { readRevocations } from '../signed/revocations.ts';
import { createRoster, ROSTER_LIMITS, type Roster } from '../signed/roster.ts';
import { sealGroupKey } from '../signed/sealed-keys.ts';
import type { RegistrarKeeping, RegistrarSelf } from './keeping.ts';
import {
  type Audience,
  isJoinProven,
  isMemberProven,
  type JoinAnswer,
  type JoinRequest,
  type KeysAnswer,
  type MemberRequest,
  type Refusal,
  type RenewAnswer,
} from './messages.ts';

/** The member on this host, as far as the desk needs it. */
export interface DeskMesh {
  trust(): Promise<MeshTrust | null>;
  /** Those to be used from now on, primary first; null: there are none yet. */
  keys(): Promise<MeshKeys | null>;
  /** Certified hosts that hold now. */
  certified(): Promise<readonly NodeCertificate[]>;
  /** A certificate was issued: peers are told before its host comes. */
  issued(certificate: NodeCertificate): void;
  /** Said goodbye: its name may go to another host of its site. */
  hasLeft(nodeName: string): boolean;
  label(): string;
  /** Members to meet, this host first. */
  meetingPlaces(): readonly string[];
}

export interface DeskDeps {
  readonly keeping: RegistrarKeeping;
  readonly mesh: DeskMesh;
  readonly signatures: Signatures;
  readonly pin: () => Uint8Array;
  readonly now: () => UnixMs;
  readonly random: (bytes: number) => Uint8Array;
}

export interface Served<Answer> {
  readonly answer: Answer;
  /** For the log. */
  readonly text: string;
}

export interface RegistrarDesk {
  join(request: JoinRequest): Promise<Parsed<Served<JoinAnswer>, Refusal>>;
  renew(request: MemberRequest): Promise<Parsed<Served<RenewAnswer>, Refusal>>;
  keys(request: MemberRequest): Promise<Parsed<Served<KeysAnswer>, Refusal>>;
  /** A certificate of this registrar for a host whose right to it is established: the first one, and this host's own renewals. */
  certify(host: Pick<NodeCertificate, 'nodeName' | 'site' | 'edPublic' | 'xPublic' | 'clusterId'>, self: Registrar): Promise<NodeCertificate>;
}

/** A registrar that may certify. */
export type Registrar = RegistrarSelf & { readonly certificate: RegistrarCertificate };

/** In base64 it is a third more: well within LONGEST_ANSWER_BYTES, with all else that an answer says. */
const MOST_TRUST_BYTES = 640 * 1_024;
/** Requests of the last minute: an older one is refused for its time. */
const MOST_NONCES = 4_096;

export function createRegistrarDesk({ keeping, mesh, signatures, pin, now, random }: DeskDeps): RegistrarDesk {
  const nonces = new Map<string, UnixMs>();

  async function ready(): Promise<
    Parsed<{ readonly self: Registrar; readonly trust: MeshTrust; readonly roster: () => Roster; readonly audience: Audience }, Refusal>
  > {
    const self = keeping.self();
    const kept = await mesh.trust();
    if (self === null || self.certificate === null || kept === null) return unparsed('not-ready');
    const { certificate } = self;
    if (certificate.notAfter <= now()) return unparsed('registrar-expired');
    // Its own certificate and what it revoked a moment ago count, though the member has not written them down yet.
    const trust = {
      ...kept,
      registrars: kept.registrars.some(bytes => sameBytes(bytes, certificate.bytes)) ? kept.registrars : [certificate.bytes, ...kept.registrars],
      revocations: self.revocations === null ? kept.revocations : [self.revocations, ...kept.revocations],
    };
    // Each registrar and list in it costs a signature check: not for who has shown nothing yet.
    const roster = (): Roster => rosterOf(trust, signatures, now());
    return parsed({ self: { ...self, certificate }, trust, roster, audience: { clusterId: trust.clusterId, pin: pin() } });
  }

  const isNow = (time: UnixMs): boolean => Math.abs(time - now()) <= CLOCK_SKEW_MS;

  /** Who stands in the way: another key that holds has the name, or this key holds for another site or name, with which it stays. */
  async function obstacleTo({ nodeName, edPublic }: JoinRequest, site: string, roster: Roster): Promise<'name-taken' | 'certified-otherwise' | null> {
    const kid = kidOf(edPublic);
    const near = [...keeping.hosts(now()), ...(await mesh.certified())].filter(host => host.nodeName === nodeName || host.kid === kid);
    const holders = near.filter(host => roster.learn(host, now()).ok);
    if (holders.some(host => host.kid === kid && (host.site !== site || host.nodeName !== nodeName))) return 'certified-otherwise';
    const others = holders.filter(host => host.kid !== kid);
    return others.some(host => host.site !== site || !mesh.hasLeft(nodeName)) ? 'name-taken' : null;
  }

  async function certify(host: Parameters<RegistrarDesk['certify']>[0], self: Registrar): Promise<NodeCertificate> {
    const { nodeName, site, edPublic, xPublic, clusterId } = host;
    const notBefore = unixMs(Math.floor(now() / SECOND_MS) * SECOND_MS);
    const request = { clusterId, nodeName, site, edPublic, xPublic, notBefore, notAfter: unixMs(notBefore + NODE_LIFE_MS) };
    const certificate = issueNodeCertificate(request, { kid: self.certificate.kid, secret: self.edSecret }, signatures);
    await keeping.keepHost(certificate, now());
    return certificate;
  }

  /** Each key sealed for itself, with an ephemeral key of its own: what was overheard is of no use, whatever becomes of the HTTPS key. */
  function sealedTo(
    certificate: NodeCertificate,
    { keys, generation }: MeshKeys,
    self: Registrar,
    clusterId: Uint8Array,
  ): Parsed<readonly Uint8Array[], 'bad-proof'> {
    const sealed: Uint8Array[] = [];
    for (const key of keys) {
      const sealing = { clusterId, issuer: self.certificate.kid, ephemeralSecret: random(KEY_BYTES) };
      const body = sealGroupKey({ generation, key, useAt: now(), dropOldAt: now() }, [certificate], sealing);
      if (body.sealed.length === 0) return unparsed('bad-proof'); // an X25519 key that is none
      sealed.push(encodeRekey(body));
    }
    return parsed(sealed);
  }

  /** Ours first; beyond what an answer may hold the mesh brings the rest. */
  function trusted(trust: MeshTrust, self: Registrar): { time: UnixMs; registrars: Uint8Array[]; revocations: Uint8Array[] } {
    let room = MOST_TRUST_BYTES;
    const fitting = (all: readonly Uint8Array[]): Uint8Array[] =>
      all.filter(bytes => {
        const fits = bytes.length <= room;
        if (fits) room -= bytes.length;
        return fits;
      });
    const others = trust.registrars.filter(bytes => !sameBytes(bytes, self.certificate.bytes));
    const own = self.revocations === null ? [] : [self.revocations];
    const lists = trust.revocations.filter(bytes => !own.some(one => sameBytes(one, bytes)));
    return { time: now(), registrars: fitting([self.certificate.bytes, ...others]), revocations: fitting([...own, ...lists]) };
  }

  /** Whose certificate it is and that it was this host that asks, just now. */
  function member(
    route: 'renew' | 'keys',
    request: MemberRequest,
    trust: MeshTrust,
    roster: () => Roster,
    audience: Audience,
  ): Parsed<NodeCertificate, Refusal> {
    const read = readCertificate(request.certificate);
    if (!read.ok || read.value.kind !== 'node') return unparsed('malformed');
    const host = read.value;
    if (!isMemberProven(route, request, host.edPublic, audience, signatures)) return unparsed('bad-proof');
    if (!isNow(request.time)) return unparsed('clock-skew');
    if (!sameBytes(host.clusterId, trust.clusterId) || !trust.registrars.some(bytes => registrarKid(bytes) === host.registrar)) return unparsed('unknown-host');
    const learnt = roster().learn(host, now());
    if (!learnt.ok) return unparsed(learnt.why === 'revoked' ? 'revoked' : learnt.why === 'expired' ? 'certificate-expired' : 'unknown-host');
    return isFresh(`${host.kid} ${hexOf(request.nonce)}`) ? parsed(host) : unparsed('replayed');
  }

  function isFresh(nonce: string): boolean {
    for (const [one, at] of nonces) if (at + 2 * CLOCK_SKEW_MS < now() || nonces.size >= MOST_NONCES) nonces.delete(one);
    if (nonces.has(nonce)) return false;
    nonces.set(nonce, now());
    return true;
  }

  return {
    certify,
    async join(request) {
      const set = await ready();
      if (!set.ok) return set;
      const { self, trust, roster, audience } = set.value;
      // The secret first: who has none is told nothing else.
      const invite = keeping.invites.look(request.secret, now());
      const again = invite === 'used-token' ? keeping.invites.reuse(request.secret, kidOf(request.edPublic), now()) : null;
      if (typeof invite === 'string' && again === null) return unparsed(invite);
      const good = again ?? (invite as Exclude<typeof invite, string>);
      if (!isJoinProven(request, audience, signatures)) return unparsed('bad-proof');
      if (!isNow(request.time)) return unparsed('clock-skew');
      if (!self.certificate.sites.includes(good.site)) return unparsed('site-not-allowed');
      const obstacle = await obstacleTo(request, good.site, roster());
      if (obstacle !== null) return unparsed(obstacle);
      const keys = await mesh.keys();
      if (keys === null) return unparsed('not-ready');
      if (isRevoked(request, trust)) return unparsed('revoked');
      // Gone before anything is given for it: a crash costs an invitation, never a second host.
      if (again === null) {
        keeping.invites.use(good.id, kidOf(request.edPublic));
        await keeping.keepInvites();
      }
      const certificate = await certify({ ...request, clusterId: trust.clusterId, site: good.site }, self);
      const sealed = sealedTo(certificate, keys, self, trust.clusterId);
      if (!sealed.ok) return sealed;
      mesh.issued(certificate);
      const answer: JoinAnswer = {
        ...trusted(trust, self),
        clusterId: trust.clusterId,
        rootPublic: trust.rootPublic,
        certificate: certificate.bytes,
        site: good.site,
        label: mesh.label(),
        join: [...mesh.meetingPlaces()],
        generation: keys.generation,
        sealed: [...sealed.value],
      };
      return parsed({ answer, text: `${request.nodeName} (key ${certificate.kid}) joined the mesh for site ${good.site} with invitation ${good.id}` });
    },
    async renew(request) {
      const set = await ready();
      if (!set.ok) return set;
      const { self, trust, roster, audience } = set.value;
      const host = member('renew', request, trust, roster, audience);
      if (!host.ok) return host;
      if (!self.certificate.sites.includes(host.value.site)) return unparsed('site-not-allowed');
      const certificate = await certify(host.value, self);
      mesh.issued(certificate);
      return parsed({ answer: { ...trusted(trust, self), certificate: certificate.bytes }, text: `${host.value.nodeName} renewed its certificate` });
    },
    async keys(request) {
      const set = await ready();
      if (!set.ok) return set;
      const { self, trust, roster, audience } = set.value;
      const host = member('keys', request, trust, roster, audience);
      if (!host.ok) return host;
      const keys = await mesh.keys();
      if (keys === null) return unparsed('not-ready');
      const sealed = sealedTo(host.value, keys, self, trust.clusterId);
      if (!sealed.ok) return sealed;
      const answer: KeysAnswer = { ...trusted(trust, self), issuer: self.certificate.kid, generation: keys.generation, sealed: [...sealed.value] };
      return parsed({ answer, text: `${host.value.nodeName} fetched the group's keys` });
    },
  };
}

/** A key that was taken back does not come in again with a new invitation: its host makes new ones. */
function isRevoked({ edPublic }: JoinRequest, trust: MeshTrust): boolean {
  const kid = kidOf(edPublic);
  return trust.revocations.some(bytes => {
    const list = readRevocations(bytes);
    return list.ok && list.value.entries.some(entry => entry.kid === kid);
  });
}

function registrarKid(bytes: Uint8Array): string | null {
  const read = readCertificate(bytes);
  return read.ok && read.value.kind === 'registrar' ? read.value.kid : null;
}

/** As this host believes now. */
export function rosterOf(trust: MeshTrust, signatures: Signatures, now: UnixMs): Roster {
  const roster = createRoster({ clusterId: trust.clusterId, rootPublic: trust.rootPublic, ...ROSTER_LIMITS }, { signatures });
  for (const bytes of trust.registrars) {
    const read = readCertificate(bytes);
    if (read.ok && read.value.kind === 'registrar') roster.learn(read.value, now);
  }
  for (const bytes of trust.revocations) {
    const read = readRevocations(bytes);
    if (read.ok) roster.learnRevocations(read.value, now);
  }
  return roster;
}

export const nodesOf = (certificates: readonly Uint8Array[]): readonly NodeCertificate[] =>
  certificates.flatMap(bytes => {
    const read = readCertificate(bytes);
    return read.ok && read.value.kind === 'node' ? [read.value] : [];
  });
