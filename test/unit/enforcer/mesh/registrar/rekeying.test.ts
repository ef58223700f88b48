import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSignedBy, openEnvelope } from '@honeymesh/intel/envelope';
import { decodeRekey, MOST_RECIPIENTS } from '@honeymesh/intel/envelope-bodies';
import { DAY_MS, SECOND_MS, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MeshKeys, MeshLink, MeshTrust } from '#enforcer/mesh/port.ts';
import type { Registrar } from '#enforcer/mesh/registrar/desk.ts';
import { makeHttpsIdentity } from '#enforcer/mesh/registrar/https-identity.ts';
import { openRegistrarKeeping, type RegistrarKeeping } from '#enforcer/mesh/registrar/keeping.ts';
import { CALM_PACE, createRekeying, type Rekeying, URGENT_PACE } from '#enforcer/mesh/registrar/rekeying.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { misuseOf } from '#enforcer/mesh/signed/misuse.ts';
import { areRevocationsSignedBy, readRevocations } from '#enforcer/mesh/signed/revocations.ts';
import { openGroupKey } from '#enforcer/mesh/signed/sealed-keys.ts';
import { CLUSTER, type Host, layerOf, NOON, real, secretOf, trust } from '#test/support/hm1.ts';

const trusted = trust(real);
const https = await makeHttpsIdentity(NOON);
let directory: string;
let keeping: RegistrarKeeping;
let announced: Uint8Array[];
let learnt: Uint8Array[];
let held: MeshKeys;
let members: Host[];
let up: boolean;
let known: MeshTrust | null;
let randoms: number;

const self = (): Registrar => ({ ...keeping.self(), certificate: trusted.registrar }) as Registrar;

function rekeying(label = 9): Rekeying {
  const link = {
    certified: async () => (up ? members.map(member => member.certificate.bytes) : null),
    keys: async () => (up ? held : null),
    async announce(bytes: Uint8Array) {
      if (!up) return null;
      announced.push(bytes);
      return [];
    },
    async learn(_certificates: readonly Uint8Array[], lists: readonly Uint8Array[]) {
      if (!up) return null;
      learnt.push(...lists);
      return [];
    },
  } as unknown as MeshLink;
  const random = (length: number) => secretOf(`random ${randoms++}`).subarray(0, length);
  return createRekeying({ keeping, link, trust: async () => known, signatures: real, now: () => NOON, random, labelBytes: () => label });
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'honeymesh-rekeying-'));
  keeping = await openRegistrarKeeping(directory, () => NOON);
  await keeping.keepSelf({
    edSecret: trusted.registrarSecret,
    certificate: trusted.registrar,
    https,
    epoch: 7,
    seq: 3,
    generation: 0,
    revocations: null,
  });
  [announced, learnt, up, known, randoms] = [[], [], true, null, 0];
  held = { keys: [secretOf('old key')], generation: 4 };
  members = Array.from({ length: 40 }, (_, at) => trusted.host(`host-${at}`));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const envelopes = () =>
  announced.map(bytes => {
    const opened = openEnvelope(bytes);
    if (!opened.ok) throw new Error(opened.why);
    return opened.value;
  });

