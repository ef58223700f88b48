/** Whole members with real identities on loopback: what they hear of each other, and what of strangers. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeIntel } from '@honeymesh/intel/advisories';
import { openEnvelope } from '@honeymesh/intel/envelope';
import { decodeAccusations, encodeLeave } from '@honeymesh/intel/envelope-bodies';
import { DAY_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyIdOf } from '#enforcer/mesh/host/ring.ts';
import type { MemberEvent } from '#enforcer/mesh/protocol/core/outputs.ts';
import { issueNodeCertificate, issueRegistrarCertificate } from '#enforcer/mesh/signed/certificates.ts';
import { edPublicOf } from '#enforcer/mesh/signed/keys.ts';
import { createMeshState } from '#enforcer/mesh/state/state.ts';
import { advice, CLUSTER, NOON, prefix, real, secretOf, signedBy } from '#test/support/hm1.ts';
import { createTestHosts, GROUP_KEY, meet, QUICK, refusedAtAll, stateOf, told } from '#test/support/mesh-host.ts';
import { createTestNodes, say } from '#test/support/mesh-node.ts';
import { createStranger, deadlyFrame, deadlyPacket, type Stranger, sealedPacket } from '#test/support/mesh-stranger.ts';

let hosts: ReturnType<typeof createTestHosts>;
let nodes: ReturnType<typeof createTestNodes>;
let stranger: Stranger;
beforeEach(async () => {
  hosts = createTestHosts();
  nodes = createTestNodes();
  stranger = await createStranger();
});
afterEach(async () => {
  stranger.close();
  await nodes.stop();
  await hosts.stop();
});

const soon = (ms: number): UnixMs => unixMs(hosts.now() + ms);
const target = prefix('203.0.113.7/32');
const shared = (more = {}) => ({ kind: 'advise', target, tier: 'E1', reasons: ['trap-touch'], expiresAt: soon(60_000), ...more }) as const;

describe('members with signatures required', () => {
  test('meet, know each other as certified, and hear advice and its withdrawal', async () => {
    const [alba, bruna, carla] = [await hosts.start('alba'), await hosts.start('bruna'), await hosts.start('carla')];
    await meet(alba, bruna, carla);
    expect(bruna.host.view().peers.find(({ name }) => name === 'alba')).toMatchObject({
      signed: true,
      site: 'home',
      signer: hosts.trusted.host('alba').certificate.kid,
    });
    expect(alba.host.view()).toMatchObject({ sites: 1, hosts: 3, keyGeneration: 0, keyIds: [keyIdOf(GROUP_KEY)], health: 0 });
    alba.host.share([shared()]);
    await Promise.all([bruna, carla].map(one => one.until('it heard', () => one.heard().includes(`advice ${target}`))));
    alba.host.share([{ kind: 'withdraw', target: prefix('203.0.113.0/24'), asError: true }]);
    await Promise.all([bruna, carla].map(one => one.until('it was taken back', () => one.heard().includes(`withdrawal ${target}`))));
    expect(alba.heard()).toEqual([]);
    expect(alba.words.filter(({ kind }) => kind === 'sent')).toHaveLength(1);
    expect([...alba.complaints(), ...bruna.complaints(), ...carla.complaints()]).toEqual([]);
    expect([alba, bruna, carla].map(refusedAtAll)).toEqual([0, 0, 0]);
  });

  test('share in the order of what was decided: lifted and banned again stands', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    alba.host.share([shared(), { kind: 'withdraw', target, asError: false }, shared({ tier: 'E2' })]);
    await bruna.until('it heard', () => bruna.heard().includes(`advice ${target}`));
    expect(bruna.heard().at(-1)).toBe(`advice ${target}`);
    expect(alba.host.withdrawItem(99, false)).toBe(false);
    const sent = alba.words.filter(word => word.kind === 'sent');
    expect(alba.host.withdrawItem(sent.at(-1)?.seq ?? 0, true)).toBe(true);
    await bruna.until('all of it is taken back', () => bruna.heard().includes('withdrawal all'));
  });

  test('who joins late hears what holds, and brings what others missed, by the join alone', async () => {
    const deps = { tuning: { ...QUICK, pushPullIntervalMs: 0 } };
    const [alba, bruna] = [await hosts.start('alba', { deps }), await hosts.start('bruna', { deps })];
    alba.host.share([shared()]);
    bruna.host.share([shared({ target: prefix('203.0.113.8/32') })]);
    await sleep(50);
    await meet(alba, bruna);
    await bruna.until('it heard', () => bruna.heard().includes(`advice ${target}`));
    await alba.until('it heard', () => alba.heard().includes('advice 203.0.113.8/32'));
  });

  test('leave with a signature, at once', async () => {
    const [alba, bruna, carla] = [await hosts.start('alba'), await hosts.start('bruna'), await hosts.start('carla')];
    await meet(alba, bruna, carla);
    expect(await carla.host.leave(2_000)).toBe('told');
    await Promise.all([alba, bruna].map(one => one.until('it left', () => told(one, 'left').includes('carla'))));
    expect([...told(alba, 'died'), ...told(bruna, 'died')]).toEqual([]);
  });

  test('take a signed goodbye for one, also where the plain one is lost', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    const { incarnation } = bruna.host.node.self();
    expect(alba.host.announce(signedBy(hosts.trusted.host('bruna'), encodeLeave({ incarnation }), real, { issuedAt: hosts.now(), type: 'leave' }))).toEqual([]);
    await alba.until('it left', () => told(alba, 'left').includes('bruna'));
  });

  test('find out who is dead, and sign what they found', async () => {
    const signed: (string | undefined)[] = [];
    const onEvent = (event: MemberEvent): void => {
      const opened = event.kind === 'user' ? openEnvelope(event.payload) : null;
      if (opened?.ok && opened.value.type === 'accusation') {
        const accusations = decodeAccusations(opened.value.body);
        signed.push(...(accusations.ok ? accusations.value.map(({ subject }) => subject) : []));
      }
    };
    const [alba, bruna, carla] = [await hosts.start('alba', { deps: { onEvent } }), await hosts.start('bruna'), await hosts.start('carla')];
    await meet(alba, bruna, carla);
    await carla.stop();
    await Promise.all([alba, bruna].map(one => one.until('it died', () => told(one, 'died').includes('carla'))));
    expect(signed).toContain('carla');
    expect(refusedAtAll(alba)).toBe(0);
  });

  test('of another registrar are known from the first push/pull on: what proves them comes first', async () => {
    const secret = secretOf('other registrar');
    const dates = { notBefore: unixMs(NOON - DAY_MS), notAfter: unixMs(NOON + 20 * DAY_MS) };
    const other = issueRegistrarCertificate({ clusterId: CLUSTER, sites: ['lab'], edPublic: edPublicOf(secret), ...dates }, hosts.trusted.rootSecret, real);
    const elsewhere = createTestHosts({ ...hosts.trusted, registrar: other, registrarSecret: secret, host: hosts.trusted.host });
    const alba = await hosts.start('alba');
    const plain = hosts.trusted.host('bruna', 'lab');
    const certificate = issueNodeCertificate({ ...plain.certificate, site: 'lab' }, { kid: other.kid, secret }, real);
    const bruna = await elsewhere.start('bruna', { identity: { ...plain, certificate } });
    const joined = await bruna.host.join([`127.0.0.1:${alba.port}`]);
    expect(joined).toEqual({ contacted: 1, failed: [] });
    expect([stateOf(alba, 'bruna'), stateOf(bruna, 'alba')]).toEqual(['alive', 'alive']);
    // And so it is after a restart, when nobody else is there to tell.
    await sleep(2_500);
    expect((await createMeshState(alba.directory).load()).trust?.registrars).toHaveLength(2);
    await elsewhere.stop();
  });
});

describe('whoever holds the key of the group and no certificate', () => {
  test('cannot take a live member out, neither by a goodbye in its name nor by a word of death', async () => {
    const [alba, bruna, carla] = [await hosts.start('alba'), await hosts.start('bruna'), await hosts.start('carla')];
    await meet(alba, bruna, carla);
    const incarnation = carla.host.node.self().incarnation;
    for (const from of ['carla', 'bruna', 'nobody']) await stranger.say(alba.port, sealedPacket({ kind: 'dead', incarnation, node: 'carla', from }));
    await alba.until('it heard an accusation and carla refuted', () => told(alba, 'suspected').includes('carla') && stateOf(alba, 'carla') === 'alive');
    expect([...told(alba, 'left'), ...told(alba, 'died')]).toEqual([]);
    // One above all that it signed cannot even make it refute.
    await stranger.say(alba.port, sealedPacket({ kind: 'dead', incarnation: 2 ** 31 - 2, node: 'carla', from: 'carla' }));
    await sleep(300);
    expect(carla.host.node.self().incarnation).toBeLessThan(10);
  });

  test('is not heard, and no member where signatures are required', async () => {
    const alba = await hosts.start('alba');
    await stranger.say(alba.port, sealedPacket({ kind: 'user', payload: Uint8Array.of(1) }));
    const words = signedBy(hosts.trusted.host('bruna'), encodeIntel({ advice: [advice('203.0.113.9/32')], withdrawals: [] }), real, { issuedAt: hosts.now() });
    await stranger.say(alba.port, sealedPacket({ kind: 'user', payload: words }));
    const go = await nodes.start('go', { keys: [GROUP_KEY], label: 'honeymesh' });
    await go.node.join([`127.0.0.1:${alba.port}`]);
    expect(alba.host.view().peers).toEqual([]);
    expect(await go.node.sendReliable({ address: Uint8Array.of(127, 0, 0, 1), port: alba.port }, words)).toBeNull();
    await alba.until('all was refused', () => refusedAtAll(alba) >= 4);
    await alba.stop();
    expect(alba.refusals()).toMatchObject({ 'user message of a stranger': 3, 'alive: unsigned': expect.any(Number) });
    expect(alba.heard()).toEqual([]);
  });

  test('is a member where signatures are preferred, and is neither heard nor told anything of ours', async () => {
    const preferred = { settings: { signatures: 'preferred' } } as const;
    const [alba, bruna] = [await hosts.start('alba', preferred), await hosts.start('bruna', preferred)];
    await meet(alba, bruna);
    // At an address of its own, or it would pass for a member's neighbour.
    const go = await nodes.start('go', { keys: [GROUP_KEY], label: 'honeymesh', bind: '127.0.0.8' });
    await go.node.join([`127.0.0.1:${alba.port}`]);
    await bruna.until('it knows go', () => stateOf(bruna, 'go') === 'alive');
    expect(bruna.host.view().peers.find(({ name }) => name === 'go')).toMatchObject({ signed: false, signer: null, site: null });
    go.node.tell({ kind: 'broadcast', payload: Uint8Array.of(7), push: true });
    await go.node.sendReliable('alba', Uint8Array.of(7));
    alba.host.share([shared()]);
    await bruna.until('it heard', () => bruna.heard().includes(`advice ${target}`));
    await alba.until('the stream was refused', () => refusedAtAll(alba) > 0);
    await sleep(1_500);
    expect(go.events.filter(({ kind }) => kind === 'user')).toEqual([]);
    expect(go.events.filter(({ kind }) => kind === 'merge')).toEqual([]);
    await alba.stop();
    expect(alba.refusals()['user message of an uncertified member']).toBeGreaterThan(0);
    expect(told(bruna, 'joined')).toContain('go');
  });

  test('gets no packet taken twice', async () => {
    const alba = await hosts.start('alba');
    const packet = sealedPacket({ kind: 'ping', sequence: 1, node: 'alba' });
    for (let count = 0; count < 3; count++) await stranger.say(alba.port, packet);
    await alba.until('replays were refused', () => refusedAtAll(alba) === 2);
    await alba.stop();
    expect(alba.refusals()).toEqual({ replayed: 2 });
  });
});

describe('a host', () => {
  test('without a certificate does not start where signatures are required, and says how to mend it', async () => {
    const refused = await hosts.refused('alba', { identity: null });
    expect(refused.why).toContain('no certificate');
    expect(refused.fix).toContain('mesh join');
  });

  test('with a certificate for other keys, or of another cluster, does not start either', async () => {
    const alba = hosts.trusted.host('alba');
    expect((await hosts.refused('alba', { identity: { ...alba, edSecret: secretOf('other') } })).why).toContain('other keys');
    const forged = { ...alba, certificate: { ...alba.certificate, bytes: Uint8Array.from(alba.certificate.bytes) } };
    forged.certificate.bytes[forged.certificate.bytes.length - 1] = (forged.certificate.bytes.at(-1) ?? 0) ^ 1;
    expect((await hosts.refused('alba', { identity: forged })).why).toContain('bad-signature');
  });

  test('without a certificate is a plain member where they are preferred, and says so', async () => {
    const alba = await hosts.start('alba', { identity: null, settings: { signatures: 'preferred' } });
    expect(alba.complaints()).toEqual(['identity']);
    alba.host.share([shared()]);
    expect(alba.words.filter(({ kind }) => kind === 'sent')).toEqual([]);
    expect(alba.host.view().self).toMatchObject({ signer: null, site: null, certifiedUntil: null });
  });

  test('with signatures off counts user messages and does nothing with them', async () => {
    const alba = await hosts.start('alba', { identity: null, settings: { signatures: 'off' } });
    await stranger.say(alba.port, sealedPacket({ kind: 'user', payload: Uint8Array.of(1) }));
    await alba.until('it counted', () => alba.host.view().counts.userMessages === 1);
    expect([alba.heard(), alba.complaints()]).toEqual([[], []]);
  });

  test('that cannot listen says why', async () => {
    const alba = await hosts.start('alba');
    const refused = await hosts.refused('bruna', { settings: { port: alba.port } });
    expect(refused.why).toContain('in-use');
    expect(refused.fix).toContain('mesh.bind');
    const key = await hosts.refused('bruna', { settings: { seedKey: new Uint8Array(5) } });
    expect(key.fix).toContain('mesh.key');
  });

  test('is alive after the two packets that end a Go node of memberlist v0.7.0, and counts them', async () => {
    const alba = await hosts.start('alba');
    await stranger.say(alba.port, deadlyPacket());
    await say(alba.port, deadlyFrame());
    await alba.until('both were refused', () => refusedAtAll(alba) === 2);
    const bruna = await hosts.start('bruna');
    await meet(alba, bruna);
    await alba.stop();
    expect(alba.refusals()).toEqual({ 'bad-padding': 1, 'empty-plaintext': 1 });
  });

  test('shows its picture not more often than once a second, however much happens', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    const before = alba.words.filter(({ kind }) => kind === 'view').length;
    for (let count = 0; count < 20; count++) {
      await stranger.say(alba.port, sealedPacket({ kind: 'suspect', incarnation: bruna.host.node.self().incarnation, node: 'bruna', from: `n${count}` }));
      await sleep(100);
    }
    expect(alba.words.filter(({ kind }) => kind === 'view').length - before).toBeLessThanOrEqual(4);
    // Nor does it fill the log with what one who holds the key makes happen.
    expect(told(alba, 'suspected')).toHaveLength(1);
  });

  test('is told when somebody takes its name', async () => {
    const alba = await hosts.start('alba');
    const { incarnation, meta, versions } = alba.host.node.self();
    await stranger.say(
      alba.port,
      sealedPacket({ kind: 'alive', node: 'alba', incarnation: incarnation + 1, address: Uint8Array.of(127, 0, 0, 5), port: 7, meta, versions }),
    );
    await alba.until('it says so', () => told(alba, 'conflict').includes('alba'));
    expect(alba.host.node.self().port).toBe(alba.port);
  });

  test('keeps its secrets to itself', async () => {
    const alba = await hosts.start('alba');
    const text = JSON.stringify(alba.host.view());
    const identity = await readFile(join(alba.directory, 'identity.json'), 'utf8');
    for (const secret of [Buffer.from(GROUP_KEY), Buffer.from(secretOf('alba ed'))]) {
      expect(text).not.toContain(secret.toString('hex'));
      expect(text).not.toContain(secret.toString('base64'));
    }
    expect(identity).toContain(Buffer.from(secretOf('alba ed')).toString('base64'));
  });
});
