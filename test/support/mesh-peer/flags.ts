/** The peer's command line, in Go's style: `-x v`, `-x=v`, `--x v`; a boolean alone is true, and false only as `-x=false`. */

import type { Signatures } from '#enforcer/mesh/port.ts';
import { MAX_META_BYTES, MAX_NAME_BYTES, PROFILES, type Tuning } from '#enforcer/mesh/protocol/core/options.ts';
import { LONGEST_LABEL } from '#enforcer/mesh/protocol/wire/label.ts';

const TEXT = [
  'name',
  'bind',
  'advertise',
  'join',
  'key',
  'label',
  'meta',
  'state',
  'ack-payload',
  'delegate-proto',
  'profile',
  'dns-config-path',
  'identity',
  'signatures',
] as const;
const WHOLE = ['port', 'proto'] as const;
const SHARE = ['loss'] as const;
const DURATION = ['watch', 'queue-check-interval'] as const;
const BOOLEAN = ['skip-label-check', 'verify-in', 'verify-out', 'compress', 'relay', 'trace', 'source', 'pings', 'log'] as const;

type Flags = Partial<Record<(typeof TEXT)[number], string>> &
  Partial<Record<(typeof WHOLE)[number] | (typeof SHARE)[number] | (typeof DURATION)[number], number>> &
  Partial<Record<(typeof BOOLEAN)[number], boolean>> & { tuning: Partial<Tuning> };

/** Flags for what memberlist's Config has, by its names, and the rest of our tuning. Durations in Go's notation. */
export const TUNING: Readonly<Record<string, readonly [keyof Tuning, 'duration' | 'whole' | 'boolean' | 'share']>> = {
  'tcp-timeout': ['tcpTimeoutMs', 'duration'],
  'indirect-checks': ['indirectChecks', 'whole'],
  'retransmit-mult': ['retransmitMult', 'whole'],
  'suspicion-mult': ['suspicionMult', 'whole'],
  'suspicion-max-timeout-mult': ['suspicionMaxTimeoutMult', 'whole'],
  'push-pull-interval': ['pushPullIntervalMs', 'duration'],
  'probe-interval': ['probeIntervalMs', 'duration'],
  'probe-timeout': ['probeTimeoutMs', 'duration'],
  'disable-tcp-pings': ['disableTcpPings', 'boolean'],
  'awareness-max-multiplier': ['awarenessMaxMultiplier', 'whole'],
  'gossip-nodes': ['gossipNodes', 'whole'],
  'gossip-interval': ['gossipIntervalMs', 'duration'],
  'gossip-to-the-dead-time': ['gossipToTheDeadMs', 'duration'],
  'dead-node-reclaim-time': ['deadNodeReclaimMs', 'duration'],
  'udp-buffer-size': ['packetBytes', 'whole'],
  'handoff-queue-depth': ['handoffQueueDepth', 'whole'],
  'rejoin-interval': ['rejoinIntervalMs', 'duration'],
  'announce-interval': ['announceIntervalMs', 'duration'],
  'remember-lost': ['rememberLostMs', 'duration'],
  'eager-peers': ['eagerPeers', 'whole'],
  'max-members': ['maxMembers', 'whole'],
  'user-queue-items': ['userQueueItems', 'whole'],
  'nack-share': ['nackShare', 'share'],
  'user-share': ['userShare', 'share'],
};

export interface PeerFlags {
  readonly name: string;
  readonly bind: string;
  readonly port: number;
  readonly advertise: string | null;
  readonly join: readonly string[];
  readonly keys: readonly Uint8Array[];
  readonly label: Uint8Array;
  readonly skipLabelCheck: boolean;
  readonly meta: Uint8Array;
  readonly state: Uint8Array;
  readonly ackPayload: Uint8Array | null;
  readonly verifyIncoming: boolean;
  readonly verifyOutgoing: boolean;
  readonly compress: boolean;
  readonly versions: Uint8Array;
  readonly profile: keyof typeof PROFILES;
  readonly tuning: Tuning;
  readonly relay: boolean;
  readonly loss: number;
  readonly trace: boolean;
  readonly source: boolean;
  readonly pings: boolean;
  readonly watch: boolean;
  readonly log: boolean;
  /** How often queues are logged, ms; 0: never. */
  readonly queueCheckMs: number;
  /** Where the server is named that is asked over TCP first. */
  readonly dnsConfigPath: string;
  /** Keys and certificate, as the daemon keeps them in <state>/mesh. */
  readonly identity: string | null;
  readonly signatures: Signatures;
}

