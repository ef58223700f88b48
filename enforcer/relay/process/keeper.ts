/** Keeps the relay's process running: starts it, starts it again with back-off when it dies or stalls, ends it in order. Nobody waits for it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { FromRelay, HostFacts, OwnEnvelope, RelaySettings, ToRelay } from '../port.ts';

export interface RelayKeeperOptions {
  readonly entry: string;
  readonly settings: RelaySettings;
}

export interface RelayKeeperDeps {
  readonly facts: () => HostFacts;
  readonly onMessage: (message: Exclude<FromRelay, { kind: 'kept' | 'heard' }>) => void;
  /** Its batch counts as taken when this returns. */
  readonly onHeard: (message: Extract<FromRelay, { kind: 'heard' }>) => void;
  readonly onDown: (why: string, againInMs: number) => void;
  readonly launch?: (options: RelayKeeperOptions) => ChildProcess;
}

export interface RelayKeeper {
  start(): void;
  /** Kept until the process has them on its disk, over its death too; at most 65,536. */
  own(envelope: OwnEnvelope): void;
  tellFacts(): void;
  readonly running: boolean;
  /** What of `own` is not known to be on the disk. */
  stop(): Promise<readonly OwnEnvelope[]>;
}

const HEAP_MB = 256;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
const HEALTHY_MS = 60_000;
/** It says its figures every 5 s. */
const SILENCE_MS = 45_000;
const WATCH_MS = 5_000;
const GRACE_MS = 4_000;
const MOST_WAITING = 65_536;
const AT_ONCE = 256;

export function createRelayKeeper(options: RelayKeeperOptions, { facts, onMessage, onHeard, onDown, launch = startProcess }: RelayKeeperDeps): RelayKeeper {
  let waiting: OwnEnvelope[] = [];
  /** Of `waiting`: handed over, and not said to be kept yet. */
  let handed = 0;
  let child: ChildProcess | null = null;
  let up = false;
  let again: NodeJS.Timeout | undefined;
  let waitMs = FIRST_WAIT_MS;
  let stopping = false;

  function tell(message: ToRelay): void {
    if (child?.connected === true) child.send(message, () => {}); // it may have died meanwhile: 'exit' says so
  }

  function handOver(): void {
    if (!up || handed > 0) return;
    const envelopes = waiting.slice(0, AT_ONCE);
    if (envelopes.length === 0) return;
    handed = envelopes.length;
    tell({ kind: 'own', envelopes });
  }

  function begin(): void {
    const startedMs = performance.now();
    let heardMs = startedMs;
    let over = false;
    let trouble: string | null = null;
    const born = launch(options);
    child = born;
    const ended = (why: string): void => {
      if (over) return;
      over = true;
      clearInterval(watching);
      child = null;
      up = false;
      handed = 0;
      if (stopping) return;
      if (performance.now() - startedMs > HEALTHY_MS) waitMs = FIRST_WAIT_MS;
      onDown(trouble ?? why, waitMs);
      again = setTimeout(begin, waitMs);
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    };
    const watching = setInterval(() => {
      if (performance.now() - heardMs < SILENCE_MS) return;
      trouble = `it said nothing for ${SILENCE_MS / 1_000} s`;
      born.kill('SIGKILL');
    }, WATCH_MS);
    born.once('error', error => ended(error.message));
    born.once('exit', (code, signal) => ended(`it ended with ${signal ?? `code ${code}`}`));
    born.on('message', (message: FromRelay) => {
      heardMs = performance.now();
      if (over) return;
      switch (message.kind) {
        case 'up':
          up = true;
          handOver();
          onMessage(message);
          break;
        case 'kept':
          waiting = waiting.slice(Math.min(message.count, waiting.length));
          handed = Math.max(0, handed - message.count);
          handOver();
          break;
        case 'heard':
          onHeard(message);
          setImmediate(() => tell({ kind: 'took' })); // whatever else waits for the daemon comes first
          break;
        default:
          onMessage(message);
      }
    });
    tell({ kind: 'start', settings: options.settings, facts: facts() });
  }

  return {
    start: begin,
    own(envelope) {
      if (waiting.length >= MOST_WAITING) return;
      waiting.push(envelope);
      handOver();
    },
    tellFacts: () => tell({ kind: 'facts', facts: facts() }),
    get running() {
      return up;
    },
    async stop() {
      stopping = true;
      clearTimeout(again);
      const last = child;
      if (last === null) return waiting;
      const exited = once(last, 'exit');
      last.kill('SIGTERM');
      const force = setTimeout(() => last.kill('SIGKILL'), GRACE_MS);
      await exited;
      clearTimeout(force);
      return waiting;
    },
  };
}

/** The kernel ends it when the daemon dies; it inherits no capability, since the daemon has none. */
function startProcess({ entry }: RelayKeeperOptions): ChildProcess {
  const node = [process.execPath, `--max-old-space-size=${HEAP_MB}`, entry];
  return spawn('setpriv', ['--no-new-privs', '--pdeathsig', 'KILL', '--', ...node], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
}
