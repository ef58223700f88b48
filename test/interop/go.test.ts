/** Ours in a mesh with hashicorp/memberlist v0.7.0, its own library in a program of Go. */
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { buildGoPeer } from '#test/support/go-peer.ts';
import { createScene, pause } from '#test/support/go-scene.ts';
import { badPadding } from '#test/support/mesh-bombs.ts';
import { base64, createPeers, type Peer } from '#test/support/mesh-peers.ts';

const go = buildGoPeer();
const peers = createPeers();
afterEach(() => peers.stop());
afterAll(() => go?.remove());

const key = (byte: number, bytes: number): string => Buffer.alloc(bytes, byte).toString('base64');
const QUICK = ['-probe-interval', '200ms', '-probe-timeout', '100ms', '-suspicion-mult', '2', '-gossip-interval', '50ms'];

const startGo = (name: string, flags: readonly string[] = []): Promise<Peer> => peers.start(name, flags, go?.program);

async function both(flags: readonly string[]): Promise<{ theirs: Peer; ours: Peer }> {
  const [theirs, ours] = await Promise.all([startGo('theirs', flags), peers.start('ours', flags)]);
  return { theirs, ours };
}

const users = (peer: Peer): readonly string[] =>
  peer.events.flatMap(event => (event.ev === 'user' && event.first === true ? [Buffer.from(String(event.data), 'base64').toString()] : []));

const nightly = process.env.HONEYMESH_NIGHTLY === '1';
const KEYS = [
  ['in clear', []],
  ['under a key of 16 bytes', ['-key', key(1, 16)]],
  ['under a key of 32 bytes', ['-key', key(3, 32)]],
] as const;
const LABELS = [
  ['without a label', []],
  ['with a label', ['-label', 'honeymesh']],
] as const;
const COMPRESSIONS = [
  ['compressed', []],
  ['uncompressed', ['-compress=false']],
] as const;
const COVERS: readonly (readonly [string, readonly string[]])[] = [
  ...KEYS.flatMap(([keyed, one]) =>
    LABELS.flatMap(([labelled, two]) => COMPRESSIONS.map(([packed, three]) => [`${keyed}, ${labelled}, ${packed}`, [...one, ...two, ...three]] as const)),
  ),
  ['under a key of 24 bytes, with a label, compressed', ['-key', key(2, 24), '-label', 'honeymesh']],
];
/** Who joins whom is another matter than the cover: in turns here, both for each at night. */
const MATRIX = COVERS.flatMap(([cover, flags], at) =>
  (['we join it', 'it joins us'] as const).filter((_, who) => nightly || (at + (at >> 1)) % 2 === who).map(who => [who, cover, flags] as const),
);

const heard = (text: string) => (event: { readonly ev: string; readonly data?: unknown }) => event.ev === 'user' && event.data === base64(text);

