/** The peer's command line, in Go's style: `-x v`, `-x=v`, `--x v`; a boolean alone is true, and false only as `-x=false`. */
import { PROFILES, type Tuning } from '#enforcer/mesh/protocol/core/options.ts';

const TEXT = ['name', 'bind', 'advertise', 'join', 'key', 'label', 'meta', 'state', 'ack-payload', 'delegate-proto', 'profile'] as const;
const NUMBER = ['port', 'proto', 'loss'] as const;
const DURATION = ['watch'] as const;
const BOOLEAN = ['skip-label-check', 'verify-in', 'verify-out', 'compress', 'relay', 'source', 'pings', 'log'] as const;

type Flags = Partial<Record<(typeof TEXT)[number], string>> &
  Partial<Record<(typeof NUMBER)[number] | (typeof DURATION)[number], number>> &
  Partial<Record<(typeof BOOLEAN)[number], boolean>> & { tuning: Partial<Tuning> };

/** Flags for what memberlist's Config has, and the rest of our tuning. Durations in Go's notation. */
const TUNING: Readonly<Record<string, readonly [keyof Tuning, 'duration' | 'number' | 'boolean']>> = {
  'tcp-timeout': ['tcpTimeoutMs', 'duration'],
  'indirect-checks': ['indirectChecks', 'number'],
  'retransmit-mult': ['retransmitMult', 'number'],
  'suspicion-mult': ['suspicionMult', 'number'],
  'suspicion-max-timeout-mult': ['suspicionMaxTimeoutMult', 'number'],
  'push-pull-interval': ['pushPullIntervalMs', 'duration'],
  'probe-interval': ['probeIntervalMs', 'duration'],
  'probe-timeout': ['probeTimeoutMs', 'duration'],
  'disable-tcp-pings': ['disableTcpPings', 'boolean'],
  'awareness-max-multiplier': ['awarenessMaxMultiplier', 'number'],
  'gossip-nodes': ['gossipNodes', 'number'],
  'gossip-interval': ['gossipIntervalMs', 'duration'],
  'gossip-to-the-dead-time': ['gossipToTheDeadMs', 'duration'],
  'dead-node-reclaim-time': ['deadNodeReclaimMs', 'duration'],
  'udp-buffer-size': ['packetBytes', 'number'],
  'handoff-queue-depth': ['handoffQueueDepth', 'number'],
  'rejoin-interval': ['rejoinIntervalMs', 'duration'],
  'announce-interval': ['announceIntervalMs', 'duration'],
  'eager-peers': ['eagerPeers', 'number'],
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
  readonly tuning: Tuning;
  readonly relay: boolean;
  readonly loss: number;
  readonly source: boolean;
  readonly pings: boolean;
  readonly watch: boolean;
  readonly log: boolean;
}

/** Throws with a sentence for whoever typed it. */
export function parseFlags(args: readonly string[]): PeerFlags {
  const flags = readFlags(args);
  const profile = flags.profile ?? 'lan';
  if (!Object.hasOwn(PROFILES, profile)) throw new Error(`-profile ${profile}: there are lan, wan and local`);
  const [least = 0, most = 0, current = 0] = (flags['delegate-proto'] ?? '0,0,0').split(',').map(Number);
  const protocol = flags.proto ?? 2;
  if (![1, 2, 3, 4, 5].includes(protocol)) throw new Error(`-proto ${protocol}: it is 1 to 5`);
  return {
    name: flags.name ?? `peer-${process.pid}`,
    bind: flags.bind ?? '127.0.0.1',
    port: flags.port ?? 0,
    advertise: flags.advertise ?? null,
    join: list(flags.join),
    keys: list(flags.key).map(key => fromBase64(key)),
    label: new Uint8Array(Buffer.from(flags.label ?? '')),
    skipLabelCheck: flags['skip-label-check'] ?? false,
    meta: fromBase64(flags.meta ?? ''),
    state: fromBase64(flags.state ?? ''),
    ackPayload: flags['ack-payload'] === undefined ? null : fromBase64(flags['ack-payload']),
    verifyIncoming: flags['verify-in'] ?? true,
    verifyOutgoing: flags['verify-out'] ?? true,
    compress: flags.compress ?? true,
    versions: Uint8Array.of(1, 5, protocol, least, most, current),
    tuning: { ...PROFILES[profile as keyof typeof PROFILES], ...flags.tuning },
    relay: flags.relay ?? false,
    loss: flags.loss ?? 0,
    source: flags.source ?? false,
    pings: flags.pings ?? false,
    watch: (flags.watch ?? 50) > 0,
    log: flags.log ?? false,
  };
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

type Kind = 'text' | 'number' | 'duration' | 'boolean';

function kindOf(name: string): Kind | null {
  const among = (names: readonly string[]): boolean => names.includes(name);
  if (among(TEXT)) return 'text';
  if (among(NUMBER)) return 'number';
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
    case 'number':
      if (text.trim() === '' || !Number.isFinite(Number(text))) throw new Error(`-${name} ${text}: not a number`);
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
