/** Ours in a mesh with Debian's `serf`: a memberlist of another age, and with an application of its own on top. */
import { afterEach, describe, expect, test } from 'vitest';
import { createPeers, type Peer } from '#test/support/mesh-peers.ts';
import { hasSerf, type SerfAgent, startSerf } from '#test/support/serf-agent.ts';

const KEY = Buffer.alloc(32, 3).toString('base64');
/** Serf refuses who does not say that it speaks serf's versions 2 to 5. */
const AS_SERF = ['-delegate-proto', '2,5,4'];

const nightly = process.env.HONEYMESH_NIGHTLY === '1';
const peers = createPeers();
const agents: SerfAgent[] = [];
afterEach(async () => {
  await peers.stop();
  for (const agent of agents.splice(0)) await agent.stop();
});

async function withSerf(serfFlags: readonly string[], ourFlags: readonly string[]): Promise<{ readonly serf: SerfAgent; readonly ours: Peer }> {
  const serf = await startSerf('theirs', serfFlags);
  agents.push(serf);
  const ours = await peers.start('ours', [...AS_SERF, ...ourFlags]);
  await ours.tell(`join ${serf.addr}`);
  return { serf, ours };
}

const raw = (text: string): Buffer => Buffer.concat([Buffer.of(0xa0 + text.length), Buffer.from(text)]);
/** Serf's message types 3 and 0, in its msgpack. */
const serfEvent = (name: string, payload: string): Buffer =>
  Buffer.concat([Buffer.of(3, 0x84), raw('CC'), Buffer.of(0xc3), raw('LTime'), Buffer.of(5), raw('Name'), raw(name), raw('Payload'), raw(payload)]);
const serfLeave = (node: string): Buffer => Buffer.concat([Buffer.of(0, 0x82), raw('LTime'), Buffer.of(100), raw('Node'), raw(node)]);

describe.skipIf(!hasSerf)('with serf', () => {
  test.each([
    ['in clear', [], []],
    ['under a key of 32 bytes, compressed', [`-encrypt=${KEY}`], ['-key', KEY]],
    ['under a key of 32 bytes, uncompressed', [`-encrypt=${KEY}`, '-disable-compression'], ['-key', KEY, '-compress=false']],
  ])('it lists us alive, its events arrive and ours arrive there, %s', async (_name, serfFlags, ourFlags) => {
    const { serf, ours } = await withSerf(serfFlags, [...ourFlags, '-pings']);
    await serf.log(/EventMemberJoin: ours/);
    expect(await serf.members()).toMatchObject([
      { name: 'ours', status: 'alive', addr: ours.addr },
      { name: 'theirs', status: 'alive' },
    ]);
    expect((await ours.members()).map(({ node, state }) => `${node} ${state}`).sort()).toEqual(['ours alive', 'theirs alive']);
    await serf.command('event', 'deploy', 'the payload');
    const heard = await ours.until('its event', event => event.ev === 'user' && Buffer.from(String(event.data), 'base64').includes('deploy'));
    expect(Buffer.from(String(heard.data), 'base64')[0]).toBe(3);
    await ours.tell(`broadcast ${serfEvent('greeting', 'from ours').toString('base64')}`);
    await serf.log(/user-event: greeting/);
    // Probed and found well.
    await ours.until('a probe of theirs', event => event.ev === 'ping' && event.node === 'theirs');
    expect((await serf.members()).map(({ status }) => status)).toEqual(['alive', 'alive']);
  });

  test('who says so in its words has left, not failed', async () => {
    const { serf, ours } = await withSerf([], []);
    await ours.tell(`broadcast ${serfLeave('ours').toString('base64')}`);
    await serf.log(/messageLeaveType: ours/);
    await ours.tell('leave 5s');
    await serf.log(/EventMemberLeave: ours/);
    expect(await serf.members()).toMatchObject([{ name: 'ours', status: 'left' }, { name: 'theirs' }]);
    expect(await ours.quit()).toBe(0);
  });

  test('its goodbye is understood', async () => {
    const { serf, ours } = await withSerf([], []);
    await serf.command('leave');
    expect(await ours.until('its leave', event => event.ev === 'leave')).toMatchObject({ node: 'theirs', state: 'left' });
  });

  test('its orders about keys, which are for serf, are heard and ignored', async () => {
    const { serf, ours } = await withSerf([`-encrypt=${KEY}`], ['-key', KEY, '-pings']);
    const other = Buffer.alloc(32, 6).toString('base64');
    const before = (await ours.tell('keys')).keys;
    // Its agent gives one such order at a time, and waits more than 3 s for answers that we do not give: the rest is for the night.
    const orders = [`-install=${other}`, ...(nightly ? [`-use=${KEY}`, `-remove=${other}`] : [])];
    const given = Promise.allSettled(orders.map(order => serf.command('keys', order)));
    await ours.until('the order', event => event.ev === 'user' && Buffer.from(String(event.data), 'base64').includes('_serf_install-key'));
    if (nightly) await given;
    expect((await ours.tell('keys')).keys).toEqual(before);
    const pings = ours.events.filter(({ ev }) => ev === 'ping').length;
    await ours.until('a probe after it', event => event.ev === 'ping' && ours.events.filter(({ ev }) => ev === 'ping').length > pings);
    expect((await serf.members()).map(({ status }) => status)).toEqual(['alive', 'alive']);
    expect(ours.events.filter(({ ev }) => ev === 'suspect' || ev === 'leave')).toEqual([]);
  });

  // What runs at night only is no skip.
  if (nightly)
    test('it lists us alive for a minute', async () => {
      const { serf, ours } = await withSerf([], []);
      for (const end = Date.now() + 60_000; Date.now() < end; await new Promise(resolve => setTimeout(resolve, 1000))) {
        expect((await serf.members()).map(({ status }) => status)).toEqual(['alive', 'alive']);
      }
      expect(ours.events.filter(({ ev }) => ev === 'suspect' || ev === 'leave')).toEqual([]);
    });

  test('another key than ours is refused in words that its operators know', async () => {
    const serf = await startSerf('theirs', [`-encrypt=${KEY}`]);
    agents.push(serf);
    const ours = await peers.start('ours', [...AS_SERF, '-key', Buffer.alloc(32, 4).toString('base64')]);
    expect(await ours.ask(`join ${serf.addr}`)).toMatchObject({ ok: false });
    expect(await serf.members()).toHaveLength(1);
  });
});