describe.skipIf(go === null).concurrent('with memberlist', () => {
  test.for(MATRIX)('%s %s', async ([who, , flags], context) => {
    const { expect } = context;
    const scene = createScene(context, go, flags);
    const [theirs, ours] = await Promise.all([
      scene.theirs('theirs', ['-state', base64('state of theirs'), '-meta', base64('meta of theirs')]),
      scene.ours('ours', ['-state', base64('state of ours'), '-pings']),
    ]);
    if (who === 'we join it') await ours.tell(`join ${theirs.addr}`);
    else await theirs.tell(`join ${ours.addr}`);
    expect(await ours.until('its join', event => event.ev === 'join' && event.node === 'theirs')).toMatchObject({
      addr: theirs.addr,
      meta: base64('meta of theirs'),
    });
    expect((await theirs.until('our join', event => event.ev === 'join' && event.node === 'ours')).addr).toBe(ours.addr);
    expect(await ours.until('its state', event => event.ev === 'merge')).toMatchObject({ join: true, state: base64('state of theirs') });
    expect(await theirs.until('our state', event => event.ev === 'merge')).toMatchObject({ join: true, state: base64('state of ours') });

    await ours.tell(`broadcast ${base64('from ours')}`);
    await theirs.tell(`broadcast ${base64('from theirs')}`);
    await theirs.until('our broadcast', heard('from ours'));
    await ours.until('its broadcast', heard('from theirs'));
    await ours.tell(`send-reliable theirs ${base64('x'.repeat(1024 * 1024))}`);
    await theirs.tell(`send-reliable ours ${base64('y'.repeat(1024 * 1024))}`);
    await theirs.until('our large one', event => event.ev === 'user' && event.len === 1024 * 1024);
    await ours.until('its large one', event => event.ev === 'user' && event.len === 1024 * 1024);
    await ours.tell(`meta ${base64('ours anew')}`);
    await theirs.until('our meta', event => event.ev === 'update' && event.meta === base64('ours anew'));

    expect((await ours.tell('ping theirs')).rtt_us).toBeGreaterThan(0);
    expect(await ours.tell('stats')).toMatchObject({ refused: 0 });
    await ours.tell('leave 5s');
    await theirs.until('our leave', event => event.ev === 'leave' && event.node === 'ours');
  });

  // 1400 less compound and its part (4), the type (1), the label (2 and its length) and encryption (29): gossip.md 1.15.
  test.for([
    ['in clear', [], 1395],
    ['with a label', ['-label', 'honeymesh'], 1384],
    ['under a key, with a label', ['-key', key(3, 32), '-label', 'honeymesh'], 1355],
  ] as const)('broadcasts of a byte, of 250 and of all that a datagram holds arrive both ways, one more is refused: %s', async ([, flags, most], context) => {
    const { expect } = context;
    const scene = createScene(context, go, flags);
    const [theirs, ours] = await Promise.all([scene.theirs('theirs'), scene.ours('ours')]);
    await scene.mesh([theirs, ours]);
    const payload = (length: number, byte: number): string => Buffer.alloc(length, byte).toString('base64');
    for (const length of [1, 250, most]) {
      for (const [at, [from, to]] of [[ours, theirs] as const, [theirs, ours] as const].entries()) {
        await from.tell(`broadcast ${payload(length, at)}`);
        await to.until(`${length} bytes`, event => event.ev === 'user' && event.data === payload(length, at));
      }
    }
    expect(await ours.ask(`broadcast ${payload(most + 1, 3)}`)).toMatchObject({ ok: false, error: 'payload-too-long' });
    // Said as often as a mesh of two takes: 4 times ceil(log10(3)); ours besides once at once.
    const copies = (peer: Peer, byte: number): number => peer.events.filter(event => event.ev === 'user' && event.data === payload(250, byte)).length;
    while (copies(ours, 1) < 4 || copies(theirs, 0) < 4) await pause(50);
    await pause(500);
    expect(copies(ours, 1)).toBe(4);
    expect(copies(theirs, 0)).toBe(5);
  });

  // Protocol 1 has no ports in its messages: all its members use one, each on an address of its own.
  test.for([
    [2, 1, '127.0.11'],
    [1, 2, '127.0.12'],
    [2, 3, '127.0.13'],
    [3, 2, '127.0.14'],
    [3, 1, '127.0.15'],
    [1, 3, '127.0.16'],
    [5, 5, '127.0.17'],
  ] as const)('ours of protocol %i and its of protocol %i are one mesh', async ([ofOurs, ofGo, network], context) => {
    const scene = createScene(context, go, ['-key', key(3, 32), '-label', 'honeymesh', '-port', '17947']);
    const [theirs, ours] = await Promise.all([
      scene.theirs('theirs', ['-bind', `${network}.1`, '-proto', `${ofGo}`]),
      scene.ours('ours', ['-bind', `${network}.2`, '-proto', `${ofOurs}`]),
    ]);
    await scene.mesh([theirs, ours]);
    await ours.tell(`send-best-effort theirs ${base64('from ours')}`);
    await theirs.tell(`send-best-effort ours ${base64('from theirs')}`);
    await theirs.until('ours', heard('from ours'));
    await ours.until('theirs', heard('from theirs'));
    context.expect((await ours.tell('ping theirs')).rtt_us).toBeGreaterThan(0);
  });

  test.for([
    ['another key', ['-key', key(3, 32)], ['-key', key(5, 32)], 'no installed key'],
    ['no key, where there is one', ['-key', key(3, 32)], [], ''],
    ['a key, where there is none', [], ['-key', key(3, 32)], ''],
    ['another label', ['-label', 'one'], ['-label', 'other'], ''],
    ['no label, where there is one', ['-label', 'one'], [], ''],
    ['a label, where there is none', [], ['-label', 'one'], ''],
    ['another label, under one key', ['-key', key(3, 32), '-label', 'one'], ['-key', key(3, 32), '-label', 'other'], ''],
  ] as const)('who has %s is refused by both, with its words for it, and neither is any the worse', async ([, ofGo, ofOurs, words], context) => {
    const { expect } = context;
    const scene = createScene(context, go, []);
    const [theirs, ours] = await Promise.all([scene.theirs('theirs', ofGo), scene.ours('ours', ofOurs)]);
    const [byThem, byUs] = [await ours.ask(`join ${theirs.addr}`), await theirs.ask(`join ${ours.addr}`)];
    expect(byThem).toMatchObject({ ok: false });
    expect(byUs).toMatchObject({ ok: false });
    if (words !== '') for (const { error } of [byUs, byThem]) expect(String(error)).toMatch(words);
    expect((await ours.members()).map(({ node }) => node)).toEqual(['ours']);
    expect((await theirs.members()).map(({ node }) => node)).toEqual(['theirs']);
    const friend = await scene.ours('friend', ofOurs);
    await friend.tell(`join ${ours.addr}`);
    expect((await ours.members()).map(({ node, state }) => `${node} ${state}`).sort()).toEqual(['friend alive', 'ours alive']);
  });

  test('the two blobs that ours refuses end a Go process: this is why they are tests of ours', async context => {
    const scene = createScene(context, go, ['-key', key(3, 32)]);
    const [one, other, ours] = await Promise.all([scene.theirs('one'), scene.theirs('other'), scene.ours('ours')]);
    await ours.ask(`stream ${one.addr} -`);
    await one.ended;
    const padded = badPadding({ key: Buffer.alloc(32, 3), label: '', last: 255 });
    await ours.tell(`raw ${other.addr} ${Buffer.from(padded).toString('hex')}`);
    await other.ended;
  });
});

