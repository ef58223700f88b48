/** Each case is a line of docs/packet-path.md, computed by hand. What only time and sequences show is in oracle-sequences.test.ts. */
import { describe, expect, test } from 'vitest';
import * as build from '#test/support/frames/frames.ts';
import { createOracle, type OracleVerdict } from '#test/support/oracle/oracle.ts';
import { emptyScenario, type FourTuple, type Scenario, type Settings, type Sockets, usualSettings } from '#test/support/oracle/scenario.ts';

const NOW = 1_000_000_000_000_000n;
const SECOND = 1_000_000_000n;
const BAD = '203.0.113.7';
const BAD6 = '2001:db8:bad:1::7';
const OWN = '198.51.100.1';
const OWN6 = '2001:db8::1';
const OTHER = '198.51.100.200';
const { ethernet, ipv4, ipv6, tcp, udp, echo, raw, icmp, cut, extension, authentication, fragmentHeader, EXTENSION } = build;

const openAt = (port: number): Sockets => ({
  tcp: ({ toPort }) => (toPort === port ? { state: 'open', port, mark: 0 } : null),
  udp: ({ toPort }) => (toPort === port ? { state: 'open', port, mark: 0 } : null),
});

function judge(frame: Uint8Array, scenario: Partial<Scenario> = {}, settings: Partial<Settings> = {}, sockets?: Sockets) {
  const whole = { ...emptyScenario, own: [OWN, OWN6], ...scenario, settings: { ...usualSettings, ...settings } };
  return createOracle(whole, NOW, sockets).judge(frame, NOW);
}
const verdict = (frame: Uint8Array, scenario: Partial<Scenario> = {}, settings: Partial<Settings> = {}, sockets?: Sockets): OracleVerdict =>
  judge(frame, scenario, settings, sockets).verdict;

const v4 = (segment: build.Segment, fields: Partial<build.Ipv4Fields> = {}) => ethernet(ipv4({ from: BAD, to: OWN, ...fields }, segment));
const v6 = (segment: build.Segment, fields: Partial<build.Ipv6Fields> = {}) => ethernet(ipv6({ from: BAD6, to: OWN6, ...fields }, segment));
const syn4 = v4(tcp({ to: 22 }));
const one: Partial<Settings> = { fastPorts: 1 }; // the first closed port is a scan: shows what was counted

describe('1. layer 2 and 3', () => {
  const packet = ipv4({ from: BAD, to: OWN }, tcp({ to: 22 }));
  test.each<[string, Uint8Array, OracleVerdict]>([
    ['13 bytes', syn4.slice(0, 13), 'pass-not-ip'],
    ['14 bytes of IPv4', syn4.slice(0, 14), 'drop-malformed'],
    ['ARP', ethernet(build.arp(BAD, OWN)), 'pass-not-ip'],
    ['an 802.3 length', ethernet(build.payload(60, new Uint8Array(60))), 'pass-not-ip'],
    ['four tags of all types', ethernet(packet, { tags: build.VLAN_TYPES.map(type => ({ type, id: 5 })) }), 'drop-scan'],
    ['five tags', ethernet(packet, { tags: [1, 2, 3, 4, 5] }), 'pass-not-ip'],
    ['a tag cut short', ethernet(packet, { tags: [1] }).slice(0, 17), 'pass-not-ip'],
    ['a whole tag and nothing behind it', ethernet(packet, { tags: [1] }).slice(0, 18), 'drop-malformed'],
    ['19 bytes of IPv4', syn4.slice(0, 33), 'drop-malformed'],
    ['IPv4 of version 5', v4(tcp({ to: 22 }), { version: 5 }), 'drop-malformed'],
    ['ihl 4', v4(tcp({ to: 22 }), { headerLength: 4 }), 'drop-malformed'],
    ['ihl beyond the frame', v4(raw(6, new Uint8Array(4)), { headerLength: 7 }), 'drop-malformed'],
    ['options of 40 bytes', v4(tcp({ to: 22 }), { options: new Uint8Array(40).fill(1) }), 'drop-scan'],
    ['total length 0 reaches to the end', v4(tcp({ to: 22 }), { totalLength: 0 }), 'drop-scan'],
    ['a total length beyond the frame', v4(tcp({ to: 22 }), { totalLength: 4000 }), 'drop-scan'],
    ['a total length that clips TCP', v4(tcp({ to: 22 }), { totalLength: 39 }), 'drop-malformed'],
    ['a total length below the header', v4(tcp({ to: 22 }), { totalLength: 19 }), 'drop-malformed'],
    ['39 bytes of IPv6', v6(tcp({ to: 22 })).slice(0, 53), 'drop-malformed'],
    ['IPv6 of version 4', v6(tcp({ to: 22 }), { version: 4 }), 'drop-malformed'],
    ['payload length 0 reaches to the end', v6(tcp({ to: 22 }), { payloadLength: 0 }), 'drop-scan'],
    ['a payload length that clips TCP', v6(tcp({ to: 22 }), { payloadLength: 19 }), 'drop-malformed'],
  ])('%s', (_, frame, expected) => {
    expect(verdict(frame, {}, one)).toBe(expected);
  });
});