/** Throws with a sentence for whoever typed it. */
export function parseFlags(args: readonly string[]): PeerFlags {
  const flags = readFlags(args);
  const profile = flags.profile ?? 'lan';
  if (!isProfile(profile)) throw new Error(`-profile ${profile}: there are lan, wan and local`);
  const protocol = flags.proto ?? 2;
  if (protocol < 1 || protocol > 5) throw new Error(`-proto ${protocol}: it is 1 to 5`);
  if ((flags.port ?? 0) > 65_535) throw new Error(`-port ${flags.port}: it is 0 to 65535`);
  const [least = 0, most = 0, current = 0] = delegateVersions(flags['delegate-proto'] ?? '0,0,0');
  const keys = list(flags.key).map(key => fromBase64(key));
  for (const { length } of keys) if (![16, 24, 32].includes(length)) throw new Error(`-key: a key of ${length} bytes; it has 16, 24 or 32`);
  atMost('name', Buffer.byteLength(flags.name ?? ''), MAX_NAME_BYTES);
  atMost('label', Buffer.byteLength(flags.label ?? ''), LONGEST_LABEL);
  atMost('meta', fromBase64(flags.meta ?? '').length, MAX_META_BYTES);
  const signing = signingOf(flags);
  return {
    name: flags.name ?? `peer-${process.pid}`,
    bind: flags.bind ?? '127.0.0.1',
    port: flags.port ?? 0,
    advertise: flags.advertise ?? null,
    join: list(flags.join),
    keys,
    label: new Uint8Array(Buffer.from(flags.label ?? '')),
    skipLabelCheck: flags['skip-label-check'] ?? false,
    meta: fromBase64(flags.meta ?? ''),
    state: fromBase64(flags.state ?? ''),
    ackPayload: flags['ack-payload'] === undefined ? null : fromBase64(flags['ack-payload']),
    verifyIncoming: flags['verify-in'] ?? true,
    verifyOutgoing: flags['verify-out'] ?? true,
    compress: flags.compress ?? true,
    versions: Uint8Array.of(1, 5, protocol, least, most, current),
    profile,
    tuning: { ...PROFILES[profile], ...flags.tuning },
    relay: flags.relay ?? false,
    loss: flags.loss ?? 0,
    trace: flags.trace ?? false,
    source: flags.source ?? false,
    pings: flags.pings ?? false,
    watch: (flags.watch ?? 50) > 0,
    log: flags.log ?? false,
    queueCheckMs: flags['queue-check-interval'] ?? 30_000,
    dnsConfigPath: flags['dns-config-path'] ?? '/etc/resolv.conf',
    ...signing,
  };
}

const isProfile = (text: string): text is keyof typeof PROFILES => Object.hasOwn(PROFILES, text);
const isMode = (text: string): text is Signatures => text === 'off' || text === 'preferred' || text === 'required';

/** Without an identity signatures are off, with one they are required, unless it is said otherwise. */
function signingOf(flags: Flags): Pick<PeerFlags, 'identity' | 'signatures'> {
  const identity = flags.identity ?? null;
  const signatures = flags.signatures ?? (identity === null ? 'off' : 'required');
  if (!isMode(signatures)) throw new Error(`-signatures ${signatures}: off, preferred or required`);
  if (identity === null && signatures !== 'off') throw new Error(`-signatures ${signatures} needs -identity DIR`);
  for (const flag of ['state', 'ack-payload'] as const) {
    if (identity !== null && flags[flag] !== undefined) throw new Error(`-${flag} goes with no -identity: what HM1 says is there`);
  }
  return { identity, signatures };
}

function atMost(flag: string, bytes: number, most: number): void {
  if (bytes > most) throw new Error(`-${flag}: ${bytes} bytes; it has ${most} at the most`);
}

/** Least, most, current: a byte each. */
function delegateVersions(text: string): readonly number[] {
  const versions = text.split(',').map(Number);
  if (versions.length !== 3 || versions.some(version => !Number.isInteger(version) || version < 0 || version > 255)) {
    throw new Error(`-delegate-proto ${text}: three numbers, such as 2,5,4`);
  }
  return versions;
}

function readFlags(args: readonly string[]): Flags {
  const flags: Flags = { tuning: {} };
  for (let at = 0; at < args.length; at++) {
    const [, name, inline] = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(args[at] ?? '') ?? [];
    if (name === undefined) throw new Error(`not a flag: ${args[at]}`);
    const kind = kindOf(name);
    if (kind === null) throw new Error(`there is no flag -${name}`);
    const text = inline ?? (kind === 'boolean' ? 'true' : args[++at]);
    if (text === undefined) throw new Error(`-${name} lacks its value`);
    const tuned = TUNING[name];
    const value = readValue(name, kind, text);
    if (tuned === undefined) Object.assign(flags, { [name]: value });
    else Object.assign(flags.tuning, { [tuned[0]]: value });
  }
  return flags;
}

type Kind = 'text' | 'whole' | 'share' | 'duration' | 'boolean';

function kindOf(name: string): Kind | null {
  const among = (names: readonly string[]): boolean => names.includes(name);
  if (among(TEXT)) return 'text';
  if (among(WHOLE)) return 'whole';
  if (among(SHARE)) return 'share';
  if (among(DURATION)) return 'duration';
  if (among(BOOLEAN)) return 'boolean';
  return TUNING[name]?.[1] ?? null;
}

function readValue(name: string, kind: Kind, text: string): string | number | boolean {
  switch (kind) {
    case 'text':
      return text;
    case 'boolean':
      if (!/^(1|t|true|0|f|false)$/i.test(text)) throw new Error(`-${name}=${text}: true or false`);
      return /^[1t]/i.test(text);
    case 'whole':
      if (!/^\d{1,9}$/.test(text)) throw new Error(`-${name} ${text}: not a whole number`);
      return Number(text);
    case 'share':
      if (!/^(0|1|0?\.\d+|0\.|1\.0*)$/.test(text)) throw new Error(`-${name} ${text}: a share from 0 to 1`);
      return Number(text);
    case 'duration':
      return durationMs(text);
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Go's notation: `50ms`, `1m30s`, `0`. In ms. */
export function durationMs(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) throw new Error(`${text} is no duration, such as 50ms or 5s`);
  return parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * (UNITS_MS[unit ?? ''] ?? 0), 0);
}

/** Standard alphabet, with padding. */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error(`not base64 of the standard alphabet with padding: ${text.slice(0, 40)}`);
  return new Uint8Array(Buffer.from(text, 'base64'));
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
export const list = (text: string | undefined): readonly string[] => (text === undefined || text === '' ? [] : text.split(',').map(part => part.trim()));
