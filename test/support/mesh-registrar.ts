/** A registrar over real HTTPS on loopback, with keys and lists of its own and a clock that the test turns; hosts that come to it. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAY_MS, HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { MeshIdentity, MeshKeys, MeshTrust } from '#enforcer/mesh/port.ts';
import { createAdmission } from '#enforcer/mesh/registrar/admission.ts';
import { createRegistrarDesk, type Registrar, type RegistrarDesk, rosterOf } from '#enforcer/mesh/registrar/desk.ts';
import { makeHttpsIdentity, pinOf } from '#enforcer/mesh/registrar/https-identity.ts';
import { createHttpsServer } from '#enforcer/mesh/registrar/https-server.ts';
import { openRegistrarKeeping, type RegistrarKeeping } from '#enforcer/mesh/registrar/keeping.ts';
import { LONGEST_REQUEST_BYTES, type Refusal } from '#enforcer/mesh/registrar/messages.ts';
import { registrarRoutes } from '#enforcer/mesh/registrar/routes.ts';
import type { JoinToken } from '#enforcer/mesh/registrar/token.ts';
import { issueRegistrarCertificate, type NodeCertificate, REGISTRAR_LIFE_MS } from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf, kidOf } from '#enforcer/mesh/signed/keys.ts';
import { issueRevocations } from '#enforcer/mesh/signed/revocations.ts';
import { CLUSTER, NOON, real, secretOf } from '#test/support/hm1.ts';

export const identityOf = (nodeName: string): MeshIdentity => ({ nodeName, edSecret: secretOf(`${nodeName} ed`), xSecret: secretOf(`${nodeName} x`) });

export interface RegistrarScene {
  readonly desk: RegistrarDesk;
  readonly keeping: RegistrarKeeping;
  readonly port: number;
  readonly pin: Uint8Array;
  now: UnixMs;
  trust: MeshTrust;
  keys: MeshKeys;
  readonly done: string[];
  readonly refused: Refusal[];
  readonly bugs: unknown[];
  /** Names of hosts that said goodbye. */
  readonly left: string[];
  token(more?: Partial<JoinToken> & { readonly ttlMs?: number; readonly uses?: number }): JoinToken;
  revoke(kid: NodeCertificate['kid']): void;
  close(): Promise<void>;
}

export async function registrarScene({ each = 1_000 }: { readonly each?: number } = {}): Promise<RegistrarScene> {
  const directory = mkdtempSync(join(tmpdir(), 'honeymesh-registrar-'));
  const secret = secretOf('registrar');
  const rootSecret = secretOf('root');
  const dates = { notBefore: unixMs(NOON - DAY_MS), notAfter: unixMs(NOON - DAY_MS + REGISTRAR_LIFE_MS) };
  const certificate = issueRegistrarCertificate({ clusterId: CLUSTER, sites: ['home', 'lab'], edPublic: edPublicOf(secret), ...dates }, rootSecret, real);
  const keeping = await openRegistrarKeeping(directory, () => scene.now);
  const https = await makeHttpsIdentity(NOON);
  const pin = pinOf(https.certificate);
  const self: Registrar = { edSecret: secret, certificate, https, epoch: 1, seq: 0, generation: 0, revocations: null };
  await keeping.keepSelf(self);
  const members: NodeCertificate[] = [];
  let number = 0;

  const scene = {
    now: NOON,
    trust: {
      clusterId: CLUSTER,
      rootPublic: edPublicOf(rootSecret),
      certificate: new Uint8Array(0),
      registrars: [certificate.bytes],
      revocations: [],
      names: [],
    } as MeshTrust,
    keys: { keys: [secretOf('group key')], generation: 3 } as MeshKeys,
    done: [] as string[],
    refused: [] as Refusal[],
    bugs: [] as unknown[],
    left: [] as string[],
    keeping,
    pin,
    token({ ttlMs = HOUR_MS, uses = 1, ...more }: Partial<JoinToken> & { readonly ttlMs?: number; readonly uses?: number } = {}): JoinToken {
      const secret = Uint8Array.from(randomBytes(16));
      const invite = keeping.invites.open({ secret, site: 'home', ttlMs, uses }, scene.now);
      if (invite === null) throw new Error('too many are open');
      return { clusterId: CLUSTER, pin, secret, expiresAt: invite.expiresAt, site: 'home', addresses: [`127.0.0.1:${port}`], ...more };
    },
    revoke(kid: NodeCertificate['kid']) {
      const entries = [{ kid, notAfter: unixMs(NOON + 90 * DAY_MS) }];
      const list = issueRevocations({ clusterId: CLUSTER, number: ++number, entries }, { kid: kidOf(edPublicOf(secret)), secret }, real, scene.now);
      scene.trust = { ...scene.trust, revocations: [list.bytes] };
    },
  };
  const desk = createRegistrarDesk({
    keeping,
    signatures: real,
    pin: () => pin,
    now: () => scene.now,
    random: length => Uint8Array.from(randomBytes(length)),
    mesh: {
      trust: async () => scene.trust,
      keys: async () => scene.keys,
      certified: async () => members.filter(member => rosterOf(scene.trust, real, scene.now).learn(member, scene.now).ok),
      issued: one => void members.push(one),
      hasLeft: name => scene.left.includes(name),
      label: () => 'honeymesh',
      meetingPlaces: () => ['192.0.2.1:7946', '192.0.2.2:7946'],
    },
  });
  const admission = createAdmission({ total: { burst: 10_000, everyMs: 1 }, each: { burst: each, everyMs: 60_000 }, mostSources: 16 });
  const server = createHttpsServer(
    { host: '127.0.0.1', port: 0, identity: https, longestBodyBytes: LONGEST_REQUEST_BYTES },
    {
      admit: source => admission.admit(source, performance.now()),
      plugins: [
        registrarRoutes({
          desk,
          now: () => scene.now,
          onDone: (_route, _source, text) => scene.done.push(text),
          onRefused: (_route, _source, why) => scene.refused.push(why),
          onBug: error => scene.bugs.push(error),
        }),
      ],
    },
  );
  const port = await server.start();
  return Object.assign(scene, {
    desk,
    port,
    async close() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  });
}
