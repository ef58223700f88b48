/** What every command stands on: the terminal, the environment, the instance it is about, the daemon behind its socket. */
import { accessSync } from 'node:fs';
import type { UnixMs } from '@honeymesh/intel/time';
import type { Command } from 'commander';
import type { Loaded, LoadResult } from '../config/load.ts';
import { DEFAULT_INSTANCE, type InstancePaths, parseInstance } from '../config/paths.ts';
import type { Problem } from '../config/problems.ts';
import { shown } from '../config/wording.ts';
import type { ControlClient } from '../control/client.ts';
import { usage } from './failures.ts';
import { json, type Terminal } from './terminal.ts';

export interface CliDeps {
  readonly terminal: Terminal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly now: () => UnixMs;
  readonly pathsOf: (instance: string) => InstancePaths;
  /** Aborts at Ctrl-C and SIGTERM, for commands that go on until then. */
  readonly interrupted: () => AbortSignal;
}

export interface GlobalOptions {
  readonly instance?: string;
  readonly config?: string;
  readonly interface?: readonly string[];
  readonly mode?: string;
}

export interface Context extends CliDeps {
  /** How the command ends where it ends without an error. */
  exitWith(code: number): void;
}

/** The instance's name, from `--instance`, else HONEYMESH_INSTANCE, else `main`. A `--config` that is not there is told at once. */
export function instanceOf(command: Command, { environment }: CliDeps): string {
  const { instance, config } = command.optsWithGlobals<GlobalOptions>();
  if (config !== undefined) {
    try {
      accessSync(config);
    } catch (error) {
      const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
      throw usage(
        `--config ${shown(config)}: ${absent ? 'there is no such file' : 'it cannot be read'}`,
        'name the configuration file, or leave the option out',
      );
    }
  }
  const name = instance ?? (environment.HONEYMESH_INSTANCE || DEFAULT_INSTANCE);
  if (parseInstance(name).ok) return name;
  throw usage(`${shown(name)} is no instance name`, 'give 1 to 32 lower-case letters, digits and dashes');
}

/** Asks the daemon and lets it go. */
export async function withDaemon<T>(command: Command, context: Context, ask: (daemon: ControlClient) => Promise<T>): Promise<T> {
  const { socket } = context.pathsOf(instanceOf(command, context));
  const { connectControl } = await import('../control/client.ts');
  const daemon = await connectControl(socket);
  try {
    return await ask(daemon);
  } finally {
    daemon.close();
  }
}

/** File, environment and flags, as the command line gives them. */
export async function readConfig(command: Command, { environment, pathsOf }: CliDeps): Promise<LoadResult> {
  const options = command.optsWithGlobals<GlobalOptions>();
  const { loadConfig } = await import('../config/load.ts');
  const result = loadConfig({
    environment,
    ...(options.config === undefined ? {} : { path: options.config }),
    overrides: {
      ...(options.interface === undefined ? {} : { interfaces: options.interface }),
      ...(options.mode === undefined ? {} : { mode: options.mode }),
      ...(options.instance === undefined ? {} : { instance: options.instance }),
    },
  });
  return result.ok ? { ok: true, value: { ...result.value, paths: pathsOf(result.value.instance) } } : result;
}

export async function requireConfig(command: Command, context: Context): Promise<Loaded> {
  const result = await readConfig(command, context);
  if (result.ok) return result.value;
  throw await asError(result.problems);
}

export async function asError(problems: readonly Problem[]): Promise<Error> {
  const { configError } = await import('../config/problems.ts');
  return configError(problems);
}

/** Prints as `-o` says: the value as JSON, or what `human` makes of it. */
export function show<T>(command: Command, { terminal }: Context, value: T, human: (value: T) => string): void {
  terminal.write(command.opts<{ output?: string }>().output === 'json' ? `${json(value)}\n` : human(value));
}
