/** Builds clients.c and runs it next door. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '#test/support/namespaces.ts';
import { CLIENT_CORE, HOST, pinnedTo } from './wire.ts';

const SOURCE = fileURLToPath(new URL('./clients.c', import.meta.url));

export interface Counted {
  readonly what: 'over' | 'open' | 'held';
  readonly seconds: number;
  readonly begun: number;
  /** Completed handshakes. */
  readonly connected: number;
  readonly answered: number;
  readonly open: number;
  readonly refused: number;
  readonly reset: number;
  readonly closed: number;
  readonly timedOut: number;
  readonly errors: number;
  /** `hold`: ended by the other side after they had said all. */
  readonly lost: number;
  readonly bytes: number;
  readonly cpuSeconds: number;
  readonly latencyUs: { readonly p50: number; readonly p90: number; readonly p99: number };
  readonly said: Readonly<Record<string, number>>;
}

export interface Talk {
  readonly sources: { readonly base: string; readonly count: number };
  /** Such as `ftp:21`: what is said to which port; connections take them in turn. */
  readonly say: readonly string[];
  readonly connections: number;
  readonly atOnce: number;
  /** How long one may take from its begin to its whole answer. */
  readonly patienceMs: number;
  /** Ends with RST instead of FIN. */
  readonly reset?: boolean;
  /** The host of the bench where absent. */
  readonly to?: string;
}

/** Where they run. */
export type Place = Pick<Namespace, 'start'>;

export interface Clients {
  talk(from: Place, talk: Talk): Promise<Counted>;
  /** Opens all and keeps them for `holdMs`; `onOpen` when all are open. */
  hold(from: Place, talk: Talk & { readonly holdMs: number }, onOpen: (open: Counted) => void): Promise<Counted>;
  remove(): void;
}

/** `before` stands before its command line. */
export function buildClients(before: readonly string[] = pinnedTo(CLIENT_CORE)): Clients {
  const folder = mkdtempSync(join(tmpdir(), 'honeymesh-bench-'));
  const program = join(folder, 'clients');
  const built = spawnSync('clang', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, SOURCE], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`clang does not build ${SOURCE}: ${built.error?.message ?? built.stderr}`);

  async function run(from: Place, args: readonly string[], onLine: (line: Counted) => void): Promise<Counted> {
    const child = from.start([...before, program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
    let last: Counted | undefined;
    if (child.stdout === null) throw new Error('the clients say nothing');
    for await (const line of createInterface({ input: child.stdout })) {
      last = JSON.parse(line) as Counted;
      onLine(last);
    }
    const code = await ended;
    if (code !== 0 || last === undefined) throw new Error(`the clients ended with ${code}: ${args.join(' ')}`);
    return last;
  }

  const argsOf = (how: string, { sources, say, connections, atOnce, patienceMs, reset = false, to = HOST }: Talk): readonly string[] => [
    how,
    ...['--to', to, '--sources', `${sources.base},${sources.count}`, '--say', say.join(',')],
    ...['--connections', String(connections), '--at-once', String(atOnce), '--patience-ms', String(patienceMs)],
    ...(reset ? ['--reset'] : []),
  ];

  return {
    talk: (from, talk) => run(from, argsOf('talk', talk), () => {}),
    hold: (from, talk, onOpen) => run(from, [...argsOf('hold', talk), '--hold-ms', String(talk.holdMs)], line => line.what === 'open' && onOpen(line)),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
