/** The driver on real sockets of loopback: what it keeps, whom it looks for, and what strangers can do to it. */
import { createCipheriv } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ACCEPTOR_LIMITS } from '#enforcer/mesh/node/acceptor.ts';
import { createNodeMemory } from '#enforcer/mesh/node/node-memory.ts';
import { textOfEndpoint } from '#enforcer/mesh/node/places.ts';
import { createTestNodes, dialled, heardOn, say, throwAt } from '#test/support/mesh-node.ts';

const nodes = createTestNodes();
const folder = mkdtempSync(join(tmpdir(), 'honeymesh-mesh-node-'));
afterEach(async () => {
  await nodes.stop();
  rmSync(folder, { recursive: true, force: true });
});

const placeOf = (started: { readonly node: { readonly advertised: Parameters<typeof textOfEndpoint>[0] } }): string => textOfEndpoint(started.node.advertised);
const alive = (started: { readonly node: { members(): readonly { name: string; state: string }[] } }): readonly string[] =>
  started.node
    .members()
    .flatMap(({ name, state }) => (state === 'alive' ? [name] : []))
    .sort();

describe('a member on sockets', () => {
  test.each([
    ['IPv6 alone', '::1', '::1'],
    ['both families, over IPv4', '::', '127.0.0.1'],
  ])('meets another over %s', async (_name, bind, host) => {
    const a = await nodes.start('a', { bind });
    const b = await nodes.start('b', { bind });
    const target = host.includes(':') ? `[${host}]:${a.node.advertised.port}` : `${host}:${a.node.advertised.port}`;
    expect(await b.node.join([target])).toMatchObject({ contacted: 1 });
    await a.until(() => alive(a).length === 2);
    expect((await a.node.ping('b')).kind).toBe('ping');
    expect((await b.node.ping('a')).kind).toBe('ping');
    expect(await a.node.sendReliable('b', Uint8Array.of(1, 2, 3))).toBeNull();
    await b.until(() => b.events.some(event => event.kind === 'user' && event.via === 'stream' && event.payload.length === 3));
  });

  test('says why it cannot listen', async () => {
    const a = await nodes.start('a');
    await expect(nodes.start('b', { port: a.node.advertised.port })).rejects.toThrow('in-use');
    await expect(nodes.start('c', { bind: '192.0.2.1' })).rejects.toThrow('no-such-address');
    await expect(nodes.start('d', { bind: 'not an address' })).rejects.toThrow('no-such-address');
  });

  test('says who could not be joined', async () => {
    const a = await nodes.start('a');
    const gone = await nodes.start('gone');
    await gone.node.stop();
    const joined = await a.node.join([placeOf(gone), 'nowhere:1', ':']);
    expect(joined).toMatchObject({ contacted: 0, failed: [{ why: 'refused' }] });
    expect(joined.unresolved).toHaveLength(2);
  });

  test('what the system does not let out is counted, and told to the core', async () => {
    const a = await nodes.start('a');
    const elsewhere = { address: new Uint8Array(16).fill(1), port: 7946 };
    expect(a.node.tell({ kind: 'send-best-effort', to: elsewhere, payload: Uint8Array.of(1) })).toEqual([]);
    expect(a.node.stats()).toMatchObject({ datagramsOut: 1, sendsFailed: 1 });
  });

  test('resolves its list again when it is due, and joins who is not a member', async () => {
    const a = await nodes.start('a');
    let asked = 0;
    const b = await nodes.start(
      'b',
      { join: [`mesh:${a.node.advertised.port}`], tuning: { rejoinIntervalMs: 20 } },
      {
        async lookup() {
          if (++asked === 1) throw new Error('not yet');
          return [{ address: '127.0.0.1' }];
        },
      },
    );
    expect(await b.node.join()).toMatchObject({ contacted: 0 });
    await b.until(() => alive(b).length === 2);
    expect(asked).toBeGreaterThan(1);
  });

  test('begins above its last incarnation, and finds its peers without a list', async () => {
    const a = await nodes.start('a');
    const memory = createNodeMemory(join(folder, 'node.json'));
    const first = await nodes.start('b', {}, { memory });
    await first.node.join([placeOf(a)]);
    first.node.tell({ kind: 'update-meta', meta: Uint8Array.of(1) });
    expect(first.node.self().incarnation).toBe(2);
    await first.node.stop();
    const second = await nodes.start('b', { port: first.node.advertised.port }, { memory });
    expect(second.node.self().incarnation).toBe(3);
    expect(await second.node.join()).toMatchObject({ contacted: 1 });
    expect(alive(second)).toEqual(['a', 'b']);
  });

  test.each(['', '{', '[]', '{"incarnation":"1","peers":[]}', '{"incarnation":-1,"peers":[]}'])('a memory of %j is none', async text => {
    const other = mkdtempSync(join(tmpdir(), 'honeymesh-mesh-node-'));
    writeFileSync(join(other, 'node.json'), text);
    expect(await createNodeMemory(join(other, 'node.json')).recall()).toBeNull();
    rmSync(other, { recursive: true });
  });

  test('what was only to be said is said, also to a peer that never closes', async () => {
    const a = await nodes.start('a', { tuning: { tcpTimeoutMs: 300 } });
    const silent = await dialledServer();
    expect(await a.node.sendReliable({ address: Uint8Array.of(127, 0, 0, 1), port: silent.port }, Uint8Array.of(1))).toBeNull();
    expect(await a.node.join([`127.0.0.1:${silent.port}`])).toMatchObject({ contacted: 0, failed: [{ why: 'timeout' }] });
    silent.close();
  });

  test('who waits for something when it stops is told', async () => {
    const a = await nodes.start('a');
    const silent = await dialledServer();
    const joining = a.node.join([`127.0.0.1:${silent.port}`]);
    await silent.connected;
    await a.node.stop();
    expect(await joining).toMatchObject({ contacted: 0 });
    silent.close();
  });
});

