/** Orders of an operator through the real command line, for hosts whose members are doubles: what is written, renewed, revoked, refused. HTTPS is real. */
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { DAY_MS } from '@honeymesh/intel/time';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MeshStatusReport } from '#enforcer/control/mesh-operations.ts';
import { openRoot, sealRoot } from '#enforcer/mesh/registrar/root-file.ts';
import { decodeToken, encodeToken } from '#enforcer/mesh/registrar/token.ts';
import { readCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { secretOf } from '#test/support/hm1.ts';
import { createMembershipScene, type MembershipScene, PEER, SECRET, START } from '#test/support/mesh-membership.ts';

let scene: MembershipScene;
beforeEach(() => {
  scene = createMembershipScene();
});
afterEach(() => scene.close());

describe('init', () => {
  test('leaves the root in one file, and none of it on the host', async () => {
    const one = await scene.host('anvil');
    expect((await one.run(`mesh init --site home --sites home,lab --root-file ${scene.rootFile}`, { environment: SECRET })).err).toBe('');
    expect(statSync(scene.rootFile).mode & 0o777).toBe(0o600);
    const root = await openRoot(readFileSync(scene.rootFile, 'utf8'), SECRET.HONEYMESH_ROOT_PASSPHRASE);
    if (!root.ok) throw new Error(root.why);
    for (const entry of readdirSync(join(scene.folder, 'anvil'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      expect(statSync(path).mode & 0o077).toBe(0);
      expect(readFileSync(path, 'latin1')).not.toContain(Buffer.from(root.value.secret).toString('base64'));
    }
    expect(await one.json<MeshStatusReport>('mesh status')).toMatchObject({ name: 'anvil', site: 'home', renewsFrom: 'this host' });
  });

  test('makes a group key of its own, or takes the one of the configuration', async () => {
    const one = await scene.founded();
    expect((await one.state.load()).keys).toMatchObject({ generation: 0, keys: [expect.objectContaining({ length: 32 })] });
    const key = Buffer.from(secretOf('configured')).toString('base64');
    const two = await scene.host('badger', { key });
    await scene.certifyRegistrar(two);
    expect((await two.state.load()).keys?.keys).toEqual([secretOf('configured')]);
  });

  test('never overwrites a file, and removes its own where the daemon would not have it', async () => {
    const one = await scene.host('anvil');
    writeFileSync(scene.rootFile, 'something else');
    expect(await one.run(`mesh init --site home --root-file ${scene.rootFile}`, { environment: SECRET })).toMatchObject({
      code: 2,
      err: expect.stringContaining('is there already'),
    });
    expect(readFileSync(scene.rootFile, 'utf8')).toBe('something else');
    const other = join(scene.folder, 'other.json');
    expect(await one.run(`mesh init --site home --bind nowhere! --root-file ${other}`, { environment: SECRET })).toMatchObject({ code: 2 });
    expect(() => statSync(other)).toThrow();
  });

  test.each([
    ['', { HONEYMESH_ROOT_PASSPHRASE: '' }, 'the passphrase is empty'],
    ['', { HONEYMESH_ROOT_PASSPHRASE: 'short' }, 'the passphrase is too short'],
    ['', {}, 'there is no terminal to ask for the passphrase on'],
    ['--passphrase-file /nowhere/at/all', SECRET, 'cannot be read'],
  ])('wants a passphrase that is one (%s %j)', async (more, environment, why) => {
    const one = await scene.host('anvil');
    const ran = await one.run(`mesh init --site home --root-file ${scene.rootFile} ${more}`, { environment: environment as Record<string, string> });
    expect(ran).toMatchObject({ code: 2, err: expect.stringContaining(why) });
    expect(() => statSync(scene.rootFile)).toThrow();
  });

  test('asks which site, and refuses names that are none', async () => {
    const one = await scene.host('anvil');
    expect((await one.run(`mesh init --root-file ${scene.rootFile}`, { environment: SECRET })).err).toContain('give --site');
    expect((await one.run(`mesh init --site a/b --root-file ${scene.rootFile}`, { environment: SECRET })).err).toContain('not all of these are sites');
    expect(() => statSync(scene.rootFile)).toThrow();
  });

  test('again, with the root: renews the registrar, with the sites of before or others', async () => {
    const one = await scene.founded();
    scene.now += 20 * DAY_MS;
    const line = `mesh init --root-file ${scene.rootFile}`;
    const { registrar } = await one.json<MeshStatusReport>(line, { environment: SECRET });
    // The command line's own clock stands still in these tests.
    expect(registrar?.sites).toEqual(['home', 'lab']);
    expect((await one.run(line, { environment: { HONEYMESH_ROOT_PASSPHRASE: 'another one' } })).err).toContain('the passphrase does not open');
    expect((await one.json<MeshStatusReport>(`${line} --sites home,shop`, { environment: SECRET })).registrar?.sites).toEqual(['home', 'shop']);
    expect((await one.run(`${line} --site lab`, { environment: SECRET })).err).toContain('this host is certified for the site home');
  });

  test('on a member makes it a second registrar, and with the root of another mesh it does not', async () => {
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
    const status = await two.json<MeshStatusReport>(`mesh init --sites lab --root-file ${scene.rootFile}`, { environment: SECRET });
    expect(status).toMatchObject({ name: 'badger', site: 'home', registrar: { sites: ['lab'] } });
    expect(status.registrars).toHaveLength(2);
    const { token } = await two.json<{ token: string }>('mesh invite --site lab');
    const three = await scene.host('copper');
    three.part.peersSeen.push(PEER);
    expect(await three.json('mesh join - ', {}).catch(error => String(error))).toContain('no token');
    expect(await three.json(`mesh join ${token}`)).toMatchObject({ name: 'copper', site: 'lab' });
    const other = join(scene.folder, 'other.json');
    writeFileSync(other, await sealRoot({ clusterId: secretOf('x').subarray(0, 16), secret: secretOf('y') }, 'correct horse battery staple', 10));
    expect((await two.run(`mesh init --root-file ${other}`, { environment: SECRET })).err).toContain('is the root of another mesh');
  });
});

describe('invitations', () => {
  test('are listed, cancelled and bounded; the token is shown once', async () => {
    const one = await scene.founded();
    const { token, id } = await one.json<{ token: string; id: string }>('mesh invite --ttl 15m --uses 2');
    const { out } = await one.run('mesh invite --list');
    expect(out).toContain(id);
    expect(out).not.toContain(token.slice(8, 40));
    expect(await one.json('mesh invite --list')).toMatchObject([{ id, site: 'home', expiresAt: '2026-11-24T12:15:00.000Z', uses: 2, used: 0 }]);
    expect((await one.run(`mesh invite --cancel ${id}`)).out).toBe(`cancelled ${id}\n`);
    expect((await one.run(`mesh invite --cancel ${id}`)).err).toContain('there is no open invitation');
    const two = await scene.host('badger');
    expect((await two.run(`mesh join ${token}`)).err).toContain('the token was cancelled');
  });

  test.each([
    ['--ttl 2h', 'is no time that an invitation may last'],
    ['--ttl 15', 'has no unit'],
    ['--site shop', 'may not certify hosts of site shop, only of home, lab'],
    ['--uses 1000', 'is no number of uses'],
    ['--address nowhere!', 'is no address'],
  ])('%s is refused with what would be right', async (option, why) => {
    const one = await scene.founded();
    const { code, err } = await one.run(`mesh invite ${option}`);
    expect(code).not.toBe(0);
    expect(err).toContain(why);
    expect(err).toMatch(/\nfix: /);
  });
});

test('a registrar whose port is taken says so, is a member all the same, and listens when the port is free', async () => {
  const squatter = createServer().listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  const { port } = squatter.address() as AddressInfo;
  const one = await scene.founded('anvil', { registrar: { host: '127.0.0.1', port } });
  expect(one.complaints.get('registrar')).toContain(`cannot listen on 127.0.0.1 port ${port}: something else listens there`);
  expect((await one.run('mesh invite')).err).toContain(`nothing listens on 127.0.0.1:${port}`);
  expect(await one.json<MeshStatusReport>('mesh status')).toMatchObject({ name: 'anvil', registrar: { address: null } });
  squatter.close();
  await once(squatter, 'close');
  scene.now += 31_000;
  await scene.tick(one);
  expect(one.complaints.get('registrar')).toBeUndefined();
  expect((await one.run('mesh invite')).code).toBe(0);
});

test('a registrar finds everything again after a restart: its invitations, its HTTPS key, the hosts that it certified', async () => {
  const one = await scene.founded();
  const { token } = await one.json<{ token: string }>('mesh invite --address 127.0.0.1:1');
  await scene.joined(one, 'copper');
  await one.membership.stop();
  const again = await scene.host('anvil', {}, 'anvil-again');
  const pinned = decodeToken(token);
  const { token: fresh } = await again.json<{ token: string }>('mesh invite');
  const other = decodeToken(fresh);
  if (!pinned.ok || !other.ok) throw new Error('no tokens');
  expect(other.value.pin).toEqual(pinned.value.pin);
  expect(await again.json('mesh invite --list')).toHaveLength(2);
  const two = await scene.host('badger');
  two.part.peersSeen.push(PEER);
  expect((await two.run(`mesh join ${encodeToken({ ...pinned.value, addresses: other.value.addresses })} --name copper`)).err).toContain(
    'the mesh has a host named copper already',
  );
});

describe('a member', () => {
  test('renews by itself at two thirds of the life, over HTTPS, and keeps what it got', async () => {
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
    const certificate = async () => readCertificate((await two.state.load()).trust?.certificate ?? new Uint8Array(0));
    await scene.tick(two);
    for (const day of [29, 58]) {
      scene.now = START + day * DAY_MS;
      await scene.certifyRegistrar(one);
      await scene.tick(two);
      expect(await certificate()).toMatchObject({ value: { notBefore: START } });
    }
    scene.now = START + 65 * DAY_MS;
    await scene.tick(two);
    expect(await certificate()).toMatchObject({ value: { nodeName: 'badger', site: 'home', notBefore: scene.now, notAfter: scene.now + 90 * DAY_MS } });
    expect(two.complaints.size).toBe(0);
    await scene.tick(one); // a registrar asks itself
    expect(readCertificate((await one.state.load()).trust?.certificate ?? new Uint8Array(0))).toMatchObject({ value: { notBefore: scene.now } });
  });

  test('says so in the last quarter of the life where its registrar cannot renew it, and the registrar says what is wrong with itself', async () => {
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
    for (const day of [65, 70]) {
      scene.now = START + day * DAY_MS;
      await scene.tick(two);
    }
    await scene.tick(two);
    expect(two.complaints.get('renewal')).toContain('its own certificate has ended');
    expect(one.events.some(event => event.summary.includes('the registrar refused a renewal: registrar-expired'))).toBe(true);
    await scene.tick(one);
    expect(one.complaints.get('registrar-end')).toContain('the certificate of the registrar on this host ended at 2026-12-24');
    scene.now = START + 75 * DAY_MS;
    await scene.certifyRegistrar(one);
    await scene.tick(one);
    expect(one.complaints.get('registrar-end')).toBeUndefined();
    await scene.tick(two);
    await scene.tick(two);
    expect(two.complaints.size).toBe(0);
  });

  test('that is alone fetches the key that it slept through', async () => {
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
    await one.json('mesh rotate-key');
    expect((await two.state.load()).keys?.generation).toBe(0);
    await scene.alone(two);
    expect((await two.state.load()).keys?.generation).toBe(1);
    expect((await two.state.load()).keys?.keys[0]).toEqual((await one.state.load()).keys?.keys[0]);
  });

  test('of one mesh does not join another, and joins its own anew under its name', async () => {
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
    const other = await scene.host('copper');
    await other.run(`mesh init --site home --root-file ${join(scene.folder, 'other.json')}`, { environment: SECRET });
    const { token } = await other.json<{ token: string }>('mesh invite');
    expect((await two.run(`mesh join ${token}`)).err).toContain('this host is a member of another mesh');
    const again = await one.json<{ token: string }>('mesh invite --site lab');
    expect((await two.run(`mesh join ${again.token} --name zinc`)).err).toContain('this host is certified as badger already');
    expect((await two.run(`mesh join ${again.token}`)).err).toContain('this host is certified for another site or under another name');
  });

  test('of one registrar goes over to another one of its mesh', async () => {
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
    const three = await scene.joined(one, 'copper');
    const { registrar } = await three.json<MeshStatusReport>(`mesh init --root-file ${scene.rootFile}`, { environment: SECRET });
    const certifierOf = async (host: typeof two) => readCertificate((await host.state.load()).trust?.certificate ?? new Uint8Array(0));
    expect(await certifierOf(three)).toMatchObject({ value: { registrar: registrar?.key } }); // it stands by itself now
    const { token } = await three.json<{ token: string }>('mesh invite');
    await two.json(`mesh join ${token}`);
    expect(await certifierOf(two)).toMatchObject({ value: { nodeName: 'badger', site: 'home', registrar: registrar?.key } });
    expect((await two.state.load()).trust?.registrars).toHaveLength(2);
    expect((await two.json<MeshStatusReport>('mesh status')).renewsFrom).not.toBe((await one.json<MeshStatusReport>('mesh status')).registrar?.address);
  });

  test('that leaves keeps nothing, and a registrar leaves only when it is told so', async () => {
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
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
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
    expect(await one.json('mesh revoke badger')).toMatchObject({ name: 'badger', by: 'registrar', number: 1, rekeyed: { generation: 1, hosts: 1 } });
    await scene.alone(two);
    expect((await two.state.load()).keys?.generation).toBe(0);
    expect(one.events.map(event => event.summary)).toContain("the registrar refused the group's keys: revoked");
    expect((await one.run('mesh revoke nobody')).err).toContain('no host or registrar named nobody');
    expect((await one.run('mesh revoke anvil')).err).toContain('a registrar does not revoke itself');
  });

  test('by the root: any host, and a registrar with all that it certified', async () => {
    const one = await scene.founded();
    const two = await scene.joined(one, 'badger');
    const second = await two.json<MeshStatusReport>(`mesh init --sites home --root-file ${scene.rootFile}`, { environment: SECRET });
    const { token } = await two.json<{ token: string }>('mesh invite');
    const three = await scene.host('copper');
    three.part.peersSeen.push(PEER);
    await three.json(`mesh join ${token}`);
    // What the mesh would have spread.
    const trust = (await two.state.load()).trust;
    await one.part.link().learn([...(trust?.registrars ?? []), (await three.state.load()).trust?.certificate ?? new Uint8Array(0)], []);
    expect((await one.run('mesh revoke copper')).err).toContain('was certified by another registrar');
    expect((await one.run(`mesh revoke copper --root-file ${scene.rootFile}`, { environment: { HONEYMESH_ROOT_PASSPHRASE: 'another one' } })).err).toContain(
      'does not open',
    );
    const key = second.registrar?.key ?? '';
    expect(await one.json(`mesh revoke ${key} --root-file ${scene.rootFile}`, { environment: SECRET })).toMatchObject({
      name: null,
      key,
      by: 'root',
      number: 1,
      fallen: ['copper'],
      rekeyed: { hosts: 2 },
    });
    expect(await one.json(`mesh revoke badger --root-file ${scene.rootFile}`, { environment: SECRET })).toMatchObject({
      name: 'badger',
      by: 'root',
      number: 2,
      rekeyed: { hosts: 1 },
    });
    expect(one.events.at(-2)?.summary).toMatch(/^badger \(key [0-9a-f]{16}\) was revoked by the root, list 2$/);
  });

  test('where the mesh is down says so and changes nothing', async () => {
    const one = await scene.founded();
    await scene.joined(one, 'badger');
    one.part.down = true;
    expect((await one.run('mesh revoke badger')).err).toContain('the mesh is down');
    expect((await one.run('mesh rotate-key')).err).toContain('the mesh is down');
  });
});
