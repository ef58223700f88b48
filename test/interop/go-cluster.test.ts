/** As many of ours as of Go's in one mesh: all know all, one message reaches all, and idle costs what it costs there. */
import { afterAll, describe, test } from 'vitest';
import { buildGoPeer } from '#test/support/go-peer.ts';
import { createScene, pause } from '#test/support/go-scene.ts';
import type { Peer, PeerEvent } from '#test/support/mesh-peers.ts';

const go = buildGoPeer();
afterAll(() => go?.remove());

const EACH = 16;
const FLAGS = ['-key', Buffer.alloc(32, 8).toString('base64'), '-label', 'honeymesh', '-relay'];

describe.skipIf(go === null)('with memberlist', () => {
  test(`${EACH} of ours and ${EACH} of Go's are one mesh`, async context => {
    const { expect } = context;
    const scene = createScene(context, go, FLAGS);
    const all: Peer[] = [];
    for (let at = 0; at < EACH; at += 2) {
      all.push(...(await Promise.all([at, at + 1].flatMap(number => [scene.ours(`ours${number}`), scene.theirs(`theirs${number}`)]))));
    }
    await scene.mesh(all);

    // From one of each kind, a full datagram's payload for once.
    const payload = (byte: number): string => Buffer.alloc(1355, byte).toString('base64');
    for (const [at, from] of all.slice(2, 4).entries()) {
      await from.tell(`broadcast ${payload(at)}`);
      const heard = (event: PeerEvent): boolean => event.ev === 'user' && event.data === payload(at);
      await Promise.all(all.filter(peer => peer !== from).map(peer => peer.until('the broadcast', heard)));
    }

    // Until gossip of joins and broadcasts is over; nothing is timed but how much it takes to be idle: a ping and an ack each way a second.
    await pause(3000);
    const ours = all.filter(({ name }) => name.startsWith('ours'));
    const sent = async (): Promise<readonly { readonly count: number; readonly atMs: number }[]> =>
      Promise.all(
        ours.map(async peer => await peer.tell('stats')).map(async reply => ({ count: Number((await reply).datagramsOut), atMs: (await reply).ts / 1000 })),
      );
    const before = await sent();
    await pause(5000);
    const rates = (await sent()).map(({ count, atMs }, at) => (1000 * (count - (before[at]?.count ?? 0))) / (atMs - (before[at]?.atMs ?? 0)));
    expect(rates.reduce((sum, rate) => sum + rate, 0) / rates.length).toBeLessThan(2.5);
    expect(all.flatMap(({ name, events }) => events.flatMap(({ ev, node }) => (ev === 'leave' ? [`${name}: ${String(node)}`] : [])))).toEqual([]);
    for (const peer of all) expect((await peer.tell('stats')).health).toBe(0);
  });
});
