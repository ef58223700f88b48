/** The scriptable node's command line is other people's contract: Go's style, and nothing taken that is not heeded. */
import { describe, expect, test } from 'vitest';
import { PROFILES } from '#enforcer/mesh/protocol/core/options.ts';
import { durationMs, parseFlags, TUNING } from '#test/support/mesh-peer/flags.ts';

describe('flags of the scriptable node', () => {
  test('are written with one dash or two, with = or the value after them', () => {
    expect(parseFlags(['-name', 'a', '--port=7', '-label=x', '--meta', 'AQI=', '-relay'])).toMatchObject({
      name: 'a',
      port: 7,
      label: new Uint8Array([120]),
      meta: new Uint8Array([1, 2]),
      relay: true,
    });
  });

  test('a boolean takes no word after it: only = makes it false', () => {
    expect(parseFlags(['-compress=false', '-relay', '-name', 'a'])).toMatchObject({ compress: false, relay: true, name: 'a' });
    expect(() => parseFlags(['-compress', 'false'])).toThrow('not a flag');
  });

  test('keys, versions, joins and timings', () => {
    const keys = [0, 1].map(byte => Buffer.alloc(16, byte).toString('base64')).join(',');
    const flags = parseFlags(['-key', keys, '-proto', '3', '-delegate-proto', '2,5,4', '-join', 'a,b:1', '-profile', 'wan', '-probe-interval', '1.5s']);
    expect(flags.keys.map(key => [key.length, key[0]])).toEqual([
      [16, 0],
      [16, 1],
    ]);
    expect([...flags.versions]).toEqual([1, 5, 3, 2, 5, 4]);
    expect(flags.join).toEqual(['a', 'b:1']);
    expect(flags.tuning).toMatchObject({ probeIntervalMs: 1500, probeTimeoutMs: 3000 });
  });

  test("all intervals, multipliers and limits of memberlist's Config are there, by its names", () => {
    const ofConfig = {
      TCPTimeout: '11s',
      IndirectChecks: '2',
      RetransmitMult: '3',
      SuspicionMult: '5',
      SuspicionMaxTimeoutMult: '7',
      PushPullInterval: '31s',
      ProbeInterval: '2s',
      ProbeTimeout: '400ms',
      AwarenessMaxMultiplier: '9',
      GossipInterval: '100ms',
      GossipNodes: '4',
      GossipToTheDeadTime: '40s',
      HandoffQueueDepth: '512',
      UDPBufferSize: '1200',
      DeadNodeReclaimTime: '5s',
      QueueCheckInterval: '1s',
      DisableTcpPings: 'true',
      DNSConfigPath: '/resolv',
    };
    const flag = (name: string): string =>
      name
        .replace('TCPT', 'TcpT')
        .replace('UDPB', 'UdpB')
        .replace('DNSC', 'DnsC')
        .replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
    const flags = parseFlags(Object.entries(ofConfig).map(([name, value]) => `${flag(name)}=${value}`));
    expect(flags).toMatchObject({ queueCheckMs: 1000, dnsConfigPath: '/resolv' });
    expect(flags.tuning).toMatchObject({
      tcpTimeoutMs: 11_000,
      indirectChecks: 2,
      retransmitMult: 3,
      suspicionMult: 5,
      suspicionMaxTimeoutMult: 7,
      pushPullIntervalMs: 31_000,
      probeIntervalMs: 2000,
      probeTimeoutMs: 400,
      awarenessMaxMultiplier: 9,
      gossipIntervalMs: 100,
      gossipNodes: 4,
      gossipToTheDeadMs: 40_000,
      handoffQueueDepth: 512,
      packetBytes: 1200,
      deadNodeReclaimMs: 5000,
      disableTcpPings: true,
    });
  });

  test('all of our own tuning can be set, too', () => {
    expect(new Set(Object.values(TUNING).map(([field]) => field))).toEqual(new Set(Object.keys(PROFILES.lan)));
  });

  test.each([
    [['-nothing'], 'no flag -nothing'],
    [['-signatures', 'required'], 'needs -identity'],
    [['-identity', 'x', '-signatures', 'maybe'], 'off, preferred or required'],
    [['-identity', 'x', '-state', 'AQI='], 'goes with no -identity'],
    [['-name'], 'lacks its value'],
    [['-port', 'x'], 'not a whole number'],
    [['-port', '65536'], '0 to 65535'],
    [['-indirect-checks', '-1'], 'not a whole number'],
    [['-loss', '2'], 'a share from 0 to 1'],
    [['-delegate-proto', '2,5'], 'three numbers'],
    [['-key', 'AAAA'], '16, 24 or 32'],
    [['-label', 'x'.repeat(256)], '255 at the most'],
    [['-meta', Buffer.alloc(513).toString('base64')], '512 at the most'],
    [['-meta', 'AQI'], 'base64'],
    [['-proto', '6'], '1 to 5'],
    [['-profile', 'moon'], 'lan, wan and local'],
    [['-watch', '5'], 'no duration'],
    [['-relay=perhaps'], 'true or false'],
    [['name'], 'not a flag'],
  ])('%j is refused in words', (args, words) => {
    expect(() => parseFlags(args)).toThrow(words);
  });

  test.each([
    ['0', 0],
    ['50ms', 50],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['250us', 0.25],
  ])('%s are %d ms', (text, ms) => {
    expect(durationMs(text)).toBeCloseTo(ms);
  });
});
