/** The daemon's end of the control socket: a Unix socket that only its owner and root may open. */
import { chmodSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { HoneyMeshBug, HoneyMeshError } from '../errors.ts';
import { type Connection, serveConnection } from './connection.ts';
import type { Operations } from './operations.ts';
import { toLine, wireError } from './protocol.ts';

/** Scripts call the CLI in parallel, and each `tail` stays: more than a busy host has, few enough for the descriptors of a process (1024). */
export const MOST_CONNECTIONS = 256;
/** sun_path holds 108 bytes with its end. */
const LONGEST_PATH_BYTES = 107;
const PROBE_MS = 1_000;
const DRAIN_MS = 1_000;

export interface ControlServerOptions {
  readonly socketPath: string;
}

export interface ControlServerDeps {
  readonly operations: Operations;
  readonly onBug?: (error: unknown) => void;
}

export interface ControlServer {
  /** Listens; throws HM_ALREADY_RUNNING where another daemon answers on this socket. The signal stops it. */
  start(signal?: AbortSignal): Promise<void>;
  /** Takes no more requests, lets the answers under way go out (1 s at most), removes the socket. */
  stop(): Promise<void>;
}

export function createControlServer({ socketPath }: ControlServerOptions, { operations, onBug = () => {} }: ControlServerDeps): ControlServer {
  const connections = new Set<Connection>();
  let server: Server | undefined;

  async function stop(): Promise<void> {
    const stopping = server;
    if (stopping === undefined) return;
    server = undefined;
    const closed = new Promise<void>(resolve => stopping.close(() => resolve()));
    const drained = Promise.all([...connections].map(connection => connection.drained()));
    await Promise.race([drained, new Promise(resolve => setTimeout(resolve, DRAIN_MS).unref())]);
    for (const connection of connections) connection.close();
    await closed;
  }

  return {
    async start(signal) {
      if (server !== undefined) throw new HoneyMeshBug('the control server was started twice');
      if (Buffer.byteLength(socketPath) > LONGEST_PATH_BYTES) {
        throw new HoneyMeshError('HM_CONFIG', `the control socket's path is longer than ${LONGEST_PATH_BYTES} bytes: ${socketPath}`, {
          fix: 'choose a shorter --instance name',
        });
      }
      mkdirSync(dirname(socketPath), { recursive: true, mode: 0o755 });
      await clearStale(socketPath);
      const starting = createServer({ allowHalfOpen: true }, socket => {
        if (connections.size >= MOST_CONNECTIONS) return turnAway(socket);
        const connection = serveConnection(socket, { operations, onBug });
        connections.add(connection);
        socket.once('close', () => connections.delete(connection));
      });
      await listen(starting, socketPath);
      server = starting;
      starting.on('error', onBug);
      if (signal?.aborted === true) await stop();
      else signal?.addEventListener('abort', () => void stop(), { once: true });
    },
    stop,
  };
}

/** Id 0 is our word on the connection as a whole. */
function turnAway(socket: Socket): void {
  const full = new HoneyMeshError('HM_REFUSED', `${MOST_CONNECTIONS} programs ask the daemon already`, {
    fix: 'try again; end what is left open ("honeymesh tail")',
  });
  socket.on('error', () => {});
  socket.end(toLine({ id: 0, ok: false, error: wireError(full) }), () => socket.destroy());
}

/** Binds with mode 0600 from the first moment on: the umask holds while bind() makes the socket. */
function listen(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EADDRINUSE') reject(alreadyRunning(socketPath));
      else
        reject(
          new HoneyMeshError('HM_CONFIG', `the control socket ${socketPath} cannot be made: ${error.message}`, {
            fix: `look at ${dirname(socketPath)}`,
            cause: error,
          }),
        );
    };
    server.once('error', fail);
    const former = process.umask(0o177);
    try {
      server.listen(socketPath, () => {
        server.off('error', fail);
        chmodSync(socketPath, 0o600);
        resolve();
      });
    } finally {
      process.umask(former);
    }
  });
}

/** Removes the socket of a daemon that is gone. Anything that is not a socket is left alone and complained of. */
async function clearStale(socketPath: string): Promise<void> {
  const found = lstatSync(socketPath, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new HoneyMeshError('HM_CONFIG', `${socketPath} is not a socket`, { fix: 'remove it: the control socket belongs there' });
  if (await answers(socketPath)) throw alreadyRunning(socketPath);
  unlinkSync(socketPath);
}

const alreadyRunning = (socketPath: string): HoneyMeshError =>
  new HoneyMeshError('HM_ALREADY_RUNNING', `an enforcer answers on ${socketPath} already`, {
    fix: '"honeymesh status" shows it; "honeymesh stop" ends it; --instance NAME runs another one beside it',
  });

function answers(socketPath: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect(socketPath);
    const done = (alive: boolean): void => {
      probe.destroy();
      resolve(alive);
    };
    // A listener that is too busy to accept (EAGAIN, or no answer in time) is alive: its socket must not be taken away.
    probe.setTimeout(PROBE_MS, () => done(true));
    probe.once('connect', () => done(true));
    probe.once('error', (error: NodeJS.ErrnoException) => done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'));
  });
}
