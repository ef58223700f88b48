/** A mesh as an operator makes one, by commands alone: no file is written, and no daemon restarted. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatusReport } from '#enforcer/control/operations.ts';
import { eventually } from '#test/support/enforcer.ts';
import { createMeshScene, type MeshScene, type SceneHost } from '#test/support/mesh-scene.ts';

let scene: MeshScene;
let founder: SceneHost;
let guest: SceneHost;

beforeAll(async () => {
  scene = await createMeshScene([{ name: 'founder' }, { name: 'guest' }]);
  [founder, guest] = scene.hosts as [SceneHost, SceneHost];
  await Promise.all(scene.hosts.map(host => host.enforcer.run().ready()));
});
afterAll(() => scene.remove());

test('hosts found one, join it, warn each other under new keys, and leave it', async () => {
  expect((await founder.status()).mesh).toMatchObject({ state: 'off', peers: 0 });
  const passphrase = join(scene.folder, 'passphrase');
  const rootFile = join(scene.folder, 'root');
  writeFileSync(passphrase, 'a passphrase of some length\n', { mode: 0o600 });
  await founder.enforcer.honeymesh(['mesh', 'init', '--site', 'home', '--sites', 'home,lab', '--root-file', rootFile, '--passphrase-file', passphrase]);
  await eventually('it is a mesh of one', async () => (await founder.status()).mesh.state === 'alone');
  expect((await founder.status()).mesh).toMatchObject({ site: 'home', signatures: 'required', registrar: true });

  const { token } = await founder.enforcer.json<{ token: string }>(['mesh', 'invite', '--site', 'lab', '--address', '10.80.0.1:7947']);
  await guest.enforcer.honeymesh(['mesh', 'join', token, '--name', 'guest']);
  for (const host of scene.hosts)
    await eventually(`${host.name} has a peer`, async () => (await host.peers()).some(peer => peer.signed && peer.state === 'alive'));
  expect(await guest.status()).toMatchObject({ mesh: { state: 'joined', name: 'guest', site: 'lab', signatures: 'required', registrar: false }, degraded: [] });

  const source = scene.stranger();
  expect(await scene.touch(source, [guest])).toEqual([true]);
  await eventually('the founder drops it', async () => (await founder.banOf(source))?.enforced === true);

  await founder.enforcer.honeymesh(['mesh', 'rotate-key', '--now']);
  const generation = async (host: SceneHost) => (await host.enforcer.json<{ keyGeneration: number }>(['mesh', 'status'])).keyGeneration;
  const before = await generation(founder);
  for (const host of scene.hosts) await eventually(`${host.name} uses the new key`, async () => (await generation(host)) === before, 15_000);
  const another = scene.stranger();
  expect(await scene.touch(another, [founder])).toEqual([true]);
  await eventually('the guest drops it, under the new key', async () => (await guest.banOf(another))?.enforced === true);

  await guest.enforcer.honeymesh(['mesh', 'leave']);
  expect((await guest.enforcer.json<StatusReport>(['status'])).mesh.state).toBe('off');
  await eventually('the founder saw it leave', async () => (await founder.peers())[0]?.state === 'left');
});
