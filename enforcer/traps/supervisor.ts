/** The daemon's side of the traps: starts the trap process, starts it again with back-off when it dies, hears what it saw. A crash there never touches enforcement. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Prefix } from '@honeymesh/intel/address';
import type { TrapListeners } from '../launch/messages.ts';
import { readTrapMessage, type ToTrap, type TrapLimits, type TrapObservation, type TrapOptions } from './messages.ts';

export interface TrapSupervisorOptions {
  /** The ports that lead here, for status. */
  readonly ports: readonly number[];
  readonly listeners: TrapListeners;
  /** The pinned `heartbeat` map. */
  readonly heartbeatPin: string;
  /** traps/server/entry.ts */
  readonly entry: string;
  readonly limits?: Partial<TrapLimits>;
}

export interface TrapSupervisorDeps {
  /** At most LARGEST_BATCH of them, in the turn of the loop in which they came. `lost`: not reported, the channel was full. */
  readonly onObservations: (observations: readonly TrapObservation[], lost: number) => void;
  /** The trap process does not run: the decoy ports are closed ports until it does again. */
  readonly onDown: (why: string, againInMs: number) => void;
  /** It listens (again). */
  readonly onUp: () => void;
  /** Starts the process; a test gives a double. */
  readonly launch?: (options: TrapSupervisorOptions) => ChildProcess;
}

export interface TrapStatus {
  readonly ports: readonly number[];
  readonly sessions: number;
  readonly running: boolean;
}

export interface TrapSupervisor {
  start(): void;
  /** Ends the trap process (1 s of grace, then by force). */
  stop(): Promise<void>;
  /** Ends open sessions of a source that is banned now. */
  closeSource(target: Prefix): void;
  status(): TrapStatus;
}

export const TRAP_LIMITS: TrapLimits = { sessions: 1024, sessionsPerSource: 16, receivedBytes: 16 * 1024, patienceMs: 3_000, heartbeatMs: 250 };

const HEAP_MB = 96;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
const HEALTHY_MS = 60_000; // so long without a crash, and the next one waits no longer than the first
const GRACE_MS = 1_000;
/** Where the child finds the listeners: after standard streams and the channel. */
const FIRST_FD = 4;

export function createTrapSupervisor(options: TrapSupervisorOptions, deps: TrapSupervisorDeps): TrapSupervisor {
  const launch = deps.launch ?? startTrapProcess;
  let child: ChildProcess | undefined;
  let again: NodeJS.Timeout | undefined;
  let waitMs = FIRST_WAIT_MS;
  let sessions = 0;
  let running = false;
  let stopping = false;

  function begin(): void {
    const started = performance.now();
    const born = launch(options);
    let trouble = '';
    let over = false;
    child = born;
    const ended = (why: string): void => {
      if (over) return;
      over = true;
      running = false;
      sessions = 0;
      child = undefined;
      if (stopping) return;
      if (performance.now() - started > HEALTHY_MS) waitMs = FIRST_WAIT_MS;
      deps.onDown(trouble === '' ? why : trouble, waitMs);
      again = setTimeout(begin, waitMs);
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    };
    born.once('error', error => ended(`the trap process could not be started: ${error.message}`));
    born.once('exit', (code, signal) => ended(`the trap process ended with ${signal ?? `code ${code}`}`));
    born.on('message', message => {
      const said = readTrapMessage(message);
      if (!said.ok) {
        trouble = `the trap process said what it must not (${said.why})`;
        born.kill('SIGKILL');
        return;
      }
      switch (said.value.kind) {
        case 'listening':
          running = true;
          deps.onUp();
          break;
        case 'trouble':
          trouble = said.value.why;
          break;
        case 'observations':
          sessions = said.value.sessions;
          if (said.value.observations.length > 0 || said.value.lost > 0) deps.onObservations(said.value.observations, said.value.lost);
      }
    });
    tell(born, { kind: 'start', options: trapOptions(options) });
  }

  return {
    start: begin,
    async stop() {
      stopping = true;
      clearTimeout(again);
      const last = child;
      if (last === undefined) return;
      const gone = new Promise<void>(resolve => last.once('exit', () => resolve()));
      last.kill('SIGTERM');
      const force = setTimeout(() => last.kill('SIGKILL'), GRACE_MS);
      await gone;
      clearTimeout(force);
    },
    closeSource(target) {
      if (child !== undefined && running && sessions > 0) tell(child, { kind: 'close', target });
    },
    status: () => ({ ports: options.ports, sessions, running }),
  };
}

function trapOptions({ listeners, heartbeatPin, limits }: TrapSupervisorOptions): TrapOptions {
  const given = [listeners.ipv4, listeners.ipv6].filter(fd => fd !== null);
  const place = (fd: number | null): number | null => (fd === null ? null : FIRST_FD + given.indexOf(fd));
  return { ipv4: place(listeners.ipv4), ipv6: place(listeners.ipv6), heartbeatPin, limits: { ...TRAP_LIMITS, ...limits } };
}

/** The kernel ends it when the daemon dies, whatever it is doing then; it inherits no capability, since the daemon has none. */
function startTrapProcess({ listeners, entry }: TrapSupervisorOptions): ChildProcess {
  const fds = [listeners.ipv4, listeners.ipv6].filter(fd => fd !== null);
  const node = [process.execPath, `--max-old-space-size=${HEAP_MB}`, entry];
  return spawn('setpriv', ['--no-new-privs', '--pdeathsig', 'KILL', '--', ...node], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...fds],
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
}

function tell(child: ChildProcess, message: ToTrap): void {
  if (child.connected) child.send(message, () => {}); // it may have died between the check and now: 'exit' says so
}
