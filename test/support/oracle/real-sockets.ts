/**
 * The sockets that the kernel's look-ups find while oracle and kernel are compared, and the same told to the oracle. They belong in a
 * network namespace of their own (`in-namespace.ts`), where the addresses are on the loopback and nothing else listens.
 */

import { spawn } from 'node:child_process';
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import { hexOf } from './addresses.ts';
import type { FoundSocket, FourTuple, Sockets } from './scenario.ts';

export const OWN4 = '198.51.100.1';
export const OWN4_SECOND = '198.51.100.2';
export const OWN6 = '2001:db8::1';
/** Has two open connections to a port that nobody listens on any more, a service's and a trap's, and a connected UDP socket. */
export const PEER = '203.0.113.50';
export const PEER_TCP_PORT = 45_000;
export const PEER_TRAP_PORT = 45_001;
export const PEER_UDP_PORT = 6_000;
/** Of the traps' sockets, TCP and UDP. */
export const TRAP_PORT = 7_000;
export const TRAP_MARK = 0x484d;
/** On the loopback of the namespace. */
export const LOCAL_ADDRESSES = [`${OWN4}/32`, `${OWN4_SECOND}/32`, `${PEER}/32`, `${OWN6}/128`] as const;

export const CONNECTED_TCP = 9_999;
export const CONNECTED_UDP = 5_000;
const BOTH_FAMILIES = [80, 443];
const IPV4_ONLY = 2_222;
const ONE_ADDRESS = 3_306;
const UDP_BOTH = 53;
const UDP_ONE_ADDRESS = 23;
const UDP_TRAP = fileURLToPath(new URL('../kernel-udp-trap.py', import.meta.url));

export interface RealSockets {
  readonly sockets: Sockets;
  readonly ports: readonly number[];
  close(): void;
}

export async function openRealSockets(): Promise<RealSockets> {
  const servers = await Promise.all([
    ...BOTH_FAMILIES.map(port => listen({ port, host: '::' })),
    listen({ port: IPV4_ONLY, host: '0.0.0.0' }),
    listen({ port: ONE_ADDRESS, host: OWN4 }),
    listenMarked(TRAP_PORT, false),
    listenMarked(TRAP_PORT, true),
  ]);
  const connections = [
    await connected(await listenMarked(CONNECTED_TCP, false), PEER_TRAP_PORT),
    await connected(await listen({ port: CONNECTED_TCP, host: OWN4 }), PEER_TCP_PORT),
  ];
  const datagrams = await Promise.all([bind('udp6', UDP_BOTH, '::'), bind('udp4', UDP_ONE_ADDRESS, OWN4), bind('udp4', CONNECTED_UDP, OWN4)]);
  datagrams[2]?.connect(PEER_UDP_PORT, PEER);
  await once(datagrams[2] as Datagrams, 'connect');
  const udpTrap = spawn('python3', [UDP_TRAP, String(TRAP_PORT), String(TRAP_MARK)], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(udpTrap.stdout, 'data');
  return {
    sockets: { tcp: toldTcp, udp: toldUdp },
    ports: [...BOTH_FAMILIES, IPV4_ONLY, ONE_ADDRESS, CONNECTED_TCP, UDP_BOTH, UDP_ONE_ADDRESS, CONNECTED_UDP, TRAP_PORT],
    close() {
      for (const socket of connections.flat()) socket.destroy();
      for (const closing of [...servers, ...datagrams]) closing.close();
      udpTrap.kill();
    },
  };
}

function toldTcp({ family, from, fromPort, to, toPort }: FourTuple): FoundSocket | null {
  const toOwn4 = family === 4 && to === hexOf(OWN4);
  if (toOwn4 && toPort === CONNECTED_TCP && from === hexOf(PEER)) {
    if (fromPort === PEER_TCP_PORT) return { state: 'connected', port: toPort, mark: 0 };
    if (fromPort === PEER_TRAP_PORT) return { state: 'connected', port: toPort, mark: TRAP_MARK };
  }
  if (toPort === TRAP_PORT) return { state: 'open', port: toPort, mark: TRAP_MARK };
  const found = BOTH_FAMILIES.includes(toPort) || (toPort === IPV4_ONLY && family === 4) || (toPort === ONE_ADDRESS && toOwn4);
  return found ? { state: 'open', port: toPort, mark: 0 } : null;
}

function toldUdp({ family, from, fromPort, to, toPort }: FourTuple): FoundSocket | null {
  const toOwn4 = family === 4 && to === hexOf(OWN4);
  if (toPort === TRAP_PORT) return { state: 'open', port: toPort, mark: TRAP_MARK };
  if (toPort === UDP_BOTH || (toPort === UDP_ONE_ADDRESS && toOwn4)) return { state: 'open', port: toPort, mark: 0 };
  return toOwn4 && toPort === CONNECTED_UDP && from === hexOf(PEER) && fromPort === PEER_UDP_PORT ? { state: 'connected', port: toPort, mark: 0 } : null;
}

/** Both ends of a connection of PEER whose listener is gone again. */
async function connected(server: net.Server, fromPort: number): Promise<net.Socket[]> {
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const client = net.connect({ host: OWN4, port: CONNECTED_TCP, localAddress: PEER, localPort: fromPort });
  const [socket] = await accepted;
  server.close();
  return [client, socket];
}

/** As the launcher makes the traps' listeners. */
async function listenMarked(port: number, ipv6: boolean): Promise<net.Server> {
  const { fd } = mustHave<{ fd: number; port: number }>(addon().trapListener(ipv6, port, TRAP_MARK, 8), 'HM_MAP', 'a listener of traps');
  return listen({ fd } as net.ListenOptions);
}

async function listen(options: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer();
  server.listen(options);
  await once(server, 'listening');
  return server;
}

async function bind(type: 'udp4' | 'udp6', port: number, address: string): Promise<Datagrams> {
  const socket = createSocket(type);
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}
