/** What one who holds the group's key can make a member do: little, for a bounded price. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEnvelope } from '#enforcer/mesh/node/envelope.ts';
import type { PushedMember } from '#enforcer/mesh/protocol/messages.ts';
import { createKeyring } from '#enforcer/mesh/protocol/wire/keyring.ts';
import { encodeExchange } from '#enforcer/mesh/signed/exchange-format.ts';
import { createTestHosts, GROUP_KEY, meet, refusedAtAll, stateOf } from '#test/support/mesh-host.ts';
import { say } from '#test/support/mesh-node.ts';

let hosts: ReturnType<typeof createTestHosts>;
beforeEach(() => {
  hosts = createTestHosts();
});
afterEach(() => hosts.stop());

function pushed(members: readonly PushedMember[], userState: Uint8Array = new Uint8Array()): Uint8Array {
  const options = { label: new Uint8Array(Buffer.from('honeymesh')), skipLabelCheck: false, keyring: createKeyring([GROUP_KEY]), compress: false, protocol: 2 };
  const envelope = createEnvelope({ ...options, verifyIncoming: true, verifyOutgoing: true });
  const nobody = { address: Uint8Array.of(127, 0, 0, 1), port: 1 };
  return envelope.sealStream({ kind: 'push-pull', join: true, members, userState }, 'dialer', nobody);
}

describe('a push/pull', () => {
  test('of thousands of forged members costs some signature checks, and who handed it over is not believed for a while', async () => {
    const [alba, bruna] = [await hosts.start('alba'), await hosts.start('bruna')];
    await meet(alba, bruna);
    const { meta, versions, address, port } = bruna.host.node.self();
    const forged = Array.from(
      { length: 5_000 },
      (_, at): PushedMember => ({ name: 'bruna', incarnation: 100 + at, address, port, meta, versions, state: 'alive' }),
    );
    await say(alba.port, pushed(forged));
    await alba.until('all were refused', () => refusedAtAll(alba) >= 5_000);
    expect(stateOf(alba, 'bruna')).toBe('alive');
    await alba.stop();
    const { 'alive: bad-meta-signature': checked = 0, 'alive: too-many-forged': unchecked = 0 } = alba.refusals();
    expect(checked).toBeGreaterThanOrEqual(64);
    expect(checked).toBeLessThan(80);
    expect(checked + unchecked).toBe(5_000);
  });

  test('is answered once, and no more when its very bytes come again', async () => {
    const alba = await hosts.start('alba');
    const frame = pushed([]);
    expect((await say(alba.port, frame)).length).toBeGreaterThan(0);
    expect(await say(alba.port, frame)).toHaveLength(0);
    await alba.stop();
    expect(alba.refusals()).toEqual({ replayed: 1 });
  });

  test('of thousands of forged certificates costs some signature checks', async () => {
    const alba = await hosts.start('alba');
    const { bytes } = hosts.trusted.host('bruna').certificate;
    const certificates = Array.from({ length: 1_500 }, (_, at) => {
      const forged = Uint8Array.from(bytes);
      forged[forged.length - 1 - (at % 32)] = at & 255;
      forged[forged.length - 40] = at >> 8;
      return forged;
    });
    const userState = encodeExchange({ digest: null, holdings: null, certificates, revocations: [], envelopes: [] });
    await say(alba.port, pushed([], userState));
    await alba.until('it was refused', () => refusedAtAll(alba) > 0);
    expect(refusedAtAll(alba)).toBe(16);
    expect(alba.host.view().hosts).toBe(1);
  });
});
