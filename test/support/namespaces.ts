/**
 * Network namespaces for tests: a lab of its own names, veth pairs inside it, commands run by nsenter (ip netns exec hides bpffs). Everything
 * goes when the lab is disposed of, when the process ends, or, after a kill -9, when the next lab of any test is made.
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = '/run/netns';
const MARK = 'hmt'; // names: hmt-PID-SERIAL-LABEL
const COMMAND_MS = 30_000;
const OUTPUT_BYTES = 16 * 1024 * 1024;

export interface CommandResult {
  /** Exit code; 128 + n where signal n ended it (a time-out ends with SIGKILL: 137). */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Resolve with a code other than 0 instead of rejecting. */
  readonly mayFail?: boolean;
  /** Ends it, by SIGTERM. */
  readonly signal?: AbortSignal;
}

export interface Namespace {
  /** Unique on this machine; `/run/netns/NAME` is `path`. */
  readonly name: string;
  readonly path: string;
  /** Runs to the end. Rejects with the output where the command fails, unless `mayFail`. */
  run(command: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** Starts and returns at once; killed with the lab at the latest. */
  start(command: readonly string[], options?: SpawnOptions): ChildProcess;
  /** The command line with nsenter before it, for those who spawn by themselves. */
  inside(command: readonly string[]): readonly [string, ...string[]];
}

/** One end of a veth pair. Addresses such as `10.9.0.1/24`, `fd09::1/64`. */
export interface LinkEnd {
  readonly namespace: Namespace;
  /** At most 15 characters; `eth0` is fine, it lives in the namespace alone. */
  readonly device: string;
  readonly addresses: readonly string[];
  readonly mac?: string;
}

export interface Lab {
  /** Makes a namespace with loopback up. `label`: letters, digits; at most 12. */
  namespace(label: string): Namespace;
  /** Makes a veth pair between two namespaces, addressed and up, without duplicate address detection; returns when both ends carry (up to 1 s). */
  link(one: LinkEnd, other: LinkEnd): void;
  /** Runs `ip ARGS` (in a namespace, if given); throws where it fails. */
  ip(args: readonly string[], namespace?: Namespace): string;
  /** Kills what runs inside and removes the namespaces. */
  remove(): void;
  [Symbol.dispose](): void;
}

/** Makes an empty lab. `using lab = createLab()` removes it at the end of the block. */
export function createLab(): Lab {
  sweepLeftovers();
  const serial = randomBytes(2).toString('hex');
  const made: string[] = [];
  const children = new Set<ChildProcess>();
  const remove = (): void => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
    for (const name of made.splice(0)) removeNamespace(name);
    process.off('exit', remove);
  };
  process.on('exit', remove);

  return {
    namespace(label) {
      const name = `${MARK}-${process.pid}-${serial}-${label}`;
      ip(['netns', 'add', name]);
      made.push(name);
      ip(['-n', name, 'link', 'set', 'lo', 'up']);
      return openNamespace(name, children);
    },
    link(one, other) {
      const end = (side: LinkEnd): string[] => [...(side.mac === undefined ? [] : ['address', side.mac]), 'netns', side.namespace.name];
      ip(['link', 'add', one.device, ...end(one), 'type', 'veth', 'peer', 'name', other.device, ...end(other)]);
      for (const side of [one, other]) {
        for (const address of side.addresses) {
          ip(['-n', side.namespace.name, 'address', 'add', address, 'dev', side.device, ...(address.includes(':') ? ['nodad'] : [])]);
        }
        ip(['-n', side.namespace.name, 'link', 'set', side.device, 'up']);
      }
      for (const side of [one, other]) awaitCarrier(side);
    },
    ip: (args, namespace) => ip(namespace === undefined ? args : ['-n', namespace.name, ...args]),
    remove,
    [Symbol.dispose]: remove,
  };
}

function openNamespace(name: string, children: Set<ChildProcess>): Namespace {
  const path = `${FOLDER}/${name}`;
  const inside = (command: readonly string[]): readonly [string, ...string[]] => ['nsenter', `--net=${path}`, '--', ...command];
  const start = (command: readonly string[], options: SpawnOptions = {}): ChildProcess => {
    const [program, ...args] = inside(command);
    const child = spawn(program, args, options);
    children.add(child);
    child.once('exit', () => children.delete(child));
    child.once('error', () => children.delete(child));
    return child;
  };
  return {
    name,
    path,
    inside,
    start,
    run(command, options = {}) {
      const env = { ...process.env, ...options.env };
      const child = start(command, { stdio: 'pipe', env, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) });
      return finish(child, command, options);
    },
  };
}

function finish(child: ChildProcess, command: readonly string[], options: CommandOptions): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const out: string[] = [];
    const err: string[] = [];
    let bytes = 0;
    const keep = (into: string[]) => (chunk: string) => {
      bytes += chunk.length;
      if (bytes <= OUTPUT_BYTES) into.push(chunk);
    };
    child.stdout?.setEncoding('utf8').on('data', keep(out));
    child.stderr?.setEncoding('utf8').on('data', keep(err));
    child.stdin?.on('error', () => {}); // it may have ended before it read everything
    child.stdin?.end(options.input ?? '');
    const deadline = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? COMMAND_MS);
    options.signal?.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
    child.once('error', error => {
      clearTimeout(deadline);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(deadline);
      const result = { code: code ?? 128 + (signal === 'SIGKILL' ? 9 : 15), stdout: out.join(''), stderr: err.join('') };
      if (result.code === 0 || options.mayFail === true) resolve(result);
      else reject(new Error(`${command.join(' ')} ended with ${result.code}\n${result.stdout}${result.stderr}`));
    });
  });
}

/** `-n NAME` goes through nsenter: ip itself remounts / for it, which fails in a chroot. */
function ip(args: readonly string[]): string {
  const [flag, name, ...rest] = args;
  const [command, inside] = flag === '-n' ? ['nsenter', [`--net=/run/netns/${name}`, 'ip', ...rest]] : ['ip', args];
  const ran = spawnSync(command, inside, { encoding: 'utf8', timeout: COMMAND_MS });
  if (ran.status !== 0) throw new Error(`ip ${args.join(' ')}: ${ran.error?.message ?? ran.stderr}`);
  return ran.stdout;
}

/** The kernel tells IPv6 of a carrier up to a second late (link watch is rate limited); what is sent before that is lost. */
function awaitCarrier({ namespace, device }: LinkEnd): void {
  for (let tries = 0; tries < 100; tries++) {
    if (ip(['-n', namespace.name, '-o', 'link', 'show', 'dev', device]).includes('state UP')) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
  }
  throw new Error(`${device} in ${namespace.name} has no carrier`);
}

function removeNamespace(name: string): void {
  const inside = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8', timeout: COMMAND_MS });
  for (const pid of (inside.stdout ?? '').split('\n').filter(line => /^\d+$/.test(line))) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // gone in the meantime
    }
  }
  spawnSync('ip', ['netns', 'delete', name], { timeout: COMMAND_MS });
}

/** Removes what test processes left behind that were killed before they could. */
function sweepLeftovers(): void {
  for (const name of folder()) {
    const pid = new RegExp(`^${MARK}-(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !lives(Number(pid))) removeNamespace(name);
  }
}

function folder(): readonly string[] {
  try {
    return readdirSync(FOLDER);
  } catch {
    return [];
  }
}

/** A zombie is dead: where pid 1 does not reap, `kill -0` would call it alive. */
export function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