describe('2. bans and rules', () => {
  const forwarded = v4(tcp({ to: 22 }), { to: OTHER });
  const ban = { target: BAD, expiresNs: null };
  test.each<[string, Uint8Array, Partial<Scenario>, OracleVerdict]>([
    ['a ban, whatever the destination', forwarded, { bans: [ban] }, 'drop-ban'],
    ['a ban before a later fragment', v4(raw(17), { fragment: { offset: 9, more: true } }), { bans: [ban] }, 'drop-ban'],
    ['a ban before a clipped total length', v4(tcp({ to: 22 }), { totalLength: 19 }), { bans: [ban] }, 'drop-ban'],
    ['a clipped total length to others', v4(tcp({ to: 22 }), { totalLength: 19, to: OTHER }), {}, 'drop-malformed'],
    ['a ban that ends now', forwarded, { bans: [{ target: BAD, expiresNs: 0n }] }, 'pass'],
    ['a ban that ends soon', forwarded, { bans: [{ target: BAD, expiresNs: 1n }] }, 'drop-ban'],
    ['ARP of a banned source', ethernet(build.arp(BAD, OWN)), { bans: [ban] }, 'pass-not-ip'],
    ['a neighbour solicitation of a banned source', v6(icmp(135, new Uint8Array(20))), { bans: [{ target: BAD6, expiresNs: null }] }, 'drop-ban'],
    ['a /64', v6(raw(59)), { bans: [{ target: '2001:db8:bad:1::/64', expiresNs: null }] }, 'drop-ban'],
    ['another /64', v6(raw(59)), { bans: [{ target: '2001:db8:bad::/64', expiresNs: null }] }, 'pass'],
    [
      'an exact address beside an expired /64',
      v6(raw(59)),
      {
        bans: [
          { target: '2001:db8:bad:1::/64', expiresNs: -1n },
          { target: BAD6, expiresNs: null },
        ],
      },
      'drop-ban',
    ],
    ['ALLOW over a ban', forwarded, { bans: [ban], rules: [{ prefix: '203.0.0.0/8', action: 'allow', expiresNs: null }] }, 'pass-allowed'],
    [
      'ALLOW over a clipped packet',
      v4(tcp({ to: 1 }), { totalLength: 5 }),
      { rules: [{ prefix: `${BAD}/32`, action: 'allow', expiresNs: null }] },
      'pass-allowed',
    ],
    ['DENY before the ban', forwarded, { bans: [ban], rules: [{ prefix: '203.0.113.0/24', action: 'deny', expiresNs: null }] }, 'drop-prefix'],
    [
      'the longest match',
      forwarded,
      {
        rules: [
          { prefix: '203.0.113.0/24', action: 'deny', expiresNs: null },
          { prefix: '203.0.0.0/16', action: 'allow', expiresNs: null },
        ],
      },
      'drop-prefix',
    ],
    [
      'an expired match hides the shorter one',
      forwarded,
      {
        rules: [
          { prefix: '203.0.113.0/24', action: 'deny', expiresNs: 0n },
          { prefix: '203.0.0.0/16', action: 'deny', expiresNs: null },
        ],
      },
      'pass',
    ],
    ['a rule for everything', forwarded, { rules: [{ prefix: '0.0.0.0/0', action: 'deny', expiresNs: null }] }, 'drop-prefix'],
    ['no hint, no rule', forwarded, { hints: [0xcb01], rules: [{ prefix: '203.0.113.0/24', action: 'deny', expiresNs: null }] }, 'pass'],
    ['an IPv6 rule', v6(raw(59)), { rules: [{ prefix: '2001:db8:bad::/47', action: 'deny', expiresNs: null }] }, 'drop-prefix'],
  ])('%s', (_, frame, scenario, expected) => {
    expect(verdict(frame, scenario)).toBe(expected);
  });
  test('flags of config switch ban6x and pfx6 off', () => {
    expect(verdict(v6(raw(59)), { bans: [{ target: BAD6, expiresNs: null }] }, { hasBan6x: false })).toBe('pass');
    expect(verdict(v6(raw(59)), { rules: [{ prefix: '::/0', action: 'deny', expiresNs: null }] }, { hasPrefix6: false })).toBe('pass');
  });
  test('only the first drop of a ban is told', () => {
    const oracle = createOracle({ ...emptyScenario, bans: [ban] }, NOW);
    expect([1, 2].map(() => oracle.judge(syn4, NOW).events.map(event => event.kind))).toEqual([['ban-hit'], []]);
  });
});

