/** Ours in a mesh with hashicorp/memberlist v0.7.0, its own library in a program of Go. */
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { buildGoPeer } from '#test/support/go-peer.ts';
import { base64, createPeers, type Peer } from '#test/support/mesh-peers.ts';

const go = buildGoPeer();
const peers = createPeers();
afterEach(() => peers.stop());
afterAll(() => go?.remove());

const key = (byte: number, bytes: number): string => Buffer.alloc(bytes, byte).toString('base64');
const QUICK = ['-probe-interval', '200ms', '-probe-timeout', '100ms', '-suspicion-mult', '2', '-gossip-interval', '50ms'];

const startGo = (name: string, flags: readonly string[] = []): Promise<Peer> => peers.start(name, flags, go?.program);

async function both(flags: readonly string[], ofGo: readonly string[] = [], ofOurs: readonly string[] = []): Promise<{ theirs: Peer; ours: Peer }> {
  const [theirs, ours] = await Promise.all([startGo('theirs', [...flags, ...ofGo]), peers.start('ours', [...flags, ...ofOurs])]);
  return { theirs, ours };
}

const users = (peer: Peer): readonly string[] =>
  peer.events.flatMap(event => (event.ev === 'user' && event.first === true ? [Buffer.from(String(event.data), 'base64').toString()] : []));

const VARIANTS = [
  ['in clear', []],
  ['in clear, with a label, uncompressed', ['-label', 'honeymesh', '-compress=false']],
  ['under a key of 16 bytes', ['-key', key(1, 16)]],
  ['under a key of 24 bytes, with a label', ['-key', key(2, 24), '-label', 'honeymesh']],
  ['under a key of 32 bytes, with a label, uncompressed', ['-key', key(3, 32), '-label', 'honeymesh', '-compress=false']],
] as const;

describe.skipIf(go === null)('with memberlist', () => {
  test.each(VARIANTS.flatMap(([name, flags]) => [['we join it', name, flags] as const, ['it joins us', name, flags] as const]))(
    '%s %s',
    async (who, _name, flags) => {
      const { theirs, ours } = await both(
        flags,
        ['-state', base64('state of theirs'), '-meta', base64('meta of theirs')],
        ['-state', base64('state of ours'), '-pings'],
      );
      if (who === 'we join it') await ours.tell(`join ${theirs.addr}`);
      else await theirs.tell(`join ${ours.addr}`);
      expect(await ours.until('its join', event => event.ev === 'join' && event.node === 'theirs')).toMatchObject({
        addr: theirs.addr,
        meta: base64('meta of theirs'),
      });
      expect((await theirs.until('our join', event => event.ev === 'join' && event.node === 'ours')).addr).toBe(ours.addr);
      expect(await ours.until('its state', event => event.ev === 'merge')).toMatchObject({ join: true, state: base64('state of theirs') });
      expect(await theirs.until('our state', event => event.ev === 'merge')).toMatchObject({ join: true, state: base64('state of ours') });

      const heard = (text: string) => (event: { ev: string; data?: unknown }) => event.ev === 'user' && event.data === base64(text);
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
    },
  );

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
    const last = base64(sent.at(-1) ?? '');
    for (const peer of [theirs, ours]) await peer.until('the last one', event => event.ev === 'user' && event.data === last);
    // It hands messages of one moment on in another order than they came.
    expect([...users(theirs)].sort()).toEqual([...sent].sort());
    expect([...users(ours)].sort()).toEqual([...sent].sort());
  });

  test.each([
    ['another key', ['-key', key(5, 32)], 'no installed key'],
    ['no key', [], ''],
    ['another label', ['-key', key(3, 32), '-label', 'other'], ''],
  ])('who has %s is refused by both, with its words for it', async (_name, flags, words) => {
    const { theirs, ours } = await both([], ['-key', key(3, 32)], flags);
    const [byThem, byUs] = [await ours.ask(`join ${theirs.addr}`), await theirs.ask(`join ${ours.addr}`)];
    expect(byThem).toMatchObject({ ok: false });
    expect(byUs).toMatchObject({ ok: false });
    if (words !== '') for (const { error } of [byUs, byThem]) expect(String(error)).toMatch(words);
    expect((await ours.members()).map(({ node }) => node)).toEqual(['ours']);
    expect((await theirs.members()).map(({ node }) => node)).toEqual(['theirs']);
  });
});
