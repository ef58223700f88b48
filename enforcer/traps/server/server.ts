/** The traps' server: greets whom the kernel steered to us, reports the touch at once, keeps sessions within their bounds. */
import type { Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import type { TrapLimits, TrapObservation } from '../messages.ts';
import type { MachineLimits, ProtocolFactory } from '../protocols/machine.ts';
import type { Persona } from '../protocols/persona.ts';
import { createDeadlines, SLOT_MS } from './deadlines.ts';
import { type House, type Judge, Session } from './session.ts';
import type { Accepted, SocketId, TrapSockets } from './socket-port.ts';
import { createSessionsBySource } from './sources.ts';
import type { TlsTerminator } from './tls.ts';

export interface TrapServer {
  /** Accepts on inherited descriptors that listen already. */
  start(fds: readonly number[]): void;
  sessions(): number;
  /** What was observed has been told: those who waited may begin. */
  relieved(): void;
  /** Ends the sessions of sources inside `targets`, which are banned now. */
  closeSources(targets: readonly Prefix[]): void;
  stop(): void;
}

export interface TrapServerOptions {
  readonly limits: TrapLimits;
  readonly persona: Persona;
}

export interface TrapServerDeps {
  readonly sockets: TrapSockets;
  readonly tls: TlsTerminator | undefined;
  readonly judge: Judge;
  readonly createTrap: ProtocolFactory;
  /** At least 32 fresh bytes. */
  readonly random: () => Uint8Array;
  readonly observe: (observation: TrapObservation) => void;
  /** A batch of events is over: what was observed in it can leave. */
  readonly settled: () => void;
  /** More is observed than can be told: those who come now wait for their greeting. */
  readonly pressed: () => boolean;
  readonly fault: (error: unknown) => void;
}

/** What all sessions together may keep of what they were sent and of what waits to be read: partial messages, transcripts, answers. */
const MOST_KEPT_BYTES = 64 * 1024 * 1024;
const MOST_ADMITTED = 64;
/** Sessions that come to their end together are seen to in parts: new ones must not wait for all of them. */
const MOST_DUE = 256;

export function createTrapServer({ limits, persona }: TrapServerOptions, deps: TrapServerDeps): TrapServer {
  const { sockets, observe, settled } = deps;
  const machineLimits: MachineLimits = {
    patienceMs: limits.deadlineMs,
    sessionMs: limits.sessionMs,
    receivedBytes: limits.receivedBytes,
    sentBytes: limits.sentBytes,
    messages: limits.messages,
  };
  const sessions = new Map<SocketId, Session>();
  const bySource = createSessionsBySource<Session>();
  /** Accepted and told, not greeted. */
  const waitingRoom = new Set<Session>();
  const startedMs = performance.now();
  // Whole milliseconds since the start: V8 keeps such numbers without an object each.
  const nowMs = (): number => Math.floor(performance.now() - startedMs);
  const deadlines = createDeadlines<Session>(0, (session, atMs) => session.due(atMs));
  let keptBytes = 0;
  let turning: NodeJS.Timeout | undefined;

  const house: House = {
    limits,
    sockets,
    deadlines,
    tls: deps.tls,
    judge: deps.judge,
    observe,
    left(session) {
      sessions.delete(session.id);
      waitingRoom.delete(session);
      bySource.remove(session);
      return bySource.count(session.source);
    },
    keep(more) {
      keptBytes += more;
      return more <= 0 || keptBytes <= MOST_KEPT_BYTES;
    },
    fault: deps.fault,
    nowMs,
  };

  function turn(): void {
    if (waitingRoom.size > 0) admit();
    const finished = deadlines.turn(nowMs(), MOST_DUE);
    settled();
    if (!finished) setImmediate(turn);
    if (sessions.size > 0) return;
    clearInterval(turning);
    turning = undefined;
  }

  /** Greets who waited longest, some at a time. */
  function admit(): void {
    let admitted = 0;
    for (const session of waitingRoom) {
      if (admitted++ === MOST_ADMITTED || deps.pressed()) return;
      waitingRoom.delete(session);
      sockets.resume(session.id);
      session.open(nowMs());
    }
  }

  function accepted(socket: Accepted): void {
    const { id, source, port } = socket;
    const at = unixMs(Date.now());
    if (sessions.size >= limits.sessions || bySource.count(source) >= limits.sessionsPerSource) {
      sockets.close(id, 0);
      observe({ kind: 'touch', at, source, port, count: 1, refused: 1 });
      return;
    }
    const machine = deps.createTrap({
      port,
      source,
      destination: socket.destination,
      persona,
      random: deps.random(),
      acceptedAt: at,
      limits: machineLimits,
      tls: deps.tls !== undefined,
    });
    const session = new Session(house, socket, machine, nowMs());
    sessions.set(id, session);
    bySource.add(session);
    if (turning === undefined) {
      deadlines.turn(nowMs(), 1);
      turning = setInterval(turn, SLOT_MS);
    }
    if (waitingRoom.size > 0 || deps.pressed()) {
      sockets.pause(id);
      waitingRoom.add(session);
    } else session.open(nowMs());
    observe({ kind: 'touch', at, source, port, count: 1, refused: 0 }); // after the greeting: the ban that follows would drop it on its way out
  }

  return {
    start(fds) {
      sockets.start(fds, {
        accepted,
        received: (id, bytes) => sessions.get(id)?.received(bytes),
        finished: id => sessions.get(id)?.finished(),
        drained: id => sessions.get(id)?.drained(),
        gone: id => sessions.get(id)?.gone(),
        settled,
      });
    },
    sessions: () => sessions.size,
    relieved() {
      if (waitingRoom.size === 0) return;
      admit();
      settled();
    },
    closeSources(targets) {
      for (const target of targets) for (const session of bySource.inside(target)) session.end('banned', 0);
      settled();
    },
    stop() {
      clearInterval(turning);
      turning = undefined;
      for (const session of [...sessions.values()]) session.end('stopped', 0);
      settled();
      sockets.stop();
    },
  };
}
