/** The traps' server: accepts what the kernel steered to us, reports the touch at once, keeps sessions within their bounds. */
import { createServer, type Server, type Socket } from 'node:net';
import { type Address, contains, type Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import type { TrapLimits, TrapObservation } from '../messages.ts';
import { createBannerTrap } from '../protocols/banner.ts';
import { openSession, type Session } from './session.ts';

export interface TrapServer {
  /** Listens: on inherited descriptors, or (tests) on addresses of its own. Resolves with the ports when all of them accept. */
  listen(places: readonly ListeningPlace[]): Promise<readonly number[]>;
  sessions(): number;
  /** Ends the sessions of sources inside `target`. */
  closeSource(target: Prefix): void;
  stop(): void;
}

export type ListeningPlace = { readonly fd: number } | { readonly host: string; readonly port: number };

export interface TrapServerOptions {
  readonly limits: TrapLimits;
  readonly hostName: string;
}

const BACKLOG = 511;

export interface TrapServerDeps {
  readonly observe: (observation: TrapObservation) => void;
  /** Who connected, also where the connection was reset since: a scanner that resets at once (nmap -sT does) has proved as much. */
  readonly peerOf: (socket: Socket) => Address | undefined;
}

export function createTrapServer({ limits, hostName }: TrapServerOptions, { observe, peerOf }: TrapServerDeps): TrapServer {
  const servers: Server[] = [];
  const sessions = new Set<Session>();
  const perSource = new Map<Address, number>();

  function leave(session: Session): void {
    if (!sessions.delete(session)) return;
    const left = (perSource.get(session.source) ?? 1) - 1;
    if (left <= 0) perSource.delete(session.source);
    else perSource.set(session.source, left);
  }

  function accept(socket: Socket): void {
    const source = peerOf(socket);
    const port = socket.localPort; // the port that the source asked for, not ours: the kernel steered it here
    if (source === undefined || port === undefined) return void socket.destroy();
    const touch: TrapObservation = { kind: 'touch', at: unixMs(Date.now()), source, port, count: 1 };
    const ofSource = perSource.get(source) ?? 0;
    if (sessions.size >= limits.sessions || ofSource >= limits.sessionsPerSource) {
      observe(touch);
      return void socket.resetAndDestroy();
    }
    perSource.set(source, ofSource + 1);
    const machine = createBannerTrap({ port, hostName, patienceMs: limits.patienceMs, receivedBytes: limits.receivedBytes });
    let endedAtOnce = false;
    let session: Session | undefined;
    const onEnd = (): void => {
      if (session === undefined) endedAtOnce = true;
      else leave(session);
    };
    session = openSession(socket, source, port, { machine, observe, onEnd });
    observe(touch); // after the greeting: the ban that follows would drop it on its way out
    sessions.add(session);
    if (endedAtOnce) leave(session);
  }

  function listen(place: ListeningPlace): Promise<number> {
    // Half open: our end must not send a FIN by itself, the RST does that without leaving a TIME-WAIT on a port that is not ours.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
    servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...place, backlog: BACKLOG }, () => {
        server.off('error', reject);
        server.on('error', () => {}); // EMFILE and the like: the connection is lost, the server is not
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  }

  return {
    listen: places => Promise.all(places.map(listen)),
    sessions: () => sessions.size,
    closeSource(target) {
      for (const session of sessions) if (contains(target, session.source)) session.close('banned');
    },
    stop() {
      for (const server of servers) server.close();
      for (const session of sessions) session.close('stopped');
    },
  };
}
