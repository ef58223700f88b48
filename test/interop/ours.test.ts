/** Two and three of ours over loopback, driven as strangers' harnesses drive them. */
import { describe, type TestContext, test } from 'vitest';
import { createScene } from '#test/support/go-scene.ts';
import { base64, type Peer } from '#test/support/mesh-peers.ts';

/** Tests of this file run side by side. */
const started = (context: TestContext) => createScene(context, null, []).ours;

const key = (byte: number, bytes: number): string => Buffer.alloc(bytes, byte).toString('base64');
const KEY_32 = key(1, 32);
/** Deaths in seconds instead of a quarter of a minute, and nothing else changed. */
const QUICK = ['-probe-interval', '200ms', '-probe-timeout', '100ms', '-suspicion-mult', '2', '-gossip-interval', '50ms'];

async function two(
  context: TestContext,
  flags: readonly string[] = [],
  ofA: readonly string[] = [],
  ofB: readonly string[] = [],
): Promise<readonly [Peer, Peer]> {
  const start = started(context);
  const [a, b] = await Promise.all([start('a', [...flags, ...ofA]), start('b', [...flags, ...ofB])]);
  await b.tell(`join ${a.addr}`);
  return [a, b];
}

const users = (peer: Peer): readonly string[] =>
  peer.events.flatMap(event => (event.ev === 'user' && event.first === true ? [Buffer.from(String(event.data), 'base64').toString()] : []));

describe.concurrent('two of ours', () => {
  test('a mesh in clear moves to encryption in three steps, one member after the other, and nobody is ever alone', async context => {
    const { expect } = context;
    const stages = [[], ['-verify-in=false', '-verify-out=false'], ['-verify-in=false'], []];
    let [a, b] = await two(context, ['-verify-in', '-verify-out']);
    const heard = async (from: Peer, to: Peer, text: string): Promise<void> => {
      await from.tell(`broadcast ${base64(text)}`);
      await to.until(text, event => event.ev === 'user' && event.data === base64(text));
    };
    const restart = async (peer: Peer, other: Peer, flags: readonly string[]): Promise<Peer> => {
      await peer.tell('leave 5s');
      await peer.quit();
      const again = await started(context)(peer.name, ['-key', KEY_32, ...flags]);
      await again.tell(`join ${other.addr}`);
      return again;
    };
    for (const [stage, flags] of stages.entries()) {
      if (stage === 0) continue;
      a = await restart(a, b, flags);
      await heard(a, b, `a of stage ${stage}`);
      await heard(b, a, `b of stage ${stage - 1}`);
      b = await restart(b, a, flags);
      await heard(b, a, `b of stage ${stage}`);
      await heard(a, b, `a of stage ${stage}, again`);
    }
    // Who speaks in clear is a stranger from now on.
    const plain = await started(context)('plain');
    expect(await plain.ask(`join ${a.addr}`)).toMatchObject({ ok: false });
  });

  test.for([
    ['in clear', []],
    ['with a label, uncompressed', ['-label', 'honeymesh', '-compress=false']],
    ['under a key of 16 bytes', ['-key', key(2, 16)]],
    ['under a key of 24 bytes, with a label', ['-key', key(3, 24), '-label', 'honeymesh']],
    ['under a key of 32 bytes, uncompressed', ['-key', KEY_32, '-compress=false']],
    ['as memberlist spoke at first (protocol 1)', ['-key', KEY_32, '-proto', '1', '-port', '17946']],
  ] as const)('meet and talk %s', async ([name, flags], context) => {
    const { expect } = context;
    // Protocol 1 has no ports in its messages: all its members must use one, each on an address of its own.
    const [ofA, ofB] = name.includes('protocol 1')
      ? [
          ['-bind', '127.0.1.1'],
          ['-bind', '127.0.1.2'],
        ]
      : [[], []];
    const [a, b] = await two(context, flags, ['-meta', base64('meta of a'), '-state', base64('state of a'), ...ofA], ['-state', base64('state of b'), ...ofB]);
    expect((await a.until('b', event => event.ev === 'join' && event.node === 'b')).addr).toBe(b.addr);
    expect((await b.until('a', event => event.ev === 'join' && event.node === 'a')).meta).toBe(base64('meta of a'));
    expect(await a.until('the state of b', event => event.ev === 'merge')).toMatchObject({ join: true, state: base64('state of b') });
    expect(await b.until('the state of a', event => event.ev === 'merge')).toMatchObject({ join: true, state: base64('state of a') });
    await a.tell(`broadcast ${base64('a says')}`);
    await b.tell(`send-reliable a ${base64('b says')}`);
    await b.tell(`send-best-effort a ${base64('b says it quickly')}`);
    await b.until('the broadcast', event => event.ev === 'user' && event.data === base64('a says') && event.via === 'udp');
    await a.until('the reliable one', event => event.ev === 'user' && event.data === base64('b says') && event.via === 'tcp');
    await a.until('the quick one', event => event.ev === 'user' && event.data === base64('b says it quickly') && event.via === 'udp');
    expect((await b.tell('ping a')).rtt_us).toBeGreaterThan(0);
    await b.tell('leave 5s');
    expect(await a.until('the leave', event => event.ev === 'leave')).toMatchObject({ node: 'b', state: 'left' });
    expect(await b.quit()).toBe(0);
  });

  test('a changed meta is seen', async context => {
    const { expect } = context;
    const [a, b] = await two(context);
    await a.tell(`meta ${base64('another')}`);
    expect(await b.until('the update', event => event.ev === 'update' && event.node === 'a')).toMatchObject({ meta: base64('another'), inc: 2 });
    expect(await a.ask(`meta ${Buffer.alloc(513).toString('base64')}`)).toMatchObject({ ok: false, error: 'meta-too-long' });
  });

  test('a message of a mebibyte goes over a stream; a broadcast that fits no datagram is refused', async context => {
    const { expect } = context;
    const [a, b] = await two(context, ['-key', KEY_32, '-label', 'honeymesh']);
    const large = Buffer.alloc(1024 * 1024, 7).toString('base64');
    await b.tell(`send-reliable a ${large}`);
    expect((await a.until('the large one', event => event.ev === 'user')).len).toBe(1024 * 1024);
    const payload = (length: number): string => Buffer.alloc(length, 9).toString('base64');
    // 1400 less compound, label and encryption: gossip.md 1.15.
    await b.tell(`broadcast ${payload(1355)}`);
    await a.until('the longest', event => event.ev === 'user' && event.len === 1355);
    expect(await b.ask(`broadcast ${payload(1356)}`)).toMatchObject({ ok: false, error: 'payload-too-long' });
  });

  test.for([
    ['another key', ['-key', key(5, 32)]],
    ['no key', []],
    ['another label', ['-key', KEY_32, '-label', 'other']],
  ] as const)('who has %s is refused, and nobody notices more of it', async ([, flags], context) => {
    const { expect } = context;
    const [a, b] = await Promise.all([started(context)('a', ['-key', KEY_32]), started(context)('b', flags)]);
    expect(await b.ask(`join ${a.addr}`)).toMatchObject({ ok: false });
    expect((await a.members()).map(({ node }) => node)).toEqual(['a']);
    expect((await b.members()).map(({ node }) => node)).toEqual(['b']);
  });

  test('keys change in three steps while both talk, and nothing is lost', async context => {
    const { expect } = context;
    const [first, second] = [KEY_32, key(9, 32)];
    const [a, b] = await two(context, ['-key', first]);
    const sent: string[] = [];
    let rotated = false;
    async function talk(): Promise<void> {
      for (let count = 0; !rotated; count++) {
        sent.push(`${count}`);
        await a.tell(`send-best-effort b ${base64(`${count}`)}`);
        await b.tell(`send-best-effort a ${base64(`${count}`)}`);
      }
    }
    const talking = talk();
    for (const step of ['add', 'use']) for (const peer of [a, b]) await peer.tell(`key-${step} ${second}`);
    for (const peer of [a, b]) await peer.tell(`key-remove ${first}`);
    rotated = true;
    await talking;
    const last = base64(sent.at(-1) ?? '');
    for (const peer of [a, b]) await peer.until('the last one', event => event.ev === 'user' && event.data === last);
    expect(users(b)).toEqual(sent);
    expect(users(a)).toEqual(sent);
    expect((await a.tell('keys')).keys).toEqual([second]);
    expect((await a.tell('stats')).refused).toBe(0);
    expect(await a.ask(`key-remove ${second}`)).toMatchObject({ ok: false, error: 'primary-key' });
  });
});

