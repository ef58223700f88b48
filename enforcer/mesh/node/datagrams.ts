/** One UDP socket for both directions: what we send must come from the port that others send to. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Endpoint } from '../protocol/core/endpoint.ts';
import { endpointFrom, hostOf } from './places.ts';

export interface Datagrams {
  /** `failed`: the system did not let it go (no route, no buffer, refused). */
  send(bytes: Uint8Array, to: Endpoint, failed: (code: string) => void): void;
  close(): Promise<void>;
}

export interface DatagramHooks {
  received(bytes: Uint8Array, from: Endpoint): void;
  /** The socket itself is in trouble; it goes on. */
  trouble(error: Error): void;
}

/** What memberlist asks for; halved until the system agrees. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024;
const LEAST_BUFFER_BYTES = 64 * 1024;

/** Of what is an address for sure: the expression behind `isIPv6` costs a process 3 ms before it is fast. */
const hasColon = (address: string): boolean => address.includes(':');

/** `host`: an address; `::` takes both families. Rejects with the system's error. */
export function openDatagrams(host: string, port: number, { received, trouble }: DatagramHooks): Promise<Datagrams> {
  const six = isIPv6(host);
  const socket = createSocket({
    type: six ? 'udp6' : 'udp4',
    // Nothing here is a name: without this each datagram would go through the system's resolver.
    lookup: (name, _options, done) => done(null, name, hasColon(name) ? 6 : 4),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Datagrams>();
  socket.once('error', reject);
  socket.bind({ address: host, port, exclusive: true }, () => {
    socket.off('error', reject);
    socket.on('error', trouble);
    widen(socket);
    socket.on('message', (bytes, { address, port: fromPort }) => {
      const from = endpointFrom(address, fromPort);
      // Port 0 cannot be answered: only forged datagrams bear it.
      if (from !== null && fromPort > 0) received(bytes, from);
    });
    resolve({ send, close });
  });

  function send(bytes: Uint8Array, to: Endpoint, failed: (code: string) => void): void {
    const text = hostOf(to);
    if (to.port === 0 || (!six && hasColon(text))) {
      failed('EAFNOSUPPORT');
      return;
    }
    try {
      socket.send(bytes, to.port, six && !hasColon(text) ? `::ffff:${text}` : text, error => {
        if (error !== null) failed((error as NodeJS.ErrnoException).code ?? 'UNKNOWN');
      });
    } catch {
      failed('ERR_SOCKET_CLOSED'); // closed meanwhile
    }
  }

  function close(): Promise<void> {
    const closed = Promise.withResolvers<void>();
    socket.close(() => closed.resolve());
    return closed.promise;
  }

  return promise;
}

function widen(socket: Socket): void {
  for (let bytes = RECEIVE_BUFFER_BYTES; bytes >= LEAST_BUFFER_BYTES; bytes /= 2) {
    try {
      socket.setRecvBufferSize(bytes);
      return;
    } catch {
      // the system wants it smaller
    }
  }
}