describe('strangers', () => {
  const KEY = new Uint8Array(32).fill(1);

  /** What ends a Go process of memberlist v0.7.0. */
  function sealedWith(version: number, plain: Uint8Array, context: Uint8Array): Buffer {
    const nonce = new Uint8Array(12);
    const cipher = createCipheriv('aes-256-gcm', KEY, nonce).setAAD(context);
    const body = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([Buffer.of(version), nonce, body, cipher.getAuthTag()]);
  }

  test('the two packets that end a Go node are refused, and it lives on', async () => {
    const a = await nodes.start('a', { keys: [KEY] });
    const { port } = a.node.advertised;
    const badPadding = new Uint8Array(16).fill(255);
    await throwAt(port, sealedWith(0, badPadding, new Uint8Array()));
    await a.until(() => a.refusals.some(refusal => refusal.by === 'datagram' && refusal.why === 'bad-padding'));
    const head = Buffer.of(10, 0, 0, 0, 29);
    const answer = await say(port, Buffer.concat([head, sealedWith(1, new Uint8Array(), head)]));
    await a.until(() => a.refusals.some(refusal => refusal.by === 'stream' && refusal.why === 'empty-plaintext'));
    expect(answer[0] ?? 10).toBe(10);
    const b = await nodes.start('b', { keys: [KEY] });
    expect(await b.node.join([placeOf(a)])).toMatchObject({ contacted: 1 });
  });

  test('nonsense by datagram and stream is refused', async () => {
    const a = await nodes.start('a');
    const { port } = a.node.advertised;
    await throwAt(port, new Uint8Array());
    await throwAt(port, Uint8Array.of(77, 1, 2));
    await throwAt(port, new Uint8Array(60_000).fill(9));
    expect(await say(port, Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toHaveLength(0);
    expect(await say(port, Buffer.of())).toHaveLength(0);
    await a.until(() => a.refusals.filter(({ by }) => by === 'datagram').length >= 3 && a.refusals.some(({ by }) => by === 'stream'));
    expect((await nodes.start('b').then(b => b.node.join([placeOf(a)]))).contacted).toBe(1);
  });

  test('who says nothing on a stream is closed at its deadline', async () => {
    const a = await nodes.start('a', { tuning: { tcpTimeoutMs: 30 } });
    expect(await heardOn(await dialled(a.node.advertised.port))).toHaveLength(0);
    expect(a.refusals).toMatchObject([{ by: 'stream', why: 'timeout' }]);
  });

  test('one source holds no more than its share of the streams', async () => {
    const a = await nodes.start('a');
    const streams = await Promise.all(Array.from({ length: ACCEPTOR_LIMITS.streamsPerSource + 1 }, () => dialled(a.node.advertised.port)));
    await a.until(() => a.refusals.length > 0);
    expect(a.refusals).toMatchObject([{ by: 'stream', why: 'too-many-streams' }]);
    for (const stream of streams) stream.destroy();
  });
});

/** Takes connections and says nothing. */
async function dialledServer() {
  const connected = Promise.withResolvers<void>();
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    connected.resolve();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  return { port: typeof bound === 'object' ? (bound?.port ?? 0) : 0, connected: connected.promise, close: () => server.close() };
}
