/**
 * What a member keeps over a restart: its incarnation (it begins above it, so that nobody takes its news for old) and who its peers were (the configured
 * list may name machines that are long gone).
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface Remembered {
  readonly incarnation: number;
  /** `host:port`, the latest last. */
  readonly peers: readonly string[];
}

export interface NodeMemory {
  /** Null: nothing was kept, or nothing that can be read. Never rejects. */
  recall(): Promise<Remembered | null>;
  /** Only the latest of several that come at once is written. Resolves when it is on the disk, or with why it is not. */
  keep(remembered: Remembered): Promise<Error | null>;
}

export const MOST_PEERS = 1024;
const LONGEST_FILE = 1024 * 1024;
const LONGEST_PEER = 64;

/** In one file of JSON, replaced as a whole. */
export function createNodeMemory(path: string): NodeMemory {
  let next: Remembered | null = null;
  let writing: Promise<Error | null> | null = null;

  async function write(): Promise<Error | null> {
    let failure: Error | null = null;
    while (next !== null) {
      const remembered = next;
      next = null;
      failure = await replace(path, JSON.stringify(remembered)).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      );
    }
    writing = null;
    return failure;
  }

  return {
    async recall() {
      try {
        const text = await readFile(path, 'utf8');
        return text.length > LONGEST_FILE ? null : rememberedFrom(JSON.parse(text));
      } catch {
        return null; // no file yet, or a torn one: members that have no memory begin at 1 and refute
      }
    },
    keep(remembered) {
      next = remembered;
      writing ??= write();
      return writing;
    },
  };
}

async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.new`;
  const file = await open(fresh, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
}

function rememberedFrom(value: unknown): Remembered | null {
  if (typeof value !== 'object' || value === null || !('incarnation' in value) || !('peers' in value)) return null;
  const { incarnation, peers } = value;
  if (typeof incarnation !== 'number' || !Number.isInteger(incarnation) || incarnation < 0 || !Array.isArray(peers)) return null;
  const texts = peers.filter((peer): peer is string => typeof peer === 'string' && peer.length <= LONGEST_PEER);
  return { incarnation, peers: texts.slice(-MOST_PEERS) };
}
