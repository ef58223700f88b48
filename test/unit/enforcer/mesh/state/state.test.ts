import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KeyUse, MeshIdentity, MeshKeys, MeshMembership, MeshTrust } from '#enforcer/mesh/port.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { CLUSTER, secretOf } from '#test/support/hm1.ts';

let folder = '';
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'hm-mesh-state-')), 'mesh');
});
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }));

const identity: MeshIdentity = { nodeName: 'alba', edSecret: secretOf('ed'), xSecret: secretOf('x') };
const trust: MeshTrust = {
  clusterId: CLUSTER,
  rootPublic: secretOf('root'),
  certificate: Uint8Array.of(1, 2, 3),
  registrars: [Uint8Array.of(4), Uint8Array.of(5, 6)],
  revocations: [Uint8Array.of(7)],
  names: ['alba', 'bruna'],
};
const keys: MeshKeys = { keys: [secretOf('group'), new Uint8Array(16)], generation: 3 };
const membership: MeshMembership = {
  bind: '0.0.0.0:7946',
  join: ['10.0.0.1', 'mesh.example.org:7946'],
  label: 'honeymesh',
  registrar: { address: '10.0.0.1:7947', pin: secretOf('pin') },
};
const use: KeyUse = { keyId: '00c0ffee', encrypted: 2 ** 40 };
const envelopes = [Uint8Array.of(1), new Uint8Array(1_355).fill(7), new Uint8Array(0)];

async function keepAll(): Promise<void> {
  const state = createMeshState(folder);
  // Half of the bytes of this program are Buffers.
  await state.keepIdentity({ ...identity, edSecret: Buffer.from(identity.edSecret) });
  await state.keepTrust(trust);
  await state.keepKeys(keys);
  await state.keepMembership(membership);
  await state.keepEpoch(41);
  await state.keepEnvelopes(envelopes);
  await state.keepProofs?.(envelopes);
  await state.keepUse?.(use);
}

describe('what the mesh keeps', () => {
  test('comes back as it was, also to another process', async () => {
    await keepAll();
    expect(await createMeshState(folder).load()).toEqual({ identity, trust, keys, membership, epoch: 41, envelopes, proofs: envelopes, use, damaged: [] });
  });

  test('is nothing where nothing was kept, and no folder is made by looking', async () => {
    const nothing = { identity: null, trust: null, keys: null, membership: null, epoch: 0, envelopes: [], proofs: [], use: null, damaged: [] };
    expect(await createMeshState(folder).load()).toEqual(nothing);
    await expect(stat(folder)).rejects.toThrow('ENOENT');
  });

  test('is readable by its owner only, in a folder that was open before', async () => {
    await keepAll();
    await chmod(folder, 0o755);
    await createMeshState(folder).keepEpoch(42);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(folder)) expect([name, (await stat(join(folder, name))).mode & 0o777]).toEqual([name, 0o600]);
  });

  test('is written whole: of many writes at once the last one stays, and no draft is left', async () => {
    const state = createMeshState(folder);
    await Promise.all(Array.from({ length: 20 }, (_, at) => state.keepEpoch(at + 1)));
    expect((await state.load()).epoch).toBe(20);
    expect(await readdir(folder)).toEqual(['epoch.json']);
  });

  test.each([
    ['identity.json', '{"version":1,"nodeName":"alba","edSecret":"AAAA","xSecret":"AAAA"}', 'identity'],
    ['identity.json', '', 'identity'],
    ['trust.json', '{"version":1}', 'trust'],
    ['trust.json', '[]', 'trust'],
    ['keyring.json', '{"version":2,"keys":[],"generation":0}', 'keys'],
    ['keyring.json', '{"version":1,"keys":["AAAA"],"generation":0}', 'keys'],
    ['membership.json', '{"version":1,"bind":"x","join":[1],"label":"","registrar":null}', 'membership'],
  ] as const)('%s with %s in it is set aside and said, not overwritten', async (name, content, kind) => {
    await keepAll();
    await writeFile(join(folder, name), content);
    const state = createMeshState(folder, { now: () => new Date('2026-11-24T12:00:00Z') });
    const kept = await state.load();
    expect(kept[kind]).toBeNull();
    expect(kept.damaged).toHaveLength(1);
    expect(kept.damaged[0]?.why).toContain(`${name}.damaged-20261124T120000Z`);
    expect(kept.damaged[0]?.fix).not.toBe('');
    await keepAll();
    expect(await readFile(join(folder, `${name}.damaged-20261124T120000Z`), 'utf8')).toBe(content);
    // Set aside once, not again at each start.
    expect((await state.load()).damaged).toEqual([]);
  });

  test('two files that were damaged within a second both stay', async () => {
    const state = createMeshState(folder, { now: () => new Date('2026-11-24T12:00:00Z') });
    for (const content of ['one', 'two']) {
      await state.keepEpoch(1);
      await writeFile(join(folder, 'epoch.json'), content);
      expect((await state.load()).damaged).toHaveLength(1);
    }
    expect(await readdir(folder)).toEqual(['epoch.json.damaged-20261124T120000Z', 'epoch.json.damaged-20261124T120000Z-2']);
  });

  test.each(['flipped', 'cut', 'longer'])('envelopes of a file that is %s are none', async how => {
    await keepAll();
    const path = join(folder, 'envelopes.bin');
    const bytes = await readFile(path);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    await writeFile(
      path,
      how === 'flipped' ? bytes : how === 'cut' ? (await readFile(path)).subarray(0, -5) : Buffer.concat([await readFile(path), Buffer.of(0)]),
    );
    const kept = await createMeshState(folder).load();
    expect(kept.envelopes).toEqual([]);
    expect(kept.damaged).toHaveLength(1);
  });

  test('a file without end is not read', async () => {
    await keepAll();
    await writeFile(join(folder, 'identity.json'), `${JSON.stringify({ version: 1 })}${' '.repeat(300_000)}`);
    expect((await createMeshState(folder).load()).damaged).toHaveLength(1);
  });

  test('is gone when it is forgotten, damaged files and drafts too, but for what others keep there', async () => {
    await keepAll();
    for (const name of ['identity.json.damaged-20261124T120000Z', 'trust.json.new-0', 'node.json', 'registrar.json']) await writeFile(join(folder, name), '');
    const state = createMeshState(folder);
    await state.forget();
    expect(await readdir(folder)).toEqual(['registrar.json']);
    expect((await state.load()).identity).toBeNull();
  });
});
