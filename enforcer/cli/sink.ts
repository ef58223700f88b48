/** Where an export goes: standard output, or a file that appears under its name only when it is whole. */
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { HoneyMeshError } from '../errors.ts';
import type { Terminal } from './terminal.ts';

export interface Sink {
  write(text: string): Promise<void>;
  done(): Promise<void>;
  /** Leaves nothing behind. */
  giveUp(): Promise<void>;
}

/** Standard output is synchronous on Linux for files, pipes and terminals: there is nothing to wait for. */
export function standardOutput(terminal: Terminal): Sink {
  return {
    write: async text => terminal.write(text),
    done: async () => {},
    giveUp: async () => {},
  };
}

/** `path` for root only (0600), since events name people. What is there and no plain file (/dev/null, a pipe) is written to as it is. */
export async function fileSink(path: string): Promise<Sink> {
  try {
    const there = await stat(path).catch(() => undefined);
    if (there?.isDirectory() === true) throw new Error('it is a directory');
    const special = there !== undefined && !there.isFile();
    const target = special ? path : `${path}.partial`;
    const file: FileHandle = await open(target, 'w', 0o600);
    return {
      write: async text => {
        await file.writeFile(text);
      },
      async done() {
        await file.close();
        if (!special) await rename(target, path);
      },
      async giveUp() {
        await file.close().catch(() => {});
        if (!special) await unlink(target).catch(() => {});
      },
    };
  } catch (error) {
    throw new HoneyMeshError('HM_USAGE', `${path} cannot be written: ${(error as Error).message}`, {
      fix: 'name another --output, or - for standard output',
      cause: error,
    });
  }
}