describe('3 and 4. who is judged, fragments, layer 4', () => {
  const tiny = (length: number) => v4(cut(tcp({ to: 22 }), length), { fragment: { offset: 0, more: true } });
  const chain = (count: number) => Array.from({ length: count }, () => extension(EXTENSION.destination));
  test.each<[string, Uint8Array, OracleVerdict]>([
    ['NULL to others', v4(tcp({ to: 1, flags: 0 }), { to: OTHER }), 'pass'],
    ['a later TCP fragment at offset 1', v4(raw(6, new Uint8Array(32)), { fragment: { offset: 1, more: false } }), 'drop-malformed'],
    ['a later UDP fragment at offset 1', v4(raw(17, new Uint8Array(32)), { fragment: { offset: 1, more: false } }), 'pass'],
    ['a later TCP fragment at offset 2', v4(raw(6, new Uint8Array(32)), { fragment: { offset: 2, more: false } }), 'pass'],
    ['a whole first fragment', v4(tcp({ to: 22 }), { fragment: { offset: 0, more: true } }), 'drop-scan'],
    ['a tiny fragment of 16 bytes', tiny(16), 'drop-scan'],
    ['a tiny fragment of 4 bytes', tiny(4), 'drop-scan'],
    ['a tiny fragment of 3 bytes', tiny(3), 'drop-malformed'],
    ['a first fragment with a bad doff', v4(tcp({ to: 22, dataOffset: 4 }), { fragment: { offset: 0, more: true } }), 'drop-scan'],
    ['a first fragment of UDP with 7 bytes', v4(cut(udp({ to: 1 }), 7), { fragment: { offset: 0, more: true } }), 'drop-malformed'],
    ['doff beyond the packet', v4(tcp({ to: 22, dataOffset: 6 })), 'drop-malformed'],
    ['19 bytes of TCP', v4(cut(tcp({ to: 22 }), 19)), 'drop-malformed'],
    ['UDP of 7 bytes', v4(cut(udp({ to: 22 }), 7)), 'drop-malformed'],
    ['UDP of 8 bytes', v4(udp({ to: 22, length: 3 })), 'drop-scan'],
    ['echo of 7 bytes', v4(cut(echo(), 7)), 'pass'],
    ['ESP', v4(raw(50, new Uint8Array(40))), 'pass'],
    ['ICMP inside IPv6', v6(raw(1, Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0))), 'pass'],
    ['no next header', v6(raw(59)), 'pass'],
    ['10 extension headers', v6(tcp({ to: 22 }), { extensions: chain(10) }), 'drop-scan'],
    ['11 extension headers', v6(tcp({ to: 22 }), { extensions: chain(11) }), 'drop-malformed'],
    ['10 headers and the number of an 11th', v6(raw(60), { extensions: chain(10) }), 'drop-malformed'],
    ['an extension header that is only announced', v6(raw(0)), 'drop-malformed'],
    ['an extension header longer than the packet', v6(raw(43, Uint8Array.of(6, 3, 0, 0, 0, 0, 0, 0))), 'drop-malformed'],
    ['every kind of extension header', v6(tcp({ to: 22 }), { extensions: [0, 43, 60, 135, 139, 140].map(type => extension(type, 1)) }), 'drop-scan'],
    ['AH counts in words of 4', v6(tcp({ to: 22 }), { extensions: [authentication(3), authentication(0)] }), 'drop-scan'],
    ['an atomic fragment', v6(tcp({ to: 22 }), { extensions: [fragmentHeader({ offset: 0, more: false })] }), 'drop-scan'],
    ['a short TCP in an atomic fragment', v6(cut(tcp({ to: 22 }), 8), { extensions: [fragmentHeader({ offset: 0, more: false })] }), 'drop-malformed'],
    ['a tiny IPv6 fragment', v6(cut(tcp({ to: 22 }), 8), { extensions: [fragmentHeader({ offset: 0, more: true })] }), 'drop-scan'],
    ['a later IPv6 fragment', v6(raw(6, new Uint8Array(2)), { extensions: [fragmentHeader({ offset: 1, more: false })] }), 'pass'],
    ['a fragment header cut short', v6(raw(44, Uint8Array.of(6, 0, 0, 1))), 'drop-malformed'],
  ])('%s', (_, frame, expected) => {
    expect(verdict(frame, {}, one)).toBe(expected);
  });
  test('a tiny fragment that crosses nothing is malformed, and counted', () => {
    const told = judge(tiny(16));
    expect([told.verdict, told.events.map(({ kind, port }) => [kind, port])]).toEqual(['drop-malformed', [['touch', 22]]]);
  });
});

