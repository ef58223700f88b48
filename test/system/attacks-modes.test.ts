/** What each mode does with the same attack: observe drops nothing and tells all, lockdown lets only the known in, a pause ends by itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closedAnswers, createScene, HOST, type Scene, sentAndPassed, serveIn, source } from '#test/support/attackers.ts';
import { eventually } from '#test/support/enforcer.ts';

const PORTS = '7001-7020';
const scan = (scene: Scene, address: string) => scene.nmap(['-sS', '-p', PORTS, '--max-retries', '0', '-e', 'eth0', '-S', address, HOST]);
const drops = async (scene: Scene): Promise<Record<string, number>> =>
  Object.fromEntries(Object.entries((await scene.status()).packets).filter(([verdict, count]) => verdict.startsWith('drop-') && count > 0));
const greeting = (scene: Scene, address: string, port: number) =>
  scene.outside.run(['python3', '-c', `import socket\nprint(socket.create_connection(('${HOST}', ${port}), 2, ('${address}', 0)).recv(50))`], {
    mayFail: true,
  });

const stranger = source(1);
const allowed = source(2);
const known = source(3);

let observing: Scene;
let locked: Scene;
let enforcing: Scene;
/** The one that is looked at. */
let scene: Scene;

beforeAll(async () => {
  [observing, locked, enforcing] = await Promise.all([
    createScene({ config: 'mode: observe\ntraps: { ports: [22] }\n' }),
    createScene({
      config: `mode: lockdown\nallow: ['${allowed}']\n`,
      before: async ({ host, outside }) => {
        outside.start(['python3', '-c', `import socket,time\ns=socket.create_connection(('${HOST}',80),3,('${known}',0))\ntime.sleep(90)`]);
        await eventually('the session is open', async () => (await host.run(['ss', '-tnH', 'state', 'established', 'sport = :80'])).stdout.includes(known));
        await serveIn(outside, stranger);
      },
    }),
    createScene(),
  ]);
});
afterAll(() => Promise.all([observing?.remove(), locked?.remove(), enforcing?.remove()]));

describe('observe', () => {
  beforeAll(() => {
    scene = observing;
  });

  test('a scan is seen and told, and every port of it answered', async () => {
    const address = source(1);
    await scan(scene, address);
    const { sent, passed } = await sentAndPassed(scene, address, packet => packet.protocol === 'tcp');
    expect(passed).toHaveLength(sent.length);
    expect(await closedAnswers(scene, address)).toHaveLength(20);
    expect(await scene.shunOf(address)).toMatchObject({ tier: 'E0', reasons: ['syn-scan'], enforced: false });
    expect((await scene.explain(address)).because).toContain('nothing is dropped now');
    expect(await scene.told(address, 'scan')).toEqual([expect.objectContaining({ tier: 'E0', reasons: ['syn-scan'], wouldBan: true })]);
    const { packets } = await scene.status();
    expect(packets['would-drop-scan']).toBe(1);
    expect(packets['would-drop-shun']).toBe(17);
  });

  test('a flood and packets that no TCP sends get through as well', async () => {
    await scene.outside.run(['timeout', '10', 'hping3', '-q', '-a', source(2), '-S', '-p', '80', '-i', 'u500', '-c', '1000', HOST], { mayFail: true });
    await scene.nmap(['-sX', '-p', PORTS, '--max-retries', '0', '-e', 'eth0', '-S', source(3), HOST]);
    expect((await sentAndPassed(scene, source(2), packet => packet.flags === 'S')).passed).toHaveLength(1_000);
    expect(await closedAnswers(scene, source(3))).toHaveLength(20);
    expect(await scene.shunOf(source(2))).toMatchObject({ reasons: ['flood'], enforced: false });
    expect(await drops(scene)).toEqual({});
  });

  test('who completes a handshake with a trap is a ban that would have been', async () => {
    const address = source(4);
    expect((await greeting(scene, address, 22)).stdout).toContain('SSH-2.0-');
    expect((await scene.told(address, 'touch')).some(event => event.tier === 'E1' && event.wouldBan === true)).toBe(true);
    expect(await scene.bans(address)).toEqual([]);
    expect((await scene.explain(address)).steps.some(step => step.what.includes('would have been banned'))).toBe(true);
    expect((await greeting(scene, address, 80)).stdout).toContain('real');
    expect(await drops(scene)).toEqual({});
  });
});

