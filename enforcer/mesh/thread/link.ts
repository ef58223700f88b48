/** The mesh's thread as seen from the daemon: calls with answers, its words as they come, and word of its death. Nothing here waits, nothing throws. */
import { Worker } from 'node:worker_threads';
import { unreachable } from '@honeymesh/intel/parsed';
import { HoneyMeshBug, HoneyMeshError } from '../../errors.ts';
import type { MeshSettings, MeshWord } from '../port.ts';
import type { CallArguments, CallFailure, CallName, CallValue, FromMesh, ToMesh } from './messages.ts';

export interface MeshThreadOptions {
  readonly entry: string | URL;
  readonly settings: MeshSettings;
}

export interface MeshThreadDeps {
  readonly onUp: () => void;
  /** In the order in which they were said. */
  readonly onWords: (words: readonly MeshWord[]) => void;
  /** Called once when it ends, whatever ended it; `failure`: it could not begin. */
  readonly onGone: (why: string, failure: CallFailure | null) => void;
  /** Milliseconds that never go back. */
  readonly monotonicMs?: () => number;
}

export interface MeshThread {
  /** null: it ended before it answered, or so many calls wait that this one is not made. Rejects with what the member threw. */
  call<Name extends CallName>(name: Name, ...args: CallArguments<Name>): Promise<CallValue<Name> | null>;
  /** Every second: a thread that does not turn any more is ended. */
  beat(): void;
  /** In order, and by force after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const MOST_CALLS = 1_024;
/** A thread of 16,384 members with certificates and what they said takes some 100 MB. Beyond this it ends, and the daemon lives. */
const HEAP_MB = 512;
const SILENT_MS = 30_000;

export function startMeshThread(
  { entry, settings }: MeshThreadOptions,
  { onUp, onWords, onGone, monotonicMs = () => performance.now() }: MeshThreadDeps,
): MeshThread {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const over = Promise.withResolvers<void>();
  let nextId = 1;
  let gone = false;
  let failure: CallFailure | null = null;
  let heardMs = monotonicMs();
  const worker = new Worker(entry, { name: 'honeymesh-mesh', resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
  const post = (message: ToMesh): void => worker.postMessage(message);

  function end(why: string): void {
    if (gone) return;
    gone = true;
    for (const { resolve } of waiting.values()) resolve(null);
    waiting.clear();
    over.resolve();
    onGone(why, failure);
  }

  worker.on('message', (message: FromMesh) => {
    heardMs = monotonicMs();
    if (gone) return;
    switch (message.kind) {
      case 'up':
        onUp();
        break;
      case 'failed':
        failure = message.failure;
        break;
      case 'words':
        onWords(message.words);
        setImmediate(() => post({ kind: 'took' })); // whatever else waits for the daemon comes first
        break;
      case 'answer': {
        const asked = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.ok) asked?.resolve(message.value);
        else asked?.reject(errorOf(message.failure));
        break;
      }
      case 'alive':
        break;
      default:
        unreachable(message);
    }
  });
  worker.on('messageerror', error => void worker.terminate().then(() => end(error.message)));
  worker.on('error', error => end(error instanceof Error ? error.message : String(error)));
  worker.on('exit', code => end(`it ended with code ${code}`));
  post({ kind: 'start', settings });

  return {
    call<Name extends CallName>(name: Name, ...args: CallArguments<Name>): Promise<CallValue<Name> | null> {
      if (gone || waiting.size >= MOST_CALLS) return Promise.resolve(null);
      const id = nextId++;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve: value => resolve(value as CallValue<Name>), reject });
        post({ kind: 'call', id, name, args });
      });
    },
    beat() {
      if (gone) return;
      if (monotonicMs() - heardMs <= SILENT_MS) {
        post({ kind: 'beat' });
        return;
      }
      void worker.terminate();
      end(`it said nothing for ${SILENT_MS / 1_000} s`);
    },
    async stop(graceMs) {
      if (gone) return;
      post({ kind: 'stop' });
      const force = setTimeout(() => void worker.terminate(), graceMs);
      await over.promise;
      clearTimeout(force);
    },
  };
}

function errorOf({ code, why, fix }: CallFailure): Error {
  return code === null ? new HoneyMeshBug(`the mesh failed: ${why}`) : new HoneyMeshError(code, why, fix === null ? {} : { fix });
}
