/** What outlasts a restart, and what a registrar orders. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeIntel } from '@honeymesh/intel/advisories';
import { sealEnvelope } from '@honeymesh/intel/envelope';
import { encodeRekey } from '@honeymesh/intel/envelope-bodies';
import { DAY_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyIdOf } from '#enforcer/mesh/host/ring.ts';
import type { MemberEvent } from '#enforcer/mesh/protocol/core/outputs.ts';
import { readCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { verdictOf } from '#enforcer/mesh/signed/misuse.ts';
import { issueRevocations } from '#enforcer/mesh/signed/revocations.ts';
import { sealGroupKey } from '#enforcer/mesh/signed/sealed-keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { advice, CLUSTER, NOON, prefix, real, secretOf, signedBy } from '#test/support/hm1.ts';
import { createTestHosts, GROUP_KEY, meet, stateOf, told } from '#test/support/mesh-host.ts';
import { createStranger, sealedPacket } from '#test/support/mesh-stranger.ts';

let hosts: ReturnType<typeof createTestHosts>;
beforeEach(() => {
  hosts = createTestHosts();
});
afterEach(() => hosts.stop());

const soon = (ms: number): UnixMs => unixMs(hosts.now() + ms);
const target = prefix('203.0.113.7/32');
const shared = (more = {}) => ({ kind: 'advise', target, tier: 'E1', reasons: ['trap-touch'], expiresAt: soon(60_000), ...more }) as const;

describe('a restart', () => {
  test('keeps words, names, incarnation and keys, and begins an epoch of its own', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    bruna.host.share([shared(), shared({ target: prefix('203.0.113.8/32') })]);
    alba.host.share([shared({ target: prefix('203.0.113.9/32') })]);
    await alba.until('it heard', () => alba.heard().length === 2);
    const before = alba.host.node.self().incarnation;
    await alba.stop();
    await bruna.stop();
    const kept = await createMeshState(alba.directory).load();
    expect(kept.trust?.names).toEqual(expect.arrayContaining(['alba', 'bruna']));
    expect(kept.epoch).toBe(1);
    // Alone: nobody is there to tell.
    const again = await hosts.start('alba', { directory: alba.directory, settings: { seedKey: secretOf('another') } });
    await again.until('it remembers', () => again.heard().length === 2);
    expect([...again.heard()].sort()).toEqual(['advice 203.0.113.7/32', 'advice 203.0.113.8/32']);
    expect(again.host.node.self().incarnation).toBeGreaterThan(before);
    expect((await createMeshState(alba.directory).load()).epoch).toBe(2);
    expect(again.host.keys().keys).toEqual([GROUP_KEY]);
    expect(again.host.view().hosts).toBe(2);
    // What it said before it can still take back.
    again.host.withdraw([prefix('203.0.113.9/32')], false);
    await again.until('it said so', () => (again.host.view().counts.envelopesSaid ?? 0) === 1);
  });

  test('remembers who was certified: nobody takes such a name without a signature', async () => {
    const preferred = { settings: { signatures: 'preferred' } } as const;
    const [alba, bruna] = [await hosts.start('alba', preferred), await hosts.start('bruna', preferred)];
    await meet(alba, bruna);
    await alba.stop();
    await bruna.stop();
    // Even where the certificate itself is gone.
    await rm(join(alba.directory, 'envelopes.bin'));
    const again = await hosts.start('alba', { ...preferred, directory: alba.directory });
    const { versions } = again.host.node.self();
    const stranger = await createStranger();
    for (const node of ['bruna', 'dora'])
      await stranger.say(
        again.port,
        sealedPacket({ kind: 'alive', node, incarnation: 900, address: Uint8Array.of(127, 0, 0, 9), port: 7_946, meta: new Uint8Array(), versions }),
      );
    stranger.close();
    await again.until('it knows dora', () => stateOf(again, 'dora') !== 'unknown');
    expect(stateOf(again, 'bruna')).toBe('unknown');
    await again.stop();
    expect(again.refusals()).toMatchObject({ 'alive: name-is-certified': 1 });
  });

  test('that is cut short by another loses nothing', async () => {
    const alba = await hosts.start('alba');
    await alba.stop();
    const teller = hosts.trusted.host('teller');
    const said = Array.from({ length: 3_000 }, (_, at) => {
      const body = encodeIntel({ advice: [advice(`198.18.${at >> 8}.${at & 255}/32`)], withdrawals: [] });
      return signedBy(teller, body, real, { seq: at + 1, issuedAt: unixMs(NOON + at * 500 - 1_500_000) });
    });
    await createMeshState(alba.directory).keepEnvelopes([teller.certificate.bytes, ...said]);
    const short = await hosts.start('alba', { directory: alba.directory });
    await short.until('it began', () => short.heard().length > 0);
    await short.stop();
    expect(short.heard().length).toBeLessThan(3_000);
    const again = await hosts.start('alba', { directory: alba.directory });
    await again.until('it heard all', () => new Set([...short.heard(), ...again.heard()]).size === 3_000);
    // Nor is anything there twice in the end.
    await again.stop();
    const { envelopes } = await createMeshState(alba.directory).load();
    expect(envelopes.filter(bytes => bytes[2] === 49)).toHaveLength(3_000);
  });

  test('does not bring back what was taken back, even where nobody had time to say goodbye', async () => {
    const said: Uint8Array[] = [];
    const onEvent = (event: MemberEvent): void => void (event.kind === 'user' && said.push(Uint8Array.from(event.payload)));
    const [alba, bruna] = [await hosts.start('alba', { deps: { onEvent } }), await hosts.start('bruna')];
    await meet(alba, bruna);
    bruna.host.share([shared()]);
    await alba.until('it heard', () => alba.heard().length === 1);
    bruna.host.share([{ kind: 'withdraw', target, asError: false }]);
    await alba.until('it was taken back', () => alba.heard().length === 2);
    await sleep(1_500);
    // As after a crash: the folder as it is, with the first host still running.
    const kept = await createMeshState(alba.directory).load();
    await alba.stop();
    await createMeshState(alba.directory).keepEnvelopes(kept.envelopes);
    // Nobody is there who could tell it.
    await bruna.stop();
    const again = await hosts.start('alba', { directory: alba.directory });
    await sleep(300);
    // What bruna said first, thrown in once more by one who is allowed to speak, before one who can judge it.
    expect(again.host.learn([hosts.trusted.host('bruna').certificate.bytes], [])).toEqual([]);
    for (const payload of said) again.host.announce(payload);
    await sleep(100);
    expect(again.heard().filter(what => what.startsWith('advice'))).toEqual([]);
  });

  test('with its count lost complains, unless its own words tell the count', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    alba.host.share([shared()]);
    await alba.stop();
    await bruna.stop();
    await rm(join(alba.directory, 'epoch.json'));
    const again = await hosts.start('alba', { directory: alba.directory });
    expect(again.complaints()).toEqual([]);
    await again.stop();
    expect((await createMeshState(alba.directory).load()).epoch).toBe(2);
    for (const name of ['epoch.json', 'envelopes.bin']) await rm(join(alba.directory, name));
    expect((await hosts.start('alba', { directory: alba.directory })).complaints()).toEqual(['own-key']);
  });

  test('with its count lost is told of by what others remember', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    alba.host.share([shared()]);
    await bruna.until('it heard', () => bruna.heard().length === 1);
    await alba.stop();
    const again = await hosts.start('alba', { settings: { join: [`127.0.0.1:${bruna.port}`] } });
    await again.until('it complains', () => again.complaints().includes('own-key'));
  });
});

describe('what is remembered of others and of the key', () => {
  test('two contents under one number cost a peer its trust, and are kept as proof', async () => {
    const alba = await hosts.start('alba');
    const liar = hosts.trusted.host('liar');
    alba.host.learn([liar.certificate.bytes], []);
    const lies = ['203.0.113.1/32', '203.0.113.2/32', '203.0.113.3/32'].map(about =>
      signedBy(liar, encodeIntel({ advice: [advice(about)], withdrawals: [] }), real, { issuedAt: hosts.now() }),
    );
    for (const lie of lies) alba.host.announce(lie);
    expect(alba.heard()).toEqual(['advice 203.0.113.1/32', 'misconduct', 'misconduct']);
    await alba.stop();
    const { proofs = [] } = await createMeshState(alba.directory).load();
    expect(proofs).toEqual([liar.certificate.bytes, lies[0], lies[1]]);
    const [certificate, one, other] = proofs as [Uint8Array, Uint8Array, Uint8Array];
    const read = readCertificate(certificate);
    expect(read.ok && verdictOf([one, other], read.value, real)).toBe('two-contents');
    // The first is enough, also over a restart.
    const again = await hosts.start('alba', { directory: alba.directory });
    again.host.learn([liar.certificate.bytes], []);
    for (const lie of lies.toReversed()) again.host.announce(lie);
    await again.stop();
    expect((await createMeshState(alba.directory).load()).proofs).toEqual(proofs);
  });

  test('what a key encrypted before counts after a restart, and not for the next key', async () => {
    const alba = await hosts.start('alba');
    await alba.stop();
    const state = createMeshState(alba.directory);
    await state.keepUse?.({ keyId: keyIdOf(GROUP_KEY), encrypted: 2 ** 31 });
    const again = await hosts.start('alba', { directory: alba.directory });
    expect(again.complaints()).toEqual(['key-budget']);
    again.host.adoptKeys({ keys: [secretOf('next')], generation: 1 });
    await again.stop();
    const other = await hosts.start('alba', { directory: alba.directory });
    expect(other.complaints()).toEqual([]);
  });
});

describe('orders of a registrar', () => {
  test('a new group key, sealed to each, is used by all from its time on, and the old one is dropped', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    const certified = alba.host.certified().map(bytes => readCertificate(bytes));
    const recipients = certified.flatMap(read => (read.ok && read.value.kind === 'node' ? [read.value] : []));
    expect(recipients.map(({ nodeName }) => nodeName).sort()).toEqual(['alba', 'bruna']);
    const key = secretOf('next group');
    const sealing = { clusterId: CLUSTER, issuer: hosts.trusted.registrar.kid, ephemeralSecret: secretOf('once') };
    const body = sealGroupKey({ generation: 1, key, useAt: soon(300), dropOldAt: soon(900) }, recipients, sealing);
    const header = { kid: hosts.trusted.registrar.kid, epoch: 1, seq: 1, issuedAt: hosts.now(), ttlS: 3_600, type: 'rekey' } as const;
    const envelope = sealEnvelope(header, encodeRekey(body), { clusterId: CLUSTER, secret: hosts.trusted.registrarSecret, signatures: real });
    expect(alba.host.announce(envelope)).toEqual([]);
    await Promise.all(
      [alba, bruna].map(one => one.until('only the new key is left', () => one.host.keys().keys.length === 1 && one.host.keys().generation === 1)),
    );
    expect([alba, bruna].map(one => one.host.keys().keys)).toEqual([[key], [key]]);
    expect(told(bruna, 'key-used')).toEqual(['bruna']);
    alba.host.share([shared()]);
    await bruna.until('it heard', () => bruna.heard().length === 1);
    await bruna.stop();
    expect((await createMeshState(bruna.directory).load()).keys).toEqual({ keys: [key], generation: 1 });
    expect(alba.host.announce(Uint8Array.of(1, 2, 3))).toEqual(['not-hm1']);
  });

  test('a restart in the middle of a change of keys misses neither the new key nor the end of the old one', async () => {
    let alba = await hosts.start('alba');
    const own = readCertificate(hosts.trusted.host('alba').certificate.bytes);
    if (!own.ok || own.value.kind !== 'node') throw new Error('no certificate');
    const sealing = { clusterId: CLUSTER, issuer: hosts.trusted.registrar.kid, ephemeralSecret: secretOf('once') };
    const body = sealGroupKey({ generation: 1, key: secretOf('next group'), useAt: soon(800), dropOldAt: soon(2_500) }, [own.value], sealing);
    const header = { kid: hosts.trusted.registrar.kid, epoch: 1, seq: 1, issuedAt: hosts.now(), ttlS: 3_600, type: 'rekey' } as const;
    alba.host.announce(sealEnvelope(header, encodeRekey(body), { clusterId: CLUSTER, secret: hosts.trusted.registrarSecret, signatures: real }));
    expect(alba.host.keys()).toMatchObject({ generation: 0, keys: [GROUP_KEY, secretOf('next group')] });
    for (const expected of [1, 1]) {
      await alba.stop();
      alba = await hosts.start('alba', { directory: alba.directory });
      await alba.until('it uses the new one', () => alba.host.keys().generation === expected);
    }
    await alba.until('the old one is gone', () => alba.host.keys().keys.length === 1);
  });

  test('keys handed over are taken where they are newer, and only then', async () => {
    const alba = await hosts.start('alba');
    const off = await hosts.start('off', { identity: null, settings: { signatures: 'off' } });
    for (const one of [alba, off]) {
      const [older, newer] = [secretOf('older'), secretOf('newer')];
      one.host.adoptKeys({ keys: [newer, GROUP_KEY], generation: 3 });
      expect(one.host.keys()).toEqual({ keys: [newer, GROUP_KEY], generation: 3 });
      one.host.adoptKeys({ keys: [older], generation: 2 });
      expect(one.host.keys().generation).toBe(3);
      await expect.poll(async () => (await createMeshState(one.directory).load()).keys?.generation, { timeout: 5_000 }).toBe(3);
    }
  });

  test('a revocation is learnt, told to the ledger and to others, and kept; its words are no more heard', async () => {
    const [alba, bruna, carla] = [await hosts.start('alba'), await hosts.start('bruna'), await hosts.start('carla')];
    await meet(alba, bruna, carla);
    const { kid, notAfter } = hosts.trusted.host('carla').certificate;
    const by = { kid: hosts.trusted.registrar.kid, secret: hosts.trusted.registrarSecret };
    const list = issueRevocations({ clusterId: CLUSTER, number: 1, entries: [{ kid, notAfter }] }, by, real, hosts.now());
    expect(alba.host.learn([Uint8Array.of(1)], [list.bytes])).toEqual(['malformed-certificate']);
    expect(alba.heard()).toEqual(['revoked']);
    await bruna.until('it heard of it', () => bruna.heard().includes('revoked') && told(bruna, 'revoked').includes('carla'));
    await carla.until('it heard of it, too', () => carla.complaints().includes('revoked'));
    expect(alba.host.view().peers.find(({ name }) => name === 'carla')?.signed).toBe(false);
    carla.host.share([shared()]);
    await sleep(300);
    expect(alba.heard()).toEqual(['revoked']);
    await bruna.stop();
    expect((await createMeshState(bruna.directory).load()).trust?.revocations).toHaveLength(1);
  });

  test('a renewed certificate is told to all with the next meta, and kept', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    const renewed = hosts.trusted.host('alba', 'home', unixMs(NOON - DAY_MS / 2)).certificate;
    expect(alba.host.renew(Uint8Array.of(1))).toBe(false);
    expect(alba.host.renew(hosts.trusted.host('bruna').certificate.bytes)).toBe(false);
    expect(alba.host.renew(renewed.bytes)).toBe(true);
    await bruna.until('it knows', () => bruna.host.certified().some(bytes => Buffer.compare(bytes, renewed.bytes) === 0));
    expect(alba.host.view().self.certifiedUntil).toBe(renewed.notAfter);
    await alba.stop();
    expect((await createMeshState(alba.directory).load()).trust?.certificate).toEqual(renewed.bytes);
  });
});
