/** An emulator as a child of the tests: started through the keeper, waited for, stopped with all that it started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ROOT } from './set-up.ts';

const LONGEST_START_MS = 90_000;

export interface Emulator {
  readonly name: string;
  readonly logFile: string;
  /** Resolves when nothing of it is left. */
  stop(): Promise<void>;
}

export interface EmulatorStart {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** Where logs go; exists. */
  readonly folder: string;
  readonly ready: () => Promise<boolean>;
}

/** Starts one and waits until it is ready; what it wrote is in the error where it is not. */
export async function startEmulator({ name, command, environment, folder, ready }: EmulatorStart): Promise<Emulator> {
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, 'a', 0o600);
  const started = Date.now();
  const child = spawn(process.execPath, ['--no-warnings', join(ROOT, 'test/support/cloud/keeper.ts'), ...command], {
    cwd: folder,
    detached: true, // Ctrl-C at the terminal is for the tests, which then stop it
    stdio: ['pipe', log, log],
    // Nothing of the developer's: a profile or a key in the environment must not reach an emulator, nor the real cloud.
    env: {
      PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH ?? ''}`,
      HOME: folder,
      TMPDIR: folder,
      LANG: 'C.UTF-8',
      HONEYMESH_EMULATOR: randomUUID(),
      ...environment,
    },
  });
  closeSync(log);
  const gone = exitOf(child);
  const stop = async (): Promise<void> => {
    child.stdin?.end();
    await gone;
  };
  for (;;) {
    if (await ready().catch(() => false)) return { name, logFile, stop };
    if (child.exitCode !== null || Date.now() - started > LONGEST_START_MS) {
      await stop();
      throw new Error(`${name} did not start; its last words:\n${readFileSync(logFile, 'utf8').slice(-4_000)}`);
    }
    await delay(100);
  }
}

const exitOf = (child: ChildProcess): Promise<void> =>
  new Promise(resolve => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });

/** Whether the address answers with a status below 400. */
export async function answers(url: string, says: (body: string) => boolean = () => true): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  return response.ok && says(await response.text());
}

/** Ports that nobody listens on now, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject).listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map(server => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}
