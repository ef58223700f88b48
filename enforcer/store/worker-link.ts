/** The thread of the log as seen from outside: requests with answers, and word of its death. */
import { Worker } from 'node:worker_threads';
import type { Failure } from './failures.ts';
import type { AskKind, Asks, Reply, Request } from './messages.ts';

export type Answer<K extends AskKind> = { readonly ok: true; readonly answer: Asks[K]['answer'] } | { readonly ok: false; readonly failure: Failure };

/** The thread ended before it answered: whether the request was carried out is not known. */
export const GONE = 'gone';

export interface WorkerLink {
  /** Never rejects. */
  ask<K extends AskKind>(kind: K, ask: Asks[K]['ask']): Promise<Answer<K> | typeof GONE>;
  terminate(): Promise<void>;
}

/** Starts the thread. `onGone` is called once when it ends, whatever ended it, after all open requests were answered with GONE. */
export function startWorker(path: string | URL, onGone: (why: string) => void): WorkerLink {
  const waiting = new Map<number, (reply: Reply | typeof GONE) => void>();
  let nextId = 1;
  let gone = false;
  const worker = new Worker(path, { name: 'honeymesh-store' });
  worker.unref(); // an idle log keeps no process alive; one that owes an answer does

  const end = (why: string): void => {
    if (gone) return;
    gone = true;
    for (const settle of waiting.values()) settle(GONE);
    waiting.clear();
    onGone(why);
  };
  worker.on('message', (reply: Reply) => {
    const settle = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (waiting.size === 0) worker.unref();
    settle?.(reply);
  });
  worker.on('messageerror', error => void worker.terminate().then(() => end(error.message)));
  worker.on('error', error => end(error instanceof Error ? error.message : String(error)));
  worker.on('exit', code => end(`it ended with code ${code}`));

  return {
    async ask<K extends AskKind>(kind: K, ask: Asks[K]['ask']) {
      if (gone) return GONE;
      const id = nextId++;
      const reply = await new Promise<Reply | typeof GONE>(settle => {
        waiting.set(id, settle);
        worker.ref();
        try {
          worker.postMessage({ id, kind, ask } as Request);
        } catch (error) {
          waiting.delete(id); // what cannot be copied is no plain value: a bug of the caller's
          settle({ id, ok: false, failure: { kind: 'bug', why: error instanceof Error ? error.message : String(error), fix: 'please report it' } });
        }
      });
      if (reply === GONE) return GONE;
      return reply.ok ? { ok: true, answer: reply.answer as Asks[K]['answer'] } : { ok: false, failure: reply.failure };
    },
    async terminate() {
      await worker.terminate();
      end('it was stopped');
    },
  };
}
