import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { prefix } from '#test/support/hm1.ts';
import { createTestHosts, meet } from '#test/support/mesh-host.ts';

let hosts: ReturnType<typeof createTestHosts>;
beforeEach(() => {
  hosts = createTestHosts();
});
afterEach(() => hosts.stop());

describe('members with signatures required', () => {
  test('meet, know each other as certified, and hear advice and its withdrawal', async () => {
    const [alba, bruna, carla] = [await hosts.start('alba'), await hosts.start('bruna'), await hosts.start('carla')];
    await meet(alba, bruna, carla);
    expect(bruna.host.view().peers.find(({ name }) => name === 'alba')).toMatchObject({
      signed: true,
      site: 'home',
      signer: hosts.trusted.host('alba').certificate.kid,
    });
    expect(alba.host.view()).toMatchObject({ sites: 1, hosts: 3, keyGeneration: 0, health: 0 });
    alba.host.share([{ kind: 'advise', target: prefix('203.0.113.7/32'), tier: 'E1', reasons: ['trap-touch'], expiresAt: (hosts.now() + 60_000) as never }]);
    await Promise.all([bruna, carla].map(one => one.until('it heard', () => one.heard().includes('advice 203.0.113.7/32'))));
    alba.host.share([{ kind: 'withdraw', target: prefix('203.0.113.0/24'), asError: true }]);
    await Promise.all([bruna, carla].map(one => one.until('it was taken back', () => one.heard().includes('withdrawal 203.0.113.7/32'))));
    expect(alba.heard()).toEqual([]);
    expect(alba.words.filter(({ kind }) => kind === 'sent')).toHaveLength(1);
    expect([...alba.complaints(), ...bruna.complaints()]).toEqual([]);
  });
});
