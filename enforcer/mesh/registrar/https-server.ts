/** This host's HTTPS server: TLS 1.3 with its own key, connections admitted one by one, everything bounded in size and time. What it serves are plugins. */
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { SECOND_MS } from '@honeymesh/intel/time';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { HoneyMeshError } from '../../errors.ts';
import type { HttpsIdentity } from './https-identity.ts';

export interface HttpsServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly identity: HttpsIdentity;
  readonly longestBodyBytes: number;
  /** The key of the configuration that says where it listens: named where it cannot. */
  readonly setting?: string;
  /** Where clients come that are not ours: also TLS 1.2, with authenticated ciphers and forward secrecy only. */
  readonly allowTls12?: boolean;
  /** How long an idle connection is kept for the next request. */
  readonly keepAliveMs?: number;
}

export interface HttpsServerDeps {
  /** Served in this order: the registrar's routes, and whatever else this host has to say over HTTPS. */
  readonly plugins: readonly FastifyPluginAsync[];
  /** Before the handshake: whether this source may connect now. */
  readonly admit: (source: string) => boolean;
  /** What no route gets to see: an address that cannot be decoded, headers that are too long. Without it: what fastify says. */
  readonly unroutable?: {
    readonly reply: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;
    /** The whole answer to what is no HTTP, or expects what is not done (`expectation`); the connection ends with it. */
    readonly raw: (code: string | undefined) => string;
  };
}

export interface HttpsServer {
  /** Listens; rejects with HM_CONFIG where it cannot. Resolves with the port. */
  start(): Promise<number>;
  /** Another certificate, from the next connection on. */
  renew(identity: HttpsIdentity): void;
  /** Lets what is under way go out (1 s at most). */
  stop(): Promise<void>;
}

const MOST_CONNECTIONS = 256;
const HANDSHAKE_MS = 5 * SECOND_MS;
const REQUEST_MS = 10 * SECOND_MS;
const LONGEST_HEADER_BYTES = 8 * 1_024;
const DRAIN_MS = SECOND_MS;
/** RFC 9325, 4.2: what TLS 1.2 has that is still good. Those of TLS 1.3 are left as they are. */
const CIPHERS =
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:' +
  'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256';

export function createHttpsServer(options: HttpsServerOptions, { plugins, admit, unroutable }: HttpsServerDeps): HttpsServer {
  const { host, port, longestBodyBytes, setting = 'mesh.registrar', allowTls12 = false, keepAliveMs = SECOND_MS } = options;
  let { identity } = options;
  let app: FastifyInstance<Server> | null = null;

  const secureContext = () => ({
    key: identity.key,
    cert: identity.certificate,
    minVersion: allowTls12 ? ('TLSv1.2' as const) : ('TLSv1.3' as const),
    ...(allowTls12 ? { ciphers: CIPHERS } : {}),
  });

  /** Loaded by hosts that serve something, and by no other. */
  async function make(): Promise<FastifyInstance<Server>> {
    const { default: fastify } = await import('fastify');
    const made = fastify<Server>({
      https: {
        ...secureContext(),
        honorCipherOrder: true,
        handshakeTimeout: HANDSHAKE_MS,
        headersTimeout: HANDSHAKE_MS,
        maxHeaderSize: LONGEST_HEADER_BYTES,
        connectionsCheckingInterval: SECOND_MS,
        // Node would answer by itself, without a header of ours.
        requireHostHeader: unroutable === undefined,
      },
      bodyLimit: longestBodyBytes,
      connectionTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: keepAliveMs,
      forceCloseConnections: true,
      logger: false,
      onProtoPoisoning: 'remove',
      onConstructorPoisoning: 'remove',
      ...(unroutable === undefined
        ? {}
        : {
            frameworkErrors: unroutable.reply,
            clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => {
              if (socket.writable && error.code !== 'ECONNRESET') socket.end(unroutable.raw(error.code));
              socket.destroySoon();
            },
          }),
    });
    made.server.maxConnections = MOST_CONNECTIONS;
    made.server.prependListener('connection', (socket: Socket) => {
      if (!admit(socket.remoteAddress ?? '')) socket.destroy();
    });
    if (unroutable !== undefined) {
      made.server.on('checkExpectation', (request: IncomingMessage) => request.socket.end(unroutable.raw('expectation')));
    }
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
            fix: `set ${setting} to an address and port of this host that are free; "ss -tlnp" shows what listens`,
            cause: error,
          },
        );
      }
      return (starting.server.address() as AddressInfo).port;
    },
    renew(next) {
      identity = next;
      app?.server.setSecureContext(secureContext());
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