describe('5. TCP', () => {
  const flag = (flags: string, to = 22) => v4(tcp({ to, flags }));
  const connected: Sockets = { tcp: ({ fromPort }: FourTuple) => (fromPort === 40_000 ? { state: 'connected', port: 22, mark: 0 } : null), udp: () => null };
  test.each<[string, Uint8Array, OracleVerdict, OracleVerdict, OracleVerdict]>([
    // closed and first; closed and threshold 1; open
    ['NULL', flag(''), 'drop-anomaly', 'drop-scan', 'drop-anomaly'],
    ['FIN', flag('F'), 'drop-anomaly', 'drop-scan', 'drop-anomaly'],
    ['XMAS', flag('FPU'), 'drop-anomaly', 'drop-scan', 'drop-anomaly'],
    ['SYN+FIN', flag('SF'), 'drop-anomaly', 'drop-scan', 'drop-anomaly'],
    ['SYN+RST+ACK', flag('SRA'), 'drop-anomaly', 'drop-scan', 'drop-anomaly'],
    ['ECE+CWR alone', flag('EC'), 'drop-anomaly', 'drop-scan', 'drop-anomaly'],
    ['RST', flag('R'), 'pass', 'pass', 'pass'],
    ['RST+FIN', flag('RF'), 'pass', 'pass', 'pass'],
    ['SYN+ACK', flag('SA'), 'pass', 'pass', 'pass'],
    ['ACK', flag('A'), 'pass', 'drop-scan', 'pass'],
    ['FIN+ACK (Maimon)', flag('FA'), 'pass', 'drop-scan', 'pass'],
    ['ACK to the first ephemeral port', flag('A', 32_768), 'pass', 'pass', 'pass'],
    ['ACK to the last ephemeral port', flag('A', 60_999), 'pass', 'pass', 'pass'],
    ['ACK beyond the ephemeral ports', flag('A', 61_000), 'pass', 'drop-scan', 'pass'],
    ['FIN to an ephemeral port', flag('F', 40_000), 'drop-anomaly', 'drop-scan', 'drop-anomaly'],
  ])('%s', (_, frame, closed, crossing, open) => {
    expect([verdict(frame), verdict(frame, {}, one), verdict(frame, {}, one, { tcp: () => ({ state: 'open', port: 9, mark: 0 }), udp: () => null })]).toEqual([
      closed,
      crossing,
      open,
    ]);
  });
  test('a socket of the 4-tuple makes it no stray', () => {
    expect([verdict(flag('A'), {}, one, connected), verdict(v4(tcp({ to: 22, from: 3, flags: 'A' })), {}, one, connected)]).toEqual(['pass', 'drop-scan']);
  });
  test('a stray of a shunned source is dropped, proven or not; an anomaly keeps its name', () => {
    const shuns = [{ source: BAD, kinds: ['tcp'] as const, expiresNs: SECOND, repeats: 0 }];
    const proven = [{ source: BAD, atNs: 0n }];
    expect([verdict(flag('A'), { shuns }), verdict(flag('A'), { shuns, proven }), verdict(flag('F'), { shuns })]).toEqual([
      'drop-shun',
      'drop-shun',
      'drop-anomaly',
    ]);
  });
  test('ident from a host that we called is no stray', () => {
    const flow = (atNs: bigint) => ({ flowsOut: [{ protocol: 'tcp', remote: BAD, remotePort: 0, localPort: 0, atNs }] as const });
    expect(verdict(flag('A', 113), flow(-119n * SECOND), one)).toBe('pass');
    expect(verdict(flag('A', 113), flow(-120n * SECOND), one)).toBe('drop-scan');
    expect(verdict(flag('A', 114), flow(0n), one)).toBe('drop-scan');
  });
  test.each<[string, bigint | 'always', bigint, OracleVerdict]>([
    ['within grace', -9n * SECOND, 10n * SECOND, 'pass'],
    ['at the end of grace', -10n * SECOND, 10n * SECOND, 'drop-scan'],
    ['always', 'always', 0n, 'pass'],
    ['just now, but grace is 0', 0n, 0n, 'drop-scan'],
  ])('a port that was served %s', (_, atNs, graceNs, expected) => {
    expect(verdict(syn4, { served: [{ transport: 'tcp', port: 22, atNs }] }, { ...one, graceNs })).toBe(expected);
    expect(verdict(v4(udp({ to: 22 })), { served: [{ transport: 'tcp', port: 22, atNs }] }, { ...one, graceNs })).toBe('drop-scan');
  });
  test('the trap is no service', () => {
    const trap: Sockets = { tcp: () => ({ state: 'open', port: 7000, mark: 9 }), udp: () => null };
    expect([verdict(syn4, {}, { ...one, trapPort: 7000 }, trap), verdict(syn4, {}, { ...one, trapPort: 7001 }, trap)]).toEqual(['drop-scan', 'pass']);
  });
});

