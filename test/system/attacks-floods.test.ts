/** Floods from one source, and a source that first shows itself as an honest client: what is dropped, and who must not notice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { beforeThreshold, createScene, HOST, HOST6, keyOf, OPEN_TCP, type Scene, sentAndPassed, source, source6 } from '#test/support/attackers.ts';
import type { SeenPacket } from '#test/support/attackers-tap.ts';

/** The defaults of detect.flood, a second. */
const MOST_SYNS = 200;
const MOST_DATAGRAMS = 1_000;
const MOST_ECHOES = 100;

const synOnly = (packet: SeenPacket): boolean => packet.flags === 'S';
const udpOnly = (packet: SeenPacket): boolean => packet.protocol === 'udp';
const echoOnly = (packet: SeenPacket): boolean => (packet.protocol === 'icmp' && packet.type === 8) || (packet.protocol === 'icmp6' && packet.type === 128);
const toClosed = (packet: SeenPacket): boolean => synOnly(packet) && !OPEN_TCP.some(port => port === packet.toPort);

let scene: Scene;
beforeAll(async () => {
  scene = await createScene({ ipv6: 1 });
});
afterAll(() => scene?.remove());

/** hping3 ends with 1 where nothing answered, and answers are what a flood does not wait for. */
const hping = (address: string, args: string[]) => scene.outside.run(['timeout', '15', 'hping3', '-q', '-a', address, ...args, HOST], { mayFail: true });

describe('a flood from one source is shunned within its first second, and a busy client beside it loses nothing', () => {
  // A second of the limit's window begins with the flood's first packet: that exactly so many get through shows that it ended within that second.
  test.concurrent.each<
    [what: string, number: number, flood: (address: string) => Promise<unknown>, only: (packet: SeenPacket) => boolean, most: number, kind: string]
  >([
    ['connection requests to an open port', 1, address => hping(address, ['-S', '-p', '80', '-i', 'u200', '-c', '5000']), synOnly, MOST_SYNS, 'tcp'],
    ['datagrams to a closed port', 2, address => hping(address, ['--udp', '-p', '9999', '-i', 'u100', '-c', '8000']), udpOnly, MOST_DATAGRAMS, 'udp'],
    ['echo requests', 3, address => hping(address, ['--icmp', '-i', 'u500', '-c', '1500']), echoOnly, MOST_ECHOES, 'echo'],
    ['connection requests in one burst', 4, address => hping(address, ['-S', '-p', '5432', '--faster', '-c', '4000']), synOnly, MOST_SYNS, 'tcp'],
    ['echo requests over IPv6', -1, () => ping6(), echoOnly, MOST_ECHOES, 'echo'],
  ])('%s', async (_what, number, flood, only, most, kind) => {
    const address = number === -1 ? source6(0) : source(number);
    const beside = source(20 + number);
    const client = scene.client(beside, { everyMs: 10, forMs: 2_500 });
    await flood(address);
    const shun = await scene.shunOf(address);
    expect(shun).toMatchObject({ tier: 'E0', origins: ['kernel'], reasons: ['flood'], enforced: true, note: `new connections only (${kind})` });
    const { sent, passed } = await sentAndPassed(scene, address, only);
    expect(sent.length).toBeGreaterThan(most * 2);
    expect(passed.map(keyOf)).toEqual(sent.slice(0, most).map(keyOf));
    const floods = await scene.told(address, 'flood');
    expect(floods).toHaveLength(1);
    expect(floods[0]).toMatchObject({ tier: 'E0', origin: 'kernel', reasons: ['flood'] });

    const { tried, served, why } = await client;
    expect({ served, why }).toEqual({ served: tried, why: [] });
    expect(tried).toBeGreaterThan(50);
    const regular = await sentAndPassed(scene, beside, packet => packet.protocol === 'tcp');
    expect(regular.passed.map(keyOf)).toEqual(regular.sent.map(keyOf));
    expect(await scene.events(beside)).toEqual([]);
  });

  const ping6 = () => scene.outside.run(['ping', '-6', '-q', '-i', '0.002', '-c', '300', '-W', '1', '-I', source6(0), HOST6], { mayFail: true });
});

describe('who connects to an open port first is policed and reported, not exempt', () => {
  const address = source(60);

  test('a scan of closed ports: dropped from the threshold on, and told as the scan of a known client', async () => {
    expect(await scene.client(address, { everyMs: 100, forMs: 300 })).toMatchObject({ why: [] });
    await scene.nmap(['-sS', '-p', '7001-7020', '--max-retries', '1', '-e', 'eth0', '-S', address, HOST]);
    const { sent, passed } = await sentAndPassed(scene, address, toClosed);
    expect(passed.map(keyOf)).toEqual(beforeThreshold(sent).map(keyOf));
    expect(await scene.shunOf(address)).toMatchObject({ tier: 'E0', reasons: ['syn-scan'] });
    expect(await scene.explain(address)).toMatchObject({ verdict: 'policed', ban: null, sharable: { yes: false } });
    const scans = await scene.told(address, 'scan');
    expect(scans).toEqual([expect.objectContaining({ tier: 'E0', detail: expect.objectContaining({ proven: true, verdict: 'drop-policed' }) })]);
  });

  test('its connections to the open port go on meanwhile', async () => {
    const { tried, served, why } = await scene.client(address, { everyMs: 20, forMs: 1_000 });
    expect({ served, why }).toEqual({ served: tried, why: [] });
    const { sent, passed } = await sentAndPassed(scene, address, packet => packet.toPort === OPEN_TCP[0]);
    expect(passed.map(keyOf)).toEqual(sent.map(keyOf)); // served at the first try, not at one that TCP made again
    expect(await scene.explain(address)).toMatchObject({ verdict: 'policed' });
  });

  test.concurrent.each([
    ['after its scan', address],
    ['without any scan', source(61)],
  ])('a flood of the open port %s: the excess of each second is dropped, what is within the rate is not', async (_when, flooder) => {
    expect(await scene.client(flooder, { everyMs: 100, forMs: 300 })).toMatchObject({ why: [] });
    await new Promise(resolve => setTimeout(resolve, 1_100)); // a second of its own for what follows
    const before = (await sentAndPassed(scene, flooder, synOnly)).passed.length;
    const startedMs = performance.now();
    await hping(flooder, ['-S', '-p', '80', '-i', 'u300', '-c', '5000']);
    const seconds = (performance.now() - startedMs) / 1_000;
    const passed = (await sentAndPassed(scene, flooder, synOnly)).passed.length - before;
    expect(passed).toBeLessThanOrEqual((Math.floor(seconds) + 1) * MOST_SYNS);
    expect(passed).toBeGreaterThanOrEqual(MOST_SYNS);
    expect(await scene.explain(flooder)).toMatchObject({ verdict: 'policed', ban: null, sharable: { yes: false } });
    // Known already as a scanner it is not told of again while that shun lasts.
    if (flooder !== address) expect((await scene.told(flooder, 'flood'))[0]?.detail).toMatchObject({ proven: true });
    await new Promise(resolve => setTimeout(resolve, 1_100));
    const { tried, served, why } = await scene.client(flooder, { everyMs: 20, forMs: 500 });
    expect({ served, why }).toEqual({ served: tried, why: [] });
    expect((await scene.bans(flooder)).map(ban => ban.tier)).toEqual(['E0']);
  });
});
