/** The traps' listeners. To be transparent and to carry a mark takes privilege, to accept from them none: so they are made here and handed down. */
import { HoneyMeshError } from '../errors.ts';
import { addon, errnoText, kernelError } from '../kernel/native.ts';
import type { TrapListeners } from './messages.ts';

/** SO_MARK of the traps' sockets. Any number that nobody else's firewall marks use by habit (those are small). */
export const TRAP_MARK = 0x686d7470; // "hmtp"

const BACKLOG = 511;
const ATTEMPTS = 8;
const EADDRINUSE = -98;
const EAFNOSUPPORT = -97;
const EADDRNOTAVAIL = -99;

/**
 * Listens on one high port, chosen by the system, for IPv4 and IPv6. The descriptors stay open as long as this process: a daemon that is started again gets
 * the same ones, and connections that came in between wait in the backlog.
 */
export function openTrapListeners(): TrapListeners {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const ipv4 = addon().trapListener(false, 0, TRAP_MARK, BACKLOG);
    if (typeof ipv4 === 'number') throw kernelError('HM_TRAP_LISTEN', 'cannot listen for the traps', ipv4, 'see "ss -ltn" for what listens');
    const ipv6 = addon().trapListener(true, ipv4.port, TRAP_MARK, BACKLOG);
    if (typeof ipv6 !== 'number') return { port: ipv4.port, mark: TRAP_MARK, ipv4: ipv4.fd, ipv6: ipv6.fd };
    if (ipv6 === EAFNOSUPPORT || ipv6 === EADDRNOTAVAIL) return { port: ipv4.port, mark: TRAP_MARK, ipv4: ipv4.fd, ipv6: null }; // IPv6 is off
    addon().closeFd(ipv4.fd);
    if (ipv6 !== EADDRINUSE) throw kernelError('HM_TRAP_LISTEN', 'cannot listen for the traps on IPv6', ipv6);
  }
  throw new HoneyMeshError('HM_TRAP_LISTEN', `no port is free for the traps (${errnoText(EADDRINUSE)})`, {
    fix: 'free some local ports: "ss -s" shows how many are in use',
  });
}

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
