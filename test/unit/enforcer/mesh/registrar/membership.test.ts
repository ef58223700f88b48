/** Orders of an operator through the real command line, for hosts whose members are doubles: what is written, renewed, revoked, refused. HTTPS is real. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewEvent } from '@honeymesh/intel/events';
import { DAY_MS, HOUR_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MeshConfig } from '#enforcer/config/config.ts';
import type { MeshStatusReport } from '#enforcer/control/mesh-operations.ts';
import type { MeshPeer, MeshState } from '#enforcer/mesh/port.ts';
import { createMembership, type Membership } from '#enforcer/mesh/registrar/membership.ts';
import { openRoot, sealRoot } from '#enforcer/mesh/registrar/root-file.ts';
import { issueRegistrarCertificate, REGISTRAR_LIFE_MS, readCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { openCliLab, type Ran } from '#test/support/cli.ts';
import { fakeOperations } from '#test/support/fake-operations.ts';
import { real, secretOf } from '#test/support/hm1.ts';
import { createTestMeshPart, type TestMeshPart } from '#test/support/mesh-part.ts';

const SECRET = { HONEYMESH_ROOT_PASSPHRASE: 'correct horse battery staple' };
const START = Date.parse('2026-11-24T12:00:00.000Z');

const PEER: MeshPeer = { name: 'somebody', address: '192.0.2.9:7946', state: 'alive', signed: true, signer: null, site: 'home', answeredAt: null };

interface TestHost {
  readonly membership: Membership;
  readonly part: TestMeshPart;
  readonly state: MeshState;
  readonly events: NewEvent[];
  readonly complaints: Map<string, string>;
  run(line: string, more?: { environment?: Record<string, string>; stdin?: string }): Promise<Ran>;
  json<T>(line: string, more?: { environment?: Record<string, string> }): Promise<T>;
}

let folder: string;
let rootFile: string;
let lab: ReturnType<typeof openCliLab>;
let now: number;
let serial: number;
const hosts: TestHost[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'honeymesh-membership-'));
  rootFile = join(folder, 'root.json');
  lab = openCliLab();
  [now, serial] = [START, 0];
});
afterEach(async () => {
  for (const { membership } of hosts.splice(0)) await membership.stop();
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

async function host(name: string, config?: Partial<MeshConfig>): Promise<TestHost> {
  const directory = join(folder, name);
  const clock = (): UnixMs => unixMs(now);
  const state = createMeshState(directory, { now: () => new Date(now) });
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
      random: length => Uint8Array.from(secretOf(`${name} ${serial++}`).subarray(0, length)),
    },
  );
  await part.start();
  await membership.start();
  await lab.serve({ ...fakeOperations(), ...membership.operations }, name);
  const run: TestHost['run'] = (line, more) => lab.run(`${line} --instance ${name}`, more);
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

/** As `mesh init` does it, but for the cost of a real passphrase. */
async function founded(name = 'anvil'): Promise<TestHost> {
  const one = await host(name);
  writeFileSync(rootFile, await sealRoot({ clusterId: secretOf('cluster').subarray(0, 16), secret: secretOf('root') }, SECRET.HONEYMESH_ROOT_PASSPHRASE, 10));
  await certifyRegistrar(one);
  return one;
}

