import { createServer } from 'node:tls';
import { HOUR_MS, MINUTE_MS, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { askRegistrar } from '#enforcer/mesh/registrar/client.ts';
import { makeHttpsIdentity } from '#enforcer/mesh/registrar/https-identity.ts';
import { type Joined, joinMesh, openKeys } from '#enforcer/mesh/registrar/joining.ts';
import { proveJoin, proveMember, readJoinAnswer, readKeysAnswer, readRenewAnswer } from '#enforcer/mesh/registrar/messages.ts';
import type { JoinToken } from '#enforcer/mesh/registrar/token.ts';
import { NODE_LIFE_MS, type NodeCertificate, readCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf, kidOf, xPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { issueRevocations } from '#enforcer/mesh/signed/revocations.ts';
import { NOON, real, secretOf } from '#test/support/hm1.ts';
import { identityOf, type RegistrarScene, registrarScene } from '#test/support/mesh-registrar.ts';

let scene: RegistrarScene;
beforeEach(async () => {
  scene = await registrarScene();
});
afterEach(async () => {
  expect(scene.bugs).toEqual([]);
  await scene.close();
});

const join = (token: JoinToken, name = 'anvil', now: number = NOON): Promise<Joined> =>
  joinMesh({ token, identity: identityOf(name), bind: '0.0.0.0:7946', known: null }, { signatures: real, now: () => unixMs(now) });

async function refusal(joining: Promise<Joined>): Promise<HoneyMeshError> {
  const error = await joining.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof HoneyMeshError) return error;
  throw new Error(`not refused as it should be: ${String(error)}`);
}

const place = () => ({ address: `127.0.0.1:${scene.port}`, pin: scene.pin });

describe('a host with a good token', () => {
  test('gets a certificate of its site, the keys sealed for it, whom to trust and whom to meet', async () => {
    const joined = await join(scene.token());
    expect(joined.certificate).toMatchObject({ nodeName: 'anvil', site: 'home', notBefore: NOON, notAfter: NOON + NODE_LIFE_MS });
    expect(joined.keys).toEqual(scene.keys);
    expect(joined.trust).toMatchObject({ clusterId: scene.trust.clusterId, rootPublic: scene.trust.rootPublic, registrars: scene.trust.registrars });
    expect(joined.membership).toEqual({
      bind: '0.0.0.0:7946',
      join: ['127.0.0.1:7946', '192.0.2.1:7946', '192.0.2.2:7946'],
      label: 'honeymesh',
      registrar: place(),
    });
    expect(scene.keeping.hosts(NOON).map(host => host.nodeName)).toEqual(['anvil']);
    expect(scene.done).toEqual([expect.stringMatching(/^anvil \(key [0-9a-f]{16}\) joined the mesh for site home with invitation [0-9a-f]{8}$/)]);
  });

  test('finds the registrar at the second address where the first one is dead', async () => {
    const token = scene.token();
    expect((await join({ ...token, addresses: ['127.0.0.1:1', ...token.addresses] })).address).toBe(`127.0.0.1:${scene.port}`);
  });

  test('is told its own list of revoked keys first, and never more than an answer may hold', async () => {
    const [big, many] = [new Uint8Array(49_000), 40];
    scene.trust = { ...scene.trust, revocations: Array.from({ length: many }, (_, at) => big.slice().fill(at)) };
    const { trust } = await join(scene.token());
    expect(trust.registrars).toEqual(scene.trust.registrars);
    expect(trust.revocations.length).toBeGreaterThan(5);
    expect(trust.revocations.length).toBeLessThan(many);
  });

  test('whose answer was lost may ask again with the same key, and nobody else may', async () => {
    const token = scene.token();
    await join(token);
    expect((await join(token)).certificate.nodeName).toBe('anvil');
    expect((await refusal(join(token, 'badger'))).message).toBe('the token was used already');
  });
});

describe('a token is refused', () => {
  test('when another host has used it', async () => {
    const token = scene.token();
    await join(token);
    const error = await refusal(join(token, 'badger'));
    expect(error).toMatchObject({ code: 'HM_REFUSED', message: 'the token was used already', fix: expect.stringContaining('events list --kind auth') });
    expect(scene.refused).toEqual(['used-token']);
    expect(scene.keeping.hosts(NOON)).toHaveLength(1);
  });

  test('when it has expired, by the host and by the registrar alike', async () => {
    const token = scene.token({ ttlMs: MINUTE_MS });
    expect((await refusal(join(token, 'anvil', NOON + HOUR_MS))).message).toMatch(/^the token expired at 2026-11-24T12:01:00.000Z/);
    scene.now = unixMs(NOON + MINUTE_MS);
    expect((await refusal(join(token, 'anvil', NOON + MINUTE_MS))).message).toBe('the token has expired');
  });

  test('when the registrar never made it, or has cancelled it', async () => {
    expect((await refusal(join({ ...scene.token(), secret: new Uint8Array(16) }))).message).toBe('the registrar does not know this token');
    const token = scene.token();
    const [, second] = scene.keeping.invites.openOnes(NOON);
    scene.keeping.invites.cancel(second?.id ?? '', NOON);
    expect((await refusal(join(token))).message).toBe('the token was cancelled');
  });

  test('where the clocks are apart, and is good still when they are mended', async () => {
    const token = scene.token();
    const error = await refusal(join(token, 'anvil', NOON + 42_000));
    expect(error.message).toBe("this host's clock is 42 s ahead of the registrar's; 30 s are allowed");
    expect((await refusal(join(token, 'anvil', NOON - 31_000))).message).toBe("this host's clock is 31 s behind the registrar's; 30 s are allowed");
    expect((await join(token, 'anvil', NOON + 29_000)).certificate.nodeName).toBe('anvil');
  });

  test('where another host that holds has the name, and not once that one was revoked', async () => {
    const first = await join(scene.token());
    const other = { ...identityOf('badger'), nodeName: 'anvil' };
    const again = () => joinMesh({ token, identity: other, bind: '', known: null }, { signatures: real, now: () => NOON });
    const token = scene.token();
    expect((await refusal(again())).fix).toContain('honeymesh mesh revoke anvil');
    scene.revoke(first.certificate.kid);
    expect((await again()).certificate.kid).toBe(kidOf(edPublicOf(other.edSecret)));
  });

  test('for a site that the registrar may not certify', async () => {
    const secret = secretOf('elsewhere').subarray(0, 16);
    scene.keeping.invites.open({ secret, site: 'shop', ttlMs: HOUR_MS, uses: 1 }, NOON);
    expect((await refusal(join({ ...scene.token(), secret, site: 'shop' }))).message).toContain('may not certify hosts of site shop');
  });

  test('for a key that was revoked', async () => {
    const { certificate } = await join(scene.token());
    scene.revoke(certificate.kid);
    expect((await refusal(join(scene.token()))).fix).toContain('honeymesh mesh leave');
  });

  test('once the certificate of the registrar has ended', async () => {
    scene.now = unixMs(NOON + 30 * 24 * HOUR_MS);
    const token = scene.token();
    expect((await refusal(join(token, 'anvil', scene.now))).fix).toContain('honeymesh mesh init --root-file');
  });
});

describe('the secret is told to nobody but the registrar', () => {
  test('who answers with another key is sent not a byte', async () => {
    const { key, certificate } = await makeHttpsIdentity(NOON);
    let received = 0;
    const impostor = createServer({ key, cert: certificate }, socket => {
      socket.on('data', bytes => {
        received += bytes.length;
      });
      socket.on('error', () => {});
    });
    await new Promise<void>(resolve => impostor.listen(0, '127.0.0.1', resolve));
    const { port } = impostor.address() as { port: number };
    const error = await refusal(join(scene.token({ addresses: [`127.0.0.1:${port}`] })));
    expect(error.message).toContain('who answers there has another key than the registrar of this token');
    await new Promise(resolve => setTimeout(resolve, 50));
    expect(received).toBe(0);
    await new Promise(resolve => impostor.close(resolve));
  });

  test('and a registrar that cannot be reached is named with what to look at', async () => {
    const error = await refusal(join(scene.token({ addresses: ['127.0.0.1:1'] })));
    expect(error).toMatchObject({
      message: 'the registrar was not found: 127.0.0.1:1: nothing listens there',
      fix: expect.stringContaining('mesh invite --address'),
    });
  });
});

test('a host that cannot sign for its key is not certified, nor does it cost the invitation', async () => {
  const token = scene.token();
  const [mine, theirs] = [identityOf('anvil'), identityOf('badger')];
  const words = { secret: token.secret, nodeName: 'anvil', edPublic: edPublicOf(theirs.edSecret), xPublic: xPublicOf(mine.xSecret), time: NOON };
  const stolen = proveJoin(words, token, mine.edSecret, real);
  expect(await askRegistrar(place(), 'join', { ...stolen }, readJoinAnswer)).toMatchObject({ failure: { why: 'bad-proof' } });
  expect((await join(token)).certificate.nodeName).toBe('anvil');
});

test('an answer of another root is not believed by a host that knows its own', async () => {
  const known = { ...scene.trust, rootPublic: edPublicOf(secretOf('another root')) };
  const joining = joinMesh({ token: scene.token(), identity: identityOf('anvil'), bind: '', known }, { signatures: real, now: () => NOON });
  expect((await refusal(joining)).message).toContain('its root is not the one that this host knows');
});

describe('a certified host', () => {
  let certificate: NodeCertificate;
  const identity = identityOf('anvil');
  const nonce = (text: string): Uint8Array => secretOf(text).subarray(0, 16);
  const ask = (route: 'renew' | 'keys', more: { nonce?: string; time?: number; secret?: Uint8Array; certificate?: Uint8Array } = {}) => {
    const words = { certificate: more.certificate ?? certificate.bytes, time: unixMs(more.time ?? scene.now), nonce: nonce(more.nonce ?? 'one') };
    const request = proveMember(route, words, { clusterId: scene.trust.clusterId, pin: scene.pin }, more.secret ?? identity.edSecret, real);
    return route === 'renew' ? askRegistrar(place(), route, { ...request }, readRenewAnswer) : askRegistrar(place(), route, { ...request }, readKeysAnswer);
  };
  beforeEach(async () => {
    ({ certificate } = await join(scene.token()));
  });

  test('has its certificate renewed for the same keys, name and site', async () => {
    scene.now = unixMs(NOON + 25 * 24 * HOUR_MS);
    const answer = await ask('renew');
    if (!answer.ok || !('certificate' in answer.value)) throw new Error(JSON.stringify(answer));
    const renewed = readCertificate(answer.value.certificate);
    expect(renewed).toMatchObject({ ok: true, value: { nodeName: 'anvil', site: 'home', kid: certificate.kid, notBefore: scene.now } });
  });

  test('gets nothing for a renewal that was said before, by whomever', async () => {
    expect((await ask('renew')).ok).toBe(true);
    expect(await ask('renew')).toMatchObject({ failure: { why: 'replayed' } });
    scene.now = unixMs(NOON + 31_000);
    expect(await ask('renew', { time: NOON })).toMatchObject({ failure: { why: 'clock-skew' } });
  });

  test('cannot be spoken for by who has its certificate but not its key', async () => {
    expect(await ask('renew', { secret: secretOf('thief') })).toMatchObject({ failure: { why: 'bad-proof' } });
    expect(await ask('keys', { secret: secretOf('thief') })).toMatchObject({ failure: { why: 'bad-proof' } });
  });

  test('what is signed for one route is of no use on the other', async () => {
    const words = { certificate: certificate.bytes, time: NOON, nonce: nonce('two') };
    const request = proveMember('renew', words, { clusterId: scene.trust.clusterId, pin: scene.pin }, identity.edSecret, real);
    expect(await askRegistrar(place(), 'keys', { ...request }, readKeysAnswer)).toMatchObject({ failure: { why: 'bad-proof' } });
  });

  test('fetches the keys that it slept through, sealed for it alone', async () => {
    scene.keys = { keys: [secretOf('next'), secretOf('group key')], generation: 4 };
    const answer = await ask('keys');
    if (!answer.ok || !('sealed' in answer.value)) throw new Error(JSON.stringify(answer));
    expect(answer.value).toMatchObject({ issuer: certificate.registrar, generation: 4 });
    expect(openKeys(answer.value, certificate, identity)).toEqual(scene.keys);
    expect(openKeys(answer.value, certificate, identityOf('badger'))).toBeNull();
    expect(JSON.stringify(answer.value)).not.toContain(Buffer.from(secretOf('next')).toString('base64'));
  });

  test('gets nothing more once it was revoked', async () => {
    scene.revoke(certificate.kid);
    expect(await ask('renew')).toMatchObject({ failure: { why: 'revoked' } });
    expect(await ask('keys', { nonce: 'two' })).toMatchObject({ failure: { why: 'revoked' } });
    expect(scene.refused).toEqual(['revoked', 'revoked']);
  });

  test('gets nothing from the registrar that revoked it a moment ago, though the member has not written that down yet', async () => {
    const self = scene.keeping.self();
    if (self?.certificate == null) throw new Error('no registrar');
    const list = { clusterId: scene.trust.clusterId, number: 1, entries: [{ kid: certificate.kid, notAfter: certificate.notAfter }] };
    const { bytes } = issueRevocations(list, { kid: self.certificate.kid, secret: self.edSecret }, real, scene.now);
    await scene.keeping.keepSelf({ ...self, revocations: bytes });
    expect(await ask('keys')).toMatchObject({ failure: { why: 'revoked' } });
  });

  test('gets nothing once its certificate has ended, or with one of another root', async () => {
    const forged = certificate.bytes.slice();
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(await ask('keys', { certificate: forged })).toMatchObject({ failure: { why: 'unknown-host' } });
    scene.now = unixMs(certificate.notAfter);
    expect(await ask('keys')).toMatchObject({ failure: { why: 'registrar-expired' } });
  });
});
