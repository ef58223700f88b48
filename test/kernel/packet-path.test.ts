/** Every verdict of docs/packet-path.md with the plainest frame that earns it. The order and the corners are the oracle's business. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { build } from '#enforcer/launch/setup/build.mjs';
import { arp, datagram, ethernet, ipv4, ping, segment, syn, tcp, udp } from '#test/support/frames/frames.ts';
import { createKernelSide, type KernelSide } from '#test/support/oracle/kernel-side.ts';
import { emptyScenario, type Scenario, type Settings, usualSettings } from '#test/support/oracle/scenario.ts';

const OWN = '198.51.100.1';
const OWN6 = '2001:db8:1::1';
const SOURCE = '203.0.113.7';
const SOURCE6 = '2001:db8:bad::7';
const SECOND = 1_000_000_000n;
/** Well before the kernel's clock, which lags by a tick; and all times are near, as the machine may have been up for a minute only. */
const PAST = -2n * SECOND;
/** Ports on which no machine listens in earnest: the look-ups see the sockets of whoever runs this. */
const [A, B, C, D] = [11, 13, 17, 19] as const;

let kernel: KernelSide;
beforeAll(() => {
  build();
  kernel = createKernelSide([]);
});
afterAll(() => kernel.close());

const scenarioOf = (parts: Partial<Omit<Scenario, 'settings'>>, settings: Partial<Settings> = {}): Scenario => ({
  ...emptyScenario,
  own: [OWN, OWN6],
  ...parts,
  settings: { ...usualSettings, ...settings },
});

/** The verdicts of the frames, one after the other, and the events. */
function play(scenario: Scenario, frames: readonly Uint8Array[]): { verdicts: string[]; dropped: boolean[]; banks: string[]; events: string[] } {
  kernel.play(scenario);
  const seen = frames.map(frame => kernel.judge(frame, { verdict: 'pass', bank: 'enforced', dropped: false }));
  return {
    verdicts: seen.map(({ verdict }) => verdict),
    dropped: seen.map(({ dropped }) => dropped),
    banks: seen.map(({ bank }) => bank),
    events: kernel.events(),
  };
}

const verdictsOf = (scenario: Scenario, frames: readonly Uint8Array[]): string[] => play(scenario, frames).verdicts;
const repeated = (frame: Uint8Array, times: number): Uint8Array[] => Array.from({ length: times }, () => frame);
const forever = { expiresNs: null } as const;
const kindsOf = (events: readonly string[]): string[] => events.map(event => event.split(' ')[0] ?? '');

