/** Keeps the daemon running: starts it without any capability, starts it again with back-off when it dies, ends it in order. Enforcement does not depend on it. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Welcome } from '../dashboard/welcome.ts';
import type { DaemonMessage, DaemonOptions, LauncherMessage } from './messages.ts';

export interface DaemonKeeperOptions {
  readonly node: string;
  readonly entry: string;
  /** Descriptors that the daemon inherits, from FIRST_INHERITED_FD on, in this order. */
  readonly inherited: readonly number[];
  /** Asked anew at each start: interfaces and sessions change. */
  readonly daemonOptions: (restarts: number) => DaemonOptions;
}

export interface DaemonKeeperDeps {
  readonly onReady: (restarts: number, dashboard: Welcome | null) => void;
  /** It was asked to stop (`honeymesh stop`) and has ended. */
  readonly onStopped: () => void;
  readonly onDied: (why: string, againInMs: number) => void;
  /** Starts the process; a test gives a double. */
  readonly launch?: (options: DaemonKeeperOptions) => ChildProcess;
}

export interface DaemonKeeper {
  start(): void;
  /** Tells the running daemon, if there is one; a new one learns the state from its options. */
  tell(message: LauncherMessage): void;
  /** Ends it and starts no other: SIGTERM, then by force when the grace is over or `hurry()` was called. */
  stop(): Promise<void>;
  hurry(): void;
}

export const FIRST_INHERITED_FD = 4; // standard streams and the channel come first
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
const HEALTHY_MS = 60_000;
const GRACE_MS = 10_000;

/** No capability now and none to gain: not by a setuid program, not by the bounding set; and dead when the launcher is. */
const WITHOUT_PRIVILEGE = ['--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all', '--no-new-privs', '--pdeathsig', 'KILL', '--'];

export function createDaemonKeeper(options: DaemonKeeperOptions, { onReady, onStopped, onDied, launch = startDaemonProcess }: DaemonKeeperDeps): DaemonKeeper {
  let child: ChildProcess | undefined;
  let again: NodeJS.Timeout | undefined;
  let waitMs = FIRST_WAIT_MS;
  let restarts = 0;
  let stopping = false;

  function begin(): void {
    const startedMs = performance.now();
    let asked = false;
    let over = false;
    const born = launch(options);
    child = born;
    const ended = (how: string, code: number | null): void => {
      if (over) return;
      over = true;
      child = undefined;
      if (stopping) return;
      if (asked && code === 0) {
        onStopped();
        return;
      }
      if (performance.now() - startedMs > HEALTHY_MS) waitMs = FIRST_WAIT_MS;
      onDied(how, waitMs);
      restarts++;
      again = setTimeout(begin, waitMs);
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    };
    born.once('error', error => ended(`could not be started (${error.message})`, null));
    born.once('exit', (code, signal) => ended(`ended with ${signal ?? `code ${code}`}`, code));
    born.on('message', (message: DaemonMessage) => {
      if (message.kind === 'ready') onReady(restarts, message.dashboard);
      else if (message.kind === 'stopping') asked = true;
    });
    tell({ kind: 'start', options: options.daemonOptions(restarts) });
  }

  function tell(message: LauncherMessage): void {
    if (child?.connected === true) child.send(message, () => {}); // it may be dying: 'exit' says so
  }

  return {
    start: begin,
    tell,
    async stop() {
      stopping = true;
      clearTimeout(again);
      const last = child;
      if (last === undefined) return;
      const gone = new Promise<void>(resolve => {
        last.once('exit', () => resolve());
        last.once('error', () => resolve());
      });
      last.kill('SIGTERM');
      const force = setTimeout(() => last.kill('SIGKILL'), GRACE_MS);
      await gone;
      clearTimeout(force);
    },
    hurry: () => void child?.kill('SIGKILL'),
  };
}

function startDaemonProcess({ node, entry, inherited }: DaemonKeeperOptions): ChildProcess {
  return spawn('setpriv', [...WITHOUT_PRIVILEGE, node, entry], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...inherited],
    detached: true, // Ctrl-C is for the launcher alone, which ends the daemon in order
  });
}
