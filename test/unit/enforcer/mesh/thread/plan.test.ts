import { unixMs } from '@honeymesh/intel/time';
import { describe, expect, test } from 'vitest';
import type { MeshConfig } from '#enforcer/config/config.ts';
import { parseConfig } from '#enforcer/config/load.ts';
import type { MeshKept } from '#enforcer/mesh/port.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { keyNote, nameFrom, planMesh } from '#enforcer/mesh/thread/plan.ts';
import { CLUSTER, NOON, real, trust } from '#test/support/hm1.ts';

const facts = { hostName: 'host.example', directory: '/state/mesh' };
const nothing: MeshKept = { identity: null, trust: null, keys: null, membership: null, epoch: 0, envelopes: [], damaged: [] };
const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function configured(text: string): MeshConfig | undefined {
  const { config, problems } = parseConfig(`mesh: ${text}`, 'c');
  expect(problems).toEqual([]);
  return config?.mesh;
}

function certified(more: Partial<MeshKept> = {}): MeshKept {
  const trusted = trust(real);
  const { certificate, edSecret, xSecret } = trusted.host('h1', 'lab');
  return {
    ...nothing,
    identity: { nodeName: 'h1', edSecret, xSecret },
    trust: {
      clusterId: CLUSTER,
      rootPublic: edPublicOf(trusted.rootSecret),
      certificate: certificate.bytes,
      registrars: [trusted.registrar.bytes],
      revocations: [],
      names: ['h1'],
    },
    keys: { keys: [key(1)], generation: 1 },
    membership: { bind: '0.0.0.0:17946', join: ['192.0.2.9:7946'], label: 'kept', registrar: null },
    ...more,
  };
}

describe('whether this host is a member, and as whom', () => {
  test('neither configured nor kept: it is off, and no port is kept free', () => {
    expect(planMesh(undefined, nothing, facts)).toEqual({ settings: null, wanted: false, signatures: 'off', ports: { tcp: [], udp: [] }, complaints: [] });
  });

  test('configured alone: by the name of the host, its signatures off, its keyring begun with the key', () => {
    const { settings, complaints, signatures } = planMesh(configured(`{ join: [peer.example, "[2001:db8::1]:80"], key: ${base64(key(7))} }`), nothing, facts);
    expect(complaints).toEqual([]);
    expect(signatures).toBe('off');
    expect(settings).toEqual({
      nodeName: 'host.example',
      bind: '0.0.0.0',
      port: 7946,
      advertise: null,
      join: ['peer.example:7946', '[2001:db8::1]:80'],
      label: '',
      profile: 'lan',
      signatures: 'off',
      seedKey: key(7),
      directory: '/state/mesh',
    });
  });

  test('kept alone: as it was joined, signatures required, its ports none for traps', () => {
    const { settings, signatures, ports } = planMesh(undefined, certified(), facts);
    expect(settings).toMatchObject({
      nodeName: 'h1',
      bind: '0.0.0.0',
      port: 17_946,
      join: ['192.0.2.9:7946'],
      label: 'kept',
      signatures: 'required',
      seedKey: null,
    });
    expect(signatures).toBe('required');
    expect(ports).toEqual({ tcp: [17_946, 7947], udp: [17_946] });
  });

  test('both: the configuration wins, but for the name in the certificate and the keys that are kept', () => {
    const config = configured(
      `{ bind: "[::]:7000", join: [a], label: mine, name: other, signatures: preferred, key: ${base64(key(7))}, registrar: "0.0.0.0:7001" }`,
    );
    const { settings, ports } = planMesh(config, certified(), facts);
    expect(settings).toMatchObject({ nodeName: 'h1', bind: '::', port: 7000, join: ['a:7946'], label: 'mine', signatures: 'preferred', seedKey: null });
    expect(ports).toEqual({ tcp: [7000, 7001], udp: [7000] });
  });
});

describe('what is wrong is said', () => {
  test('required without a certificate does not begin, and says how to get one', () => {
    const { settings, wanted, complaints } = planMesh(configured(`{ signatures: required, key: ${base64(key(7))} }`), nothing, facts);
    expect([settings, wanted]).toEqual([null, true]);
    expect(complaints.map(one => one.key)).toEqual(['identity']);
    expect(complaints[0]?.fix).toContain('mesh join TOKEN');
  });

  test('a mesh without a key speaks in clear', () => {
    expect(planMesh(configured('{}'), nothing, facts).complaints.map(one => one.key)).toEqual(['key']);
  });

  test('a site that is not the one of the certificate', () => {
    expect(planMesh(configured('{ site: home }'), certified(), facts).complaints).toMatchObject([
      { key: 'site', why: expect.stringContaining('certified for the site lab') },
    ]);
    expect(planMesh(configured('{ site: lab }'), certified(), facts).complaints).toEqual([]);
  });

  test('what was damaged on the disk, also where nothing is left of a membership', () => {
    const damaged = [{ why: 'trust.json is damaged', fix: 'join again' }];
    expect(planMesh(undefined, { ...nothing, damaged }, facts).complaints).toEqual([{ key: 'kept 0', ...damaged[0] }]);
  });
});

test.each([
  ['Host_1.example', 'Host_1.example'],
  ['-a b', 'a-b'],
  ['', 'honeymesh'],
  ['ünï', 'n-'],
  ['x'.repeat(80), 'x'.repeat(63)],
])('the host %j is the member %j', (host, name) => {
  expect(nameFrom(host)).toBe(name);
});

test('config check says where mesh.key counts no more', () => {
  const config = configured(`{ key: ${base64(key(7))} }`);
  expect(keyNote(config, [])).toBeNull();
  expect(keyNote(configured('{}'), [key(7)])).toBeNull();
  expect(keyNote(config, [key(7), key(1)])).toEqual({ differs: false, text: expect.stringContaining('the key in use') });
  expect(keyNote(config, [key(1), key(7)])).toEqual({ differs: true, text: expect.stringContaining('an older key') });
  expect(keyNote(config, [key(1)])).toEqual({ differs: true, text: expect.stringContaining('none of the keys') });
  expect(unixMs(NOON)).toBe(NOON);
});
