/** An agent of Debian's `serf`, which is hashicorp/memberlist with events on top: a member that we did not write. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export const hasSerf = spawnSync('serf', ['version']).status === 0;

export interface SerfMember {
  readonly name: string;
  readonly addr: string;
  readonly status: string;
}

export interface SerfAgent {
  readonly name: string;
  readonly addr: string;
  /** Resolves with the first line of its log, from the beginning, that matches. */
  log(wanted: RegExp): Promise<string>;
  /** By name: it lists them in no order. */
  members(): Promise<readonly SerfMember[]>;
  command(...args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

const PATIENCE_MS = 30_000;

/** On a loopback address of this process's own: its ports cannot be taken. */
export async function startSerf(name: string, flags: readonly string[] = []): Promise<SerfAgent> {
  const host = `127.77.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`;
  const rpc = `-rpc-addr=${host}:7373`;
  const child = spawn('serf', ['agent', `-node=${name}`, `-bind=${host}:7946`, rpc, '-log-level=debug', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const watchers = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', line => {
      lines.push(line);
      for (const watcher of watchers) watcher();
    });
  }
  const closed = new Promise<void>(resolve => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });

  function log(wanted: RegExp): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const look = (): void => {
      const line = lines.find(each => wanted.test(each));
      if (line === undefined) return;
      clearTimeout(timer);
      watchers.delete(look);
      resolve(line);
    };
    const timer = setTimeout(() => {
      watchers.delete(look);
      reject(new Error(`serf never logged ${wanted}:\n${lines.slice(-15).join('\n')}`));
    }, PATIENCE_MS);
    watchers.add(look);
    look();
    return promise;
  }

  async function command(verb: string, ...args: readonly string[]): Promise<string> {
    return (await promisify(execFile)('serf', [verb, rpc, ...args], { timeout: PATIENCE_MS })).stdout;
  }

  const agent: SerfAgent = {
    name,
    addr: `${host}:7946`,
    log,
    async members() {
      const { members } = JSON.parse(await command('members', '-format=json')) as { members: readonly SerfMember[] };
      return [...members].sort((one, other) => (one.name < other.name ? -1 : 1));
    },
    command: (...args) => command(args[0] ?? '', ...args.slice(1)),
    async stop() {
      child.kill('SIGKILL');
      await closed;
    },
  };
  try {
    // It says so when its command port listens, too.
    await log(/Serf agent running!/);
  } catch (error) {
    await agent.stop();
    throw error;
  }
  return agent;
}