describe('a rotation', () => {
  test('seals the next generation to every certified host, in envelopes that fit a datagram and that no rule forbids', async () => {
    expect(await rekeying().rotate(self(), CALM_PACE)).toEqual({
      generation: 5,
      useAt: NOON + 90 * SECOND_MS,
      dropOldAt: NOON + 690 * SECOND_MS,
      hosts: 40,
    });
    expect(announced).toHaveLength(Math.ceil(40 / MOST_RECIPIENTS));
    const opened = envelopes();
    expect(opened.map(({ epoch, seq }) => [epoch, seq])).toEqual(announced.map((_, at) => [8, at + 1]));
    for (const one of opened) {
      expect(isSignedBy(one, trusted.registrar.edPublic, CLUSTER, real)).toBe(true);
      for (const other of opened) if (one !== other) expect(misuseOf(one, other)).toBeNull();
    }
    const keys = members.map(({ certificate, xSecret }) => {
      const groups = opened.map(({ body }) => {
        const rekey = decodeRekey(body);
        return rekey.ok ? openGroupKey(rekey.value, { kid: certificate.kid, xSecret }, { clusterId: CLUSTER, issuer: trusted.registrar.kid }) : null;
      });
      return groups.filter(group => group !== null).map(group => Buffer.from(group.key).toString('hex'));
    });
    expect(new Set(keys.flat()).size).toBe(1);
    expect(keys.every(one => one.length === 1)).toBe(true);
  });

  test('is taken by the HM1 layer of a member, which uses the key when it is time', async () => {
    await rekeying().rotate(self(), URGENT_PACE);
    const [member] = members as [Host];
    const { layer } = layerOf(trusted, member, { keys: held.keys, keyGeneration: held.generation });
    const steps = announced.flatMap(bytes => layer.payload(bytes, '192.0.2.1:7946', NOON)).filter(output => output.kind.endsWith('-key'));
    expect(steps.map(step => step.kind)).toEqual(['add-key']);
    expect(layer.tick(unixMs(NOON + 3 * SECOND_MS)).filter(output => output.kind.endsWith('-key'))).toMatchObject([{ kind: 'use-key', generation: 5 }]);
  });

  test('leaves fewer recipients to an envelope where a long label takes of each datagram', async () => {
    await rekeying(255).rotate(self(), CALM_PACE);
    expect(Math.max(...announced.map(bytes => bytes.length))).toBeLessThanOrEqual(1_355 - 246);
    expect(envelopes().length).toBeGreaterThan(Math.ceil(40 / MOST_RECIPIENTS));
  });

  test('gives no number and no generation twice, also over a crash', async () => {
    const first = rekeying();
    await first.rotate(self(), CALM_PACE);
    await first.rotate(self(), CALM_PACE);
    keeping = await openRegistrarKeeping(directory, () => NOON);
    await rekeying().rotate(self(), CALM_PACE);
    const numbers = envelopes().map(({ epoch, seq }) => `${epoch} ${seq}`);
    expect(new Set(numbers).size).toBe(numbers.length);
    const generations = envelopes().map(({ body }) => {
      const rekey = decodeRekey(body);
      return rekey.ok ? rekey.value.generation : 0;
    });
    expect(new Set(generations)).toEqual(new Set([5, 6, 7]));
    expect(envelopes().at(-1)?.epoch).toBe(9);
  });

  test('is numbered beyond one of another registrar that is under way', async () => {
    held = { keys: [secretOf('old key'), secretOf("another registrar's")], generation: 4 };
    expect(await rekeying().rotate(self(), URGENT_PACE)).toMatchObject({ generation: 6 });
  });

  test('that is under way is what a host that joins now begins with', async () => {
    const one = rekeying();
    expect(await one.keys()).toEqual(held);
    await one.rotate(self(), CALM_PACE);
    const [member] = members as [Host];
    const rekey = decodeRekey(envelopes()[0]?.body ?? new Uint8Array(0));
    const group =
      rekey.ok && openGroupKey(rekey.value, { kid: member.certificate.kid, xSecret: member.xSecret }, { clusterId: CLUSTER, issuer: trusted.registrar.kid });
    if (!group) throw new Error('not sealed');
    // The member has not taken it: another registrar's key of this generation has won.
    expect(await one.keys()).toEqual(held);
    held = { keys: [secretOf('old key'), group.key], generation: 4 };
    const coming = await one.keys();
    expect(coming).toMatchObject({ generation: 5 });
    expect(coming?.keys).toHaveLength(2);
    expect(coming?.keys[1]).toEqual(secretOf('old key'));
    held = { keys: [coming?.keys[0] ?? new Uint8Array(0)], generation: 5 };
    expect(await one.keys()).toEqual(held);
  });

  test('where the mesh is down is refused with the reason', async () => {
    up = false;
    await expect(rekeying().rotate(self(), CALM_PACE)).rejects.toMatchObject({ code: 'HM_REFUSED', message: expect.stringContaining('the mesh is down') });
  });
});

describe('a revocation', () => {
  const entry = (name: string) => ({ kid: trusted.host(name).certificate.kid, notAfter: unixMs(NOON + 10 * DAY_MS) });
  const lists = () =>
    learnt.map(bytes => {
      const read = readRevocations(bytes);
      if (!read.ok) throw new Error(read.why);
      return read.value;
    });

  test('is the next list of the registrar, with all who were on the one before', async () => {
    const one = rekeying();
    await one.revoke(self(), entry('host-1'));
    expect(await one.revoke(self(), entry('host-2'))).toEqual({ number: 2 });
    expect(lists().map(({ number, entries }) => [number, entries.length])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(lists().every(list => areRevocationsSignedBy(list, edPublicOf(trusted.registrarSecret), real))).toBe(true);
  });

  test('goes on from what the mesh knows where the disk is older', async () => {
    await rekeying().revoke(self(), entry('host-1'));
    await rekeying().revoke(self(), entry('host-2'));
    known = { clusterId: CLUSTER, rootPublic: secretOf('x'), certificate: secretOf('x'), registrars: [], revocations: [learnt[1] ?? secretOf('x')], names: [] };
    await keeping.keepSelf({ ...self(), revocations: null });
    expect(await rekeying().revoke(self(), entry('host-3'))).toEqual({ number: 3 });
    expect(lists().at(-1)?.entries).toHaveLength(3);
  });
});

test('what a registrar keeps is set aside where it is damaged, and said', async () => {
  const folder = join(directory, 'registrar');
  writeFileSync(join(folder, 'registrar.json'), '{"version":1,"edSecret":"AAAA"}');
  writeFileSync(join(folder, 'invites.json'), 'garbage');
  const again = await openRegistrarKeeping(directory, () => NOON);
  expect(again.self()).toBeNull();
  expect(again.damaged.map(({ fix }) => fix)).toEqual([expect.stringContaining('mesh init --root-file'), expect.stringContaining('mesh invite')]);
  expect(readdirSync(folder).filter(name => name.includes('.damaged-'))).toHaveLength(2);
});
