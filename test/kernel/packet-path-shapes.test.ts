/** Shapes of frames: tags, options, extension headers, fragments, and every truncation of each. Nothing in front of the address hides a banned source. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { build } from '#enforcer/launch/setup/build.mjs';
import {
  authentication,
  cut,
  datagram,
  EXTENSION,
  ethernet,
  everyTruncation,
  extension,
  fragmentHeader,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  type Packet,
  payload,
  raw,
  type Tag,
  tcp,
  udp,
} from '#test/support/frames/frames.ts';
import { createKernelSide, type KernelSide } from '#test/support/oracle/kernel-side.ts';
import { emptyScenario, type Scenario } from '#test/support/oracle/scenario.ts';

const OWN = '198.51.100.1';
const OWN6 = '2001:db8:1::1';
const SOURCE = '203.0.113.7';
const SOURCE6 = '2001:db8:bad::7';
const PORT = 11;

let kernel: KernelSide;
beforeAll(() => {
  build();
  kernel = createKernelSide([]);
});
afterAll(() => kernel.close());

const clean: Scenario = { ...emptyScenario, own: [OWN, OWN6] };
const banned: Scenario = {
  ...clean,
  bans: [
    { target: SOURCE, expiresNs: null },
    { target: SOURCE6, expiresNs: null },
  ],
};

/** The verdict of one frame in a fresh state, and whether it was counted as a probe of PORT. */
function judge(scenario: Scenario, frame: Uint8Array): { verdict: string; touched: boolean } {
  kernel.play(scenario);
  const { verdict } = kernel.judge(frame, { verdict: 'pass', bank: 'enforced', dropped: false });
  return { verdict, touched: kernel.events().some(event => event.startsWith('touch')) };
}

const tags = (count: number): Tag[] => Array.from({ length: count }, (_, at) => ({ type: [0x8100, 0x88a8, 0x9100, 0x9200][at % 4] ?? 0x8100, id: 5 + at }));
const probe4 = (fields: object = {}): Packet => ipv4({ from: SOURCE, to: OWN, ...fields }, tcp({ to: PORT }));
const probe6 = (extensions: Parameters<typeof ipv6>[0]['extensions'] = []): Packet => ipv6({ from: SOURCE6, to: OWN6, extensions }, tcp({ to: PORT }));
const options = (count: number, type: number, units = 0) => Array.from({ length: count }, () => extension(type, units));

/** What is a probe of PORT however it is wrapped. */
const wrapped: readonly [name: string, frame: Uint8Array][] = [
  ['plain IPv4', ethernet(probe4())],
  ['plain IPv6', ethernet(probe6())],
  ...[1, 2, 3, 4].flatMap((count): [string, Uint8Array][] => [
    [`${count} VLAN tags, IPv4`, ethernet(probe4(), { tags: tags(count) })],
    [`${count} VLAN tags, IPv6`, ethernet(probe6(), { tags: tags(count) })],
  ]),
  ['QinQ, outer 802.1ad', ethernet(probe4(), { tags: [{ type: 0x88a8, id: 100 }, 200] })],
  ['IPv4 options, 4 bytes', ethernet(probe4({ options: new Uint8Array(4) }))],
  ['IPv4 options, 40 bytes', ethernet(probe4({ options: new Uint8Array(40).fill(1) }))],
  ['IPv4 total length 0 (big TCP)', ethernet(probe4({ totalLength: 0 }))],
  ['IPv4 with padding of the wire', new Uint8Array([...ethernet(probe4()), 0, 0, 0, 0, 0, 0])],
  ['TCP options', ethernet(ipv4({ from: SOURCE, to: OWN }, tcp({ to: PORT, options: new Uint8Array(40).fill(1) })))],
  ['a whole TCP header in a first fragment', ethernet(probe4({ fragment: { offset: 0, more: true } }))],
  ['hop-by-hop options', ethernet(probe6(options(1, EXTENSION.hopByHop)))],
  ['destination options of 2 KiB', ethernet(probe6(options(1, EXTENSION.destination, 255)))],
  ['routing, AH, mobility, HIP, shim6', ethernet(probe6([extension(EXTENSION.routing), authentication(), ...[135, 139, 140].map(type => extension(type))]))],
  ['AH, whose length counts in fours', ethernet(probe6([authentication(4)]))],
  ['an atomic fragment', ethernet(probe6([fragmentHeader({ offset: 0, more: false })]))],
  ['10 extension headers', ethernet(probe6(options(10, EXTENSION.destination)))],
  ['10 extension headers and 4 VLAN tags', ethernet(probe6(options(10, EXTENSION.destination)), { tags: tags(4) })],
];

