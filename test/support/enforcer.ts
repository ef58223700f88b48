/** A whole enforcer in a network namespace, started as an operator starts it: by the command line, with an instance of its own. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type InstancePaths, pathsOf } from '#enforcer/config/paths.ts';
import { type CommandOptions, type CommandResult, lives, type Namespace } from '#test/support/namespaces.ts';

export const HONEYMESH = fileURLToPath(new URL('../../enforcer/bin/honeymesh', import.meta.url));

const READY_MS = 20_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningEnforcer {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything that it said so far, both streams. */
  output(): string;
  /** Resolves when the launcher has said that it is on; rejects with the output where it ends before or says nothing for 20 s. */
  ready(): Promise<void>;
  ended: Promise<Exit>;
  /** The process of the daemon, a child of the launcher. */
  daemonPid(): number | undefined;
}

export interface EnforcerHost {
  readonly instance: string;
  readonly paths: InstancePaths;
  readonly configPath: string;
  /** Starts `honeymesh run`; `before` stands before it on the command line (unshare, env). */
  run(before?: readonly string[]): RunningEnforcer;
  /** Runs a command of the instance in the namespace. */
  honeymesh(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** The JSON that a command prints. */
  json<T>(args: readonly string[]): Promise<T>;
  /** Takes off whatever is on, removes state and configuration. */
  remove(): Promise<void>;
}

/** `config` is the text of the configuration file. Traps are off unless it speaks of them: what it says about the rest should not depend on a choice of ports. */
export function createEnforcerHost(namespace: Namespace, config: string): EnforcerHost {
  const instance = `t${process.pid}-${randomBytes(3).toString('hex')}`;
  const paths = pathsOf(instance);
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-test-'));
  const configPath = join(folder, 'config.yaml');
  writeFileSync(configPath, /^traps:/m.test(config) ? config : `${config.trimEnd()}\ntraps: { ports: off }\n`);
  const running = new Set<RunningEnforcer>();
  const line = (args: readonly string[]): readonly string[] => [HONEYMESH, ...args, '--instance', instance, '--config', configPath];

  const honeymesh = (args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> => namespace.run(line(args), options);
  return {
    instance,
    paths,
    configPath,
    run(before = []) {
      const child = namespace.start([...before, ...line(['run'])], { stdio: ['ignore', 'pipe', 'pipe'], env: withoutSession() });
      const enforcer = follow(child);
      running.add(enforcer);
      return enforcer;
    },
    honeymesh,
    json: async args => JSON.parse((await honeymesh([...args, '-o', 'json'])).stdout),
    async remove() {
      for (const enforcer of running) if (lives(enforcer.pid)) enforcer.child.kill('SIGTERM');
      await Promise.all([...running].map(enforcer => enforcer.ended));
      try {
        await honeymesh(['unload']); // what it leaves behind would stay in the kernel, so that it fails is a failure of the test
      } finally {
        for (const path of [paths.state, paths.run, folder]) rmSync(path, { recursive: true, force: true });
      }
    },
  };
}

/** The session of whoever runs the tests is not the test's. */
function withoutSession(): NodeJS.ProcessEnv {
  const { SSH_CONNECTION: _, ...rest } = process.env;
  return rest;
}

function follow(child: ChildProcess): RunningEnforcer {
  let said = '';
  const more: (() => void)[] = [];
  const hear = (chunk: string): void => {
    said += chunk;
    for (const wake of more) wake();
  };
  child.stdout?.setEncoding('utf8').on('data', hear);
  child.stderr?.setEncoding('utf8').on('data', hear);
  const ended = new Promise<Exit>(resolve => child.once('exit', (code, signal) => resolve({ code, signal })));
  const pid = child.pid ?? 0;
  return {
    child,
    pid,
    ended,
    output: () => said,
    daemonPid: () => childrenOf(pid).find(one => commandLineOf(one).includes('daemon-entry')),
    ready: () =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (/^HoneyMesh.* is on$/m.test(said)) finish(resolve);
        };
        const finish = (settle: () => void): void => {
          clearTimeout(deadline);
          settle();
        };
        const deadline = setTimeout(() => reject(new Error(`the enforcer is not ready:\n${said}`)), READY_MS);
        void ended.then(({ code, signal }) => finish(() => reject(new Error(`the enforcer ended with ${signal ?? code}:\n${said}`))));
        more.push(look);
        look();
      }),
  };
}

/** Processes whose parent is `pid`, zombies left out. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry))
    .map(Number)
    .filter(one => lives(one) && parentOf(one) === pid);
}

/** Empty where it ended in the meantime. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

/** Waits until `holds` does, for at most `patienceMs`; then fails with `what`. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>, patienceMs = 10_000): Promise<void> {
  for (const startedMs = performance.now(); performance.now() - startedMs < patienceMs; await new Promise(resolve => setTimeout(resolve, 50))) {
    if (await holds()) return;
  }
  throw new Error(`not within ${patienceMs} ms: ${what}`);
}
