/** What this host is: its addresses, links, gateways, name servers. Read again and again: all of it changes while we run. */
import { closeSync, openSync, readSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type Address, hostPrefix, type Prefix, parseAddress } from '@honeymesh/intel/address';
import type { AllowEntry } from '@honeymesh/intel/bans';
import type { UnixMs } from '@honeymesh/intel/time';
import type { ServedPorts } from '../kernel/port.ts';
import {
  defaultDevice,
  isLoopback,
  isUnspecified,
  onLinkPrefixes,
  parseFibTrie,
  parseInet6,
  parsePortRange,
  parseResolvConf,
  parseRoutes4,
  parseRoutes6,
  parseSockets,
  type SocketRow,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_LISTEN,
} from './machine-tables.ts';

export interface MachineFacts {
  /** Addresses of this host in this network namespace, without loopback. */
  readonly own: readonly Address[];
  readonly onLink: readonly Prefix[];
  readonly gateways: readonly Address[];
  readonly nameServers: readonly Address[];
  readonly ephemeralPorts: readonly [low: number, high: number];
  readonly defaultInterface: string | null;
}

export interface Listening {
  /** Ports with a listener now. */
  readonly served: ServedPorts;
  /** Peers of TCP sessions that are open to one of these ports. */
  readonly peers: readonly Address[];
}

const LARGEST_TABLE = 32 * 1024 * 1024;
const LARGEST_TRIE = 1024 * 1024; // a full routing table is not worth reading for our own addresses
const MOST_PEERS = 10_000;

/** Reads the facts of this network namespace (some milliseconds). What cannot be read is empty. */
export function readMachine(): MachineFacts {
  const routes4 = parseRoutes4(readBounded('/proc/net/route', LARGEST_TRIE));
  const routes6 = parseRoutes6(readBounded('/proc/net/ipv6_route', LARGEST_TRIE));
  const routes = [...routes4, ...routes6];
  return {
    own: ownAddresses(),
    onLink: onLinkPrefixes(routes),
    gateways: [...new Set(routes.flatMap(route => (route.gateway === null || isUnspecified(route.gateway) ? [] : [route.gateway])))],
    nameServers: nameServers(),
    ephemeralPorts: parsePortRange(readBounded('/proc/sys/net/ipv4/ip_local_port_range', 64)),
    defaultInterface: defaultDevice(routes4, routes6) ?? null,
  };
}

/** What is allowed for good: this host's own addresses, its gateways, its name servers. */
export function machineAllows(facts: MachineFacts, now: UnixMs): readonly AllowEntry[] {
  const entry =
    (cause: AllowEntry['cause'], why: string) =>
    (address: Address): AllowEntry => ({ target: hostPrefix(address), cause, why, since: now });
  return [
    ...facts.own.map(entry('own', 'an address of this host')),
    ...facts.gateways.map(entry('gateway', 'a gateway in the routing table')),
    ...facts.nameServers.map(entry('dns', 'a name server in resolv.conf')),
  ];
}

/** Ports with a listener, and who is connected to them (INET_DIAG's facts, from /proc/net), without the traps' own. */
export function readListening(traps: { readonly port: number; readonly udpPort: number } | null): Listening {
  const tcp = sockets('tcp').filter(row => row.localPort !== traps?.port);
  const udp = sockets('udp').filter(row => row.localPort !== traps?.udpPort);
  return listeningOf(tcp, udp);
}

/** Pure part of readListening. Loopback-only listeners do not serve anybody outside. */
export function listeningOf(tcp: readonly SocketRow[], udp: readonly SocketRow[]): Listening {
  const ports = (rows: readonly SocketRow[], state: number): number[] => [
    ...new Set(rows.filter(row => row.state === state && !isLoopback(row.local)).map(row => row.localPort)),
  ];
  const served = { tcp: ports(tcp, TCP_LISTEN), udp: ports(udp, TCP_CLOSE) };
  const open = new Set(served.tcp);
  const peers = new Set<Address>();
  for (const row of tcp) {
    if (row.state === TCP_ESTABLISHED && open.has(row.localPort) && !isLoopback(row.remote) && peers.size < MOST_PEERS) peers.add(row.remote);
  }
  return { served, peers: [...peers] };
}

/** A table of /proc/net for both families. */
export function sockets(protocol: 'tcp' | 'udp'): readonly SocketRow[] {
  return [...parseSockets(readBounded(`/proc/net/${protocol}`, LARGEST_TABLE)), ...parseSockets(readBounded(`/proc/net/${protocol}6`, LARGEST_TABLE))];
}

function ownAddresses(): readonly Address[] {
  const own = new Set<Address>([
    ...parseFibTrie(readBounded('/proc/net/fib_trie', LARGEST_TRIE)),
    ...parseInet6(readBounded('/proc/net/if_inet6', LARGEST_TRIE)),
  ]);
  for (const { address, internal } of Object.values(networkInterfaces()).flatMap(list => list ?? [])) {
    const parsed = parseAddress(address);
    if (parsed.ok && !internal) own.add(parsed.value);
  }
  return [...own];
}

function nameServers(): readonly Address[] {
  // systemd-resolved's stub says 127.0.0.53 in resolv.conf; whom it asks is in its own file.
  const files = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];
  return [...new Set(files.flatMap(file => parseResolvConf(readBounded(file, 64 * 1024))))];
}

/** At most `limit` bytes of a file; '' where it cannot be read. /proc tells no sizes, and a table may be huge. */
export function readBounded(path: string, limit: number): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    const chunks: Buffer[] = [];
    for (let left = limit; left > 0; ) {
      const chunk = Buffer.allocUnsafe(Math.min(left, 256 * 1024));
      const got = readSync(file, chunk);
      if (got === 0) break;
      chunks.push(chunk.subarray(0, got));
      left -= got;
    }
    return Buffer.concat(chunks).toString('latin1');
  } catch {
    return '';
  } finally {
    closeSync(file);
  }
}