/** What is not, and the verdict. */
const other: readonly [name: string, frame: Uint8Array, verdict: string][] = [
  ['5 VLAN tags', ethernet(probe4(), { tags: tags(5) }), 'pass-not-ip'],
  ['another EtherType', ethernet(payload(0x88cc, new Uint8Array(40))), 'pass-not-ip'],
  ['IPv4 of another version', ethernet(probe4({ version: 5 })), 'drop-malformed'],
  ['IPv4 with a header of 16 bytes', ethernet(probe4({ headerLength: 4 })), 'drop-malformed'],
  ['IPv4 whose header is longer than the frame', ethernet(probe4({ headerLength: 15 })), 'drop-malformed'],
  ['IPv4 whose total length is less than its header', ethernet(probe4({ totalLength: 19 })), 'drop-malformed'],
  ['IPv4 whose total length cuts TCP short', ethernet(probe4({ totalLength: 39 })), 'drop-malformed'],
  ['IPv6 of another version', ethernet(ipv6({ from: SOURCE6, to: OWN6, version: 4 }, tcp({ to: PORT }))), 'drop-malformed'],
  ['IPv6 whose payload length cuts TCP short', ethernet(ipv6({ from: SOURCE6, to: OWN6, payloadLength: 19 }, tcp({ to: PORT }))), 'drop-malformed'],
  ['a TCP header of 16 bytes', ethernet(ipv4({ from: SOURCE, to: OWN }, tcp({ to: PORT, dataOffset: 4 }))), 'drop-malformed'],
  ['a TCP header longer than the packet', ethernet(ipv4({ from: SOURCE, to: OWN }, tcp({ to: PORT, dataOffset: 15 }))), 'drop-malformed'],
  ['half a UDP header', ethernet(ipv4({ from: SOURCE, to: OWN }, cut(udp({ to: PORT }), 7))), 'drop-malformed'],
  ['11 extension headers', ethernet(probe6(options(11, EXTENSION.destination))), 'drop-malformed'],
  [
    'an extension header that is longer than the packet',
    ethernet(ipv6({ from: SOURCE6, to: OWN6 }, raw(EXTENSION.destination, Uint8Array.from([6, 1, 0, 0, 0, 0, 0, 0])))),
    'drop-malformed',
  ],
  ['a later IPv4 fragment', ethernet(probe4({ fragment: { offset: 10, more: false } })), 'pass'],
  ['an IPv4 fragment that would rewrite the flags', ethernet(probe4({ fragment: { offset: 1, more: true } })), 'drop-malformed'],
  ['the same in UDP, which has none', ethernet(ipv4({ from: SOURCE, to: OWN, fragment: { offset: 1, more: true } }, udp({ to: PORT }))), 'pass'],
  ['a later IPv6 fragment', ethernet(probe6([fragmentHeader({ offset: 10, more: true })])), 'pass'],
  ['ESP', ethernet(ipv4({ from: SOURCE, to: OWN }, raw(50, new Uint8Array(40)))), 'pass'],
  ['SCTP', ethernet(ipv4({ from: SOURCE, to: OWN }, raw(132, new Uint8Array(40)))), 'pass'],
  ['no next header', ethernet(ipv6({ from: SOURCE6, to: OWN6 }, raw(59))), 'pass'],
  ['ICMP inside IPv6', ethernet(ipv6({ from: SOURCE6, to: OWN6 }, raw(1, Uint8Array.from([8, 0, 0, 0, 0, 0, 0, 0])))), 'pass'],
  ['ARP', ethernet(payload(0x0806, new Uint8Array(28))), 'pass-not-ip'],
];

describe('frames', () => {
  test.each(wrapped)('a probe is seen in %s', (_name, frame) => {
    expect(judge(clean, frame)).toEqual({ verdict: 'pass', touched: true });
  });

  test.each(wrapped)('a banned source is not hidden by %s', (_name, frame) => {
    expect(judge(banned, frame)).toEqual({ verdict: 'drop-ban', touched: false });
  });

  test.each(other)('%s', (_name, frame, verdict) => {
    expect(judge(clean, frame)).toEqual({ verdict, touched: false });
  });

  test('a banned source is not hidden by 11 extension headers, fragments or lies about lengths', () => {
    const lies = other.filter(([name, , verdict]) => verdict !== 'pass-not-ip' && !/version|header of 16 bytes|longer than the frame/.test(name));
    for (const [name, frame] of lies) expect([name, judge(banned, frame).verdict]).toEqual([name, 'drop-ban']);
    expect(judge(banned, ethernet(ipv4({ from: SOURCE, to: OWN }, tcp({ to: PORT, dataOffset: 4 })))).verdict).toBe('drop-ban');
  });
});

