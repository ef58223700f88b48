/**
 * What the launcher (root) and the daemon (no capability) say to each other over Node's IPC channel. The launcher owns everything
 * that needs privilege; the daemon never asks for any of it, it is told.
 */
import type { AllowEntry } from '@honeymesh/intel/bans';
import type { DegradedPart } from '@honeymesh/intel/events';
import type { InstancePaths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { Welcome } from '../dashboard/welcome.ts';
import type { ServedPorts } from '../kernel/port.ts';

/** An interface that the packet filter was asked to guard, as it is now. */
export interface InterfaceState {
  readonly name: string;
  readonly xdp: 'native' | 'generic' | 'off';
}

/** The traps' listening sockets, as file descriptors of the process that is told (inherited, listening already). */
export interface TrapListeners {
  /** One high port for both families; the kernel steers the decoy ports to it. */
  readonly port: number;
  /** SO_MARK of the listeners and of what they accept: tells a trap's socket from a real service's. */
  readonly mark: number;
  readonly ipv4: number | null;
  readonly ipv6: number | null;
  /** One high port of UDP for both families, bound, transparent and marked; 0: none. The kernel steers datagrams to it. */
  readonly udpPort: number;
  readonly udp4: number | null;
  readonly udp6: number | null;
}

/** Everything that the daemon starts from. JSON. */
export interface DaemonOptions {
  readonly instance: string;
  readonly config: Config;
  /** null: built-in defaults, no file. */
  readonly configPath: string | null;
  readonly paths: InstancePaths;
  readonly interfaces: readonly InterfaceState[];
  /** null: traps are off, or could not listen (then a `degraded` follows). */
  readonly listeners: TrapListeners | null;
  /** Ports that are served though no local listener says so: config, DNAT, kube-proxy. */
  readonly served: ServedPorts;
  /** net.ipv4.ip_local_port_range: late packets of our own connections come there. */
  readonly ephemeralPorts: readonly [low: number, high: number];
  /** Admin sessions that are open now, allowed while they last. Root sees them all; the daemon, without capabilities, would not. */
  readonly sessions: readonly AllowEntry[];
  /** How often the launcher started a daemon before this one in its life. */
  readonly restarts: number;
}

export type LauncherMessage =
  /** The first message, once. */
  | { readonly kind: 'start'; readonly options: DaemonOptions }
  /** All guarded interfaces, whenever one changed. */
  | { readonly kind: 'attachment'; readonly interfaces: readonly InterfaceState[] }
  /** `key` tells several complaints of one part apart, as in health/degraded.ts. */
  | { readonly kind: 'degraded'; readonly part: DegradedPart; readonly key: string; readonly why: string; readonly fix: string }
  | { readonly kind: 'recovered'; readonly part: DegradedPart; readonly key: string }
  /** The admin sessions that are open now, whenever one came or went: replaces the former `sessions`. */
  | { readonly kind: 'sessions'; readonly entries: readonly AllowEntry[] }
  /** Replaces the former `served`. */
  | { readonly kind: 'served'; readonly always: ServedPorts }
  /** Stop in order and exit with 0; SIGTERM means the same. `why` is for the log. */
  | { readonly kind: 'stop'; readonly why: string };

export type DaemonMessage =
  /** The control socket answers, ledger and kernel are reconciled. */
  | { readonly kind: 'ready'; readonly dashboard: Welcome | null }
  /** Asked to stop (`honeymesh stop`): the exit with 0 that follows is not a crash, the launcher ends too and leaves enforcement on. */
  | { readonly kind: 'stopping' };
