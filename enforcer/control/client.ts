/** The CLI's end of the control socket: the daemon's operations as if they were here. */
import { connect, type Socket } from 'node:net';
import { HoneyMeshBug, HoneyMeshError } from '../errors.ts';
import { createLineCutter } from './lines.ts';
import type { EventRow, Operations } from './operations.ts';
import { type Answer, CALLS, type Call, LONGEST_ANSWER_BYTES, parseAnswer, toLine, type WireError } from './protocol.ts';

const ANSWER_MS = 60_000;
const CONNECT_MS = 5_000;
const START_IT = 'start it: "npm start" in the checkout, or "honeymesh run"; bans that are loaded stay in force meanwhile';

export interface ControlClient extends Operations {
  /** Live events. Resolves when the signal aborts; rejects with HM_DAEMON_DOWN when the daemon goes away. `onMissed`: so many events were too fast for us. */
  follow(onEvent: (row: EventRow) => void, signal: AbortSignal, onMissed?: (count: number) => void): Promise<void>;
  close(): void;
}

interface Pending {
  settle(answer: Answer): void;
  fail(error: Error): void;
}

/** Connects, or throws HM_DAEMON_DOWN (nobody answers) or HM_NOT_ROOT (this user may not ask). */
export async function connectControl(socketPath: string): Promise<ControlClient> {
  const socket = await open(socketPath);
  const cutter = createLineCutter({ longestBytes: LONGEST_ANSWER_BYTES });
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let lost: Error | undefined;

  function lose(error: Error): void {
    lost ??= error;
    socket.destroy();
    for (const one of [...pending.values()]) one.fail(lost);
    pending.clear();
  }

  socket.on('data', bytes => {
    const { lines, tooLong } = cutter.push(bytes);
    for (const line of lines) {
      const answer = parseAnswer(line);
      if (!answer.ok) return lose(new HoneyMeshBug(`the daemon's answer was not understood: ${answer.why}`));
      // Id 0 is the daemon's word on the connection as a whole.
      if (answer.value.id === 0 && 'ok' in answer.value && !answer.value.ok) return lose(thrown(answer.value.error));
      pending.get(answer.value.id)?.settle(answer.value);
    }
    if (tooLong) lose(new HoneyMeshBug(`the daemon's answer is longer than ${LONGEST_ANSWER_BYTES} bytes`));
  });
  const gone = (): void =>
    lose(new HoneyMeshError('HM_DAEMON_DOWN', 'the daemon closed the connection before it answered', { fix: '"honeymesh doctor" tells what is wrong' }));
  socket.on('error', gone);
  socket.on('close', gone);

  function request(op: string, args: unknown, one: Pending, id = nextId++): number {
    if (lost !== undefined) {
      one.fail(lost);
      return id;
    }
    pending.set(id, one);
    socket.write(toLine({ id, op, args }));
    return id;
  }

  function call(op: Call, args: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        pending.delete(id);
        reject(
          new HoneyMeshError('HM_DAEMON_DOWN', `the daemon did not answer within ${ANSWER_MS / 1000} s`, { fix: '"honeymesh doctor" tells what is wrong' }),
        );
      }, ANSWER_MS);
      const id = request(op, args ?? {}, {
        settle(answer) {
          if (!('ok' in answer)) return;
          clearTimeout(late);
          pending.delete(answer.id);
          if (answer.ok) resolve(answer.value);
          else reject(thrown(answer.error));
        },
        fail(error) {
          clearTimeout(late);
          reject(error);
        },
      });
    });
  }

  function follow(onEvent: (row: EventRow) => void, signal: AbortSignal, onMissed: (count: number) => void = () => {}): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const id = request(
        'tail',
        {},
        {
          settle(answer) {
            if ('event' in answer) return signal.aborted ? undefined : onEvent(answer.event as EventRow);
            if ('missed' in answer) return onMissed(answer.missed);
            pending.delete(answer.id);
            if (answer.ok && signal.aborted) resolve();
            else if (answer.ok) reject(new HoneyMeshError('HM_DAEMON_DOWN', 'the daemon stopped', { fix: START_IT }));
            else reject(thrown(answer.error));
          },
          fail: reject,
        },
      );
      signal.addEventListener(
        'abort',
        () => {
          if (lost === undefined) socket.write(toLine({ id, op: 'cancel', args: {} }));
        },
        { once: true },
      );
    });
  }

  const calls = Object.fromEntries(CALLS.map(op => [op, (args: unknown) => call(op, args)])) as unknown as Pick<Operations, Call>;
  return {
    ...calls,
    follow,
    tail: (onEvent, signal) => void follow(onEvent, signal).catch(() => {}),
    close() {
      socket.off('close', gone);
      lose(new HoneyMeshError('HM_DAEMON_DOWN', 'the connection was closed'));
    },
  };
}

function open(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const fail = (error: NodeJS.ErrnoException): void => {
      socket.destroy();
      reject(unreachable(socketPath, error));
    };
    const late = setTimeout(() => fail(new Error(`no answer within ${CONNECT_MS / 1000} s`)), CONNECT_MS);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(late);
      socket.off('error', fail);
      resolve(socket);
    });
    socket.once('close', () => clearTimeout(late));
  });
}

function unreachable(socketPath: string, error: NodeJS.ErrnoException): HoneyMeshError {
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new HoneyMeshError('HM_NOT_ROOT', `this user may not open ${socketPath}`, { fix: 'run it as root', cause: error });
  }
  const why = error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? '' : ` (${error.message})`;
  return new HoneyMeshError('HM_DAEMON_DOWN', `no daemon answers on ${socketPath}${why}`, {
    fix: START_IT,
    cause: error,
  });
}

function thrown({ code, message, fix }: WireError): Error {
  return code === null ? new HoneyMeshBug(`the daemon failed: ${message}`) : new HoneyMeshError(code, message, fix === undefined ? {} : { fix });
}
