/** Ours under what a hostile holder of the cluster's key can send over real sockets: it says no, lives on, and pays little for it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Bomb, badPadding, PACKET_BOMBS, STREAM_BOMBS } from '#test/support/mesh-bombs.ts';
import { createPeers, type Peer, type PeerEvent } from '#test/support/mesh-peers.ts';

const KEY = new Uint8Array(32).fill(7);
const FLAGS = ['-key', Buffer.from(KEY).toString('base64'), '-label', 'honeymesh', '-tcp-timeout', '3s'];
const peers = createPeers();
let victim: Peer;
let villain: Peer;
beforeEach(async () => {
  [victim, villain] = await Promise.all([peers.start('victim', [...FLAGS, '-log']), peers.start('villain', FLAGS)]);
});
afterEach(() => peers.stop());

const hex = (bytes: Uint8Array): string => (bytes.length === 0 ? '-' : Buffer.from(bytes).toString('hex'));
const LABEL_HEAD = Buffer.concat([Buffer.of(244, 9), Buffer.from('honeymesh')]);

async function stats(peer: Peer): Promise<{ readonly refused: number; readonly peak: number; readonly cpuMs: number }> {
  const { refused, rss_peak, cpu_us } = await peer.tell('stats');
  return { refused: Number(refused), peak: Number(rss_peak), cpuMs: Number(cpu_us) / 1000 };
}

/** Its refusals have come to so many; datagrams are not answered. */
async function refusedSince(before: number, count: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if ((await stats(victim)).refused >= before + count) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`not ${count} refusals more`);
}

async function livesOn(): Promise<void> {
  const friend = await peers.start('friend', FLAGS);
  await friend.tell(`join ${victim.addr}`);
  expect((await friend.tell('ping victim')).rtt_us).toBeGreaterThan(0);
  expect((await victim.members()).map(({ node, state }) => `${node} ${state}`).sort()).toEqual(['friend alive', 'victim alive']);
}

describe('the two blobs that end a Go process of v0.7.0', () => {
  test('a datagram of encryption version 0 with bad padding is refused, and ours lives on', async () => {
    const before = (await stats(victim)).refused;
    for (const last of [255, 17, 0]) {
      await villain.tell(`raw ${victim.addr} ${hex(badPadding({ key: KEY, label: 'honeymesh', last }))}`);
    }
    await refusedSince(before, 3);
    await livesOn();
  });

  test.each(['1', '2'])('nothing at all, encrypted, over stream and datagram, is refused, and ours lives on (protocol %s)', async protocol => {
    const other = await peers.start('other', [...FLAGS, '-proto', protocol]);
    const before = (await stats(victim)).refused;
    const reply: PeerEvent = await other.tell(`stream ${victim.addr} -`);
    expect(reply).toMatchObject({ closed: true, received: { enc: 1, msgs: [{ type: 'err', error: 'nothing was encrypted in it' }] } });
    await other.tell(`packet ${victim.addr} -`);
    await refusedSince(before, 2);
    await livesOn();
  });
});

describe('bombs', () => {
  const ROUNDS = 10;
  /** At its highest; garbage that is not collected yet counts, too. */
  const MOST_GROWTH = 128 * 1024 * 1024;
  const MOST_CPU_MS = 4000;

  async function costOf(drop: () => Promise<void>): Promise<void> {
    const before = await stats(victim);
    await drop();
    const after = await stats(victim);
    expect(after.peak - before.peak).toBeLessThan(MOST_GROWTH);
    expect(after.cpuMs - before.cpuMs).toBeLessThan(MOST_CPU_MS);
    await livesOn();
  }

  test('over datagrams cost bounded time and memory', () =>
    costOf(async () => {
      const before = (await stats(victim)).refused;
      for (let round = 0; round < ROUNDS; round++) {
        for (const [, plain] of PACKET_BOMBS) await villain.tell(`packet ${victim.addr} ${hex(plain)}`);
        // A socket's buffer holds no more of these: what is lost does not count as refused.
        await refusedSince(before, (round + 1) * PACKET_BOMBS.length);
      }
    }));

  test('over streams cost bounded time and memory, and each ends with a word or a closed connection', () =>
    costOf(async () => {
      const replies: (readonly [Bomb[0], PeerEvent])[] = [];
      for (let round = 0; round < 3; round++) {
        for (const [name, plain] of STREAM_BOMBS) replies.push([name, await villain.tell(`stream ${victim.addr} ${hex(plain)}`)]);
      }
      for (const [name, { closed }] of replies) expect([name, closed]).toEqual([name, true]);
    }));

  test('a hundred connections that each claim 4 MiB and send little hold little, and are closed in their time', () =>
    costOf(async () => {
      const [host = '', port] = victim.addr.split(':');
      const closed = Array.from({ length: 100 }, async () => {
        const socket = connect({ host, port: Number(port) });
        socket.write(Buffer.concat([LABEL_HEAD, Buffer.of(10, 0, 0x3f, 0, 0), Buffer.alloc(1000)]));
        await once(socket.on('error', () => undefined).resume(), 'close');
      });
      await Promise.all(closed);
    }));
});
