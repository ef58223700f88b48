/** This host's HTTPS server: TLS 1.3 with its own key, connections admitted one by one, everything bounded in size and time. What it serves are plugins. */
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { SECOND_MS } from '@honeymesh/intel/time';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { HoneyMeshError } from '../../errors.ts';
import type { HttpsIdentity } from './https-identity.ts';

export interface HttpsServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly identity: HttpsIdentity;
  readonly longestBodyBytes: number;
}

export interface HttpsServerDeps {
  /** Served in this order: the registrar's routes, and whatever else this host has to say over HTTPS. */
  readonly plugins: readonly FastifyPluginAsync[];
  /** Before the handshake: whether this source may connect now. */
  readonly admit: (source: string) => boolean;
}

export interface HttpsServer {
  /** Listens; rejects with HM_CONFIG where it cannot. Resolves with the port. */
  start(): Promise<number>;
  /** Lets what is under way go out (1 s at most). */
  stop(): Promise<void>;
}

const MOST_CONNECTIONS = 256;
const HANDSHAKE_MS = 5 * SECOND_MS;
const REQUEST_MS = 10 * SECOND_MS;
const LONGEST_HEADER_BYTES = 8 * 1_024;
const DRAIN_MS = SECOND_MS;

export function createHttpsServer({ host, port, identity, longestBodyBytes }: HttpsServerOptions, { plugins, admit }: HttpsServerDeps): HttpsServer {
  let app: FastifyInstance<Server> | null = null;

  /** Loaded by hosts that serve something, and by no other. */
  async function make(): Promise<FastifyInstance<Server>> {
    const { default: fastify } = await import('fastify');
    const made = fastify<Server>({
      https: {
        key: identity.key,
        cert: identity.certificate,
        minVersion: 'TLSv1.3',
        handshakeTimeout: HANDSHAKE_MS,
        headersTimeout: HANDSHAKE_MS,
        maxHeaderSize: LONGEST_HEADER_BYTES,
        connectionsCheckingInterval: SECOND_MS,
      },
      bodyLimit: longestBodyBytes,
      connectionTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: SECOND_MS,
      forceCloseConnections: true,
      logger: false,
      onProtoPoisoning: 'remove',
      onConstructorPoisoning: 'remove',
    });
    made.server.maxConnections = MOST_CONNECTIONS;
    made.server.prependListener('connection', (socket: Socket) => {
      if (!admit(socket.remoteAddress ?? '')) socket.destroy();
    });
    // Handshakes that fail, and whatever is no HTTP: the socket is gone already.
    made.server.on('tlsClientError', () => {});
    return made;
  }

  return {
    async start() {
      const starting = await make();
      app = starting;
      for (const plugin of plugins) await starting.register(plugin);
      try {
        await starting.listen({ host, port });
      } catch (error) {
        const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
        throw new HoneyMeshError(
          'HM_CONFIG',
          `the HTTPS server cannot listen on ${host} port ${port}: ${taken ? 'something else listens there' : (error as Error).message}`,
          {
            fix: `set mesh.registrar to an address and port of this host that are free; "ss -tlnp" shows what listens`,
            cause: error,
          },
        );
      }
      return (starting.server.address() as AddressInfo).port;
    },
    async stop() {
      const ending = app;
      if (ending === null) return;
      app = null;
      const closed = ending.close();
      const cut = setTimeout(() => ending.server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearTimeout(cut);
    },
  };
}
