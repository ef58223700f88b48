/**
 * The daemon's side of the traps: starts the trap process, starts it again with back-off when it dies or stalls, hears what it saw. A crash there never
 * touches enforcement.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Prefix } from '@honeymesh/intel/address';
import type { TrapPorts } from '../kernel/port.ts';
import type { TrapListeners } from '../launch/messages.ts';
import { readTrapMessage, type ToTrap, type TrapIdentity, type TrapLimits, type TrapObservation, type TrapOptions } from './messages.ts';

export interface TrapSupervisorOptions {
  /** The ports that lead here, for status. */
  readonly ports: TrapPorts;
  readonly listeners: TrapListeners;
  /** The folder of the instance's pinned maps. */
  readonly pins: string;
  readonly identity: TrapIdentity;
  /** traps/server/entry.ts */
  readonly entry: string;
  readonly limits?: Partial<TrapLimits>;
}

export interface TrapSupervisorDeps {
  /**
   * At most LARGEST_BATCH of them, in the turn of the loop in which they came. `lost`: not reported, the channel was full. `onRecorded` is to be called when
   * the rows of the sessions that ended are in the log, or given up: until then the trap process sends few more.
   */
  readonly onObservations: (observations: readonly TrapObservation[], lost: number, onRecorded: () => void) => void;
  /** The trap process does not run: the decoy ports are closed ports until it does again. */
  readonly onDown: (why: string, againInMs: number) => void;
  /** It listens (again). */
  readonly onUp: () => void;
  /** A session there ended by a mistake of ours; the others go on. At most one a second is told. */
  readonly onFault?: (why: string) => void;
  /** Starts the process; a test gives a double. */
  readonly launch?: (options: TrapSupervisorOptions) => ChildProcess;
}

export interface TrapStatus {
  readonly ports: TrapPorts;
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

export const TRAP_LIMITS: TrapLimits = {
  sessions: 16_384,
  sessionsPerSource: 64,
  deadlineMs: 3_000,
  sessionMs: 60_000,
  receivedBytes: 64 * 1024,
  sentBytes: 256 * 1024,
  messages: 256,
  heartbeatMs: 250,
  repliesPerSecond: 200,
  repliesPerSecondPerSource: 20, // a scanner asks a dozen ports at once
};

const HEAP_MB = 192;
/** Of V8's young generation: its default of 16 MB would be most of what ten thousand sessions take. */
const YOUNG_MB = 4;
/** It reports each second; one that is silent for so long has stalled, and its ports are closed ports since. */
const SILENCE_MS = 5_000;
const WATCH_MS = 500;
const START_MS = 20_000; // until it listens: a busy machine at boot
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
  let toClose: Prefix[] = [];
  let toAcknowledge = 0;
  const patient: { readonly from: ChildProcess; readonly observations: readonly TrapObservation[]; readonly lost: number }[] = [];

  /** One message for all that were banned in this turn of the loop. */
  function closeAll(): void {
    const targets = toClose;
    toClose = [];
    if (child !== undefined && running) tell(child, { kind: 'close', targets });
  }

  function observed(from: ChildProcess, observations: readonly TrapObservation[], lost: number): void {
    // Rows can wait: a touch that came behind them, or comes meanwhile, cannot.
    if (!observations.some(isRow)) handle(from, observations, lost);
    else if (patient.push({ from, observations, lost }) === 1) setImmediate(handleNext);
  }

  function handleNext(): void {
    const next = patient.shift();
    if (next === undefined) return;
    if (patient.length > 0) setImmediate(handleNext);
    handle(next.from, next.observations, next.lost);
  }

  function handle(from: ChildProcess, observations: readonly TrapObservation[], lost: number): void {
    const rows = observations.reduce((sum, { kind }) => (kind === 'ended' ? sum + 1 : sum), 0);
    deps.onObservations(observations, lost, () => {
      if (from !== child || rows === 0) return;
      // One message for all that were committed together.
      if (toAcknowledge === 0) setImmediate(acknowledge);
      toAcknowledge += rows;
    });
  }