describe('6. SYN', () => {
  const shuns = [{ source: BAD, kinds: ['tcp'] as const, expiresNs: SECOND, repeats: 0 }];
  const proven = [{ source: BAD, atNs: -3_599n * SECOND }];
  const lately = [{ source: BAD, atNs: -3_600n * SECOND }];
  const full = [{ source: BAD, watched: false, slots: [], windows: { syn: { startNs: 0n, count: 200 } } }];
  test.each<[string, Partial<Scenario>, Partial<Settings>, OracleVerdict, OracleVerdict]>([
    // to a closed port, to an open one
    ['a stranger', {}, {}, 'pass', 'pass'],
    ['a stranger in lockdown', {}, { mode: 'lockdown' }, 'drop-lockdown', 'drop-lockdown'],
    ['a proven source in lockdown', { proven }, { mode: 'lockdown' }, 'pass', 'pass'],
    ['proven too long ago, in lockdown', { proven: lately }, { mode: 'lockdown' }, 'drop-lockdown', 'drop-lockdown'],
    ['a shunned source', { shuns }, {}, 'drop-shun', 'drop-shun'],
    ['shunned until now', { shuns: [{ ...shuns[0], source: BAD, kinds: ['tcp'], expiresNs: 0n, repeats: 0 }] }, {}, 'pass', 'pass'],
    ['shunned for UDP only', { shuns: [{ source: BAD, kinds: ['udp', 'echo'], expiresNs: SECOND, repeats: 0 }] }, {}, 'pass', 'pass'],
    ['shunned and proven', { shuns, proven }, {}, 'drop-policed', 'pass'],
    ['shunned, proven and above the rate', { shuns, proven, trackers: full }, {}, 'drop-policed', 'drop-policed'],
    ['above the rate', { trackers: full }, {}, 'drop-flood', 'drop-flood'],
    ['above the rate and proven', { trackers: full, proven }, {}, 'drop-policed', 'drop-policed'],
    [
      'above the rate a second ago',
      { trackers: [{ source: BAD, watched: false, slots: [], windows: { syn: { startNs: -SECOND, count: 200 } } }] },
      {},
      'pass',
      'pass',
    ],
    ['no rate', { trackers: full }, { synPerSecond: 0 }, 'pass', 'pass'],
    ['crossing', {}, one, 'drop-scan', 'pass'],
    ['crossing and proven', { proven }, one, 'drop-policed', 'pass'],
  ])('%s', (_, scenario, settings, closed, open) => {
    expect([verdict(syn4, scenario, settings), verdict(syn4, scenario, settings, openAt(22))]).toEqual([closed, open]);
  });
  test('lockdown comes before ident, ident before the shun', () => {
    const flowsOut = [{ protocol: 'tcp', remote: BAD, remotePort: 0, localPort: 0, atNs: 0n }] as const;
    const ident = v4(tcp({ to: 113 }));
    expect([verdict(ident, { flowsOut }, { mode: 'lockdown' }), verdict(ident, { flowsOut, shuns })]).toEqual(['drop-lockdown', 'pass']);
  });
});