describe('bans and prefixes', () => {
  const banned = scenarioOf({ bans: [{ target: SOURCE, ...forever }] });

  test('a banned source is dropped whatever it sends, wherever it sends it', () => {
    const frames = [syn(SOURCE, OWN, A), segment(SOURCE, OWN, A, 'A'), datagram(SOURCE, '192.0.2.1', 53), ping(SOURCE, '224.0.0.1')];
    expect(verdictsOf(banned, frames)).toEqual(['drop-ban', 'drop-ban', 'drop-ban', 'drop-ban']);
  });

  test('the first drop of a ban is told, and no other', () => {
    expect(play(banned, repeated(syn(SOURCE, OWN, A), 5)).events).toEqual([expect.stringContaining('ban-hit 00000000000000000000ffffcb007107')]);
  });

  test("a banned source's ARP passes", () => {
    expect(verdictsOf(banned, [ethernet(arp(SOURCE, OWN))])).toEqual(['pass-not-ip']);
  });

  test('a ban ends by itself', () => {
    expect(verdictsOf(scenarioOf({ bans: [{ target: SOURCE, expiresNs: PAST }] }), [syn(SOURCE, OWN, A)])).toEqual(['pass']);
    expect(verdictsOf(scenarioOf({ bans: [{ target: SOURCE, expiresNs: 60n * SECOND }] }), [syn(SOURCE, OWN, A)])).toEqual(['drop-ban']);
  });

  test('an IPv6 ban holds for its /64, an exact one for the one address', () => {
    const net = scenarioOf({ bans: [{ target: '2001:db8:bad::/64', ...forever }] });
    expect(verdictsOf(net, [syn(SOURCE6, OWN6, A), syn('2001:db8:bad:1::7', OWN6, A)])).toEqual(['drop-ban', 'pass']);
    const exact = scenarioOf({ bans: [{ target: SOURCE6, ...forever }] });
    expect(verdictsOf(exact, [syn(SOURCE6, OWN6, A), syn('2001:db8:bad::8', OWN6, A)])).toEqual(['drop-ban', 'pass']);
  });

  test('an IPv6 ban ends by itself, for the /64 and for the address', () => {
    const scenario = scenarioOf({
      bans: [
        { target: '2001:db8:bad::/64', expiresNs: PAST },
        { target: SOURCE6, expiresNs: PAST },
      ],
    });
    expect(verdictsOf(scenario, [syn(SOURCE6, OWN6, A)])).toEqual(['pass']);
  });

  test('an expired ban of the /64 does not hide one of the address', () => {
    const scenario = scenarioOf({
      bans: [
        { target: '2001:db8:bad::/64', expiresNs: PAST },
        { target: SOURCE6, ...forever },
      ],
    });
    expect(verdictsOf(scenario, [syn(SOURCE6, OWN6, A)])).toEqual(['drop-ban']);
  });

  test('the allow-list wins over a ban, a shun, an anomaly and lockdown', () => {
    const scenario = scenarioOf(
      {
        bans: [{ target: SOURCE, ...forever }],
        rules: [{ prefix: '203.0.113.0/24', action: 'allow', ...forever }],
        shuns: [{ source: SOURCE, kinds: ['tcp'], expiresNs: 60n * SECOND, repeats: 0 }],
      },
      { mode: 'lockdown' },
    );
    expect(verdictsOf(scenario, [syn(SOURCE, OWN, A), segment(SOURCE, OWN, B, '')])).toEqual(['pass-allowed', 'pass-allowed']);
  });

  test('a denied prefix is dropped, the longest match decides', () => {
    const rules = [
      { prefix: '203.0.0.0/16', action: 'deny', ...forever },
      { prefix: '203.0.113.0/24', action: 'allow', ...forever },
      { prefix: '2001:db8:bad::/48', action: 'deny', ...forever },
    ] as const;
    const frames = [syn('203.0.112.1', OWN, A), syn(SOURCE, OWN, A), syn(SOURCE6, OWN6, A), syn('192.0.2.1', OWN, A)];
    expect(verdictsOf(scenarioOf({ rules }), frames)).toEqual(['drop-prefix', 'pass-allowed', 'drop-prefix', 'pass']);
  });
});

