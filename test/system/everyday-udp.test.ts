/** Much UDP is no attack: tunnels and QUIC run at any rate to a port that is open. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createScene, OPEN_UDP, type Scene, source } from '#test/support/attackers.ts';
import type { Namespace } from '#test/support/namespaces.ts';

const BYTES = 1_200;
const PER_SECOND = Math.ceil(100e6 / 8 / BYTES);
const SECONDS = 3;

let scene: Scene;
beforeAll(async () => {
  scene = await createScene();
});
afterAll(() => scene?.remove());

/** The kernel's own count of datagrams, those for which a receiver had no room too. */
async function datagramsOf(namespace: Namespace): Promise<{ readonly in: number; readonly out: number }> {
  const [names = '', values = ''] = (await namespace.run(['cat', '/proc/net/snmp'])).stdout.split('\n').filter(line => line.startsWith('Udp: '));
  const count = (name: string): number => Number(values.split(' ')[names.split(' ').indexOf(name)]);
  return { in: count('InDatagrams') + count('RcvbufErrors') + count('NoPorts'), out: count('OutDatagrams') };
}

test.each([
  ['a tunnel, one way', OPEN_UDP[1], source(1)],
  ['QUIC, with answers', OPEN_UDP[0], source(2)],
])('100 Mbit/s of UDP to an open port, %s: every datagram arrives', async (_what, port, client) => {
  const before = { sent: (await datagramsOf(scene.outside)).out, arrived: (await datagramsOf(scene.host)).in };
  const { sent } = await scene.datagrams(client, { perSecond: PER_SECOND, forMs: SECONDS * 1_000, bytes: BYTES, port });
  const onTheWire = (await datagramsOf(scene.outside)).out - before.sent;
  expect(sent).toBeGreaterThanOrEqual(PER_SECOND * SECONDS);
  expect(onTheWire).toBeGreaterThan(sent * 0.95); // what the sender itself had no room for is not the filter's doing
  expect((await datagramsOf(scene.host)).in - before.arrived).toBe(onTheWire);
  expect(Object.entries((await scene.status()).packets).filter(([verdict, count]) => verdict.startsWith('drop-') && count > 0)).toEqual([]);
  expect(await scene.bans()).toEqual([]);
  expect(await scene.events(client)).toEqual([]);
});
