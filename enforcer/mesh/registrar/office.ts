/** This host as a registrar: its HTTPS server while it has a certificate of the root, its invitations, its list of revoked hosts, the group's keys. */
import type { Signatures } from '@honeymesh/intel/envelope';
import { formatDuration, parseDuration, rfc3339, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import { type Place, placeText, readPlace } from '../../config/mesh-fields.ts';
import type { InviteReport, InviteRow, RevocationReport, RotationReport } from '../../control/mesh-operations.ts';
import { HoneyMeshError } from '../../errors.ts';
import type { MeshLink, MeshPart } from '../port.ts';
import type { NodeCertificate, RegistrarCertificate } from '../signed/certificates.ts';
import { hostPart, ownAddresses, withPort } from './addresses.ts';
import { createAdmission } from './admission.ts';
import type { AuthEvents } from './auth-events.ts';
import { createRegistrarDesk, type DeskMesh, nodesOf, type Registrar, type RegistrarDesk } from './desk.ts';
import { makeHttpsIdentity, pinOf } from './https-identity.ts';
import { createHttpsServer, type HttpsServer } from './https-server.ts';
import { type Invite, LONGEST_TTL_MS, MOST_OPEN } from './invites.ts';
import type { RegistrarKeeping } from './keeping.ts';
import { LONGEST_REQUEST_BYTES } from './messages.ts';
import { CALM_PACE, createRekeying, type Rotation, URGENT_PACE } from './rekeying.ts';
import { registrarRoutes } from './routes.ts';
import { encodeToken, MOST_ADDRESSES, SECRET_BYTES } from './token.ts';

export interface OfficeOptions {
  /** mesh.registrar. */
  readonly listen: Place;
}

export interface OfficeDeps {
  readonly keeping: RegistrarKeeping;
  readonly link: MeshLink;
  readonly view: MeshPart['view'];
  readonly trust: DeskMesh['trust'];
  readonly label: () => string;
  readonly auth: AuthEvents;
  readonly signatures: Signatures;
  readonly now: () => UnixMs;
  readonly random: (bytes: number) => Uint8Array;
  readonly complain: (why: string, fix: string) => void;
  readonly recovered: () => void;
  readonly onBug: (error: unknown) => void;
}

export interface Office {
  /** Made if there is none: the key that the root is to certify. */
  prepare(): Promise<{ readonly edSecret: Uint8Array }>;
  /** Under a certificate of the root that was checked. Listens from now on. */
  open(certificate: RegistrarCertificate): Promise<void>;
  /** Listens where this host is a registrar already. A port that is taken is complained of, and tried again at `tick`. */
  start(): Promise<void>;
  /** Null: this host is no registrar. */
  registrar(): Registrar | null;
  /** Throws HM_REFUSED where it is none, or its certificate has ended. */
  require(): Registrar;
  readonly desk: RegistrarDesk;
  /** Where it listens. */
  address(): string | null;
  invite(
    order: { readonly site?: string; readonly ttl?: string; readonly addresses?: readonly string[]; readonly uses?: number },
    ownSite: string,
  ): Promise<InviteReport>;
  invites(): readonly InviteRow[];
  cancel(id: string): Promise<void>;
  rotate(urgent: boolean): Promise<RotationReport>;
  /** What was learnt here is told to some members at once; the others have it within their next exchanges. */
  spread(): void;
  /** A host of this registrar, and a new group key without it. */
  revoke(host: NodeCertificate): Promise<RevocationReport>;
  tick(): void;
  stop(): Promise<void>;
}

const AGAIN_MS = 30 * SECOND_MS;
const STANDARD_TTL_MS = LONGEST_TTL_MS;
const MOST_MEETING_PLACES = 8;
/** Each is a push/pull; every one of them tells others in its turn. */
const TOLD_AT_ONCE = 16;

export function createOffice({ listen }: OfficeOptions, deps: OfficeDeps): Office {
  const { keeping, link, view, auth, signatures, now, random, complain, recovered, onBug } = deps;
  let server: HttpsServer | null = null;
  let port: number | null = null;
  let pin: Uint8Array = new Uint8Array(0);
  let againAt = 0;
  let starting: Promise<void> | null = null;
  const rekeying = createRekeying({ keeping, link, trust: deps.trust, signatures, now, random, labelBytes: () => Buffer.byteLength(deps.label()) });

  const mesh: DeskMesh = {
    trust: deps.trust,
    keys: rekeying.keys,
    async certified() {
      return nodesOf((await link.certified()) ?? []);
    },
    issued(certificate) {
      const own = keeping.self()?.certificate;
      void link.learn([...(own === null || own === undefined ? [] : [own.bytes]), certificate.bytes], []).catch(onBug);
    },
    hasLeft: name => view()?.peers.some(peer => peer.name === name && peer.state === 'left') === true,
    label: deps.label,
    meetingPlaces() {
      const seen = view();
      if (seen === null) return [];
      const alive = seen.peers.filter(peer => peer.state === 'alive').map(peer => peer.address);
      return [seen.self.address, ...alive.slice(0, MOST_MEETING_PLACES - 1)];
    },
  };
  const desk = createRegistrarDesk({ keeping, mesh, signatures, pin: () => pin, now, random });

  function registrar(): Registrar | null {
    const self = keeping.self();
    return self?.certificate === null || self === null ? null : { ...self, certificate: self.certificate };
  }

  function require(): Registrar {
    const self = registrar();
    if (self === null) {
      throw new HoneyMeshError('HM_REFUSED', 'this host is no registrar', {
        fix: 'ask one that is ("honeymesh mesh status" lists them), or make this host one: honeymesh mesh init --root-file FILE',
      });
    }
    if (self.certificate.notAfter > now()) return self;
    throw new HoneyMeshError('HM_REFUSED', `the certificate of the registrar on this host ended at ${rfc3339(self.certificate.notAfter)}`, {
      fix: 'renew it: honeymesh mesh init --root-file FILE',
    });
  }

  async function start(): Promise<void> {
    const self = registrar();
    if (self === null || server !== null) return;
    const admission = createAdmission();
    let next: HttpsServer | null = null;
    try {
      pin = pinOf(self.https.certificate);
      next = createHttpsServer(
        { host: listen.host, port: listen.port, identity: self.https, longestBodyBytes: LONGEST_REQUEST_BYTES },
        {
          admit: source => admission.admit(source, performance.now()),
          plugins: [registrarRoutes({ desk, now, onDone: (_route, source, text) => auth.done(source, text), onRefused: auth.refused, onBug })],
        },
      );
      port = await next.start();
      server = next;
      recovered();
    } catch (error) {
      // Whatever it is, the daemon goes on without: hosts that are members need nobody for months.
      await next?.stop().catch(onBug);
      againAt = now() + AGAIN_MS;
      const known = error instanceof HoneyMeshError;
      if (!known) onBug(error);
      complain(
        `no host can join or renew here: ${error instanceof Error ? error.message : String(error)}`,
        (known ? error.fix : undefined) ?? 'the log of the daemon says more',
      );
    }
  }

  function spread(): void {
    const alive = (view()?.peers ?? []).filter(peer => peer.state === 'alive').map(peer => peer.address);
    if (alive.length > 0) void link.join(alive.slice(0, TOLD_AT_ONCE)).catch(onBug);
  }

  function placesFor(given: readonly string[] | undefined): readonly string[] {
    const listening = port ?? listen.port;
    if (given !== undefined && given.length > 0) {
      return given.map(text => {
        const place = readPlace(text, listening);
        if (place !== undefined) return placeText(place);
        throw new HoneyMeshError('HM_USAGE', `${JSON.stringify(text.slice(0, 80))} is no address`, {
          fix: 'give HOST or HOST:PORT under which the new host reaches this one',
        });
      });
    }
    const advertised = view()?.self.address;
    const hosts =
      listen.host === '0.0.0.0' || listen.host === '::' ? [...(advertised === undefined ? [] : [hostPart(advertised)]), ...ownAddresses()] : [listen.host];
    const spoken = [...new Set(hosts)].filter(host => listen.host !== '0.0.0.0' || !host.includes(':'));
    if (spoken.length > 0) return spoken.slice(0, MOST_ADDRESSES).map(host => withPort(host, listening));
    throw new HoneyMeshError('HM_REFUSED', 'this host has no address that another could reach', { fix: 'name one: honeymesh mesh invite --address HOST:PORT' });
  }

  const report = (rotation: Rotation): RotationReport => ({ ...rotation, useAt: rfc3339(rotation.useAt), dropOldAt: rfc3339(rotation.dropOldAt) });

  return {
    desk,
    registrar,
    require,
    async prepare() {
      const known = keeping.self();
      if (known !== null) return known;
      const made = { edSecret: random(32), certificate: null, https: await makeHttpsIdentity(now()), epoch: 0, seq: 0, generation: 0, revocations: null };
      await keeping.keepSelf(made);
      return made;
    },
    async open(certificate) {
      const self = keeping.self();
      if (self === null) throw new HoneyMeshError('HM_REFUSED', 'this host has no registrar key', { fix: 'run "honeymesh mesh init" again' });
      await keeping.keepSelf({ ...self, certificate });
      await start();
    },
    start,
    address: () => (server === null || port === null ? null : withPort(listen.host, port)),
    async invite({ site, ttl, addresses, uses = 1 }, ownSite) {
      const self = require();
      const wanted = site ?? ownSite;
      if (!self.certificate.sites.includes(wanted)) {
        throw new HoneyMeshError('HM_REFUSED', `this registrar may not certify hosts of site ${wanted}, only of ${self.certificate.sites.join(', ')}`, {
          fix: `give one of these with --site, or widen it: honeymesh mesh init --sites ${[...self.certificate.sites, wanted].join(',')} --root-file FILE`,
        });
      }
      if (server === null) {
        throw new HoneyMeshError('HM_REFUSED', `nothing listens on ${placeText(listen)}: nobody could come with a token`, {
          fix: '"honeymesh status" says why',
        });
      }
      const ttlMs = ttlOf(ttl);
      const places = placesFor(addresses);
      if (places.length > MOST_ADDRESSES)
        throw new HoneyMeshError('HM_USAGE', `a token holds ${MOST_ADDRESSES} addresses at the most`, { fix: 'give fewer --address' });
      const secret = random(SECRET_BYTES);
      const made = keeping.invites.open({ secret, site: wanted, ttlMs, uses }, now());
      if (made === null) {
        throw new HoneyMeshError('HM_REFUSED', `${MOST_OPEN} invitations are open already`, {
          fix: '"honeymesh mesh invite --list" shows them, "honeymesh mesh invite --cancel ID" takes one back',
        });
      }
      await keeping.keepInvites();
      auth.done(null, `invitation ${made.id} for site ${wanted} was made, for ${uses === 1 ? 'one host' : `${uses} hosts`}, until ${rfc3339(made.expiresAt)}`);
      const token = encodeToken({ clusterId: self.certificate.clusterId, pin, secret, expiresAt: made.expiresAt, site: wanted, addresses: places });
      return { ...rowOf(made), token, addresses: places };
    },
    invites: () => keeping.invites.openOnes(now()).map(rowOf),
    async cancel(id) {
      require();
      if (!keeping.invites.cancel(id, now())) {
        throw new HoneyMeshError('HM_NOT_FOUND', `there is no open invitation ${id.slice(0, 16)}`, { fix: '"honeymesh mesh invite --list" shows them' });
      }
      await keeping.keepInvites();
      auth.done(null, `invitation ${id} was cancelled`);
    },
    async rotate(urgent) {
      const rotation = await rekeying.rotate(require(), urgent ? URGENT_PACE : CALM_PACE);
      auth.done(null, `the group's key ${rotation.generation} was made for ${rotation.hosts} hosts, to be used from ${rfc3339(rotation.useAt)} on`);
      return report(rotation);
    },
    spread,
    async revoke(host) {
      const self = require();
      const { number } = await rekeying.revoke(self, { kid: host.kid, notAfter: host.notAfter });
      spread();
      auth.done(null, `${host.nodeName} (key ${host.kid}) was revoked, list ${number} of registrar ${self.certificate.kid}`);
      const rotation = await rekeying.rotate(require(), URGENT_PACE);
      return { name: host.nodeName, key: host.kid, by: 'registrar', number, fallen: [], rekeyed: report(rotation) };
    },
    tick() {
      if (server !== null || starting !== null || registrar() === null || now() < againAt) return;
      starting = start()
        .catch(onBug)
        .finally(() => {
          starting = null;
        });
    },
    async stop() {
      await starting;
      await server?.stop();
      server = null;
      port = null;
    },
  };
}

function ttlOf(text: string | undefined): number {
  if (text === undefined) return STANDARD_TTL_MS;
  const read = parseDuration(text);
  if (read.ok && read.value >= SECOND_MS && read.value <= LONGEST_TTL_MS) return read.value;
  throw new HoneyMeshError('HM_USAGE', `${JSON.stringify(text)} is no time that an invitation may last`, {
    fix: `give 1s to ${formatDuration(LONGEST_TTL_MS)}: --ttl 15m`,
  });
}

const rowOf = ({ id, site, createdAt, expiresAt, uses, usedBy }: Invite): InviteRow => ({
  id,
  site,
  createdAt: rfc3339(createdAt),
  expiresAt: rfc3339(expiresAt),
  uses,
  used: usedBy.length,
});
