/** Runs a command line in this process against a directory of its own, with or without a fake daemon behind a real control socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { unixMs } from '@honeymesh/intel/time';
import { runCli } from '#enforcer/cli/program.ts';
import type { InstancePaths } from '#enforcer/config/paths.ts';
import type { Operations } from '#enforcer/control/operations.ts';
import { createControlServer } from '#enforcer/control/server.ts';

export const NOW = unixMs(Date.parse('2026-11-24T12:00:00.000Z'));

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CliLab {
  readonly directory: string;
  pathsOf(instance: string): InstancePaths;
  /** Serves an instance's socket until the lab closes. */
  serve(operations: Operations, instance?: string): Promise<void>;
  run(
    line: string | readonly string[],
    more?: { environment?: Record<string, string>; stdin?: string; interrupt?: AbortSignal; onOut?: (text: string) => void },
  ): Promise<Ran>;
  close(): Promise<void>;
}

export function openCliLab(): CliLab {
  const directory = mkdtempSync(join(tmpdir(), 'honeymesh-cli-'));
  const servers: { stop(): Promise<void> }[] = [];
  const pathsOf = (instance: string): InstancePaths => {
    const run = join(directory, 'run', instance);
    return { state: join(directory, 'state', instance), run, pins: join(directory, 'pins', instance), socket: join(run, 'control.sock') };
  };
  return {
    directory,
    pathsOf,
    async serve(operations, instance = 'main') {
      const server = createControlServer({ socketPath: pathsOf(instance).socket }, { operations });
      await server.start();
      servers.push(server);
    },
    async run(line, { environment = {}, stdin = '', interrupt = new AbortController().signal, onOut = () => {} } = {}) {
      let out = '';
      let err = '';
      const code = await runCli(typeof line === 'string' ? line.split(' ').filter(word => word !== '') : line, {
        terminal: {
          write: text => {
            out += text;
            onOut(text);
          },
          writeError: text => {
            err += text;
          },
          stdin: Readable.from([stdin]),
          interactive: false,
          colours: false,
        },
        // No file of the machine that runs the tests is read.
        environment: { HONEYMESH_CONFIG: join(directory, 'none.yaml'), ...environment },
        now: () => NOW,
        pathsOf,
        interrupted: () => interrupt,
      });
      return { code, out, err };
    },
    async close() {
      await Promise.all(servers.map(server => server.stop()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