describe('scans', () => {
  test('the SYN that brings the third closed port is dropped, and the source shunned', () => {
    const { verdicts, events } = play(
      scenarioOf({}),
      [A, B, C, D].map(port => syn(SOURCE, OWN, port)),
    );
    expect(verdicts).toEqual(['pass', 'pass', 'drop-scan', 'drop-shun']);
    expect(kindsOf(events)).toEqual(['touch', 'touch', 'touch', 'scan']);
    expect(events.at(-1)).toContain('port 17, 3 fast, 3 slow for syn-scan, shun 60000 ms');
  });

  test('a retransmitted SYN is not a second port', () => {
    const frames = [...repeated(syn(SOURCE, OWN, A), 20), ...repeated(syn(SOURCE, OWN, B), 20)];
    const { verdicts, events } = play(scenarioOf({}), frames);
    expect(new Set(verdicts)).toEqual(new Set(['pass']));
    expect(kindsOf(events)).toEqual(['touch', 'touch']);
  });

  test('addresses of one /64 are one source', () => {
    const frames = [A, B, C].map(port => syn(`2001:db8:bad::${port}`, OWN6, port));
    expect(verdictsOf(scenarioOf({}), frames)).toEqual(['pass', 'pass', 'drop-scan']);
  });

  test('NULL, FIN, XMAS and SYN with FIN are dropped at once and count', () => {
    const frames = ['', 'F', 'FPU', 'SF'].map((flags, at) => segment(SOURCE, OWN, [A, B, C, D][at] ?? A, flags));
    const { verdicts, events } = play(scenarioOf({}), frames);
    expect(verdicts).toEqual(['drop-anomaly', 'drop-anomaly', 'drop-scan', 'drop-scan']);
    expect(events.filter(event => event.startsWith('scan'))).toEqual([expect.stringContaining('for flag-scan')]);
  });

  test('strays (ACK, FIN and ACK) to closed ports count, to the ephemeral range they do not', () => {
    const frames = [segment(SOURCE, OWN, A, 'A'), segment(SOURCE, OWN, B, 'FA'), segment(SOURCE, OWN, C, 'A')];
    expect(verdictsOf(scenarioOf({}), frames)).toEqual(['pass', 'pass', 'drop-scan']);
    const late = [40_001, 40_002, 40_003, 40_004].map(port => segment(SOURCE, OWN, port, 'FA'));
    expect(verdictsOf(scenarioOf({}), late)).toEqual(['pass', 'pass', 'pass', 'pass']);
  });

  test('UDP probes count apart from TCP in ports, together in number', () => {
    const frames = [datagram(SOURCE, OWN, A), syn(SOURCE, OWN, A), datagram(SOURCE, OWN, B), datagram(SOURCE, OWN, C), syn(SOURCE, OWN, D)];
    const { verdicts, events } = play(scenarioOf({}), frames);
    expect(verdicts).toEqual(['pass', 'pass', 'drop-scan', 'drop-shun', 'drop-scan']);
    expect(events.filter(event => event.startsWith('scan'))).toEqual([
      expect.stringContaining('syn-scan+udp-scan'),
      expect.stringContaining('port 19, 4 fast'),
    ]);
  });

  test('a slow scanner is seen by the slow window', () => {
    const slots = Array.from({ length: 24 }, (_, at) => ({ port: 1000 + at, probe: 'syn' as const, atNs: -(5n + BigInt(at) / 4n) * SECOND }));
    const scenario = scenarioOf({ trackers: [{ source: SOURCE, watched: true, slots }] }, { fastWindowNs: 2n * SECOND });
    const { verdicts, events } = play(scenario, [syn(SOURCE, OWN, A)]);
    expect(verdicts).toEqual(['drop-scan']);
    expect(events.at(-1)).toContain('1 fast, 25 slow for slow-scan+syn-scan');
  });

  test('the third port of a slow source makes it a suspect', () => {
    const slots = [1000, 1001].map(port => ({ port, probe: 'syn' as const, atNs: -10n * SECOND }));
    const { verdicts, events } = play(scenarioOf({ trackers: [{ source: SOURCE, watched: false, slots }] }, { fastWindowNs: 2n * SECOND }), [
      syn(SOURCE, OWN, A),
    ]);
    expect(verdicts).toEqual(['pass']);
    expect(kindsOf(events)).toEqual(['touch', 'suspect']);
  });

  test('ports outside the slow window count no more', () => {
    const slots = [1000, 1001].map(port => ({ port, probe: 'syn' as const, atNs: -10n * SECOND }));
    const short = { fastWindowNs: 4n * SECOND, slowWindowNs: 8n * SECOND };
    const scenario = scenarioOf({ trackers: [{ source: SOURCE, watched: false, slots }] }, short);
    expect(
      verdictsOf(
        scenario,
        [A, B, C].map(port => syn(SOURCE, OWN, port)),
      ),
    ).toEqual(['pass', 'pass', 'drop-scan']);
  });

  test('RST and SYN-ACK are answers: they pass and count for nothing', () => {
    const frames = [A, B, C, D].flatMap(port => [segment(SOURCE, OWN, port, 'R'), segment(SOURCE, OWN, port, 'SA'), segment(SOURCE, OWN, port, 'RA')]);
    const { verdicts, events } = play(scenarioOf({}), frames);
    expect(new Set(verdicts)).toEqual(new Set(['pass']));
    expect(events).toEqual([]);
  });

  test('packets to others than our own addresses are nobody’s scan', () => {
    const frames = [A, B, C, D].flatMap(port => [
      syn(SOURCE, '192.0.2.9', port),
      datagram(SOURCE, '255.255.255.255', port),
      datagram(SOURCE, '224.0.0.251', port),
    ]);
    expect(new Set(verdictsOf(scenarioOf({}), frames))).toEqual(new Set(['pass']));
  });

  test('ports in grace are not closed', () => {
    const served = [A, B, C, D].map(port => ({ transport: 'tcp' as const, port, atNs: -10n * SECOND }));
    const frames = [A, B, C, D].map(port => syn(SOURCE, OWN, port));
    expect(verdictsOf(scenarioOf({ served }), frames)).toEqual(['pass', 'pass', 'pass', 'pass']);
    expect(verdictsOf(scenarioOf({ served }, { graceNs: 0n }), frames).slice(2)).toEqual(['drop-scan', 'drop-shun']);
    const always = served.map(one => ({ ...one, atNs: 'always' as const }));
    expect(verdictsOf(scenarioOf({ served: always }, { graceNs: 0n }), frames)).toEqual(['pass', 'pass', 'pass', 'pass']);
  });
});

