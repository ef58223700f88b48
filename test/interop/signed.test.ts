/** HM1 among processes, driven as strangers' harnesses drive it: who may advise, what a ledger says of it, and who may not. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeIntel } from '@honeymesh/intel/advisories';
import { sealEnvelope } from '@honeymesh/intel/envelope';
import { unixMs } from '@honeymesh/intel/time';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { advice, real } from '#test/support/hm1.ts';
import { createIdentities, type Identity } from '#test/support/mesh-identities.ts';
import { base64, createPeers, type Peer, type PeerEvent } from '#test/support/mesh-peers.ts';

const FLAGS = ['-key', Buffer.alloc(32, 4).toString('base64'), '-label', 'honeymesh'];
const peers = createPeers();
const identities = createIdentities(['home', 'lab', 'shop']);
let alba: Identity;
let bruna: Identity;
let carla: Identity;
beforeEach(async () => {
  [alba, bruna, carla] = [await identities.issue('alba', 'home'), await identities.issue('bruna', 'lab'), await identities.issue('carla', 'shop')];
});
afterEach(async () => {
  await peers.stop();
  await identities.remove();
});

const start = ({ directory, certificate }: Identity, flags: readonly string[] = []): Promise<Peer> =>
  peers.start(certificate.nodeName, [...FLAGS, '-identity', directory, ...flags]);
const intel = (targets: readonly string[], more: object = {}): string => `intel ${JSON.stringify({ targets, reasons: ['trap-touch'], ttl: 600, ...more })}`;
const verdict = (peer: Peer, wanted: Record<string, unknown>): Promise<PeerEvent> =>
  peer.until(
    JSON.stringify(wanted),
    event => event.ev === 'advice' && Object.entries(wanted).every(([field, value]) => JSON.stringify(event[field]) === JSON.stringify(value)),
  );
const advised = (peer: Peer): readonly PeerEvent[] => peer.events.filter(({ ev }) => ev === 'advice');

/** Everybody knows everybody as certified: advice of others is not heard before. */
async function mesh(): Promise<readonly [Peer, Peer, Peer]> {
  const all = await Promise.all([start(alba), start(bruna), start(carla)]);
  for (const other of all.slice(1)) await other.tell(`join ${all[0].addr}`);
  for (const peer of all) for (const other of all) await peer.until(`it knows ${other.name}`, event => event.ev === 'join' && event.node === other.name);
  return all;
}

describe('certified members', () => {
  test('hear each other: one site is provisional, a second makes it a ban, a withdrawal takes it back everywhere', async () => {
    const [a, b, c] = await mesh();
    const said = await a.tell(intel(['198.51.100.0/24', '203.0.113.7']));
    expect(said).toMatchObject({ epoch: expect.any(Number), seq: expect.any(Number), at: expect.any(Number) });
    const targets = ['198.51.100.0/24', '203.0.113.7/32'];
    const first = { kid: alba.certificate.kid, seq: said.seq, kind: 'advise', targets, verdict: 'provisional', why: 'provisional' };
    for (const peer of [b, c]) await verdict(peer, first);
    await b.tell(intel(['203.0.113.7'], { ttl: '10m', reasons: ['brute-force', 'command'], tier: 'E2' }));
    await verdict(c, { kid: bruna.certificate.kid, kind: 'advise', targets: ['203.0.113.7/32'], verdict: 'accepted', why: 'banned' });
    await a.tell(`withdraw ${said.seq}`);
    for (const peer of [b, c]) await verdict(peer, { kid: alba.certificate.kid, kind: 'withdraw', seq: said.seq, targets, verdict: 'accepted', why: 'over' });
    expect(await a.ask(`withdraw ${said.seq}`)).toMatchObject({ ok: false, error: expect.stringContaining('nothing that holds') });
    // One's own word is no news to oneself.
    expect(advised(a).filter(({ kid }) => kid === alba.certificate.kid)).toEqual([]);
  });

  test('say why their ledger refuses', async () => {
    const [a, b] = await mesh();
    await a.tell(intel(['127.0.0.1']));
    await verdict(b, { kid: alba.certificate.kid, targets: ['127.0.0.1/32'], verdict: 'refused', why: 'special' });
  });

  test('leave with a signed goodbye', async () => {
    const [a, b] = await mesh();
    await a.tell('leave 5s');
    expect(await b.until('the leave', event => event.ev === 'leave' && event.node === 'alba')).toMatchObject({ state: 'left' });
    expect(await a.quit()).toBe(0);
  });

  test('after a restart are heard again: their epoch is a new one', async () => {
    const [a, b] = await mesh();
    const before = await a.tell(intel(['203.0.113.7']));
    await verdict(b, { kid: alba.certificate.kid, targets: ['203.0.113.7/32'] });
    await a.kill();
    const again = await start(alba, ['-port', a.addr.split(':')[1] ?? '']);
    await again.tell(`join ${b.addr}`);
    const after = await again.tell(intel(['203.0.113.8']));
    expect(Number(after.epoch)).toBeGreaterThan(Number(before.epoch));
    await verdict(b, { kid: alba.certificate.kid, targets: ['203.0.113.8/32'] });
  });

  test('say why they do not say what makes no sense', async () => {
    const a = await start(alba);
    for (const [json, why] of [
      ['not JSON', 'not JSON'],
      ['[]', 'an object'],
      ['{"targets":[],"reasons":["trap-touch"],"ttl":60}', 'targets'],
      ['{"targets":["nowhere"],"reasons":["trap-touch"],"ttl":60}', 'no address'],
      ['{"targets":["10.0.0.0/8"],"reasons":["trap-touch"],"ttl":60}', 'wider than'],
      ['{"targets":["203.0.113.7"],"reasons":["because"],"ttl":60}', 'there is no "because"'],
      ['{"targets":["203.0.113.7"],"reasons":["trap-touch"],"ttl":0}', 'ttl'],
      ['{"targets":["203.0.113.7"],"reasons":["trap-touch"],"ttl":86401}', 'ttl'],
      ['{"targets":["203.0.113.7"],"reasons":["trap-touch"],"ttl":60,"tier":"E0"}', 'spoofed'],
    ])
      expect(await a.ask(`intel ${json}`)).toMatchObject({ ok: false, error: expect.stringContaining(why ?? '') });
    for (const seq of ['99', 'x', '']) expect(await a.ask(`withdraw ${seq}`)).toMatchObject({ ok: false, error: expect.any(String) });
  });
});

