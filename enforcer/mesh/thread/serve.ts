/** The inside of the mesh's thread: starts the member, carries out the daemon's calls, and hands over the member's words as fast as the daemon takes them. */
import type { MessagePort } from 'node:worker_threads';
import { unreachable } from '@honeymesh/intel/parsed';
import { HoneyMeshError } from '../../errors.ts';
import type { MeshHost, MeshSettings, MeshWord } from '../port.ts';
import { BATCHES_AHEAD, type CallFailure, type CallName, type FromMesh, type ToMesh } from './messages.ts';
import { createOutbox } from './outbox.ts';

export type StartHost = (settings: MeshSettings, onWord: (word: MeshWord) => void) => Promise<MeshHost>;

/** `end` ends the thread. */
export function serveMesh(port: Pick<MessagePort, 'on' | 'postMessage'>, startHost: StartHost, end: () => void): void {
  const outbox = createOutbox();
  let host: MeshHost | undefined;
  let stopping = false;
  let ahead = 0;
  let flushing = false;

  const post = (message: FromMesh): void => port.postMessage(message);

  function say(word: MeshWord): void {
    outbox.say(word);
    if (flushing) return;
    flushing = true;
    queueMicrotask(flush); // what came in one datagram goes out together
  }

  function flush(): void {
    flushing = false;
    while (ahead < BATCHES_AHEAD) {
      const words = outbox.take();
      if (words === null) return;
      ahead++;
      post({ kind: 'words', words });
    }
  }

  async function start(settings: MeshSettings): Promise<void> {
    try {
      const started = await startHost(settings, say);
      if (stopping) await started.stop();
      else {
        host = started;
        post({ kind: 'up' });
      }
    } catch (error) {
      post({ kind: 'failed', failure: failureOf(error) });
      end();
    }
  }

  async function call(id: number, name: CallName, args: readonly unknown[]): Promise<void> {
    try {
      if (host === undefined) throw new Error('the mesh has not started');
      const method = host[name] as (...given: readonly unknown[]) => unknown;
      post({ kind: 'answer', id, ok: true, value: await method.apply(host, [...args]) });
    } catch (error) {
      post({ kind: 'answer', id, ok: false, failure: failureOf(error) });
    }
  }

  async function stop(): Promise<void> {
    stopping = true;
    await host?.stop();
    flush();
    end();
  }

  port.on('message', (message: ToMesh) => {
    switch (message.kind) {
      case 'start':
        void start(message.settings);
        break;
      case 'call':
        void call(message.id, message.name, message.args);
        break;
      case 'took':
        ahead--;
        flush();
        break;
      case 'beat':
        post({ kind: 'alive' });
        break;
      case 'stop':
        void stop();
        break;
      default:
        unreachable(message);
    }
  });
}

function failureOf(error: unknown): CallFailure {
  if (error instanceof HoneyMeshError) return { code: error.code, why: error.message, fix: error.fix ?? null };
  return { code: null, why: error instanceof Error ? error.message : String(error), fix: null };
}
