/**
 * This host's place in the mesh, as the operator orders it: founds one, joins one, leaves. Orders are carried out one after another; what is kept is written
 * while the member is down, so that it cannot overwrite it, and the member begins anew with it. Nothing here needs the daemon to be restarted.
 */

import type { Signatures } from '@honeymesh/intel/envelope';
import { hexOf, sameBytes } from '@honeymesh/intel/envelope-bytes';
import type { NewEvent } from '@honeymesh/intel/events';
import { rfc3339, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import type { MeshConfig } from '../../config/config.ts';
import { REGISTRAR_PORT } from '../../config/mesh-fields.ts';
import type { JoinReport, LeaveReport, MeshOperations, MeshPreparation, MeshStatusReport } from '../../control/mesh-operations.ts';
import { HoneyMeshError } from '../../errors.ts';
import type { MeshPart, MeshState } from '../port.ts';
import { type RegistrarCertificate, readCertificate } from '../signed/certificates.ts';
import { edPublicOf, xPublicOf } from '../signed/keys.ts';
import { createAuthEvents } from './auth-events.ts';
import { createCare } from './care.ts';
import { rosterOf } from './desk.ts';
import { notMember, tokenError } from './faults.ts';
import { joinMesh } from './joining.ts';
import { openRegistrarKeeping, type RegistrarKeeping } from './keeping.ts';
import { createOffice, type Office } from './office.ts';
import { createOwnPlace } from './own-place.ts';
import { createRenewing } from './renewing.ts';
import { createRevoking } from './revoking.ts';
import { heardBy, standingOf } from './standing.ts';
import { decodeToken } from './token.ts';

export interface MembershipOptions {
  readonly config: MeshConfig | undefined;
  /** <state>/mesh */
  readonly directory: string;
  readonly hostName: string;
}

export interface MembershipDeps {
  readonly mesh: MeshPart;
  readonly state: MeshState;
  readonly signatures: Signatures;
  readonly record: (event: NewEvent) => void;
  readonly complain: (key: string, why: string, fix: string) => void;
  readonly recovered: (key: string) => void;
  readonly onBug: (error: unknown) => void;
  readonly now: () => UnixMs;
  readonly random: (bytes: number) => Uint8Array;
}

export interface Membership {
  readonly operations: MeshOperations;
  /** Reads what is kept; listens where this host is a registrar. */
  start(): Promise<void>;
  isRegistrar(): boolean;
  /** Every second. */
  tick(): void;
  stop(): Promise<void>;
}

const MEET_MS = 5 * SECOND_MS;
const LOOK_MS = 100;
const GOODBYE_MS = 5 * SECOND_MS;
/** For an order that is under way when the daemon ends. */
const STOP_MS = 2 * SECOND_MS;

export async function createMembership({ config, directory, hostName }: MembershipOptions, deps: MembershipDeps): Promise<Membership> {
  const { mesh, state, signatures, record, complain, recovered, onBug, now, random } = deps;
  const listen = config?.registrar ?? { host: '0.0.0.0', port: REGISTRAR_PORT };
  const link = mesh.link();
  const keeping: RegistrarKeeping = await openRegistrarKeeping(directory, now);
  const place = createOwnPlace({ config, hostName }, { mesh, state, now, random });
  /** Orders, one after another. */
  let turn: Promise<unknown> = Promise.resolve();

  const auth = createAuthEvents({ port: () => listen.port }, { record, now });
  const office: Office = createOffice(
    { listen },
    {
      keeping,
      link,
      view: mesh.view,
      trust: place.trust,
      label: place.label,
      auth,
      signatures,
      now,
      random,
      complain: (why, fix) => complain('registrar', why, fix),
      recovered: () => recovered('registrar'),
      onBug,
    },
  );
  const renewing = createRenewing({
    member: place.member,
    registrar: office.registrar,
    desk: office.desk,
    link,
    signatures,
    now,
    random,
    onRenewed: place.renewed,
  });
  const care = createCare({
    certificate: place.certificate,
    registrar: renewing.from,
    renew: renewing.renew,
    fetchKeys: renewing.fetchKeys,
    isLonely: () => mesh.report().state === 'alone' && renewing.from() !== 'this host',
    heard: () => (renewing.from() === 'this host' ? null : heardBy(mesh.view())),
    complain: (why, fix) => complain('renewal', why, fix),
    recovered: () => recovered('renewal'),
    now,
    draw: () => (random(1)[0] ?? 0) / 255,
  });
  const revoking = createRevoking({
    keeping,
    office,
    link,
    signatures,
    now,
    ownKey: () => place.certificate()?.kid ?? null,
    tell: text => auth.done(null, text),
    async requireTrust() {
      const known = await place.freshTrust();
      if (known !== null) return known;
      throw notMember();
    },
  });

  const status = (): MeshStatusReport =>
    standingOf({
      report: mesh.report(),
      view: mesh.view(),
      own: place.certificate(),
      trust: place.lastTrust(),
      self: office.registrar()?.certificate ?? null,
      listensAt: office.address(),
      openInvites: office.invites().length,
      refusals: auth.refusals,
      renewsAt: care.renewsAt(),
      renewsFrom: renewing.from(),
    });

  const inTurn = <T>(job: () => Promise<T>): Promise<T> => {
    const done = turn.then(job);
    turn = done.catch(() => {});
    return done;
  };

  async function prepare(name: string | undefined): Promise<MeshPreparation> {
    const identity = await place.identityFor(name);
    const { edSecret } = await office.prepare();
    const [known, own] = [await place.freshTrust(), place.certificate()];
    return {
      cluster: known === null ? null : text64(known.clusterId),
      rootPublic: known === null ? null : text64(known.rootPublic),
      registrarKey: text64(edPublicOf(edSecret)),
      name: own?.nodeName ?? identity.nodeName,
      site: own?.site ?? config?.site ?? null,
      sites: keeping.self()?.certificate?.sites ?? [],
    };
  }

  async function init(order: Parameters<MeshOperations['meshInit']>[0]): Promise<MeshStatusReport> {
    const [clusterId, rootPublic] = [bytes64(order.cluster), bytes64(order.rootPublic)];
    const known = await place.freshTrust();
    if (known !== null && (!sameBytes(known.rootPublic, rootPublic) || !sameBytes(known.clusterId, clusterId))) {
      throw new HoneyMeshError('HM_REFUSED', 'this host is a member of another mesh than the one of this root', {
        fix: 'name the root file of its own mesh, or "honeymesh mesh leave" first',
      });
    }
    const certificate = registrarCertificate(bytes64(order.certificate), clusterId, rootPublic);
    if (known !== null) {
      await office.open(certificate);
      // The member keeps it and tells the others; where it is down, it finds it.
      if ((await link.learn([certificate.bytes], [])) === null)
        await place.rewrite(() => state.keepTrust({ ...known, registrars: [...known.registrars, certificate.bytes] }));
      // Its own host under its own key: so it stands when the registrar that let it in is taken back.
      const own = place.certificate();
      if (own !== null && own.registrar !== certificate.kid && certificate.sites.includes(own.site)) await renewing.renew();
      office.spread();
      auth.done(null, `the registrar ${certificate.kid} on this host is certified for ${certificate.sites.join(', ')} until ${rfc3339(certificate.notAfter)}`);
      return status();
    }
    if (!certificate.sites.includes(order.site))
      throw new HoneyMeshError('HM_USAGE', `the site ${order.site} is not among ${certificate.sites.join(', ')}`, { fix: 'name it in --sites too' });
    const bind = place.bindFor(order.bind);
    const identity = await place.identityFor(order.name);
    await office.open(certificate);
    const host = { nodeName: identity.nodeName, site: order.site, edPublic: edPublicOf(identity.edSecret), xPublic: xPublicOf(identity.xSecret), clusterId };
    const first = await office.desk.certify(host, office.require());
    const held = (await state.load()).keys;
    await place.rewrite(async () => {
      if (held === null || held.keys.length === 0) {
        const seed = config?.key;
        await state.keepKeys({ keys: [seed === undefined ? random(32) : bytes64(seed)], generation: 0 });
      }
      await state.keepTrust({ clusterId, rootPublic, certificate: first.bytes, registrars: [certificate.bytes], revocations: [], names: [] });
      await state.keepMembership({ bind, join: place.membership()?.join ?? [], label: config?.label ?? '', registrar: null });
    });
    auth.done(
      null,
      `a mesh was founded: this host is ${first.nodeName} of site ${first.site}, its registrar ${certificate.kid} certifies ${certificate.sites.join(', ')}`,
    );
    return status();
  }

  function registrarCertificate(bytes: Uint8Array, clusterId: Uint8Array, rootPublic: Uint8Array): RegistrarCertificate {
    const read = readCertificate(bytes);
    const self = keeping.self();
    const none = { clusterId, rootPublic, certificate: bytes, registrars: [], revocations: place.lastTrust()?.revocations ?? [], names: [] };
    const holds = read.ok && read.value.kind === 'registrar' && self !== null && sameBytes(read.value.edPublic, edPublicOf(self.edSecret));
    const learnt = holds ? rosterOf(none, signatures, now()).learn(read.value, now()) : null;
    if (learnt?.ok && learnt.value.kind === 'registrar' && learnt.value.notAfter > now()) return learnt.value;
    throw new HoneyMeshError('HM_REFUSED', `the certificate for the registrar does not hold${learnt?.ok === false ? `: ${learnt.why}` : ''}`, {
      fix: 'run "honeymesh mesh init" again; a registrar that was revoked stays so: "honeymesh mesh leave --registrar" makes new keys',
    });
  }

  async function join(order: Parameters<MeshOperations['meshJoin']>[0]): Promise<JoinReport> {
    const token = decodeToken(order.token);
    if (!token.ok) throw tokenError(token.why);
    const known = await place.freshTrust();
    if (known !== null && !sameBytes(known.clusterId, token.value.clusterId)) {
      throw new HoneyMeshError('HM_REFUSED', 'this host is a member of another mesh', {
        fix: '"honeymesh mesh leave" first; its certificate and keys go with that',
      });
    }
    const bind = place.bindFor(order.bind);
    const identity = await place.identityFor(order.name);
    const joined = await joinMesh({ token: token.value, identity, bind, known }, { signatures, now });
    const held = (await state.load()).keys;
    await place.rewrite(async () => {
      await state.keepTrust(joined.trust);
      // A later rotation may have come meanwhile, by the mesh.
      if (known === null || held === null || held.generation <= joined.keys.generation) await state.keepKeys(joined.keys);
      await state.keepMembership(joined.membership);
    });
    const { certificate, address, keys } = joined;
    auth.done(
      null,
      `this host joined the mesh as ${certificate.nodeName} of site ${certificate.site}, by the registrar ${certificate.registrar} at ${address}`,
    );
    return {
      name: certificate.nodeName,
      key: certificate.kid,
      site: certificate.site,
      cluster: hexOf(certificate.clusterId),
      certifiedUntil: rfc3339(certificate.notAfter),
      registrar: { address, key: certificate.registrar },
      keyGeneration: keys.generation,
      signatures: mesh.report().signatures,
      met: await meet(),
    };
  }

  async function meet(): Promise<readonly string[]> {
    const alive = (): readonly string[] => (mesh.view()?.peers ?? []).filter(peer => peer.state === 'alive').map(peer => peer.name);
    for (
      const startedMs = performance.now();
      performance.now() - startedMs < MEET_MS && alive().length === 0;
      await new Promise(resolve => setTimeout(resolve, LOOK_MS))
    );
    return alive();
  }

  async function leave(withRegistrar: boolean): Promise<LeaveReport> {
    const own = place.certificate();
    if (own === null && place.membership() === null) throw notMember();
    const wasRegistrar = office.registrar() !== null;
    if (wasRegistrar && !withRegistrar) {
      throw new HoneyMeshError('HM_REFUSED', 'this host is a registrar: hosts that it certified could not renew here any more', {
        fix: 'make another one first (honeymesh mesh init --root-file FILE there), then: honeymesh mesh leave --registrar',
      });
    }
    const name = own?.nodeName ?? mesh.report().name;
    const goodbye = (await link.leave(GOODBYE_MS).catch(() => null)) ?? 'down';
    await office.stop();
    await place.rewrite(async () => {
      await state.forget();
      await keeping.forget(); // also a key that no root ever certified
    });
    auth.done(null, `this host left the mesh; its certificate and keys were removed${wasRegistrar ? ', and those of its registrar' : ''}`);
    return { goodbye, name, wasRegistrar, configured: config !== undefined };
  }

  function lookAtRegistrar(): void {
    const certificate = office.registrar()?.certificate;
    const left = certificate === undefined ? null : certificate.notAfter - now();
    if (certificate === undefined || left === null || left > (certificate.notAfter - certificate.notBefore) / 4) {
      recovered('registrar-end');
      return;
    }
    const when = left <= 0 ? 'ended' : 'ends';
    complain(
      'registrar-end',
      `the certificate of the registrar on this host ${when} at ${rfc3339(certificate.notAfter)}`,
      'renew it: honeymesh mesh init --root-file FILE',
    );
  }

  return {
    isRegistrar: () => office.registrar() !== null,
    async start() {
      for (const [at, { why, fix }] of keeping.damaged.entries()) complain(`registrar ${at}`, why, fix);
      await place.reload();
      await office.start();
    },
    tick() {
      office.tick();
      care.tick();
      lookAtRegistrar();
    },
    async stop() {
      await Promise.race([turn, new Promise(resolve => setTimeout(resolve, STOP_MS).unref())]);
      await office.stop();
    },
    operations: {
      meshStatus: async () => {
        await place.trust();
        return status();
      },
      meshPrepare: ({ name }) => inTurn(() => prepare(name)),
      meshInit: order => inTurn(() => init(order)),
      meshInvite: order => inTurn(() => office.invite(order, place.certificate()?.site ?? '')),
      meshInvites: async () => {
        office.require();
        return office.invites();
      },
      meshCancelInvite: ({ id }) =>
        inTurn(async () => {
          await office.cancel(id);
          return { cancelled: id };
        }),
      meshJoin: order => inTurn(() => join(order)),
      meshRotateKey: ({ now: urgent = false }) => inTurn(() => office.rotate(urgent)),
      meshRevoke: ({ target }) => inTurn(() => revoking.revoke(target)),
      meshDraftRevocation: ({ target }) => inTurn(() => revoking.draft(target)),
      meshPublishRevocation: ({ key, list }) => inTurn(() => revoking.publish(key, bytes64(list))),
      meshLeave: ({ registrar = false }) => inTurn(() => leave(registrar)),
    },
  };
}

const text64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytes64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
