/** Streams that were asked for and not answered yet. */
import type { StreamMessage } from '../messages.ts';
import type { Context } from './context.ts';
import type { Endpoint } from './endpoint.ts';
import type { StreamFailure, StreamRequest } from './inputs.ts';

export type StreamResult =
  | { readonly ok: true; readonly message: StreamMessage | null }
  | { readonly ok: false; readonly why: StreamFailure; readonly text: string };

export interface Streams {
  open(
    stream: { readonly to: Endpoint; readonly request: StreamRequest; readonly replyExpected: boolean; readonly deadlineMs: number },
    done: (result: StreamResult, nowMs: number) => void,
  ): void;
  /** False: nobody waits for that. */
  end(id: number, result: StreamResult, nowMs: number): boolean;
}

export function createStreams({ alarms, emit }: Context): Streams {
  const waiting = new Map<number, (result: StreamResult, nowMs: number) => void>();
  let lastId = 0;

  function end(id: number, result: StreamResult, nowMs: number): boolean {
    const done = waiting.get(id);
    if (done === undefined) return false;
    waiting.delete(id);
    alarms.cancel(`stream ${id}`);
    done(result, nowMs);
    return true;
  }

  return {
    end,
    open({ to, request, replyExpected, deadlineMs }, done) {
      const id = ++lastId;
      waiting.set(id, done);
      emit({ kind: 'open', id, to, request, replyExpected, deadlineMs });
      // The driver says when its time is over; should it not, nothing waits for ever.
      alarms.set(`stream ${id}`, deadlineMs, nowMs => void end(id, { ok: false, why: 'timeout', text: '' }, nowMs));
    },
  };
}