describe('fragments', () => {
  test('what nmap -f sends is dropped as malformed and counts: the flags would hide in the second fragment', () => {
    for (const fragments of [
      ipv4Fragments({ from: SOURCE, to: OWN }, tcp({ to: PORT }), 8),
      ipv6Fragments({ from: SOURCE6, to: OWN6 }, tcp({ to: PORT }), 8),
    ]) {
      kernel.play(clean);
      const verdicts = fragments.map(packet => kernel.judge(ethernet(packet), { verdict: 'pass', bank: 'enforced', dropped: false }).verdict);
      expect(verdicts[0]).toBe('drop-malformed');
      expect(kernel.events()).toEqual([expect.stringMatching(/^touch \w+ port 11, 1 fast/)]);
      expect(verdicts.slice(1)).toEqual(fragments[0]?.etherType === 0x0800 ? ['drop-malformed', 'pass'] : ['pass', 'pass']);
    }
  });

  test('three tiny fragments to three ports are a scan', () => {
    kernel.play(clean);
    const verdicts = [11, 13, 17].map(port => {
      const [first] = ipv4Fragments({ from: SOURCE, to: OWN }, tcp({ to: port }), 8);
      return kernel.judge(ethernet(first as Packet), { verdict: 'drop-malformed', bank: 'enforced', dropped: true }).verdict;
    });
    expect(verdicts).toEqual(['drop-malformed', 'drop-malformed', 'drop-scan']);
    expect(kernel.events().at(-1)).toContain('for malformed, shun 60000 ms');
  });

  test('with fewer bytes than the ports nothing can be counted', () => {
    const frame = ethernet(ipv4({ from: SOURCE, to: OWN, fragment: { offset: 0, more: true } }, cut(tcp({ to: PORT }), 3)));
    expect(judge(clean, frame)).toEqual({ verdict: 'drop-malformed', touched: false });
  });

  test('a fragmented datagram of a real client is not punished', () => {
    const frames = ipv4Fragments({ from: SOURCE, to: OWN }, udp({ to: 53, payload: new Uint8Array(3_000) }), 1_480).map(packet => ethernet(packet));
    kernel.play({ ...clean, served: [{ transport: 'udp', port: 53, atNs: 'always' }] });
    const verdicts = frames.map(frame => kernel.judge(frame, { verdict: 'pass', bank: 'enforced', dropped: false }).verdict);
    expect(new Set(verdicts)).toEqual(new Set(['pass']));
    expect(kernel.events()).toEqual([]);
  });
});

describe('truncation', () => {
  /** Where the address is whole, a ban must hold; before that no source can be trusted. */
  const cases: readonly [name: string, frame: Uint8Array, ipAt: number, ipBytes: number][] = [
    ['IPv4', ethernet(probe4()), 14, 20],
    ['IPv4 with options', ethernet(probe4({ options: new Uint8Array(12) })), 14, 32],
    ['IPv4 behind 4 tags', ethernet(probe4(), { tags: tags(4) }), 30, 20],
    ['IPv6', ethernet(probe6()), 14, 40],
    ['IPv6 with headers', ethernet(probe6([extension(0), authentication(), fragmentHeader({ offset: 0, more: true }), extension(60, 2)])), 14, 40],
    ['IPv6 behind 2 tags', ethernet(probe6(), { tags: tags(2) }), 22, 40],
    ['UDP', datagram(SOURCE, OWN, PORT), 14, 20],
  ];

  test.each(cases)('%s cut at each byte is judged sanely, and never outruns a ban', (_name, frame, ipAt, ipBytes) => {
    for (const short of everyTruncation(frame)) {
      const { length } = short;
      const ban = judge(banned, short).verdict;
      const plain = judge(clean, short);
      if (length < ipAt) expect([length, ban, plain.verdict]).toEqual([length, 'pass-not-ip', 'pass-not-ip']);
      else if (length < ipAt + ipBytes) expect([length, ban, plain.verdict]).toEqual([length, 'drop-malformed', 'drop-malformed']);
      else expect([length, ban, plain.verdict]).toEqual([length, 'drop-ban', 'drop-malformed']);
    }
  });
});

test('what belongs to a connection that we forward is no stray, unless it was silent for hours', () => {
  const answered = (agoSeconds: bigint, fromPort: number): boolean => {
    const flow = { protocol: 'tcp' as const, remote: SOURCE, remotePort: 40_000, localPort: PORT, atNs: -agoSeconds * 1_000_000_000n };
    return !judge({ ...clean, flowsOut: [flow] }, ethernet(ipv4({ from: SOURCE, to: OWN }, tcp({ from: fromPort, to: PORT, flags: 'AP' })))).touched;
  };
  expect([answered(3_600n, 40_000), answered(9_001n, 40_000), answered(1n, 40_001)]).toEqual([true, false, false]);
});
