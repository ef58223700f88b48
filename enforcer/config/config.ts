/** The configuration as the rest of the enforcer sees it: durations in milliseconds, rates a second, every key with a value. */
import type { Prefix } from '@honeymesh/intel/address';
import type { Patience } from '@honeymesh/intel/bans';
import type { Mode } from '@honeymesh/intel/evidence';
import type { ServedPorts } from '../kernel/port.ts';
import type { Signatures } from '../mesh/port.ts';
import type { Place } from './mesh-fields.ts';
import type { NotifyConfig } from './notify-fields.ts';

export type XdpMode = 'auto' | 'native' | 'generic';
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** The mesh as the file has it; what is absent was not said. */
export interface MeshConfig {
  readonly bind: Place;
  readonly advertise?: Place;
  readonly join: readonly Place[];
  /** Base64 of 16, 24 or 32 bytes. A secret: neither logged nor shown. */
  readonly key?: string;
  readonly label: string;
  readonly name?: string;
  readonly site?: string;
  readonly signatures?: Signatures;
  readonly quorum: { readonly sites: number };
  readonly profile: 'lan' | 'wan' | 'local';
  /** Where the registrar's HTTPS server listens. */
  readonly registrar: Place;
}

/** The hub as `hub enrol` wrote it. */
export interface HubConfig {
  readonly endpoint: Place;
  readonly thing: string;
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly key: string;
  /** Absent: the system's roots. */
  readonly ca?: string;
  /** SPKI in base64. */
  readonly signers: readonly string[];
}

export interface Config {
  /** Absent: the interface of the default route, which the launcher finds. */
  readonly interfaces?: readonly string[];
  readonly mode: Mode;
  readonly allow: readonly Prefix[];
  /** Ports that are served although no local socket says so, and how long a port counts as served after its listener went. */
  readonly services: { readonly served: ServedPorts; readonly graceMs: number };
  readonly traps: {
    /** `typical`: a believable choice of this host's own; a list without ports: traps are off. */
    readonly ports: 'typical' | 'all' | { readonly tcp: readonly number[]; readonly udp: readonly number[] };
    readonly patience: Patience;
    /** Silence that ends a session, from the last complete message. */
    readonly deadlineMs: number;
    /** The longest session; in `listen` also the longest confinement. */
    readonly sessionMs: number;
    readonly sessions: number;
    readonly sessionsPerSource: number;
    /** `patience: study`: how long and for how many sessions a source is confined before its full ban. */
    readonly study: { readonly longestMs: number; readonly sessions: number };
  };
  readonly xdp: { readonly mode: XdpMode };
  readonly egress: 'drop' | 'off';
  readonly detect: {
    readonly fast: { readonly ports: number; readonly windowMs: number };
    readonly slow: { readonly ports: number; readonly windowMs: number };
    readonly shun: { readonly ttlMs: number; readonly longestMs: number };
    /** Packets of one source; 0: off. */
    readonly flood: { readonly synPerSecond: number; readonly udpPerSecond: number; readonly echoPerSecond: number; readonly openUdpPerSecond: number };
    readonly newSourcesPerSecond: number;
    /** Of each CPU. */
    readonly eventsPerSecond: number;
    readonly provenMs: number;
  };
  readonly bans: {
    readonly capacity: number;
    readonly touchMs: number;
    readonly contentMs: number;
    readonly longestMs: number;
    readonly memoryMs: number;
    /** 0: never. */
    readonly aggregateAt: number;
    readonly widenAt: number;
  };
  readonly share: { readonly never: readonly Prefix[] };
  /** Absent: off, unless a membership is kept in the state directory. */
  readonly mesh?: MeshConfig;
  /** Absent: off. */
  readonly hub?: HubConfig;
  /** Absent: nobody is told. */
  readonly notify?: NotifyConfig;
  readonly dashboard: {
    readonly bind: Place | 'off';
    readonly names: readonly string[];
    /** Files of the operator; absent: a self-signed certificate. */
    readonly own?: { readonly certificate: string; readonly key: string };
  };
  readonly store: { readonly retentionMs: number; readonly segmentEvents: number };
  readonly log: { readonly level: LogLevel };
}