describe('shuns, proven sources, lockdown', () => {
  const shunned = (kinds: readonly ('tcp' | 'udp' | 'echo')[], expiresNs = 60n * SECOND) => [{ source: SOURCE, kinds, expiresNs, repeats: 0 }];
  const proven = [{ source: SOURCE, atNs: PAST }];
  const served = [{ transport: 'tcp' as const, port: A, atNs: 'always' as const }];

  test('a shun drops what opens connections, of its kind alone', () => {
    const frames = [syn(SOURCE, OWN, A), segment(SOURCE, OWN, A, 'A'), datagram(SOURCE, OWN, A), ping(SOURCE, OWN)];
    expect(verdictsOf(scenarioOf({ served, shuns: shunned(['tcp']) }), frames)).toEqual(['drop-shun', 'pass', 'pass', 'pass']);
    expect(verdictsOf(scenarioOf({ served, shuns: shunned(['udp']) }), frames)).toEqual(['pass', 'pass', 'drop-shun', 'pass']);
    expect(verdictsOf(scenarioOf({ served, shuns: shunned(['echo']) }), frames)).toEqual(['pass', 'pass', 'pass', 'drop-shun']);
    expect(verdictsOf(scenarioOf({ served, shuns: shunned(['tcp', 'udp', 'echo'], PAST) }), frames)).toEqual(['pass', 'pass', 'pass', 'pass']);
  });

  test('a proven source is policed: its scan is dropped and told, its open ports stay', () => {
    const frames = [syn(SOURCE, OWN, B), syn(SOURCE, OWN, C), syn(SOURCE, OWN, D), syn(SOURCE, OWN, 20), syn(SOURCE, OWN, A)];
    const { verdicts, events } = play(scenarioOf({ served, proven }), frames);
    expect(verdicts).toEqual(['pass', 'pass', 'drop-policed', 'drop-policed', 'pass']);
    expect(kindsOf(events)).toContain('scan');
  });

  test('being proven ends', () => {
    const frames = [B, C, D, A].map(port => syn(SOURCE, OWN, port));
    const long = [{ source: SOURCE, atNs: -10n * SECOND }];
    expect(verdictsOf(scenarioOf({ served, proven: long }, { provenTtlNs: 9n * SECOND }), frames)).toEqual(['pass', 'pass', 'drop-scan', 'drop-shun']);
  });

  test('in lockdown only proven sources open connections', () => {
    const frames = [syn(SOURCE, OWN, A), datagram(SOURCE, OWN, A), segment(SOURCE, OWN, A, 'A'), ping(SOURCE, OWN)];
    expect(verdictsOf(scenarioOf({ served }, { mode: 'lockdown' }), frames)).toEqual(['drop-lockdown', 'drop-lockdown', 'pass', 'pass']);
    expect(verdictsOf(scenarioOf({ served, proven }, { mode: 'lockdown' }), frames)).toEqual(['pass', 'pass', 'pass', 'pass']);
  });
});