describe.skipIf(go === null)('with memberlist, one after the other', () => {
  test('its goodbye is understood, and so is its death', async () => {
    const { theirs, ours } = await both(QUICK);
    await ours.tell(`join ${theirs.addr}`);
    const third = await startGo('third', QUICK);
    await third.tell(`join ${theirs.addr}`);
    await ours.until('the third', event => event.ev === 'join' && event.node === 'third');
    await third.kill();
    expect(await ours.until('its death', event => event.ev === 'leave' && event.node === 'third')).toMatchObject({ state: 'dead' });
    await theirs.tell('leave');
    expect(await ours.until('its leave', event => event.ev === 'leave' && event.node === 'theirs')).toMatchObject({ state: 'left' });
  });

  test('it notices when ours is killed', async () => {
    const { theirs, ours } = await both(QUICK);
    await ours.tell(`join ${theirs.addr}`);
    await theirs.until('our join', event => event.ev === 'join' && event.node === 'ours');
    await ours.kill();
    await theirs.until('our death', event => event.ev === 'leave' && event.node === 'ours');
  });

  test('keys change in three steps while both talk, and nothing is lost', async () => {
    const [first, second] = [key(5, 32), key(6, 32)];
    const { theirs, ours } = await both(['-key', first, '-label', 'honeymesh']);
    await ours.tell(`join ${theirs.addr}`);
    const sent: string[] = [];
    let rotated = false;
    async function talk(): Promise<void> {
      for (let count = 0; !rotated; count++) {
        sent.push(`${count}`);
        await theirs.tell(`send-best-effort ours ${base64(`${count}`)}`);
        await ours.tell(`send-best-effort theirs ${base64(`${count}`)}`);
      }
    }
    const talking = talk();
    for (const step of ['add', 'use']) for (const peer of [theirs, ours]) await peer.tell(`key-${step} ${second}`);
    for (const peer of [theirs, ours]) await peer.tell(`key-remove ${first}`);
    rotated = true;
    await talking;
    // It hands messages of one moment on in another order than they came.
    for (const peer of [theirs, ours]) for (const each of sent) await peer.until(each, event => event.ev === 'user' && event.data === base64(each));
    expect([...users(theirs)].sort()).toEqual([...sent].sort());
    expect([...users(ours)].sort()).toEqual([...sent].sort());
  });
});
