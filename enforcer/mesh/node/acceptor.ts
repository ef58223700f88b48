/** Streams that peers open: one message is read, one reply at the most is written. Bounded in number, per source, in bytes and in time. */
import { createServer, type Server, type Socket } from 'node:net';
import { type Endpoint, placeOf } from '../protocol/core/endpoint.ts';
import type { StreamMessage } from '../protocol/messages.ts';
import type { WireFault } from '../protocol/wire/faults.ts';
import type { Envelope } from './envelope.ts';
import { endpointFrom } from './places.ts';

export interface AcceptorLimits {
  readonly streams: number;
  readonly streamsPerSource: number;
  /** Push/pulls whose answer is not written yet; what comes beyond is closed without a word, as memberlist does. */
  readonly pushPulls: number;
  /** Bytes that unfinished messages hold, of all streams together. */
  readonly heldBytes: number;
  /** For a whole exchange. */
  readonly timeoutMs: number;
}

export const ACCEPTOR_LIMITS: Omit<AcceptorLimits, 'timeoutMs'> = { streams: 512, streamsPerSource: 128, pushPulls: 128, heldBytes: 64 * 1024 * 1024 };

export type StreamRefusal = WireFault | 'too-many-streams' | 'too-many-push-pulls' | 'too-many-bytes' | 'timeout';

export interface AcceptorHooks {
  /** The answer, or null to close. */
  message(message: StreamMessage, from: Endpoint): StreamMessage | null;
  refused(why: StreamRefusal, from: Endpoint): void;
  trouble(error: Error): void;
}

export interface Acceptor {
  readonly port: number;
  close(): Promise<void>;
}

/** Connections that the system holds for us while we are busy. */
const BACKLOG = 511;

/** Rejects with the system's error. */
export function openAcceptor(host: string, port: number, envelope: Envelope, limits: AcceptorLimits, hooks: AcceptorHooks): Promise<Acceptor> {
  const open = new Set<Socket>();
  const perSource = new Map<string, number>();
  let heldBytes = 0;
  let pushPulls = 0;

  /** Counts a source in; false: it has too many. What it returns counts it out. */
  function admit(source: string): (() => void) | null {
    const count = perSource.get(source) ?? 0;
    if (open.size >= limits.streams || count >= limits.streamsPerSource) return null;
    perSource.set(source, count + 1);
    return () => {
      const left = (perSource.get(source) ?? 1) - 1;
      if (left === 0) perSource.delete(source);
      else perSource.set(source, left);
    };
  }

  function accept(socket: Socket): void {
    const from = endpointFrom(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    // A peer that reset it while it waited has no address any more.
    if (from === null) return void socket.destroy();
    const release = admit(placeOf({ ...from, port: 0 }));
    if (release === null) {
      hooks.refused('too-many-streams', from);
      socket.destroy();
      return;
    }
    open.add(socket);
    serve(socket, from, release);
  }

  function serve(socket: Socket, from: Endpoint, release: () => void): void {
    const reader = envelope.streamReader('acceptor', placeOf({ ...from, port: 0 }));
    let held = 0;
    let said = false;
    let answering = false;
    const timer = setTimeout(() => {
      if (!said) hooks.refused('timeout', from);
      socket.destroy();
    }, limits.timeoutMs);

    function hold(bytes: number): void {
      heldBytes += bytes - held;
      held = bytes;
    }
    function refuse(why: StreamRefusal, answer: string | null): void {
      hooks.refused(why, from);
      reply(answer === null ? null : { kind: 'error', text: answer });
    }
    /** What still comes is read and thrown away: with unread bytes the system would reset the connection, and our answer with it. */
    function reply(message: StreamMessage | null): void {
      said = true;
      hold(0);
      if (message === null) socket.destroy();
      else socket.end(envelope.sealStream(message, 'acceptor', from));
    }
    function answered(): void {
      if (answering) pushPulls--;
      answering = false;
    }
    function take(message: StreamMessage): void {
      if (message.kind === 'push-pull') {
        if (pushPulls >= limits.pushPulls) {
          refuse('too-many-push-pulls', null);
          return;
        }
        pushPulls++;
        answering = true;
        socket.once('finish', answered);
      }
      reply(hooks.message(message, from));
    }
    function read(reading: ReturnType<typeof reader.push>): void {
      if (reading.state === 'complete') take(reading.message);
      else if (reading.state === 'refused') refuse(reading.why, reading.answer);
      else hold(reader.heldBytes);
      if (!said && heldBytes > limits.heldBytes) refuse('too-many-bytes', null);
    }

    socket.on('data', chunk => {
      if (!said) read(reader.push(chunk));
    });
    socket.on('end', () => {
      if (said) return;
      // A port scan, or a health check, is no fault of anybody's.
      if (reader.heldBytes === 0) reply(null);
      else read(reader.end());
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(timer);
      hold(0);
      answered();
      open.delete(socket);
      release();
    });
  }

  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  const { promise, resolve, reject } = Promise.withResolvers<Acceptor>();
  server.once('error', reject);
  server.listen({ host, port, backlog: BACKLOG, exclusive: true }, () => {
    server.off('error', reject);
    server.on('error', hooks.trouble);
    const bound = server.address();
    resolve({
      port: typeof bound === 'object' && bound !== null ? bound.port : port,
      close() {
        const closed = Promise.withResolvers<void>();
        server.close(() => closed.resolve());
        for (const socket of open) socket.destroy();
        return closed.promise;
      },
    });
  });
  return promise;
}