describe('7. UDP', () => {
  const dns = v4(udp({ from: 53, to: 40_000 }));
  const shuns = [{ source: BAD, kinds: ['udp'] as const, expiresNs: SECOND, repeats: 0 }];
  const proven = [{ source: BAD, atNs: 0n }];
  const flow = (localPort: number, atNs = 0n) => ({ flowsOut: [{ protocol: 'udp', remote: BAD, remotePort: 53, localPort, atNs }] as const });
  test.each<[string, Uint8Array, Partial<Scenario>, Partial<Settings>, OracleVerdict]>([
    ['DHCP', v4(udp({ from: 67, to: 68 })), { shuns }, { mode: 'lockdown' }, 'pass'],
    ['DHCPv6', v6(udp({ from: 547, to: 546 })), {}, one, 'pass'],
    ['a request to DHCP', v4(udp({ from: 68, to: 67 })), {}, one, 'drop-scan'],
    ['NetBIOS', v4(udp({ to: 137 })), { shuns }, one, 'pass'],
    ['SSDP', v4(udp({ to: 1900 })), {}, one, 'pass'],
    ['mDNS', v4(udp({ to: 5353 })), {}, one, 'pass'],
    ['a reply', dns, { ...flow(40_000), shuns }, { ...one, mode: 'lockdown' }, 'pass'],
    ['a reply to another port', dns, flow(40_001), one, 'drop-scan'],
    ['a late reply', dns, flow(40_000, -120n * SECOND), one, 'drop-scan'],
    ['a stranger in lockdown', dns, {}, { mode: 'lockdown' }, 'drop-lockdown'],
    ['a proven source in lockdown', dns, { proven }, { mode: 'lockdown' }, 'pass'],
    ['a shunned source', dns, { shuns }, {}, 'drop-shun'],
    ['shunned and proven', dns, { shuns, proven }, {}, 'drop-policed'],
    [
      'above the rate',
      dns,
      { trackers: [{ source: BAD, watched: true, slots: [], windows: { 'udp-closed': { startNs: 0n, count: 1000 } } }] },
      {},
      'drop-flood',
    ],
    [
      'above the rate and proven',
      dns,
      { proven, trackers: [{ source: BAD, watched: true, slots: [], windows: { 'udp-closed': { startNs: 0n, count: 1000 } } }] },
      {},
      'drop-policed',
    ],
  ])('%s', (_, frame, scenario, settings, expected) => {
    expect(verdict(frame, scenario, settings)).toBe(expected);
  });
  test('an open port', () => {
    const busy = [{ source: BAD, watched: false, slots: [], windows: { 'udp-open': { startNs: 0n, count: 5 } } }];
    const limited = { ...one, openUdpPerSecond: 5 };
    expect(verdict(dns, {}, one, openAt(40_000))).toBe('pass');
    expect(verdict(dns, { shuns }, one, openAt(40_000))).toBe('drop-shun');
    expect(verdict(dns, { shuns, proven }, one, openAt(40_000))).toBe('pass');
    expect(verdict(dns, { trackers: busy }, one, openAt(40_000))).toBe('pass');
    expect(verdict(dns, { trackers: busy }, limited, openAt(40_000))).toBe('drop-udp-excess');
    expect(verdict(dns, { trackers: busy, served: [{ transport: 'udp', port: 40_000, atNs: -SECOND }] }, limited)).toBe('drop-udp-excess');
  });
  test('a connected socket takes what comes', () => {
    expect(verdict(dns, { shuns }, { mode: 'lockdown' }, { tcp: () => null, udp: () => ({ state: 'connected', port: 33_333, mark: 0 }) })).toBe('pass');
  });
});

