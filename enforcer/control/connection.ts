/** One client of the control socket: reads its requests, runs them, answers. Reading stops while too many are under way. */
import type { Socket } from 'node:net';
import { HoneyMeshError } from '../errors.ts';
import { createLineCutter } from './lines.ts';
import type { EventRow, Operations } from './operations.ts';
import { type Answer, CALLS, type Call, LONGEST_REQUEST_BYTES, parseRequest, type Request, toLine, wireError } from './protocol.ts';
import { checkArguments } from './requests.ts';

const MOST_UNDER_WAY = 32;
const MOST_STREAMS = 4;
/** A tail whose reader is slower than the events loses events, and is told how many: the daemon's memory is not a queue. */
const MOST_UNREAD_BYTES = 1024 * 1024;
const IDLE_MS = 60_000;

export interface ConnectionDeps {
  readonly operations: Operations;
  /** Hears of errors that are our own bugs. */
  readonly onBug: (error: unknown) => void;
}

/** Resolves when all answers that are under way have been handed to the socket. */
export interface Connection {
  drained(): Promise<void>;
  close(): void;
}

export function serveConnection(socket: Socket, { operations, onBug }: ConnectionDeps): Connection {
  const cutter = createLineCutter({ longestBytes: LONGEST_REQUEST_BYTES });
  const waiting: string[] = [];
  const underWay = new Set<Promise<void>>();
  const streams = new Map<number, () => void>();

  function send(answer: Answer): Promise<void> {
    return new Promise(resolve => {
      if (socket.destroyed) return resolve();
      let line: string;
      try {
        line = toLine(answer);
      } catch (error) {
        onBug(error);
        line = toLine({ id: answer.id, ok: false, error: wireError(error) });
      }
      socket.write(line, () => resolve());
    });
  }

  const refuse = (id: number, message: string): Promise<void> => send({ id, ok: false, error: wireError(new HoneyMeshError('HM_USAGE', message)) });

  async function run({ id, op, args }: Request): Promise<void> {
    if (op === 'cancel') return streams.get(id)?.();
    if (op === 'tail') return follow(id);
    if (!isCall(op)) {
      const unknown = new HoneyMeshError('HM_USAGE', `the daemon knows no operation "${op.replace(/[^\w-]/g, '?')}"`, {
        fix: 'the daemon is of another version: restart it',
      });
      return send({ id, ok: false, error: wireError(unknown) });
    }
    try {
      const call = operations[op] as (args: unknown) => Promise<unknown>;
      await send({ id, ok: true, value: await call.call(operations, checkArguments(op, args)) });
    } catch (error) {
      if (!(error instanceof HoneyMeshError)) onBug(error);
      await send({ id, ok: false, error: wireError(error) });
    }
  }

  async function follow(id: number): Promise<void> {
    if (streams.has(id)) return refuse(id, 'this id is in use');
    if (streams.size >= MOST_STREAMS) return refuse(id, 'too many streams on one connection');
    const over = new AbortController();
    let missed = 0;
    const onEvent = (row: EventRow): void => {
      if (socket.writableLength > MOST_UNREAD_BYTES) {
        missed++;
        return;
      }
      if (missed > 0) void send({ id, missed });
      missed = 0;
      void send({ id, event: row });
    };
    streams.set(id, () => {
      streams.delete(id);
      over.abort();
      void send({ id, ok: true, value: null });
    });
    try {
      operations.tail(onEvent, over.signal);
    } catch (error) {
      streams.delete(id);
      over.abort();
      onBug(error);
      await send({ id, ok: false, error: wireError(error) });
    }
  }

  function next(): void {
    while (underWay.size < MOST_UNDER_WAY) {
      const line = waiting.shift();
      if (line === undefined) break;
      const request = parseRequest(line);
      // Who does not speak JSON gets one answer and the door: nothing that follows can be trusted to be a line.
      if (!request.ok) {
        turnAway(request.id ?? 0, request.why);
        return;
      }
      const job = run(request.value).finally(() => {
        underWay.delete(job);
        next();
      });
      underWay.add(job);
    }
    if (waiting.length > 0) socket.pause();
    else socket.resume();
  }

  function turnAway(id: number, why: string): void {
    waiting.length = 0;
    socket.off('data', read);
    socket.resume(); // what still comes is thrown away
    void refuse(id, why).then(() => socket.destroySoon());
  }

  function read(bytes: Buffer): void {
    const { lines, tooLong } = cutter.push(bytes);
    if (tooLong) {
      turnAway(0, `a request is at most ${LONGEST_REQUEST_BYTES} bytes long`);
      return;
    }
    waiting.push(...lines.filter(line => line !== ''));
    next();
  }

  async function drained(): Promise<void> {
    while (underWay.size > 0) await Promise.allSettled(underWay);
  }

  function close(): void {
    waiting.length = 0;
    for (const cancel of streams.values()) cancel();
    socket.destroy();
  }

  socket.on('data', read);
  socket.on('error', close); // the client went away: its streams end
  socket.on('close', close);
  socket.on('end', () => void drained().then(() => socket.end())); // `echo ... | socat` closes its half at once
  socket.setTimeout(IDLE_MS, () => {
    if (underWay.size === 0 && streams.size === 0) socket.destroy();
  });

  return { drained, close };
}

const isCall = (op: string): op is Call => (CALLS as readonly string[]).includes(op);
