/** Who takes the clients' connections in the benches of traps: HoneyMesh, OpenCanary, a bare Node server. */
import type { Namespace } from '#test/support/namespaces.ts';
import type { BenchRow } from '../support/rows.ts';
import type { Clients } from './clients.ts';

export interface Contender {
  readonly name: string;
  /** Where its clients are. */
  readonly clients: Namespace;
  /** All its processes, by what they are for. */
  pids(): Readonly<Record<string, number>>;
  /** Rows of its log, of any kind: cheap to ask while it works. */
  logSize(): Promise<number>;
  /** Connections that its log tells of since the last call. */
  logged(): Promise<number>;
  remove(): Promise<void>;
}

/** A peer that cannot be measured here. */
export interface Absent {
  readonly name: string;
  readonly why: string;
}

/** Where a peer's programs are, and its name with the version. */
export interface Installed {
  readonly name: string;
  readonly bin: string;
}

export interface PartDeps {
  readonly clients: Clients;
  readonly rounds: number;
  readonly openCanary: Installed | Absent;
}

/** One part of the bench. */
export type Part = (deps: PartDeps) => Promise<readonly BenchRow[]>;

/** What is said in the mix: a log-in, a page, a banner, a PING, one connection after the other. */
export const MIX = ['ftp:21', 'http:80', 'ssh:22', 'redis:6379'] as const;
export const MIX_PORTS = [21, 22, 80, 6379] as const;
export const MIX_SERVICES = ['ftp', 'http', 'ssh', 'redis'] as const;

/** A row for a peer that may be absent. */
export const isAbsent = (peer: Installed | Absent): peer is Absent => 'why' in peer;