  function acknowledge(): void {
    const rows = toAcknowledge;
    toAcknowledge = 0;
    if (child !== undefined && rows > 0) tell(child, { kind: 'recorded', sessions: rows });
  }

  function begin(): void {
    toAcknowledge = 0;
    const started = performance.now();
    const born = launch(options);
    let heardMs = started;
    let listening = false;
    let trouble = '';
    let over = false;
    child = born;
    const ended = (why: string): void => {
      if (over) return;
      over = true;
      clearInterval(watching);
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
    // Looked at in steps: where it was our own loop that stood still, what waits in the channel is heard before the next step.
    let silentSteps = 0;
    const watching = setInterval(() => {
      silentSteps = performance.now() - heardMs >= (listening ? SILENCE_MS : START_MS) ? silentSteps + 1 : 0;
      if (silentSteps < 2 || over) return;
      trouble = listening ? `the trap process said nothing for ${SILENCE_MS / 1000} s` : `the trap process did not start within ${START_MS / 1000} s`;
      born.kill('SIGKILL');
    }, WATCH_MS);
    born.on('message', message => {
      heardMs = performance.now();
      const said = readTrapMessage(message);
      if (!said.ok) {
        trouble = `the trap process said what it must not (${said.why})`;
        born.kill('SIGKILL');
        return;
      }
      switch (said.value.kind) {
        case 'listening':
          listening = true;
          running = true;
          deps.onUp();
          break;
        case 'trouble':
          trouble = said.value.why;
          break;
        case 'fault':
          deps.onFault?.(said.value.why);
          break;
        case 'observations':
          sessions = said.value.sessions;
          if (said.value.observations.length > 0 || said.value.lost > 0) observed(born, said.value.observations, said.value.lost);
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
      const exited = once(last, 'exit');
      const silent = last.connected ? once(last, 'disconnect') : undefined; // its last rows can arrive after its end
      last.kill('SIGTERM');
      const force = setTimeout(() => last.kill('SIGKILL'), GRACE_MS);
      await exited;
      clearTimeout(force);
      if (silent !== undefined) await Promise.race([silent, sleep(GRACE_MS, undefined, { ref: false })]);
      for (const { from, observations, lost } of patient.splice(0)) handle(from, observations, lost);
    },
    closeSource(target) {
      if (!running || sessions === 0) return;
      if (toClose.push(target) === 1) setImmediate(closeAll);
    },
    status: () => ({ ports: options.ports, sessions, running }),
  };
}

const isRow = ({ kind }: TrapObservation): boolean => kind === 'ended' || kind === 'datagram';

/** In the order in which the process inherits them. */
const descriptorsOf = ({ ipv4, ipv6, udp4, udp6 }: TrapListeners): readonly number[] => [ipv4, ipv6, udp4, udp6].filter(fd => fd !== null);

function trapOptions({ listeners, pins, identity, limits }: TrapSupervisorOptions): TrapOptions {
  const given = descriptorsOf(listeners);
  const place = (fd: number | null): number | null => (fd === null ? null : FIRST_FD + given.indexOf(fd));
  return {
    ipv4: place(listeners.ipv4),
    ipv6: place(listeners.ipv6),
    udp4: place(listeners.udp4),
    udp6: place(listeners.udp6),
    pins,
    identity,
    limits: { ...TRAP_LIMITS, ...limits },
  };
}

/** The kernel ends it when the daemon dies, whatever it is doing then; it inherits no capability, since the daemon has none. */
function startTrapProcess({ listeners, entry }: TrapSupervisorOptions): ChildProcess {
  const node = [process.execPath, `--max-old-space-size=${HEAP_MB}`, `--max-semi-space-size=${YOUNG_MB}`, entry];
  return spawn('setpriv', ['--no-new-privs', '--pdeathsig', 'KILL', '--', ...node], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...descriptorsOf(listeners)],
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
}

function tell(child: ChildProcess, message: ToTrap): void {
  if (child.connected) child.send(message, () => {}); // it may have died between the check and now: 'exit' says so
}
