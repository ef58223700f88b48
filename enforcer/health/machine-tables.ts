/** The kernel's tables in /proc/net and resolv.conf, as values. Pure: text in, values out; lines that make no sense are skipped. */
import { type Address, addressFromBytes, type Prefix, parseAddress, prefixOf } from '@honeymesh/intel/address';

export interface Route {
  readonly device: string;
  readonly target: Prefix;
  /** null: on-link. */
  readonly gateway: Address | null;
  readonly metric: number;
}

/** A row of /proc/net/{tcp,udp}: `state` as in include/net/tcp_states.h. */
export interface SocketRow {
  readonly local: Address;
  readonly localPort: number;
  readonly remote: Address;
  readonly remotePort: number;
  readonly state: number;
  readonly inode: number;
}

export const TCP_ESTABLISHED = 1;
export const TCP_CLOSE = 7; // a UDP socket that is not connected
export const TCP_LISTEN = 10;

const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;
const RTF_REJECT = 0x200;
const RTF_LOCAL = 0x80000000;
const MOST_SERVERS = 32; // glibc reads three

/** /proc/net/route: addresses are hexadecimal in the host's byte order, which is little endian wherever we run. */
export function parseRoutes4(text: string): readonly Route[] {
  const routes: Route[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [device, target, gateway, flags, , , metric, mask] = line.trim().split(/\s+/);
    if (device === undefined || !isHex(target, 8) || !isHex(gateway, 8) || !isHex(mask, 8) || flags === undefined) continue;
    const bits = Number.parseInt(flags, 16);
    if ((bits & RTF_UP) === 0 || (bits & RTF_REJECT) !== 0) continue;
    routes.push({
      device,
      target: prefixOf(littleEndian(target), ones(mask)),
      gateway: (bits & RTF_GATEWAY) === 0 ? null : littleEndian(gateway),
      metric: Number(metric),
    });
  }
  return routes;
}

/** /proc/net/ipv6_route: hexadecimal in network order. Multicast, local and unreachable routes are left out. */
export function parseRoutes6(text: string): readonly Route[] {
  const routes: Route[] = [];
  for (const line of text.split('\n')) {
    const [target, length, , , nextHop, metric, , , flags, device] = line.trim().split(/\s+/);
    if (!isHex(target, 32) || !isHex(nextHop, 32) || !isHex(length, 2) || flags === undefined || device === undefined) continue;
    const bits = Number.parseInt(flags, 16);
    if ((bits & RTF_UP) === 0 || (bits & RTF_REJECT) !== 0 || (bits & RTF_LOCAL) !== 0 || device === 'lo' || target.startsWith('ff')) continue;
    routes.push({
      device,
      target: prefixOf(bigEndian(target), Number.parseInt(length, 16)),
      gateway: (bits & RTF_GATEWAY) === 0 ? null : bigEndian(nextHop),
      metric: Number.parseInt(metric ?? '', 16),
    });
  }
  return routes;
}

/** The device of the default route with the lowest metric; IPv4 first, since it names the uplink on dual-stack hosts too. */
export function defaultDevice(routes4: readonly Route[], routes6: readonly Route[]): string | undefined {
  for (const [routes, everything] of [
    [routes4, '0.0.0.0/0'],
    [routes6, '::/0'],
  ] as const) {
    const best = routes.filter(route => route.target === everything && route.device !== 'lo').sort((one, other) => one.metric - other.metric)[0];
    if (best !== undefined) return best.device;
  }
  return undefined;
}

/** Prefixes that are reached without a gateway, except link-local ones and single hosts. */
export function onLinkPrefixes(routes: readonly Route[]): readonly Prefix[] {
  const prefixes = routes
    .filter(route => route.gateway === null && !/\/(0|32|128)$/.test(route.target) && !route.target.startsWith('fe80:') && !route.target.startsWith('169.254.'))
    .map(route => route.target);
  return [...new Set(prefixes)];
}

/** /proc/net/if_inet6: this host's IPv6 addresses, loopback left out. */
export function parseInet6(text: string): readonly Address[] {
  const addresses: Address[] = [];
  for (const line of text.split('\n')) {
    const [address, , , , , device] = line.trim().split(/\s+/);
    if (isHex(address, 32) && device !== 'lo') addresses.push(bigEndian(address));
  }
  return addresses;
}

/** /proc/net/fib_trie: this host's IPv4 addresses, those of interfaces without carrier too; loopback left out. */
export function parseFibTrie(text: string): readonly Address[] {
  const addresses = new Set<Address>();
  let leaf: Address | undefined;
  for (const line of text.split('\n')) {
    const named = /\|-- (\d+\.\d+\.\d+\.\d+)/.exec(line)?.[1];
    if (named !== undefined) {
      const address = parseAddress(named);
      leaf = address.ok ? address.value : undefined;
    } else if (leaf !== undefined && /\/32 host LOCAL/.test(line) && !leaf.startsWith('127.')) {
      addresses.add(leaf);
    }
  }
  return [...addresses];
}

/** The name servers of resolv.conf (zone ids cut off), loopback ones left out: a stub resolver asks others. */
export function parseResolvConf(text: string): readonly Address[] {
  const servers: Address[] = [];
  for (const line of text.split('\n')) {
    const named = /^\s*nameserver\s+([^\s%#;]+)/.exec(line)?.[1];
    const address = parseAddress(named ?? '');
    if (address.ok && !isLoopback(address.value) && servers.length < MOST_SERVERS) servers.push(address.value);
  }
  return servers;
}

/** net.ipv4.ip_local_port_range; the kernel's default where it cannot be read. */
export function parsePortRange(text: string): readonly [low: number, high: number] {
  const [, low, high] = /^\s*(\d{1,5})\s+(\d{1,5})\s*$/.exec(text) ?? [];
  return low === undefined || high === undefined ? [32768, 60999] : [Number(low), Number(high)];
}

/** /proc/net/{tcp,tcp6,udp,udp6}. Each 32-bit word of an address is in the host's byte order. */
export function parseSockets(text: string): readonly SocketRow[] {
  const rows: SocketRow[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
    const one = endpoint(local);
    const other = endpoint(remote);
    if (one === undefined || other === undefined || !isHex(state, 2)) continue;
    rows.push({ local: one[0], localPort: one[1], remote: other[0], remotePort: other[1], state: Number.parseInt(state, 16), inode: Number(inode) });
  }
  return rows;
}

export const isLoopback = (address: Address): boolean => address.startsWith('127.') || address === '::1';
export const isUnspecified = (address: Address): boolean => address === '0.0.0.0' || address === '::';

function endpoint(text: string | undefined): readonly [Address, number] | undefined {
  const [, hex, port] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/i.exec(text ?? '') ?? [];
  return hex === undefined || port === undefined ? undefined : [littleEndian(hex), Number.parseInt(port, 16)];
}

const isHex = (text: string | undefined, length: number): text is string => text !== undefined && text.length === length && /^[0-9a-f]+$/i.test(text);
const hexBytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
const bigEndian = (hex: string): Address => addressFromBytes(hexBytes(hex));

function littleEndian(hex: string): Address {
  const bytes = hexBytes(hex);
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  return addressFromBytes(bytes);
}

function ones(mask: string): number {
  let count = 0;
  for (let word = Number.parseInt(mask, 16); word > 0; word = Math.floor(word / 2)) count += word % 2;
  return count;
}