describe('floods', () => {
  const served = [
    { transport: 'tcp' as const, port: A, atNs: 'always' as const },
    { transport: 'udp' as const, port: A, atNs: 'always' as const },
  ];
  const limits = { synPerSecond: 20, udpPerSecond: 20, echoPerSecond: 20 };
  const flood: readonly [name: string, frame: Uint8Array][] = [
    ['SYNs to an open port', syn(SOURCE, OWN, A)],
    ['datagrams to a closed port', datagram(SOURCE, OWN, B)],
    ['echo requests', ping(SOURCE, OWN)],
    ['IPv6 echo requests', ping(SOURCE6, OWN6)],
  ];

  test.each(flood)('%s above the rate are shunned from the first that is too much', (_name, frame) => {
    const { verdicts, events } = play(scenarioOf({ served }, limits), repeated(frame, 30));
    expect(verdicts.slice(0, 20)).toEqual(repeated20('pass'));
    expect(verdicts.slice(20)).toEqual(['drop-flood', ...Array.from({ length: 9 }, () => 'drop-shun')]);
    expect(kindsOf(events).filter(kind => kind === 'flood')).toHaveLength(1);
  });

  test('a proven source that floods is policed, and keeps its rate', () => {
    const scenario = scenarioOf({ served, proven: [{ source: SOURCE, atNs: 0n }] }, limits);
    const verdicts = verdictsOf(scenario, repeated(syn(SOURCE, OWN, A), 30));
    expect(verdicts).toEqual([...repeated20('pass'), ...Array.from({ length: 10 }, () => 'drop-policed')]);
  });

  test('open UDP ports have a limit of their own: the excess is dropped, nobody shunned', () => {
    const frames = repeated(datagram(SOURCE, OWN, A), 30);
    expect(new Set(verdictsOf(scenarioOf({ served }, limits), frames))).toEqual(new Set(['pass']));
    const { verdicts, events } = play(scenarioOf({ served }, { ...limits, openUdpPerSecond: 20 }), frames);
    expect(verdicts.slice(20)).toEqual(Array.from({ length: 10 }, () => 'drop-udp-excess'));
    expect(events).toEqual([]);
  });

  test('what a service answered does not lift the limit of its port', () => {
    const flowsOut = [{ protocol: 'udp' as const, remote: SOURCE, remotePort: 40_000, localPort: A, atNs: PAST }];
    const verdicts = verdictsOf(scenarioOf({ served, flowsOut }, { ...limits, openUdpPerSecond: 20 }), repeated(datagram(SOURCE, OWN, A), 30));
    expect(verdicts.filter(verdict => verdict === 'drop-udp-excess')).toHaveLength(10);
  });
});

const repeated20 = (verdict: string): string[] => Array.from({ length: 20 }, () => verdict);

describe('what is everyday noise', () => {
  test('DHCP, DHCPv6, NetBIOS, SSDP and mDNS are exempt', () => {
    const dhcp6 = ethernet({ etherType: 0x86dd, bytes: datagram(SOURCE6, OWN6, 546, 547).slice(14) });
    const frames = [datagram(SOURCE, OWN, 68, 67), dhcp6, datagram(SOURCE, OWN, 137), datagram(SOURCE, OWN, 1900), datagram(SOURCE, OWN, 5353)];
    const { verdicts, events } = play(scenarioOf({}, { mode: 'lockdown' }), frames);
    expect(new Set(verdicts)).toEqual(new Set(['pass']));
    expect(events).toEqual([]);
  });

  test('replies to our own datagrams pass a shun and lockdown, late ones do not', () => {
    const flow = (atNs: bigint) => [{ protocol: 'udp' as const, remote: SOURCE, remotePort: 53, localPort: 33_333, atNs }];
    const reply = datagram(SOURCE, OWN, 33_333, 53);
    const shuns = [{ source: SOURCE, kinds: ['udp'] as const, expiresNs: 60n * SECOND, repeats: 0 }];
    expect(verdictsOf(scenarioOf({ flowsOut: flow(-SECOND), shuns }, { mode: 'lockdown' }), [reply])).toEqual(['pass']);
    expect(verdictsOf(scenarioOf({ flowsOut: flow(-10n * SECOND), shuns }, { flowTtlNs: 9n * SECOND }), [reply])).toEqual(['drop-shun']);
  });

  test('ident from a server that we connected to is no probe', () => {
    const flowsOut = [{ protocol: 'tcp' as const, remote: SOURCE, remotePort: 0, localPort: 0, atNs: -SECOND }];
    const { events } = play(scenarioOf({ flowsOut }), [syn(SOURCE, OWN, 113), segment(SOURCE, OWN, 113, 'A')]);
    expect(events).toEqual([]);
    expect(kindsOf(play(scenarioOf({}), [syn(SOURCE, OWN, 113)]).events)).toEqual(['touch']);
  });
});