test('8. echo requests', () => {
  const full = [{ source: BAD, watched: false, slots: [], windows: { echo: { startNs: 0n, count: 100 } } }];
  const shuns = [{ source: BAD, kinds: ['echo'] as const, expiresNs: SECOND, repeats: 0 }];
  const proven = [{ source: BAD, atNs: 0n }];
  const ping = v4(echo());
  const cases: [Partial<Scenario>, Partial<Settings>][] = [
    [{}, { mode: 'lockdown' }],
    [{ shuns }, {}],
    [{ shuns, proven }, {}],
    [{ trackers: full }, {}],
    [{ trackers: full, proven }, {}],
  ];
  expect(cases.map(([scenario, settings]) => verdict(ping, scenario, settings))).toEqual(['pass', 'drop-shun', 'pass', 'drop-flood', 'drop-policed']);
  expect(verdict(v4(echo({ reply: true })), { shuns })).toBe('pass');
  expect(verdict(v6(echo()), { shuns: [{ source: '2001:db8:bad:1::99', kinds: ['echo'], expiresNs: SECOND, repeats: 0 }] })).toBe('drop-shun');
});

test('10. modes decide the same and only enforce and lockdown drop', () => {
  const scenario = { bans: [{ target: BAD, expiresNs: null }] };
  const seen = (
    [{}, { mode: 'observe' }, { mode: 'lockdown' }, { pausedUntilNs: 1n }, { mode: 'observe', pausedUntilNs: 1n }, { pausedUntilNs: 0n }] as const
  ).map(settings => {
    const told = judge(syn4, scenario, settings);
    return [told.verdict, told.bank, told.dropped];
  });
  const enforced = ['drop-ban', 'enforced', true];
  expect(seen).toEqual([enforced, ['drop-ban', 'would', false], enforced, ['drop-ban', 'paused', false], ['drop-ban', 'paused', false], enforced]);
});
