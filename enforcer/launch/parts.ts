/** Where the parts lie that are started or loaded by their path. Nothing else in the program knows. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export const PARTS = {
  /** The Node that runs us runs our children. */
  node: process.execPath,
  daemon: here('../daemon-entry.ts'),
  trap: here('../traps/server/entry.ts'),
  storeWorker: here('../store/worker.ts'),
  meshWorker: here('../mesh/thread/entry.ts'),
  relay: here('../relay/process/entry.ts'),
  addon: here('../build/honeymesh.node'),
  program: here('../../bpf/build/honeymesh.bpf.o'),
} as const;

/** The built parts that are not there: the addon, the BPF object. */
export function missingParts(): readonly string[] {
  return [PARTS.addon, PARTS.program].filter(path => !existsSync(path));
}
