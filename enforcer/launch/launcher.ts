/**
 * `honeymesh run`: the one part with privilege. It loads, primes and attaches the kernel part, makes the traps' listeners, then starts a daemon without any
 * capability and stays as its parent. It handles no attacker's bytes. What is attached stays so whatever becomes of this process; only Ctrl-C and unload take it off.
 */
import { readFileSync } from 'node:fs';
import { unixMs } from '@honeymesh/intel/time';
import type { InstancePaths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { trapChoiceOf } from '../config/trap-choice.ts';
import { HoneyMeshError } from '../errors.ts';
import { readMachine } from '../health/machine.ts';
import { createSessionWatch, type SessionWatch } from '../health/sessions.ts';
import { interfaceIndex } from '../kernel/checks.ts';
import { openPinnedKernel } from '../kernel/pinned.ts';
import type { TrapPorts } from '../kernel/port.ts';
import { type Complaints, createComplaints, wordsOf } from './complaints.ts';
import { createDaemonKeeper, type DaemonKeeper, FIRST_INHERITED_FD } from './daemon-process.ts';
import { createForwardingReader, type ForwardingReader } from './forwarding.ts';
import { loadGuard } from './guard.ts';
import { noteHome } from './home.ts';
import { closeUnprivilegedBpf, findCgroup2, mountBpffs, prepareFolders, requireBuilt, requireRoot } from './host.ts';
import { installTrapListeners, makeRoomForSessions, openTrapDatagrams, openTrapListeners } from './listeners.ts';
import { takeLock } from './lock.ts';
import type { LauncherMessage, TrapListeners } from './messages.ts';
import { PARTS } from './parts.ts';
import { primeKernel, servedAlways } from './prime.ts';
import { startSummary } from './summary.ts';
import { takeOff } from './unload.ts';
import { createWatch } from './watch.ts';

export interface LaunchOptions {
  readonly config: Config;
  /** null: built-in defaults, no file. */
  readonly configPath: string | null;
  readonly instance: string;
  readonly paths: InstancePaths;
  /** Somebody sits at a terminal. */
  readonly interactive: boolean;
}

interface BringUpDeps {
  readonly sessions: SessionWatch;
  readonly forwarding: ForwardingReader;
  readonly complaints: Complaints;
}

/** A second Ctrl-C sooner than this is the same one: a terminal sends it to every process of the group, and npm passes its own on. */
const SAME_KEYSTROKE_MS = 400;

/** Runs until told to stop; resolves with the exit code. Errors are HoneyMeshErrors that say what the operator can do; what was attached before they came stays attached. */
export async function launch(options: LaunchOptions): Promise<number> {
  requireRoot('honeymesh run');
  requireBuilt();
  prepareFolders(options.paths);
  const lock = takeLock(options.paths.run, options.instance);
  noteHome(options.paths);
  try {
    return await run(options);
  } finally {
    lock.release();
  }
}

async function run({ config, configPath, instance, paths, interactive }: LaunchOptions): Promise<number> {
  const ending = listenForTheEnd(interactive, () => keeper?.hurry());
  let keeper: DaemonKeeper | undefined;
  const tell = (message: LauncherMessage): void => keeper?.tell(message);
  const complaints = createComplaints(message => {
    tell(message);
    if (message.kind === 'degraded') say(`degraded: ${message.why}; ${message.fix}`);
  });

  const sessions = createSessionWatch({ sshConnection: process.env.SSH_CONNECTION ?? null, terminalLives: parentLives() });
  const forwarding = createForwardingReader();
  const { guard, listeners, allowed, changes, now } = await bringUpKernel({ config, paths }, { sessions, forwarding, complaints });
  let greeted = false;

  // The daemon, and what only we can look after for it.
  const inherited = listeners === null ? [] : descriptorsOf(listeners);
  keeper = createDaemonKeeper(
    {
      node: PARTS.node,
      entry: PARTS.daemon,
      inherited,
      daemonOptions: restarts => ({
        instance,
        config,
        configPath,
        paths,
        interfaces: now.interfaces,
        listeners: listeners === null ? null : placeListeners(listeners),
        served: servedAlways(config, now.forwarded),
        ephemeralPorts: readMachine().ephemeralPorts,
        sessions: now.sessions,
        restarts,
      }),
    },
    {
      onReady(restarts, dashboard) {
        for (const complaint of complaints.current()) tell(complaint);
        const announced = greeted;
        greeted = true;
        if (announced) say(`the daemon runs again (start ${restarts + 1})`);
        else
          process.stdout.write(
            startSummary({
              instance,
              config,
              configPath,
              interfaces: now.interfaces,
              trapsOpen: listeners !== null,
              allowed,
              socket: paths.socket,
              changes,
              interactive,
              dashboard,
            }),
          );
      },
      onStopped: () => ending.end('stopped'),
      onDied: (why, againInMs) => say(`the daemon ${why}; it is started again in ${againInMs} ms, the kernel goes on enforcing`),
    },
  );
  const watch = createWatch(now, {
    guard,
    sessions,
    forwarding,
    complaints,
    onAttachment(states) {
      now.interfaces = states;
      tell({ kind: 'attachment', interfaces: states });
    },
    onSessions(entries) {
      now.sessions = entries;
      tell({ kind: 'sessions', entries });
    },
    onForwarded(ports) {
      now.forwarded = ports;
      tell({ kind: 'served', always: servedAlways(config, ports) });
    },
  });
  keeper.start();
  watch.start();

  const why = await ending.came;
  watch.stop();
  await keeper.stop();
  guard.loaded.close();
  if (why === 'interrupted') for (const line of takeOff(paths)) say(line);
  else say('the daemon has ended; the kernel goes on enforcing ("honeymesh unload" takes it off)');
  return 0;
}

/** The host, then the kernel part: loaded, told what it must know, and only then attached. A first start that fails leaves nothing behind. */
async function bringUpKernel({ config, paths }: Pick<LaunchOptions, 'config' | 'paths'>, { sessions, forwarding, complaints }: BringUpDeps) {
  const interfaces = chooseInterfaces(config);
  const changes = [...closeUnprivilegedBpf(), ...mountBpffs(paths.pins)];
  const cgroup = findCgroup2();
  if (cgroup.path !== null) changes.push(...cgroup.said);
  const guard = loadGuard({ config, paths, interfaces, cgroupPath: cgroup.path }, complaints);
  changes.push(...guard.loaded.notes);
  try {
    const listeners = openTraps(config, guard.loaded.maps.trap_listener, complaints);
    const found = { sessions: sessions.current(unixMs(Date.now())), forwarded: (await forwarding.read()).served, machine: readMachine() };
    const kernel = openPinnedKernel({ pinDirectory: paths.pins }, { now: () => unixMs(Date.now()) });
    const allowed = primeKernel(kernel, { config, listeners, trapPorts: knownTrapPorts(config), ...found }, unixMs(Date.now()));
    kernel.close();
    const now = { interfaces: guard.attach(), sessions: found.sessions, forwarded: found.forwarded };
    return { guard, listeners, allowed, changes, now };
  } catch (error) {
    guard.loaded.close();
    if (!guard.loaded.reused) takeOff(paths); // what an earlier run left goes on enforcing
    throw error;
  }
}

type End = 'interrupted' | 'terminated' | 'stopped';

/** Signals from the first moment on: one that comes while we start is heeded when we have started. */
function listenForTheEnd(interactive: boolean, hurry: () => void): { readonly came: Promise<End>; end(why: End): void } {
  let resolve: (why: End) => void = () => {};
  const came = new Promise<End>(done => {
    resolve = done;
  });
  let interruptedAtMs: number | undefined;
  process.on('SIGINT', () => {
    if (interruptedAtMs === undefined) {
      interruptedAtMs = performance.now();
      say('ending; once more to hurry');
      resolve('interrupted');
    } else if (performance.now() - interruptedAtMs > SAME_KEYSTROKE_MS) hurry();
  });
  process.on('SIGTERM', () => resolve('terminated'));
  // The terminal is gone: nobody asked for the protection to go with it. Without one (nohup, a service) there is nothing to heed.
  process.on('SIGHUP', () => {
    if (interactive) resolve('terminated');
  });
  // Whoever read what we say may be gone too (a closed terminal, a pipe to head). Other commands end then (main.ts); a guard does not.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => {});
  return { came, end: resolve };
}

function chooseInterfaces(config: Config): readonly string[] {
  const names = config.interfaces ?? [readMachine().defaultInterface].filter(name => name !== null);
  if (names.length === 0)
    throw new HoneyMeshError('HM_NO_INTERFACE', 'there is no default route, so no interface to guard by itself', {
      fix: 'name it: "interfaces: [eth0]" in the configuration, or --interface eth0',
    });
  for (const name of names) interfaceIndex(name);
  return [...new Set(names)];
}

function openTraps(config: Config, mapFd: number, complaints: Complaints): TrapListeners | null {
  if (trapChoiceOf(config) === 'off') return null;
  try {
    const listeners = openTrapListeners();
    installTrapListeners(listeners, mapFd);
    makeRoomForSessions();
    return { ...listeners, ...openDatagrams(complaints) };
  } catch (error) {
    complaints.raise('traps', 'listen', wordsOf(error), fixOf(error) ?? '"ss -ltn" shows what listens');
    return null;
  }
}

/** Without them the traps answer over TCP alone. */
function openDatagrams(complaints: Complaints): Partial<TrapListeners> {
  try {
    return openTrapDatagrams();
  } catch (error) {
    complaints.raise('traps', 'listen-udp', `${wordsOf(error)}: UDP ports are no traps`, fixOf(error) ?? '"ss -lnu" shows what is open');
    return {};
  }
}

const fixOf = (error: unknown): string | undefined => (error instanceof HoneyMeshError ? error.fix : undefined);

/** In the order in which the daemon inherits them. */
const descriptorsOf = ({ ipv4, ipv6, udp4, udp6 }: TrapListeners): readonly number[] => [ipv4, ipv6, udp4, udp6].filter(fd => fd !== null);

/** Where the daemon finds the descriptors that it inherits. */
function placeListeners(listeners: TrapListeners): TrapListeners {
  const given = descriptorsOf(listeners);
  const place = (fd: number | null): number | null => (fd === null ? null : FIRST_INHERITED_FD + given.indexOf(fd));
  const { ipv4, ipv6, udp4, udp6 } = listeners;
  return { ...listeners, ipv4: place(ipv4), ipv6: place(ipv6), udp4: place(udp4), udp6: place(udp6) };
}

/** What is typical for this host only the daemon knows, who keeps its persona. Nothing is steered before it has started the traps. */
const knownTrapPorts = ({ traps: { ports } }: Config): TrapPorts =>
  ports === 'typical' ? { tcp: [], udp: [] } : ports === 'all' ? { tcp: 'all', udp: 'all' } : ports;

/** Whether who started us is still there: a shell that ended hands its children to another parent. */
function parentLives(): () => boolean {
  const parent = parentOf();
  return () => parentOf() === parent;
}

function parentOf(): string {
  return /^PPid:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
}

function say(line: string): void {
  process.stderr.write(`honeymesh: ${line}\n`);
}
