/** What a confined source costs: sockets of traps and of a service that are there for the look-ups, and frames that belong to them. */
import { once } from 'node:events';
import net from 'node:net';
import type { Address } from '@honeymesh/intel/address';
import { hostPrefix } from '@honeymesh/intel/address';
import { indexKey, word } from '#enforcer/kernel/maps.ts';
import { addon, mustHave } from '#enforcer/kernel/native.ts';
import { segment, syn, toShortest } from '#test/support/frames/frames.ts';
import { TEST_CONFIG } from '#test/support/kernel-config.ts';
import { CLOSED_PORT, type Filters } from './filters.ts';

const CONFINED = '127.0.0.66';

export interface ConfinedFrames {
  readonly trapData: Uint8Array;
  readonly serviceData: Uint8Array;
  readonly trapSyn: Uint8Array;
  /** Closes the sockets. */
  close(): void;
}

/** `own`: an address of this namespace that the filter guards. */
export async function confineSomebody({ tester }: Filters, own: string): Promise<ConfinedFrames> {
  const { kernel } = tester;
  kernel.putBans([{ target: hostPrefix(CONFINED as Address), tier: 'E1', reasons: ['trap-touch'], expiresAt: null, confined: true }]);
  kernel.setTrapPorts({ tcp: 'all', udp: 'all' });
  tester.map('heartbeat').put(indexKey(0), word(process.hrtime.bigint())); // the ttl is longer than a bench
  const { fd } = mustHave<{ fd: number; port: number }>(addon().trapListener(false, 0, TEST_CONFIG.trapMark, 8), 'HM_MAP', 'a listener of traps');
  const trap = await connection({ fd } as net.ListenOptions, own);
  const service = await connection({ port: 0, host: '0.0.0.0' }, own);
  const data = ({ port, fromPort }: Connection): Uint8Array => toShortest(segment(CONFINED, own, port, 'PA', fromPort));
  return {
    trapData: data(trap),
    serviceData: data(service),
    trapSyn: toShortest(syn(CONFINED, own, CLOSED_PORT)),
    close() {
      trap.close();
      service.close();
    },
  };
}

interface Connection {
  readonly port: number;
  readonly fromPort: number;
  close(): void;
}

/** Of CONFINED, open at both ends. */
async function connection(listen: net.ListenOptions, own: string): Promise<Connection> {
  const server = net.createServer();
  server.listen(listen);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const client = net.connect({ host: own, port, localAddress: CONFINED });
  const [socket] = await accepted;
  const fromPort = socket.remotePort ?? 0;
  return {
    port,
    fromPort,
    close() {
      client.destroy();
      socket.destroy();
      server.close();
    },
  };
}
