/** What other people's harnesses count on: flags, commands, events and endings of the scriptable node. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { base64, createPeers, OUR_PEER, type Peer, type PeerEvent } from '#test/support/mesh-peers.ts';

const peers = createPeers();
afterEach(() => peers.stop());

const KEY = Buffer.alloc(32, 1).toString('base64');
const OTHER_KEY = Buffer.alloc(16, 2).toString('base64');
const seen = (peer: Peer, ...kinds: readonly string[]): readonly PeerEvent[] => peer.events.filter(({ ev }) => kinds.includes(ev));
/** ping{42, "a"} of gossip.md's golden bytes, for a node `a`. */
const PING = '0082a44e6f6465a161a55365714e6f2a';

function ended(...args: readonly string[]): Promise<{ readonly code: unknown; readonly stderr: string }> {
  return new Promise(resolve => execFile(OUR_PEER, args, (error, _stdout, stderr) => resolve({ code: error?.code ?? 0, stderr })).stdin?.end());
}

describe('the scriptable node', () => {
  test('ends with 2 and a word for a command line that it cannot heed, with 1 where it cannot listen', async () => {
    const taken = await peers.start('a');
    const [unknown, unheeded, occupied] = await Promise.all([ended('-nonsense'), ended('-proto', '9'), ended('-port', taken.addr.split(':')[1] ?? '')]);
    expect(unknown).toEqual({ code: 2, stderr: 'peer: there is no flag -nonsense\n' });
    expect(unheeded).toMatchObject({ code: 2, stderr: expect.stringContaining('1 to 5') });
    expect(occupied).toMatchObject({ code: 1, stderr: expect.stringContaining('in-use') });
  });

  test('ends well at the end of its input, at a signal and when it is told to, also while a join hangs', async () => {
    const [a, b, c] = await Promise.all([peers.start('a'), peers.start('b'), peers.start('c', ['-tcp-timeout', '60s'])]);
    a.signal('SIGTERM');
    expect(await a.ended).toBe(0);
    expect(a.events.at(-1)).toMatchObject({ ev: 'quit' });
    expect(await b.quit()).toBe(0);
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    void c.ask(`join 127.0.0.1:${(silent.address() as AddressInfo).port}`).catch(() => undefined);
    expect(await c.quit()).toBe(0);
    silent.close();
    const child = spawn(OUR_PEER, ['-name', 'd'], { stdio: ['pipe', 'ignore', 'inherit'] });
    child.stdin.end();
    expect(await once(child, 'close')).toEqual([0, null]);
  });

  test('starts from anywhere, through a symbolic link', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'honeymesh-link-'));
    const link = join(folder, 'peer');
    symlinkSync(OUR_PEER, link);
    try {
      const peer = await peers.start('linked', [], link);
      expect(peer.events.find(({ ev }) => ev === 'ready')).toMatchObject({ node: 'linked', addr: peer.addr });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('replies once to each command, with its number, in their order, and says why one failed', async () => {
    const a = await peers.start('a');
    const replies = await Promise.all(
      ['members', 'stats', 'keys', 'broadcast AQ==', 'nonsense', 'meta AQI', 'send-best-effort nobody AQ==', 'key-add AQ==', 'ping nobody', 'loss 2'].map(
        command => a.ask(command),
      ),
    );
    expect(replies.map(({ ok }) => ok)).toEqual([true, true, true, true, false, false, false, false, false, false]);
    expect(replies.slice(4).every(({ error }) => typeof error === 'string' && error.length > 0)).toBe(true);
    expect(seen(a, 'reply').map(({ id }) => id)).toEqual(replies.map((_, at) => String(at + 1)));
    const { at } = replies[3] as PeerEvent;
    // Microseconds of the wall clock.
    for (const time of [Number(at), replies[3]?.ts ?? 0]) expect(Math.abs(time / 1000 - Date.now())).toBeLessThan(60_000);
    expect(replies[0]).toMatchObject({ alive: 1, members: [{ node: 'a', addr: a.addr, state: 'alive', inc: 1, meta: '', vsn: [1, 5, 2, 0, 0, 0] }] });
  });

  test('sends what it is told to: a message sealed as its own, bytes as they are, a message over a stream', async () => {
    const flags = ['-key', KEY, '-label', 'hm'];
    const [a, b] = await Promise.all([peers.start('a', [...flags, '-trace']), peers.start('b', flags)]);
    await b.tell(`packet ${a.addr} ${PING}`);
    await b.tell(`raw ${a.addr} 0011`);
    await b.tell(`raw ${a.addr} -`);
    const reply = await b.tell(`stream ${a.addr} ${PING}`);
    expect(reply).toMatchObject({ closed: true, received: { label: '', enc: 1, key: 0, msgs: [{ type: 'ack', seq: 42, payload: '' }] } });
    const fault = (why: string) => a.until(why, event => event.ev === 'rx' && event.fault === why);
    expect(await a.until('the ping', event => event.ev === 'rx' && event.fault === undefined)).toMatchObject({
      label: 'hm',
      enc: 1,
      key: 0,
      crc: false,
      compressed: false,
      compound: false,
      msgs: [{ type: 'ping', seq: 42, node: 'a' }],
    });
    expect(await fault('ciphertext-too-short')).toMatchObject({ len: 2, enc: null, msgs: [] });
    expect(await b.ask(`packet ${a.addr} 0`)).toMatchObject({ ok: false, error: expect.stringContaining('hexadecimal') });
    expect(await b.ask('raw nowhere 00')).toMatchObject({ ok: false });
    expect(await b.ask('stream 127.0.0.1:1 00')).toMatchObject({ ok: false, error: expect.stringContaining('ECONNREFUSED') });
  });

  test('tells of each datagram and stream what it was made of', async () => {
    const [a, b] = await Promise.all([peers.start('a', ['-key', KEY, '-trace']), peers.start('b', ['-key', `${OTHER_KEY},${KEY}`])]);
    await a.tell(`key-add ${OTHER_KEY}`);
    await b.tell(`join ${a.addr}`);
    const [inward, outward] = [
      await a.until('in', ({ ev, dir }) => ev === 'stream' && dir === 'in'),
      await a.until('out', ({ ev, dir }) => ev === 'stream' && dir === 'out'),
    ];
    expect(inward).toMatchObject({
      role: 'acceptor',
      enc: 1,
      key: 1,
      compressed: true,
      msgs: [{ type: 'push-pull', join: true, nodes: [{ node: 'b', addr: b.addr, state: 'alive', inc: 1 }] }],
    });
    expect(outward).toMatchObject({ role: 'acceptor', enc: 1, key: 0, msgs: [{ type: 'push-pull', join: true, nodes: [{ node: 'a', addr: a.addr }] }] });
    const news = await a.until('gossip', ({ ev, crc, compound }) => ev === 'tx' && crc === true && compound === true);
    expect(news).toMatchObject({
      to: b.addr,
      enc: 1,
      key: 0,
      msgs: expect.arrayContaining([expect.objectContaining({ type: 'alive', node: 'a', addr: a.addr })]),
    });
    await b.tell(`broadcast ${Buffer.alloc(600, 65).toString('base64')}`);
    expect(await a.until('what was compressed', ({ ev, compressed }) => ev === 'rx' && compressed === true)).toMatchObject({
      from: b.addr,
      key: 1,
      msgs: expect.arrayContaining([expect.objectContaining({ type: 'user', len: 600 })]),
    });
  });

  test('passes on at first sight: at once to all what was only gossiped, and by gossip what its sender said to all', async () => {
    // Gossip that never comes: what arrives was pushed.
    const flags = ['-relay', '-trace', '-gossip-interval', '10m', '-probe-interval', '10m'];
    const [a, b, c] = await Promise.all([peers.start('a', flags), peers.start('b', flags), peers.start('c', flags)]);
    for (const peer of [b, c]) await peer.tell(`join ${a.addr}`);
    await b.tell(`join ${c.addr}`);
    const users = (peer: Peer, ev: 'rx' | 'tx', text: string): number =>
      seen(peer, ev).filter(({ msgs }) => Array.isArray(msgs) && msgs.some(({ type, data }) => type === 'user' && data === base64(text))).length;
    // As gossip does it, to one and with a checksum.
    await a.tell(`send-best-effort b ${base64('gossiped')}`);
    await c.until('what b passed on', event => event.ev === 'user' && event.data === base64('gossiped'));
    for (const peer of [a, c]) {
      await b.until(
        `it to ${peer.name}`,
        ({ ev, to, msgs }) => ev === 'tx' && to === peer.addr && Array.isArray(msgs) && msgs.some(({ data }) => data === base64('gossiped')),
      );
    }
    // Whom it has not heard yet it pushes nothing to: soon after a join it greets all.
    const isGreeted = (message: { readonly type: string; readonly seq: number }): boolean => message.type === 'ack' && message.seq >= 2 ** 31;
    for (const peer of [b, c])
      await a.until('its ack', ({ ev, from, msgs }) => ev === 'rx' && from === peer.addr && Array.isArray(msgs) && msgs.some(isGreeted));
    await a.tell(`broadcast ${base64('pushed')}`);
    for (const peer of [b, c]) await peer.until('the broadcast', event => event.ev === 'user' && event.data === base64('pushed'));
    for (const peer of [b, c]) expect([await peer.tell('stats'), users(peer, 'tx', 'pushed')]).toMatchObject([{ userQueued: 2 }, 0]);
  });
});