describe('whoever else holds key and label', () => {
  const envelope = (by: Identity, target: string, clusterId = identities.clusterId): Uint8Array => {
    const header = { kid: by.certificate.kid, epoch: 99, seq: 1, issuedAt: unixMs(Date.now()), ttlS: 600, type: 'intel' } as const;
    return sealEnvelope(header, encodeIntel({ advice: [advice(target)], withdrawals: [] }), { clusterId, secret: by.edSecret, signatures: real });
  };

  test('is refused as a member, and is not heard, not even with the words of one who is', async () => {
    const [a, , c] = await mesh();
    const stranger = await peers.start('stranger', FLAGS);
    await stranger.ask(`join ${a.addr}`);
    await stranger.tell(`send-to ${a.addr} ${base64('hello')}`);
    await stranger.tell(`send-to ${a.addr} ${Buffer.from(envelope(bruna, '203.0.113.9')).toString('base64')}`);
    // What a member says after it is heard.
    await c.tell(intel(['203.0.113.10']));
    await verdict(a, { targets: ['203.0.113.10/32'] });
    expect(advised(a).filter(({ kid }) => kid !== carla.certificate.kid)).toEqual([]);
    expect(a.events.filter(({ ev, data }) => ev === 'user' && data === base64('hello'))).toEqual([]);
    expect((await a.members()).map(({ node }) => node)).not.toContain('stranger');
  });

  test('is a member only where signatures are preferred, and gives no advice', async () => {
    const [a, stranger] = await Promise.all([start(alba, ['-signatures', 'preferred']), peers.start('stranger', FLAGS)]);
    await stranger.tell(`join ${a.addr}`);
    await a.until('the stranger', event => event.ev === 'join' && event.node === 'stranger');
    await stranger.tell(`send-best-effort alba ${Buffer.from(envelope(bruna, '203.0.113.9')).toString('base64')}`);
    await stranger.tell(`send-best-effort alba ${base64('hello')}`);
    await new Promise(resolve => setTimeout(resolve, 500));
    expect([advised(a), a.events.filter(({ ev }) => ev === 'user')]).toEqual([[], []]);
    expect(await stranger.ask(intel(['203.0.113.7']))).toMatchObject({ ok: false, error: expect.stringContaining('-identity') });
  });

  test('is heard like anybody where signatures are off, identity or not; and each layer is told of all the same', async () => {
    const [a, stranger] = await Promise.all([start(alba, ['-signatures', 'off', '-trace']), peers.start('stranger', FLAGS)]);
    await stranger.tell(`join ${a.addr}`);
    await stranger.tell(`send-best-effort alba ${base64('hello')}`);
    await a.until('it', event => event.ev === 'user' && event.data === base64('hello'));
    expect(await a.until('its datagram', ({ ev, msgs }) => ev === 'rx' && JSON.stringify(msgs).includes(base64('hello')))).toMatchObject({
      enc: 1,
      key: 0,
      label: 'honeymesh',
    });
    expect(await a.ask(intel(['203.0.113.7']))).toMatchObject({ ok: false, error: expect.stringContaining('no certificate') });
  });

  test('cannot start without a certificate where signatures are required', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'honeymesh-nobody-'));
    await expect(peers.start('nobody', [...FLAGS, '-identity', join(folder, 'mesh')])).rejects.toThrow(/mesh join/);
    await rm(folder, { recursive: true });
  });
});