describe('lockdown', () => {
  beforeAll(() => {
    scene = locked;
  });

  test('a stranger opens no connection and reaches no service over UDP, though it did nothing', async () => {
    expect(await scene.client(stranger, { everyMs: 200, forMs: 300, patienceMs: 400 })).toMatchObject({ served: 0 });
    expect(await scene.datagrams(stranger, { perSecond: 50, forMs: 200 })).toMatchObject({ heard: 0 });
    const { sent, passed } = await sentAndPassed(scene, stranger, () => true);
    expect(sent.length).toBeGreaterThan(10);
    expect(passed).toEqual([]);
    expect(await scene.events(stranger)).toEqual([]);
    expect(await scene.bans(stranger)).toEqual([]);
    expect((await scene.status()).packets['drop-lockdown']).toBe(sent.length);
  });

  test.each([
    ['allow-listed', allowed],
    ['known by a session from before', known],
  ])('who is %s gets in', async (_why, address) => {
    const { tried, served, why } = await scene.client(address, { everyMs: 50, forMs: 500 });
    expect({ served, why }).toEqual({ served: tried, why: [] });
    const asked = await scene.datagrams(address, { perSecond: 50, forMs: 200 });
    expect(asked.heard).toBe(asked.sent);
  });

  test('the host itself asks whom it likes, over TCP and UDP, and gets its answers', async () => {
    const { tried, served } = await scene.client(HOST, { from: scene.host, to: stranger, everyMs: 50, forMs: 500 });
    expect(served).toBe(tried);
    const asked = await scene.datagrams(HOST, { from: scene.host, to: stranger, perSecond: 50, forMs: 500 });
    expect(asked.heard).toBe(asked.sent);
  });
});

describe('a pause', () => {
  const address = source(1);
  beforeAll(async () => {
    scene = enforcing;
    await scan(scene, address);
    await scene.shunOf(address);
  });

  test('lets everything through while it lasts, counts it apart, and ends by itself', async () => {
    const gets = async (): Promise<boolean> => (await scene.client(address, { everyMs: 100, forMs: 50, patienceMs: 500 })).served === 1;
    expect(await gets()).toBe(false);
    const { pausedUntil } = await scene.enforcer.json<{ pausedUntil: string }>(['pause', '4s']);
    expect((await scene.status()).pausedUntil).toBe(pausedUntil);
    const before = await drops(scene);
    expect(await gets()).toBe(true);
    await scan(scene, source(2));
    expect(await closedAnswers(scene, source(2))).toHaveLength(20);
    expect(await scene.bans(source(2))).toEqual([expect.objectContaining({ enforced: false })]);
    expect(await drops(scene)).toEqual(before);
    expect((await scene.status()).packets['would-drop-shun']).toBeGreaterThan(17);

    await new Promise(resolve => setTimeout(resolve, Math.max(0, Date.parse(pausedUntil) - Date.now()) + 100));
    expect(await scene.status()).toMatchObject({ pausedUntil: null });
    expect((await scene.bans(source(2)))[0]).toMatchObject({ enforced: true });
    const passedBefore = (await sentAndPassed(scene, source(2), () => true)).passed.length;
    await scan(scene, source(2));
    expect((await sentAndPassed(scene, source(2), () => true)).passed).toHaveLength(passedBefore);
  });

  test('is ended by order, too', async () => {
    await scene.enforcer.honeymesh(['pause', '1h']);
    await scan(scene, source(3));
    expect(await closedAnswers(scene, source(3))).toHaveLength(20);
    await scene.enforcer.honeymesh(['pause', 'off']);
    await scan(scene, source(3));
    expect((await scene.status()).packets['drop-shun']).toBeGreaterThan(20);
    await scan(scene, source(4));
    expect(await closedAnswers(scene, source(4))).toHaveLength(2);
  });
});
