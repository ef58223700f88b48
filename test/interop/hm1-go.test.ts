/** Members that sign, and a plain one on hashicorp/memberlist v0.7.0 among them, where signatures are preferred. */

import { unixMs } from '@honeymesh/intel/time';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { buildGoPeer } from '#test/support/go-peer.ts';
import { prefix } from '#test/support/hm1.ts';
import { createTestHosts, GROUP_KEY, refusedAtAll, stateOf, told } from '#test/support/mesh-host.ts';
import { base64, createPeers } from '#test/support/mesh-peers.ts';

const go = buildGoPeer();
afterAll(() => go?.remove());
const hosts = createTestHosts();
const peers = createPeers();
afterEach(async () => {
  await peers.stop();
  await hosts.stop();
});

describe.skipIf(go === null)('a member without a certificate, of another make,', () => {
  test('passes on who we are, is told nothing of ours and is not heard', async () => {
    const preferred = { settings: { signatures: 'preferred' }, deps: { tuning: {} } } as const;
    const alba = await hosts.start('alba', preferred);
    // At an address of its own, or it would pass for a neighbour of ours.
    const flags = ['-bind', '127.0.0.8', '-key', Buffer.from(GROUP_KEY).toString('base64'), '-label', 'honeymesh'];
    const plain = await peers.start('plain', flags, go?.program);
    await plain.tell(`join 127.0.0.1:${alba.port}`);
    // By way of it alone: what it keeps of us must hold, byte for byte.
    const bruna = await hosts.start('bruna', { ...preferred, settings: { ...preferred.settings, join: [plain.addr] } });
    for (const [one, other] of [
      [alba, 'bruna'],
      [bruna, 'alba'],
    ] as const)
      await one.until(`it knows ${other}`, () => one.host.view().peers.some(({ name, signed, answeredAt }) => name === other && signed && answeredAt !== null));
    await bruna.until('it knows the plain one', () => stateOf(bruna, 'plain') === 'alive');
    alba.host.share([{ kind: 'advise', target: prefix('203.0.113.7/32'), tier: 'E1', reasons: ['trap-touch'], expiresAt: unixMs(hosts.now() + 60_000) }]);
    await bruna.until('it heard', () => bruna.heard().length === 1);
    await plain.tell(`broadcast ${base64('hello')}`);
    await plain.tell(`send-reliable alba ${base64('hello')}`);
    await alba.until('both were refused', () => refusedAtAll(alba) >= 2);
    await new Promise(resolve => setTimeout(resolve, 2_000));
    expect(plain.events.filter(({ ev }) => ev === 'user')).toEqual([]);
    expect((await plain.members()).map(({ node }) => node).sort()).toEqual(['alba', 'bruna', 'plain']);
    expect(told(alba, 'suspected')).toEqual([]);
    expect(await bruna.host.leave(3_000)).toBe('told');
    await plain.until('it saw bruna leave', ({ ev, node }) => ev === 'leave' && node === 'bruna');
    await plain.tell('leave 3s');
    await alba.until('both left', () => ['bruna', 'plain'].every(name => told(alba, 'left').includes(name)));
  });
});