describe.concurrent('three of ours', () => {
  async function three(context: TestContext, flags: readonly string[] = []): Promise<readonly [Peer, Peer, Peer]> {
    const [a, b] = await two(context, flags);
    const c = await started(context)('c', flags);
    await c.tell(`join ${a.addr}`);
    await b.until('c', event => event.ev === 'join' && event.node === 'c');
    return [a, b, c];
  }

  test('a broadcast reaches all of them, each tells what is new once, and relaying adds nothing twice', async context => {
    const { expect } = context;
    const all = await three(context, ['-relay']);
    await all[0].tell(`broadcast ${base64('hear')}`);
    await Promise.all(all.slice(1).map(peer => peer.until('the broadcast', event => event.ev === 'user' && event.data === base64('hear'))));
    for (const peer of all.slice(1)) expect(users(peer)).toEqual(['hear']);
  });

  test('a killed one is suspected, then dead, and comes back under its name and address', async context => {
    const { expect } = context;
    const [a, b, c] = await three(context, QUICK);
    await c.kill();
    for (const peer of [a, b]) {
      await peer.until('the suspicion', event => event.ev === 'suspect' && event.node === 'c');
      expect(await peer.until('the death', event => event.ev === 'leave' && event.node === 'c')).toMatchObject({ state: 'dead' });
    }
    const again = await started(context)('c', [...QUICK, '-port', c.addr.split(':')[1] ?? '']);
    await again.tell(`join ${a.addr}`);
    const seen = await b.until('its return', event => event.ev === 'join' && event.node === 'c' && Number(event.inc) > 1);
    expect(seen.addr).toBe(c.addr);
  });
});