describe('modes', () => {
  const scan = [A, B, C].map(port => syn(SOURCE, OWN, port));

  test('observe decides and counts the same and drops nothing', () => {
    const { verdicts, dropped, banks, events } = play(scenarioOf({}, { mode: 'observe' }), scan);
    expect(verdicts).toEqual(['pass', 'pass', 'drop-scan']);
    expect(dropped).toEqual([false, false, false]);
    expect(new Set(banks)).toEqual(new Set(['would']));
    expect(kindsOf(events)).toContain('scan');
  });

  test('a pause acts like observe, counts apart, and ends', () => {
    const paused = play(scenarioOf({}, { pausedUntilNs: 60n * SECOND }), scan);
    expect(paused.verdicts.at(-1)).toBe('drop-scan');
    expect(paused.dropped.at(-1)).toBe(false);
    expect(new Set(paused.banks)).toEqual(new Set(['paused']));
    const over = play(scenarioOf({}, { pausedUntilNs: PAST }), scan);
    expect(over.dropped.at(-1)).toBe(true);
    expect(new Set(over.banks)).toEqual(new Set(['enforced']));
  });
});

describe('the events have a budget', () => {
  test('touches and suspects take three quarters of it, the scan still gets through', () => {
    const sources = Array.from({ length: 40 }, (_, at) => `203.0.113.${at + 1}`);
    const { events } = play(scenarioOf({}, { eventsPerSecond: 20 }), [
      ...sources.map(source => syn(source, OWN, A)),
      ...[B, C].map(port => syn('203.0.113.1', OWN, port)),
    ]);
    // The process may move to the other CPU, which has a bucket of its own, or into the next second.
    const touches = kindsOf(events).filter(kind => kind === 'touch').length;
    expect(touches).toBeGreaterThanOrEqual(15);
    expect(touches).toBeLessThanOrEqual(45);
    expect(touches % 15 === 0 || touches < 42).toBe(true);
    expect(kindsOf(events).filter(kind => kind === 'scan')).toHaveLength(1);
    expect(kernel.counter(1)).toBeGreaterThan(0n);
  });
});

describe('the flood guard', () => {
  test('above the rate of new sources only a sample gets an entry, and it is said', () => {
    const frames = Array.from({ length: 1_000 }, (_, at) => ethernet(ipv4({ from: `10.9.${at >> 8}.${at & 255}`, to: OWN }, tcp({ to: A }))));
    const before = kernel.counter(4);
    const { verdicts, events } = play(scenarioOf({}, { newSourcesPerSecond: 100, eventsPerSecond: 0 }), frames);
    expect(new Set(verdicts)).toEqual(new Set(['pass']));
    const tracked = [...kernel.remains().trackers.keys()].length;
    expect(tracked).toBeGreaterThan(101);
    expect(tracked).toBeLessThan(400);
    expect(Number(kernel.counter(4) - before)).toBe(1_000 - tracked);
    expect(kindsOf(events).filter(kind => kind === 'guard').length).toBeGreaterThanOrEqual(1);
    expect(kindsOf(events).filter(kind => kind === 'guard').length).toBeLessThanOrEqual(2);
  });

  test('a full map of shuns is said once a second, the verdict stands', () => {
    const shuns = Array.from({ length: 512 }, (_, at) => ({
      source: `10.8.${at >> 8}.${at & 255}`,
      kinds: ['tcp'] as const,
      expiresNs: 60n * SECOND,
      repeats: 0,
    }));
    const { verdicts, events } = play(
      scenarioOf({ shuns }),
      [1, 2].flatMap(host => [A, B, C].map(port => syn(`203.0.113.${host}`, OWN, port))),
    );
    expect(verdicts).toEqual(['pass', 'pass', 'drop-scan', 'pass', 'pass', 'drop-scan']);
    expect(kindsOf(events).filter(kind => kind === 'map-full')).toHaveLength(1);
    expect(events.filter(event => event.startsWith('scan'))).toEqual([expect.stringContaining('shun 0 ms'), expect.stringContaining('shun 0 ms')]);
  });
});

test('UDP inside anything but our own address is not looked at', () => {
  expect(verdictsOf(scenarioOf({}), [ethernet(ipv4({ from: SOURCE, to: '10.0.0.1' }, udp({ to: A })))])).toEqual(['pass']);
});
