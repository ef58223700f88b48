/** Three whole enforcers of two sites, with kernels of their own: what one of them proves, the others drop, and only for as long as enough of them say so. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type RunningEnforcer } from '#test/support/enforcer.ts';
import { createMeshScene, type MeshScene, PLAIN, type SceneHost } from '#test/support/mesh-scene.ts';

/** Allow-listed on the second host. */
const FRIEND = '10.80.0.99';

let scene: MeshScene;
let one: SceneHost;
let two: SceneHost;
let three: SceneHost;
const running = new Map<SceneHost, RunningEnforcer>();

beforeAll(async () => {
  scene = await createMeshScene([
    { name: 'one', site: 'home' },
    { name: 'two', site: 'home', bind: '[::]:7946', config: `allow: [${FRIEND}]` },
    { name: 'three', site: 'lab' },
  ]);
  [one, two, three] = scene.hosts as [SceneHost, SceneHost, SceneHost];
});
afterAll(() => scene.remove());

const everyPeer = (host: SceneHost) =>
  eventually(`${host.name} knows two signed peers`, async () => {
    const peers = await host.peers();
    return peers.length === 2 && peers.every(peer => peer.signed && peer.state === 'alive');
  });

describe('a mesh of three hosts', () => {
  test('comes up, also around a host whose port is taken, which says so and enforces alone until it is free', async () => {
    const squatter = three.namespace.start([
      'python3',
      '-c',
      "import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('0.0.0.0',7946)); time.sleep(60)",
    ]);
    await eventually('the port is taken', async () => (await three.namespace.run(['ss', '-lnu'])).stdout.includes(':7946'));
    for (const host of scene.hosts) running.set(host, host.enforcer.run());
    await Promise.all([...running.values()].map(enforcer => enforcer.ready()));
    const down = await three.status();
    expect(down.mesh).toMatchObject({ state: 'down', peers: 0, name: 'three' });
    expect(down.degraded).toMatchObject([{ part: 'mesh', why: expect.stringContaining('0.0.0.0:7946'), fix: expect.stringContaining('mesh.bind') }]);
    const source = scene.stranger();
    expect(await scene.touch(source, [three])).toEqual([true]);
    await eventually('it bans alone', async () => (await three.banOf(source))?.enforced === true);
    squatter.kill('SIGKILL');
    await Promise.all(scene.hosts.map(everyPeer));
    expect(await three.status()).toMatchObject({ mesh: { state: 'joined', peers: 2, name: 'three', site: 'lab', signatures: 'preferred' }, degraded: [] });
    await eventually('what it decided alone is told when there is a mesh', async () => (await one.banOf(source)) !== undefined);
  });

  test('drops everywhere, for minutes, whom one site proved, and for good whom two sites did', async () => {
    const [seenByOne, seenByTwo] = [scene.stranger(), scene.stranger()];
    expect(await scene.touch(seenByOne, [one])).toEqual([true]);
    expect(await scene.touch(seenByTwo, [one, three])).toEqual([true, true]);
    for (const host of [two, three]) await eventually(`${host.name} bans on the word of one`, async () => (await host.banOf(seenByOne))?.enforced === true);
    expect(await two.banOf(seenByOne)).toMatchObject({ origins: ['peer'], provisional: true, tier: 'E1', advisers: [{ site: 'home', path: 'mesh' }] });
    expect(await one.banOf(seenByOne)).toMatchObject({ origins: ['trap'] });
    await eventually('two hears both sites', async () => (await two.banOf(seenByTwo))?.provisional === false);
    const full = await two.banOf(seenByTwo);
    expect(full?.advisers?.map(adviser => adviser.site).sort()).toEqual(['home', 'lab']);
    expect(Date.parse(full?.expiresAt ?? '') - Date.now()).toBeGreaterThan(3_000_000);

    expect(await scene.touch(seenByOne, scene.hosts)).toEqual([false, false, false]);
    expect((await two.banOf(seenByOne))?.droppedPackets).toBeGreaterThan(0);
    expect((await two.enforcer.honeymesh(['explain', seenByOne])).stdout).toContain('provisionally, as advised by home');

    const told = (await one.events('advice-sent')).find(event => event.source === seenByOne);
    expect(told).toMatchObject({ summary: expect.stringContaining(`advised the mesh to ban ${seenByOne}/32`) });
    const bannedAt = async (host: SceneHost) => Date.parse((await host.events('ban')).find(event => event.source === seenByOne)?.at ?? '');
    const [here, ...there] = await Promise.all(scene.hosts.map(bannedAt));
    process.stdout.write(`touch on one -> dropped on two and three: ${there.map(at => `${at - (here ?? 0)} ms`).join(', ')}\n`);
  });

  test('never bans whom a host allows', async () => {
    expect(await scene.touch(FRIEND, [one])).toEqual([true]);
    await eventually('three bans it', async () => (await three.banOf(FRIEND)) !== undefined);
    await eventually('two refuses it', async () =>
      (await two.events('advice-refused')).some(event => event.source === FRIEND && event.summary.includes('on the allow-list')),
    );
    expect(await two.banOf(FRIEND)).toBeUndefined();
    expect(await scene.touch(FRIEND, [two])).toEqual([true]);
  });

  test('lifts everywhere what is lifted where it was seen, and no restart brings it back', async () => {
    const [lifted, kept] = [scene.stranger(), scene.stranger()];
    expect(await scene.touch(lifted, [one])).toEqual([true]);
    expect(await scene.touch(kept, [one])).toEqual([true]);
    for (const host of [two, three]) {
      for (const source of [lifted, kept]) await eventually(`${host.name} bans ${source}`, async () => (await host.banOf(source)) !== undefined);
    }
    await one.enforcer.honeymesh(['bans', 'remove', lifted]);
    for (const host of [two, three]) await eventually(`${host.name} lifts it`, async () => (await host.banOf(lifted)) === undefined);

    const daemon = running.get(two)?.daemonPid() ?? 0;
    process.kill(daemon, 'SIGKILL');
    await eventually('two has a new daemon', async () => {
      const now = running.get(two)?.daemonPid();
      return now !== undefined && now !== daemon && (await two.enforcer.honeymesh(['status'], { mayFail: true })).code === 0;
    });
    await everyPeer(two);
    const said = (await two.events('advice-accepted')).length;
    const joined = (await two.events('peer')).filter(event => event.summary.includes('joined')).length;
    expect(joined).toBeGreaterThanOrEqual(4); // twice two
    await new Promise(resolve => setTimeout(resolve, 3_000)); // time enough for what is exchanged at a join
    expect(await two.banOf(lifted)).toBeUndefined();
    expect(await two.banOf(kept)).toMatchObject({ origins: ['peer'], enforced: true });
    expect((await two.events('advice-accepted')).length).toBe(said);
    expect((await two.events('lift')).filter(event => event.source === lifted)).toHaveLength(1);
  });

  test('takes a member without a certificate for one, says so, and bans nobody on its word', async () => {
    const member = await scene.plainMember('plain');
    await member.tell('join 10.80.0.1:7946');
    const rowOf = async (host: SceneHost) => (await host.peers()).find(peer => peer.name === 'plain');
    for (const host of scene.hosts) await eventually(`${host.name} lists it`, async () => (await rowOf(host))?.state === 'alive');
    expect(await rowOf(three)).toMatchObject({ address: '10.80.0.90:7946', signed: false, site: null, trust: null });
    const target = scene.stranger();
    await member.tell(`broadcast ${Buffer.from(`ban ${target}`).toString('base64')}`);
    await eventually(
      'what it says is refused and recorded',
      async () => (await one.events('advice-refused')).some(event => event.source === null && event.summary.includes('user message of an uncertified member')),
      25_000, // told every ten seconds, by the member and by the log
    );
    expect(await one.banOf(target)).toBeUndefined();
    expect(await scene.touch(target, [one])).toEqual([true]);
  });

  test('bans a member that touches a trap, by own evidence alone, and raises an alarm', async () => {
    const answered = async (): Promise<boolean> => typeof (await one.peers()).find(peer => peer.name === 'plain')?.answeredAt === 'string';
    await eventually('it answered a probe of one', answered);
    expect(await scene.touch(PLAIN, [three])).toEqual([true]);
    await eventually('three bans it', async () => (await three.banOf(PLAIN))?.enforced === true);
    expect((await three.status()).degraded).toMatchObject([
      { part: 'mesh', why: expect.stringContaining('the member plain at 10.80.0.90:7946 attacks this host') },
    ]);
    expect((await three.events('peer')).some(event => event.source === PLAIN && event.tier === 'E1')).toBe(true);
    const refusal = 'plain is a member that answered lately';
    await eventually('one heard of it, and bans no member on the word of another', async () =>
      (await one.events('advice-refused')).some(event => event.source === PLAIN && event.summary.includes(refusal)),
    );
    expect(await one.banOf(PLAIN)).toBeUndefined();
    await three.enforcer.honeymesh(['bans', 'remove', PLAIN]);
    await eventually('the alarm is over', async () => (await three.status()).degraded.length === 0);
  });

  test('never traps its own ports, nor takes who knocks there for a scanner', async () => {
    const knocker = scene.stranger();
    for (const port of ['7946/tcp', '7946/udp', '7947/tcp']) await scene.knock(knocker, two, port);
    expect((await two.events('touch,scan')).filter(event => event.source === knocker)).toEqual([]);
    expect(await two.banOf(knocker)).toBeUndefined();
  });
});

test('two hosts in lockdown, which let no stranger in, meet all the same', async () => {
  const siege = await createMeshScene([
    { name: 'north', site: 'home', config: 'mode: lockdown' },
    { name: 'south', site: 'lab', config: 'mode: lockdown' },
  ]);
  try {
    await Promise.all(siege.hosts.map(host => host.enforcer.run().ready()));
    for (const host of siege.hosts) await eventually(`${host.name} has a peer`, async () => (await host.status()).mesh.state === 'joined');
    expect(await siege.touch(siege.stranger(), siege.hosts)).toEqual([false, false]);
    const [north, south] = siege.hosts as [SceneHost, SceneHost];
    await north.enforcer.honeymesh(['stop']);
    await eventually('who stops in order has left, and did not die', async () => (await south.peers())[0]?.state === 'left');
  } finally {
    await siege.remove();
  }
});
