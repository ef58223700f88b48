/** The traps' sockets. To be transparent and to carry a mark takes privilege, to accept and receive none: so they are made here and handed down. */
import { HoneyMeshError } from '../errors.ts';
import { addon, errnoText, kernelError } from '../kernel/native.ts';
import type { TrapListeners } from './messages.ts';

/** SO_MARK of the traps' sockets. Any number that nobody else's firewall marks use by habit (those are small). */
export const TRAP_MARK = 0x686d7470; // "hmtp"

/** Handshakes that wait to be accepted; the kernel cuts it to net.core.somaxconn, 4096 by default. */
const BACKLOG = 4_096;
/** Of each UDP socket: some hundred datagrams. More than that at once is a flood. */
const RECEIVE_BUFFER_BYTES = 256 * 1024;
/** Below fs.nr_open, whose default is 1,048,576. */
const DESCRIPTORS = 65_536;
const ATTEMPTS = 8;
const EADDRINUSE = -98;
const EAFNOSUPPORT = -97;
const EADDRNOTAVAIL = -99;

/**
 * Listens on one high port, chosen by the system, for IPv4 and IPv6. The descriptors stay open as long as this process: a daemon that is started again gets
 * the same ones, and connections that came in between wait in the backlog. Without UDP, which `openTrapDatagrams` adds.
 */
export function openTrapListeners(): TrapListeners {
  const { port, ipv4, ipv6 } = openPair('TCP', (v6, wanted) => addon().trapListener(v6, wanted, TRAP_MARK, BACKLOG));
  return { port, mark: TRAP_MARK, ipv4, ipv6, udpPort: 0, udp4: null, udp6: null };
}

/** The sockets to which datagrams to closed ports are steered: one high port for IPv4 and IPv6, as above. */
export function openTrapDatagrams(): Pick<TrapListeners, 'udpPort' | 'udp4' | 'udp6'> {
  const { port, ipv4, ipv6 } = openPair('UDP', (v6, wanted) => addon().trapDatagrams(v6, wanted, TRAP_MARK, RECEIVE_BUFFER_BYTES));
  return { udpPort: port, udp4: ipv4, udp6: ipv6 };
}

type Opened = { readonly fd: number; readonly port: number } | number;

/** The same port for both families; without IPv6 where the host has none. */
function openPair(
  what: 'TCP' | 'UDP',
  open: (ipv6: boolean, port: number) => Opened,
): { readonly port: number; readonly ipv4: number; readonly ipv6: number | null } {
  const show = `"ss -ln${what === 'TCP' ? 't' : 'u'}" shows what is open`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const ipv4 = open(false, 0);
    if (typeof ipv4 === 'number') throw kernelError('HM_TRAP_LISTEN', `no ${what} socket can be opened for the traps`, ipv4, show);
    const ipv6 = open(true, ipv4.port);
    if (typeof ipv6 !== 'number') return { port: ipv4.port, ipv4: ipv4.fd, ipv6: ipv6.fd };
    if (ipv6 === EAFNOSUPPORT || ipv6 === EADDRNOTAVAIL) return { port: ipv4.port, ipv4: ipv4.fd, ipv6: null }; // IPv6 is off
    addon().closeFd(ipv4.fd);
    if (ipv6 !== EADDRINUSE) throw kernelError('HM_TRAP_LISTEN', `no ${what} socket can be opened for the traps on IPv6`, ipv6, show);
  }
  throw new HoneyMeshError('HM_TRAP_LISTEN', `no ${what} port is free for the traps (${errnoText(EADDRINUSE)})`, {
    fix: 'free some local ports: "ss -s" shows how many are in use',
  });
}

/**
 * Each open session of a trap is a descriptor. What is inherited counts: the daemon's children could not raise it by themselves. Returns how many a process
 * may have now; a machine that refuses more keeps what it has, and the traps turn away who comes beyond it.
 */
export const makeRoomForSessions = (): number => addon().raiseFileLimit(DESCRIPTORS);

/** Puts the listeners into the kernel's sockmap `trap_listener` (0 IPv4, 1 IPv6). */
export function installTrapListeners(listeners: TrapListeners, mapFd: number): void {
  for (const [key, fd] of [
    [0, listeners.ipv4],
    [1, listeners.ipv6],
  ] as const) {
    if (fd === null) continue;
    const put = addon().putSocket(mapFd, key, fd);
    if (put < 0) throw kernelError('HM_TRAP_LISTEN', "the kernel refuses the traps' listener", put);
  }
}
