/** An hour of what any LAN says to any host, frame by frame, in the order of time: discovery, leases, neighbours, and the remains of old connections. */
import {
  addressToBytes,
  arp,
  concat,
  EXTENSION,
  echo,
  ethernet,
  extension,
  icmp,
  ip,
  ipv4,
  ipv6,
  macToBytes,
  type Packet,
  payload,
  raw,
  type Segment,
  tcp,
  udp,
} from './frames/frames.ts';

export interface NoiseTarget {
  readonly mac: string;
  readonly address: string;
  readonly linkLocal: string;
  readonly broadcast: string;
  /** A TCP port that the host serves. */
  readonly served: number;
  /** Inside its ephemeral range. */
  readonly ephemeral: number;
}

const HOSTS = 20;
const HOUR_S = 3_600;
const ROUTER = 1;
const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

const macOf = (host: number): string => `02:79:03:00:00:${host.toString(16).padStart(2, '0')}`;
const addressOf = (host: number): string => `10.79.3.${host}`;
const localOf = (host: number): string => `fe80::3:${host.toString(16)}`;
/** RFC 1112, 6.4, and RFC 2464, 7. */
const groupMac = (group: string): string => {
  const bytes = addressToBytes(group);
  const tail = bytes.slice(-4).map((byte, at) => (bytes.length === 4 && at === 1 ? byte & 0x7f : byte));
  const head = bytes.length === 4 ? [0x01, 0x00, 0x5e] : [0x33, 0x33];
  return [...head, ...tail.slice(bytes.length === 4 ? 1 : 0)].map(byte => byte.toString(16).padStart(2, '0')).join(':');
};

const DNS_QUERY = Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, ...text('_ipp'), 4, ...text('_tcp'), 5, ...text('local'), 0, 0, 12, 0, 1]);
const routerAlert = extension(EXTENSION.hopByHop);
const ROUTER_ALERT_4 = Uint8Array.from([0x94, 4, 0, 0]);

/** Something that a host of the LAN says every so often; `turn` counts. */
interface Habit {
  readonly what: string;
  readonly everyS: number;
  /** All hosts where absent. */
  readonly only?: number;
  readonly says: (host: number, turn: number, to: NoiseTarget) => Uint8Array;
}

const toGroup = (host: number, group: string, segment: Segment): Uint8Array =>
  ethernet(ip(group.includes(':') ? localOf(host) : addressOf(host), group, segment), { from: macOf(host), to: groupMac(group) });
const toAll = (host: number, address: string, segment: Segment, from = addressOf(host)): Uint8Array =>
  ethernet(ipv4({ from, to: address }, segment), { from: macOf(host), to: BROADCAST_MAC });
const toHost = (host: number, to: NoiseTarget, packet: Packet): Uint8Array => ethernet(packet, { from: macOf(host), to: to.mac });
const toHost4 = (host: number, to: NoiseTarget, segment: Segment): Uint8Array => toHost(host, to, ipv4({ from: addressOf(host), to: to.address }, segment));
const toHost6 = (host: number, to: NoiseTarget, segment: Segment): Uint8Array =>
  toHost(host, to, ipv6({ from: localOf(host), to: to.linkLocal, hopLimit: 255 }, segment));

