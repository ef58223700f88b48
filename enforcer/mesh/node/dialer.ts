/** Streams that we open: dial, say one thing, hear one thing where one is due, close. Each within its deadline. */
import { connect } from 'node:net';
import { type Endpoint, placeOf } from '../protocol/core/endpoint.ts';
import type { StreamFailure } from '../protocol/core/inputs.ts';
import type { StreamMessage } from '../protocol/messages.ts';
import type { WireFault } from '../protocol/wire/faults.ts';
import type { Envelope } from './envelope.ts';
import { hostOf } from './places.ts';

export interface Dial {
  readonly to: Endpoint;
  readonly request: StreamMessage;
  readonly replyExpected: boolean;
  readonly timeoutMs: number;
}

export type DialResult =
  | { readonly ok: true; readonly message: StreamMessage | null }
  | { readonly ok: false; readonly why: StreamFailure; readonly fault?: WireFault };

export interface Dialer {
  dial(call: Dial, done: (result: DialResult) => void): void;
  /** Ends what is under way, without a word to who waits. */
  close(): void;
}

/** A core asks for few at a time; a join list of many addresses asks for as many. */
const MOST_DIALS = 512;

const FAILURES: Readonly<Record<string, StreamFailure>> = {
  ECONNREFUSED: 'refused',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  EACCES: 'unreachable',
  EPERM: 'unreachable',
  EINVAL: 'unreachable',
  EMFILE: 'unreachable',
  ENFILE: 'unreachable',
};

export function createDialer(envelope: Envelope): Dialer {
  const open = new Set<() => void>();

  function dial({ to, request, replyExpected, timeoutMs }: Dial, done: (result: DialResult) => void): void {
    if (open.size >= MOST_DIALS || to.port === 0) {
      setImmediate(done, { ok: false, why: 'unreachable' });
      return;
    }
    const reader = envelope.streamReader('dialer', placeOf(to));
    const socket = connect({ host: hostOf(to), port: to.port, noDelay: true });
    const timer = setTimeout(() => over('timeout'), timeoutMs);
    let written = false;
    open.add(stop);

    function stop(): void {
      clearTimeout(timer);
      open.delete(stop);
      socket.destroy();
    }
    function end(result: DialResult): void {
      if (!open.has(stop)) return;
      stop();
      done(result);
    }
    /** What was to be written only is done when it is written, however the peer ends it. */
    function over(why: StreamFailure): void {
      end(written && !replyExpected ? { ok: true, message: null } : { ok: false, why });
    }
    function read(reading: ReturnType<typeof reader.push>): void {
      if (reading.state === 'complete') end({ ok: true, message: reading.message });
      else if (reading.state === 'refused')
        end({ ok: false, why: reading.why === 'empty' || reading.why === 'truncated' ? 'closed' : 'malformed', fault: reading.why });
    }

    socket.on('error', error => end({ ok: false, why: FAILURES[(error as NodeJS.ErrnoException).code ?? ''] ?? 'closed' }));
    socket.on('close', () => over('closed'));
    socket.once('finish', () => {
      written = true;
    });
    socket.once('connect', () => {
      const bytes = envelope.sealStream(request, 'dialer', to);
      if (replyExpected) {
        socket.on('data', chunk => read(reader.push(chunk)));
        socket.on('end', () => read(reader.end()));
        socket.write(bytes);
        return;
      }
      // Over when the peer, who reads to the end of it, has closed: destroyed earlier, unsent bytes would be lost.
      socket.resume();
      socket.end(bytes);
    });
  }

  return {
    dial,
    close() {
      for (const stop of [...open]) stop();
    },
  };
}
