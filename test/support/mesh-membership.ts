/** Hosts whose members are doubles and whose registrars are real, each with the command line that its operator has. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewEvent } from '@honeymesh/intel/events';
import { HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import type { MeshConfig } from '#enforcer/config/config.ts';
import type { MeshPeer, MeshState } from '#enforcer/mesh/port.ts';
import { createMembership, type Membership } from '#enforcer/mesh/registrar/membership.ts';
import { openRoot, sealRoot } from '#enforcer/mesh/registrar/root-file.ts';
import { issueRegistrarCertificate, REGISTRAR_LIFE_MS } from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { openCliLab, type Ran } from '#test/support/cli.ts';
import { fakeOperations } from '#test/support/fake-operations.ts';
import { real, secretOf } from '#test/support/hm1.ts';
import { createTestMeshPart, type TestMeshPart } from '#test/support/mesh-part.ts';

/** Of all root files. */
export const SECRET = { HONEYMESH_ROOT_PASSPHRASE: 'correct horse battery staple' };
export const START = Date.parse('2026-11-24T12:00:00.000Z');

/** Somebody whom the double of a member seems to know. */
export const PEER: MeshPeer = { name: 'somebody', address: '192.0.2.9:7946', state: 'alive', signed: true, signer: null, site: 'home', answeredAt: null };

export interface TestHost {
  readonly membership: Membership;
  readonly part: TestMeshPart;
  readonly state: MeshState;
  readonly events: NewEvent[];
  readonly complaints: Map<string, string>;
  run(line: string, more?: { environment?: Record<string, string>; stdin?: string }): Promise<Ran>;
  json<T>(line: string, more?: { environment?: Record<string, string> }): Promise<T>;
}

/** Of one test. `now` may be turned. */
export interface MembershipScene {
  readonly folder: string;
  readonly rootFile: string;
  now: number;
  /** `instance`: where it is the same host again. */
  host(name: string, config?: Partial<MeshConfig>, instance?: string): Promise<TestHost>;
  /** As `mesh init` does it, but for the cost of a real passphrase. */
  founded(name?: string, config?: Partial<MeshConfig>): Promise<TestHost>;
  /** By the root, at the time of the test; the command line's own clock stands still here. */
  certifyRegistrar(one: TestHost): Promise<void>;
  joined(registrar: TestHost, name: string, site?: string): Promise<TestHost>;
  tick(one: TestHost): Promise<void>;
  /** Nobody is reached any more, for long enough that it asks its registrar. */
  alone(one: TestHost): Promise<void>;
  close(): Promise<void>;
}

export function createMembershipScene(): MembershipScene {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-membership-'));
  const rootFile = join(folder, 'root.json');
  const lab = openCliLab();
  const hosts: TestHost[] = [];
  let serial = 0;

  async function host(name: string, config: Partial<MeshConfig> = {}, instance = name): Promise<TestHost> {
    const directory = join(folder, name);
    const clock = (): UnixMs => unixMs(scene.now);
    const state = createMeshState(directory, { now: () => new Date(scene.now) });
    const part = createTestMeshPart(state, clock);
    const events: NewEvent[] = [];
    const complaints = new Map<string, string>();
    const standard: MeshConfig = {
      bind: { host: '0.0.0.0', port: 7946 },
      join: [],
      label: '',
      quorum: { sites: 2 },
      profile: 'lan',
      registrar: { host: '127.0.0.1', port: 0 as number },
    };
    const membership = await createMembership(
      { config: { ...standard, ...config }, directory, hostName: name },
      {
        mesh: part,
        state,
        signatures: real,
        record: event => void events.push(event),
        complain: (key, why) => void complaints.set(key, why),
        recovered: key => void complaints.delete(key),
        onBug: error => {
          throw error;
        },
        now: clock,
        random: length => Uint8Array.from(secretOf(`${instance} ${serial++}`).subarray(0, length)),
      },
    );
    await part.start();
    await membership.start();
    await lab.serve({ ...fakeOperations(), ...membership.operations }, instance);
    const run: TestHost['run'] = (line, more) => lab.run(`${line} --instance ${instance}`, more);
    const made: TestHost = {
      membership,
      part,
      state,
      events,
      complaints,
      run,
      async json<T>(line: string, more?: { environment?: Record<string, string> }): Promise<T> {
        const { code, out, err } = await run(`${line} -o json`, more);
        if (code !== 0) throw new Error(err);
        return JSON.parse(out) as T;
      },
    };
    hosts.push(made);
    return made;
  }

  async function founded(name = 'anvil', config: Partial<MeshConfig> = {}): Promise<TestHost> {
    const one = await host(name, config);
    writeFileSync(rootFile, await sealRoot({ clusterId: secretOf('cluster').subarray(0, 16), secret: secretOf('root') }, SECRET.HONEYMESH_ROOT_PASSPHRASE, 10));
    await certifyRegistrar(one);
    return one;
  }

  async function certifyRegistrar(one: TestHost): Promise<void> {
    const root = await openRoot(readFileSync(rootFile, 'utf8'), SECRET.HONEYMESH_ROOT_PASSPHRASE);
    if (!root.ok) throw new Error(root.why);
    const { registrarKey } = await one.membership.operations.meshPrepare({});
    const edPublic = Uint8Array.from(Buffer.from(registrarKey, 'base64'));
    const dates = { notBefore: unixMs(scene.now), notAfter: unixMs(scene.now + REGISTRAR_LIFE_MS) };
    const { bytes } = issueRegistrarCertificate({ clusterId: root.value.clusterId, sites: ['home', 'lab'], edPublic, ...dates }, root.value.secret, real);
    const text = (raw: Uint8Array) => Buffer.from(raw).toString('base64');
    const order = { certificate: text(bytes), rootPublic: text(edPublicOf(root.value.secret)), cluster: text(root.value.clusterId), site: 'home' };
    await one.membership.operations.meshInit(order);
  }

  async function joined(registrar: TestHost, name: string, site = 'home'): Promise<TestHost> {
    const one = await host(name);
    const { token } = await registrar.json<{ token: string }>(`mesh invite --site ${site}`);
    one.part.peersSeen.push(PEER);
    await one.json(`mesh join ${token}`);
    return one;
  }

  const tick = async (one: TestHost): Promise<void> => {
    one.membership.tick();
    await new Promise(resolve => setTimeout(resolve, 150)); // what it began goes over HTTPS on loopback
  };

  async function alone(one: TestHost): Promise<void> {
    one.part.peersSeen.splice(0);
    await tick(one);
    scene.now += HOUR_MS;
    await tick(one);
  }

  const scene: MembershipScene = {
    folder,
    rootFile,
    now: START,
    host,
    founded,
    certifyRegistrar,
    joined,
    tick,
    alone,
    async close() {
      for (const { membership } of hosts.splice(0)) await membership.stop();
      await lab.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return scene;
}