const LAN: readonly Habit[] = [
  {
    what: 'ARP request',
    everyS: 60,
    says: (host, _turn, to) => ethernet(arp(addressOf(host), to.address, { mac: macOf(host) }), { from: macOf(host), to: BROADCAST_MAC }),
  },
  { what: 'ARP reply', everyS: 60, says: (host, _turn, to) => toHost(host, to, arp(addressOf(host), to.address, { mac: macOf(host), reply: true })) },
  { what: 'mDNS to all', everyS: 60, says: host => toGroup(host, '224.0.0.251', udp({ from: 5353, to: 5353, payload: DNS_QUERY })) },
  { what: 'mDNS to all, IPv6', everyS: 60, says: host => toGroup(host, 'ff02::fb', udp({ from: 5353, to: 5353, payload: DNS_QUERY })) },
  { what: 'mDNS unicast', everyS: 120, says: (host, _turn, to) => toHost4(host, to, udp({ from: 5353, to: 5353, payload: DNS_QUERY })) },
  { what: 'mDNS unicast, IPv6', everyS: 120, says: (host, _turn, to) => toHost6(host, to, udp({ from: 5353, to: 5353, payload: DNS_QUERY })) },
  {
    what: 'SSDP notify',
    everyS: 60,
    says: host => toGroup(host, '239.255.255.250', udp({ from: 1900, to: 1900, payload: text('NOTIFY * HTTP/1.1\r\n\r\n') })),
  },
  {
    what: 'SSDP unicast',
    everyS: 300,
    says: (host, _turn, to) => toHost4(host, to, udp({ from: 50_000, to: 1900, payload: text('M-SEARCH * HTTP/1.1\r\n\r\n') })),
  },
  { what: 'LLMNR', everyS: 60, says: (host, turn) => toGroup(host, '224.0.0.252', udp({ from: 50_000 + turn, to: 5355, payload: DNS_QUERY })) },
  { what: 'LLMNR, IPv6', everyS: 60, says: (host, turn) => toGroup(host, 'ff02::1:3', udp({ from: 50_000 + turn, to: 5355, payload: DNS_QUERY })) },
  {
    what: 'WS-Discovery',
    everyS: 300,
    says: (host, turn) => toGroup(host, '239.255.255.250', udp({ from: 51_000 + turn, to: 3702, payload: text('<Probe/>') })),
  },
  { what: 'NetBIOS name, broadcast', everyS: 60, says: (host, _turn, to) => toAll(host, to.broadcast, udp({ from: 137, to: 137, payload: DNS_QUERY })) },
  {
    what: 'NetBIOS datagram, broadcast',
    everyS: 240,
    says: (host, _turn, to) => toAll(host, to.broadcast, udp({ from: 138, to: 138, payload: text('BROWSE') })),
  },
  { what: 'NetBIOS name, unicast', everyS: 120, says: (host, _turn, to) => toHost4(host, to, udp({ from: 137, to: 137, payload: DNS_QUERY })) },
  {
    what: 'sync and game discovery',
    everyS: 30,
    says: (host, turn) => toAll(host, '255.255.255.255', udp({ from: 17_500, to: turn % 2 === 0 ? 17_500 : 27_036, payload: text('{}') })),
  },
  { what: 'DHCP discover', everyS: 600, says: host => toAll(host, '255.255.255.255', udp({ from: 68, to: 67, payload: new Uint8Array(240) }), '0.0.0.0') },
  {
    what: 'DHCP offer to all',
    everyS: 30,
    only: ROUTER,
    says: host => toAll(host, '255.255.255.255', udp({ from: 67, to: 68, payload: new Uint8Array(240) })),
  },
  { what: 'DHCP ack', everyS: 30, only: ROUTER, says: (host, _turn, to) => toHost4(host, to, udp({ from: 67, to: 68, payload: new Uint8Array(240) })) },
  { what: 'DHCPv6 solicit', everyS: 300, says: host => toGroup(host, 'ff02::1:2', udp({ from: 546, to: 547, payload: text('\u0001abc') })) },
  { what: 'DHCPv6 reply', everyS: 60, only: ROUTER, says: (host, _turn, to) => toHost6(host, to, udp({ from: 547, to: 546, payload: text('\u0007abc') })) },
  {
    what: 'IPv6 neighbour solicitation',
    everyS: 60,
    says: (host, _turn, to) =>
      toHost6(host, to, icmp(135, concat(new Uint8Array(4), addressToBytes(to.linkLocal), Uint8Array.of(1, 1), macToBytes(macOf(host))))),
  },
  {
    what: 'IPv6 neighbour advertisement',
    everyS: 60,
    says: (host, _turn, to) =>
      toHost6(host, to, icmp(136, concat(Uint8Array.of(0x60, 0, 0, 0), addressToBytes(localOf(host)), Uint8Array.of(2, 1), macToBytes(macOf(host))))),
  },
  {
    what: 'IPv6 router advertisement',
    everyS: 30,
    only: ROUTER,
    says: host =>
      ethernet(ipv6({ from: localOf(host), to: 'ff02::1', hopLimit: 255 }, icmp(134, Uint8Array.from([64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))), {
        from: macOf(host),
        to: groupMac('ff02::1'),
      }),
  },
  {
    what: 'MLD report',
    everyS: 125,
    says: host =>
      ethernet(ipv6({ from: localOf(host), to: 'ff02::16', hopLimit: 1, extensions: [routerAlert] }, icmp(143, Uint8Array.from([0, 0, 0, 0]))), {
        from: macOf(host),
        to: groupMac('ff02::16'),
      }),
  },
  {
    what: 'IGMP report',
    everyS: 125,
    says: host =>
      ethernet(
        ipv4(
          { from: addressOf(host), to: '224.0.0.22', ttl: 1, options: ROUTER_ALERT_4 },
          raw(2, Uint8Array.from([0x22, 0, 0xf9, 2, 0, 0, 0, 1, 4, 0, 0, 0, 0xe0, 0, 0, 0xfb])),
        ),
        { from: macOf(host), to: groupMac('224.0.0.22') },
      ),
  },
  {
    what: 'VRRP',
    everyS: 5,
    only: ROUTER,
    says: host => toGroup(host, '224.0.0.18', raw(112, Uint8Array.from([0x21, 1, 100, 1, 0, 1, 0xba, 0x52, 10, 79, 3, 254]))),
  },
  {
    what: 'LLDP',
    everyS: 30,
    only: ROUTER,
    says: host => ethernet(payload(0x88cc, Uint8Array.from([2, 7, 4, ...macToBytes(macOf(host)), 0, 0])), { from: macOf(host), to: '01:80:c2:00:00:0e' }),
  },
  {
    what: 'spanning tree',
    everyS: 2,
    only: ROUTER,
    says: host => ethernet(payload(38, Uint8Array.from([0x42, 0x42, 3, ...new Uint8Array(35)])), { from: macOf(host), to: '01:80:c2:00:00:00' }),
  },
  { what: 'ping of a monitor', everyS: 10, only: 2, says: (host, turn, to) => toHost4(host, to, echo({ seq: turn })) },
  { what: 'ping of a monitor, IPv6', everyS: 10, only: 2, says: (host, turn, to) => toHost6(host, to, echo({ seq: turn })) },
];

/** What comes late, twice, or about a connection that is gone. The other end's port is a served one or, where the host was the client, one of its ephemeral ports. */
const REMAINS: readonly Habit[] = [
  ...['FA', 'A', 'PA', 'R', 'RA', 'FPA'].flatMap((flags, at): Habit[] => [
    {
      what: `late ${flags} to a service`,
      everyS: 300,
      says: (host, turn, to) => toHost4(host, to, tcp({ from: 40_000 + turn, to: to.served, flags, ack: 1, seq: turn })),
    },
    {
      what: `late ${flags} of a server`,
      everyS: 300,
      says: (host, turn, to) => toHost4(host, to, tcp({ from: 443, to: to.ephemeral + at * 500 + turn, flags, ack: 1, seq: turn })),
    },
    {
      what: `late ${flags} of a server, IPv6`,
      everyS: 600,
      says: (host, turn, to) => toHost6(host, to, tcp({ from: 443, to: to.ephemeral + at * 500 + turn, flags, ack: 1, seq: turn })),
    },
  ]),
  { what: 'SYN-ACK twice', everyS: 120, says: (host, turn, to) => toHost4(host, to, tcp({ from: 443, to: to.ephemeral + 7_000 + turn, flags: 'SA', ack: 1 })) },
  { what: 'SYN-ACK of a scan in our name', everyS: 300, says: (host, turn, to) => toHost4(host, to, tcp({ from: 80, to: 1_000 + turn, flags: 'SA', ack: 1 })) },
  { what: 'RST of a scan in our name', everyS: 300, says: (host, turn, to) => toHost4(host, to, tcp({ from: 80, to: 2_000 + turn, flags: 'RA', ack: 1 })) },
  {
    what: 'keep-alive',
    everyS: 60,
    says: (host, turn, to) => toHost4(host, to, tcp({ from: 39_000, to: to.served, flags: 'A', ack: 1, seq: turn, payload: Uint8Array.of(0) })),
  },
  ...[
    [3, 0],
    [3, 1],
    [3, 3],
    [3, 4],
    [3, 13],
    [11, 0],
    [4, 0],
  ].map(
    ([type = 0, code = 0]): Habit => ({
      what: `ICMP error ${type}/${code}`,
      everyS: 300,
      says: (host, turn, to) => toHost4(host, to, icmp(type, quoted(host, turn, to), code)),
    }),
  ),
  { what: 'echo reply', everyS: 60, says: (host, turn, to) => toHost4(host, to, echo({ reply: true, seq: turn })) },
  {
    what: 'answer from 53 to an old question, as a fragment',
    everyS: 600,
    says: (host, turn, to) =>
      toHost(host, to, ipv4({ from: addressOf(host), to: to.address, fragment: { offset: 185, more: false, id: turn } }, raw(17, new Uint8Array(200)))),
  },
];

/** Four empty bytes, then the head of a datagram of the host's, as an ICMP error quotes it. */
const quoted = (host: number, turn: number, to: NoiseTarget): Uint8Array =>
  concat(new Uint8Array(4), ipv4({ from: to.address, to: addressOf(host) }, udp({ from: to.ephemeral + turn, to: 33_434, payload: new Uint8Array(8) })).bytes);

/** Every frame of the hour, in order. */
export function anHourOfNoise(to: NoiseTarget): readonly Uint8Array[] {
  const said: { atS: number; frame: Uint8Array }[] = [];
  for (const [number, habit] of [...LAN, ...REMAINS].entries()) {
    for (let host = 1; host <= HOSTS; host++) {
      if (habit.only !== undefined && habit.only !== host) continue;
      const offsetS = ((number * 7 + host * 13) % habit.everyS) + 0.1;
      for (let turn = 0; turn * habit.everyS + offsetS < HOUR_S; turn++) said.push({ atS: turn * habit.everyS + offsetS, frame: habit.says(host, turn, to) });
    }
  }
  return said.sort((one, other) => one.atS - other.atS).map(({ frame }) => frame);
}

/** Addresses that the noise comes from. */
export const noiseSources = (): readonly string[] => Array.from({ length: HOSTS }, (_, at) => at + 1).flatMap(host => [addressOf(host), localOf(host)]);

/** A whole datagram of the LAN's first host to a closed port: what must be seen. Shows that the noise would be judged. */
export const probe = (to: NoiseTarget, port: number): Uint8Array => toHost4(ROUTER, to, udp({ from: 50_000, to: port }));