/** By the root, at the time of the test; the command line's own clock stands still here. */
async function certifyRegistrar(one: TestHost): Promise<void> {
  const root = await openRoot(readFileSync(rootFile, 'utf8'), SECRET.HONEYMESH_ROOT_PASSPHRASE);
  if (!root.ok) throw new Error(root.why);
  const { registrarKey } = await one.membership.operations.meshPrepare({});
  const edPublic = Uint8Array.from(Buffer.from(registrarKey, 'base64'));
  const dates = { notBefore: unixMs(now), notAfter: unixMs(now + REGISTRAR_LIFE_MS) };
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

/** Nobody is reached any more, for long enough that it asks its registrar. */
async function alone(one: TestHost): Promise<void> {
  one.part.peersSeen.splice(0);
  await tick(one);
  now += HOUR_MS;
  await tick(one);
}

describe('init', () => {
  test('leaves the root in one file, and none of it on the host', async () => {
    const one = await host('anvil');
    expect((await one.run(`mesh init --site home --sites home,lab --root-file ${rootFile}`, { environment: SECRET })).err).toBe('');
    expect(statSync(rootFile).mode & 0o777).toBe(0o600);
    const root = await openRoot(readFileSync(rootFile, 'utf8'), SECRET.HONEYMESH_ROOT_PASSPHRASE);
    if (!root.ok) throw new Error(root.why);
    for (const entry of readdirSync(join(folder, 'anvil'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      expect(statSync(path).mode & 0o077).toBe(0);
      expect(readFileSync(path, 'latin1')).not.toContain(Buffer.from(root.value.secret).toString('base64'));
    }
    expect(await one.json<MeshStatusReport>('mesh status')).toMatchObject({ name: 'anvil', site: 'home', renewsFrom: 'this host' });
  });

  test('makes a group key of its own, or takes the one of the configuration', async () => {
    const one = await founded();
    expect((await one.state.load()).keys).toMatchObject({ generation: 0, keys: [expect.objectContaining({ length: 32 })] });
    const key = Buffer.from(secretOf('configured')).toString('base64');
    const two = await host('badger', { key });
    await certifyRegistrar(two);
    expect((await two.state.load()).keys?.keys).toEqual([secretOf('configured')]);
  });

  test('never overwrites a file, and removes its own where the daemon would not have it', async () => {
    const one = await host('anvil');
    writeFileSync(rootFile, 'something else');
    expect(await one.run(`mesh init --site home --root-file ${rootFile}`, { environment: SECRET })).toMatchObject({
      code: 2,
      err: expect.stringContaining('is there already'),
    });
    expect(readFileSync(rootFile, 'utf8')).toBe('something else');
    const other = join(folder, 'other.json');
    expect(await one.run(`mesh init --site home --bind nowhere! --root-file ${other}`, { environment: SECRET })).toMatchObject({ code: 2 });
    expect(() => statSync(other)).toThrow();
  });

  test.each([
    ['', { HONEYMESH_ROOT_PASSPHRASE: '' }, 'the passphrase is empty'],
    ['', { HONEYMESH_ROOT_PASSPHRASE: 'short' }, 'the passphrase is too short'],
    ['', {}, 'there is no terminal to ask for the passphrase on'],
    ['--passphrase-file /nowhere/at/all', SECRET, 'cannot be read'],
  ])('wants a passphrase that is one (%s %j)', async (more, environment, why) => {
    const one = await host('anvil');
    const ran = await one.run(`mesh init --site home --root-file ${rootFile} ${more}`, { environment: environment as Record<string, string> });
    expect(ran).toMatchObject({ code: 2, err: expect.stringContaining(why) });
    expect(() => statSync(rootFile)).toThrow();
  });

  test('asks which site, and refuses names that are none', async () => {
    const one = await host('anvil');
    expect((await one.run(`mesh init --root-file ${rootFile}`, { environment: SECRET })).err).toContain('give --site');
    expect((await one.run(`mesh init --site a/b --root-file ${rootFile}`, { environment: SECRET })).err).toContain('not all of these are sites');
    expect(() => statSync(rootFile)).toThrow();
  });

  test('again, with the root: renews the registrar, with the sites of before or others', async () => {
    const one = await founded();
    now += 20 * DAY_MS;
    const line = `mesh init --root-file ${rootFile}`;
    const { registrar } = await one.json<MeshStatusReport>(line, { environment: SECRET });
    // The command line's own clock stands still in these tests.
    expect(registrar?.sites).toEqual(['home', 'lab']);
    expect((await one.run(line, { environment: { HONEYMESH_ROOT_PASSPHRASE: 'another one' } })).err).toContain('the passphrase does not open');
    expect((await one.json<MeshStatusReport>(`${line} --sites home,shop`, { environment: SECRET })).registrar?.sites).toEqual(['home', 'shop']);
    expect((await one.run(`${line} --site lab`, { environment: SECRET })).err).toContain('this host is certified for the site home');
  });

  test('on a member makes it a second registrar, and with the root of another mesh it does not', async () => {
    const one = await founded();
    const two = await joined(one, 'badger');
    const status = await two.json<MeshStatusReport>(`mesh init --sites lab --root-file ${rootFile}`, { environment: SECRET });
    expect(status).toMatchObject({ name: 'badger', site: 'home', registrar: { sites: ['lab'] } });
    expect(status.registrars).toHaveLength(2);
    const { token } = await two.json<{ token: string }>('mesh invite --site lab');
    const three = await host('copper');
    three.part.peersSeen.push(PEER);
    expect(await three.json('mesh join - ', {}).catch(error => String(error))).toContain('no token');
    expect(await three.json(`mesh join ${token}`)).toMatchObject({ name: 'copper', site: 'lab' });
    const other = join(folder, 'other.json');
    writeFileSync(other, await sealRoot({ clusterId: secretOf('x').subarray(0, 16), secret: secretOf('y') }, 'correct horse battery staple', 10));
    expect((await two.run(`mesh init --root-file ${other}`, { environment: SECRET })).err).toContain('is the root of another mesh');
  });
});

describe('invitations', () => {
  test('are listed, cancelled and bounded; the token is shown once', async () => {
    const one = await founded();
    const { token, id } = await one.json<{ token: string; id: string }>('mesh invite --ttl 15m --uses 2');
    const { out } = await one.run('mesh invite --list');
    expect(out).toContain(id);
    expect(out).not.toContain(token.slice(8, 40));
    expect(await one.json('mesh invite --list')).toMatchObject([{ id, site: 'home', expiresAt: '2026-11-24T12:15:00.000Z', uses: 2, used: 0 }]);
    expect((await one.run(`mesh invite --cancel ${id}`)).out).toBe(`cancelled ${id}\n`);
    expect((await one.run(`mesh invite --cancel ${id}`)).err).toContain('there is no open invitation');
    const two = await host('badger');
    expect((await two.run(`mesh join ${token}`)).err).toContain('the token was cancelled');
  });

  test.each([
    ['--ttl 2h', 'is no time that an invitation may last'],
    ['--ttl 15', 'has no unit'],
    ['--site shop', 'may not certify hosts of site shop, only of home, lab'],
    ['--uses 1000', 'is no number of uses'],
    ['--address nowhere!', 'is no address'],
  ])('%s is refused with what would be right', async (option, why) => {
    const one = await founded();
    const { code, err } = await one.run(`mesh invite ${option}`);
    expect(code).not.toBe(0);
    expect(err).toContain(why);
    expect(err).toMatch(/\nfix: /);
  });
});

describe('a member', () => {
  test('renews by itself at two thirds of the life, over HTTPS, and keeps what it got', async () => {
    const one = await founded();
    const two = await joined(one, 'badger');
    const certificate = async () => readCertificate((await two.state.load()).trust?.certificate ?? new Uint8Array(0));
    await tick(two);
    for (const day of [29, 58]) {
      now = START + day * DAY_MS;
      await certifyRegistrar(one);
      await tick(two);
      expect(await certificate()).toMatchObject({ value: { notBefore: START } });
    }
    now = START + 65 * DAY_MS;
    await tick(two);
    expect(await certificate()).toMatchObject({ value: { nodeName: 'badger', site: 'home', notBefore: now, notAfter: now + 90 * DAY_MS } });
    expect(two.complaints.size).toBe(0);
    await tick(one); // a registrar asks itself
    expect(readCertificate((await one.state.load()).trust?.certificate ?? new Uint8Array(0))).toMatchObject({ value: { notBefore: now } });
  });

  test('says so in the last quarter of the life where its registrar cannot renew it, and the registrar says what is wrong with itself', async () => {
    const one = await founded();
    const two = await joined(one, 'badger');
    for (const day of [65, 70]) {
      now = START + day * DAY_MS;
      await tick(two);
    }
    await tick(two);
    expect(two.complaints.get('renewal')).toContain('its own certificate has ended');
    expect(one.events.some(event => event.summary.includes('the registrar refused a renewal: registrar-expired'))).toBe(true);
    await tick(one);
    expect(one.complaints.get('registrar-end')).toContain('the certificate of the registrar on this host ended at 2026-12-24');
    now = START + 75 * DAY_MS;
    await certifyRegistrar(one);
    await tick(one);
    expect(one.complaints.get('registrar-end')).toBeUndefined();
    await tick(two);
    await tick(two);
    expect(two.complaints.size).toBe(0);
  });

  test('that is alone fetches the key that it slept through', async () => {
    const one = await founded();
    const two = await joined(one, 'badger');
    await one.json('mesh rotate-key');
    expect((await two.state.load()).keys?.generation).toBe(0);
    await alone(two);
    expect((await two.state.load()).keys?.generation).toBe(1);
    expect((await two.state.load()).keys?.keys[0]).toEqual((await one.state.load()).keys?.keys[0]);
  });

  test('of one mesh does not join another, and joins its own anew under its name', async () => {
    const one = await founded();
    const two = await joined(one, 'badger');
    const other = await host('copper');
    await other.run(`mesh init --site home --root-file ${join(folder, 'other.json')}`, { environment: SECRET });
    const { token } = await other.json<{ token: string }>('mesh invite');
    expect((await two.run(`mesh join ${token}`)).err).toContain('this host is a member of another mesh');
    const again = await one.json<{ token: string }>('mesh invite --site lab');
    expect((await two.run(`mesh join ${again.token} --name zinc`)).err).toContain('this host is certified as badger already');
    expect(await one.json('mesh invite')).toBeDefined();
  });

  test('that leaves keeps nothing, and a registrar leaves only when it is told so', async () => {
    const one = await founded();
    const two = await joined(one, 'badger');
    expect(await two.json('mesh leave')).toMatchObject({ goodbye: 'told', name: 'badger', configured: true });
    expect(await two.state.load()).toMatchObject({ identity: null, trust: null, keys: null, membership: null });
    expect((await one.run('mesh leave')).err).toContain('honeymesh mesh leave --registrar');
    expect(await one.json('mesh leave --registrar')).toMatchObject({ wasRegistrar: true });
    expect(one.membership.isRegistrar()).toBe(false);
    expect((await one.run('mesh invite')).err).toContain('this host is no registrar');
  });
});

describe('revoke', () => {
  test('by the registrar: a new key for all others, and nothing for that host any more', async () => {
    const one = await founded();
    const two = await joined(one, 'badger');
    expect(await one.json('mesh revoke badger')).toMatchObject({ name: 'badger', by: 'registrar', number: 1, rekeyed: { generation: 1, hosts: 1 } });
    await alone(two);
    expect((await two.state.load()).keys?.generation).toBe(0);
    expect(one.events.map(event => event.summary)).toContain("the registrar refused the group's keys: revoked");
    expect((await one.run('mesh revoke nobody')).err).toContain('no host or registrar named nobody');
    expect((await one.run('mesh revoke anvil')).err).toContain('a registrar does not revoke itself');
  });

  test('by the root: any host, and a registrar with all that it certified', async () => {
    const one = await founded();
    const two = await joined(one, 'badger');
    const second = await two.json<MeshStatusReport>(`mesh init --sites home --root-file ${rootFile}`, { environment: SECRET });
    const { token } = await two.json<{ token: string }>('mesh invite');
    const three = await host('copper');
    three.part.peersSeen.push(PEER);
    await three.json(`mesh join ${token}`);
    // What the mesh would have spread.
    const trust = (await two.state.load()).trust;
    await one.part.link().learn([...(trust?.registrars ?? []), (await three.state.load()).trust?.certificate ?? new Uint8Array(0)], []);
    expect((await one.run('mesh revoke copper')).err).toContain('was certified by another registrar');
    expect((await one.run(`mesh revoke copper --root-file ${rootFile}`, { environment: { HONEYMESH_ROOT_PASSPHRASE: 'another one' } })).err).toContain(
      'does not open',
    );
    const key = second.registrar?.key ?? '';
    expect(await one.json(`mesh revoke ${key} --root-file ${rootFile}`, { environment: SECRET })).toMatchObject({
      name: null,
      key,
      by: 'root',
      number: 1,
      rekeyed: { hosts: 2 },
    });
    expect(await one.json(`mesh revoke badger --root-file ${rootFile}`, { environment: SECRET })).toMatchObject({
      name: 'badger',
      by: 'root',
      number: 2,
      rekeyed: { hosts: 1 },
    });
    expect(one.events.at(-2)?.summary).toMatch(/^badger \(key [0-9a-f]{16}\) was revoked by the root, list 2$/);
  });

  test('where the mesh is down says so and changes nothing', async () => {
    const one = await founded();
    await joined(one, 'badger');
    one.part.down = true;
    expect((await one.run('mesh revoke badger')).err).toContain('the mesh is down');
    expect((await one.run('mesh rotate-key')).err).toContain('the mesh is down');
  });
});
