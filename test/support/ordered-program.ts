/** A program in a namespace that takes its orders line by line and answers each with a line. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '#test/support/namespaces.ts';

export interface OrderedProgram {
  /** Sends an order; resolves with the next line that is no answer to an earlier one. Rejects where the program ends before. */
  order(line: string): Promise<string>;
  /** Sends an order that has no answer of its own. */
  tell(line: string): void;
  stop(): Promise<void>;
}

/** Starts a program of test/support by its file name. */
export function startOrdered(namespace: Namespace, file: string, args: readonly string[]): OrderedProgram {
  const program = fileURLToPath(new URL(file, import.meta.url));
  const child = namespace.start([process.execPath, program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: { readonly resolve: (line: string) => void; readonly reject: (error: Error) => void }[] = [];
  if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', line => waiting.shift()?.resolve(line));
  child.once('exit', code => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`${file} ended with ${code}`));
  });
  const tell = (line: string): void => void child.stdin?.write(`${line}\n`);
  return {
    tell,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    order: line =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        tell(line);
      }),
  };
}
