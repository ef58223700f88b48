/** What the CLI may ask of the daemon, and the rows it gets: the JSON shapes of the operator's contract. */
import type { AdvicePath, AllowCause, Patience } from '@honeymesh/intel/bans';
import type { Degraded, EventKind, Transport } from '@honeymesh/intel/events';
import type { Origin, Tier } from '@honeymesh/intel/evidence';
import type { Finding } from '@honeymesh/intel/findings';
import type { Reason } from '@honeymesh/intel/reasons';
import type { TrapChoice } from '../config/trap-choice.ts';
import type { MeshReport, PeerRow } from '../mesh/port.ts';
import type { ChannelReport, TestReport } from '../notify/port.ts';
import type { HubReport } from '../relay/port.ts';
import type { LogTip } from '../store/port.ts';
import type { Receipt } from '../traps/receipts.ts';
import type { MeshOperations } from './mesh-operations.ts';

export interface BanRow {
  readonly target: string;
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
  readonly origins: readonly Origin[];
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly droppedPackets: number;
  readonly enforced: boolean;
  /** Held to the traps for now: what it sends reaches them and nothing else. */
  readonly confined: boolean;
  /** When a confined source is banned in full at the latest. */
  readonly fullAt: string | null;
  readonly offences?: number;
  /** Only where it holds on the word of others alone. True: so few say so that it is for minutes. */
  readonly provisional?: boolean;
  /** Who advised it, first one first. */
  readonly advisers?: readonly { readonly signer: string; readonly site: string | null; readonly path: AdvicePath; readonly at: string }[];
  readonly note?: string;
}

export interface AllowRow {
  readonly target: string;
  readonly cause: AllowCause;
  readonly why: string;
  readonly since: string;
}

export interface EventRow {
  readonly id: number;
  readonly at: string;
  readonly kind: EventKind;
  readonly source: string | null;
  readonly port: number | null;
  readonly protocol: Transport | null;
  readonly tier: Tier | null;
  readonly reasons: readonly Reason[];
  readonly techniques: readonly string[];
  readonly origin: Origin | null;
  readonly summary: string;
  readonly wouldBan?: boolean;
  readonly target?: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface TrapReport {
  /** TCP ports that lead to traps while nothing listens on them. */
  readonly ports: readonly number[] | 'all';
  readonly udpPorts: readonly number[] | 'all';
  /** How the ports were chosen. */
  readonly choice: TrapChoice;
  readonly patience: Patience;
  /** Open sessions. */
  readonly sessions: number;
  /** Sources that are confined now. */
  readonly confined: number;
  readonly running: boolean;
  /** How often the trap process was started again since the daemon started, and what it could not tell in that time. */
  readonly restarts: number;
  readonly lost: number;
}

/** In the words of the file. */
export interface HubOrder {
  readonly endpoint: string;
  readonly thing: string;
  readonly certificate: string;
  readonly key: string;
  readonly ca?: string;
  readonly signers: readonly string[];
}

export interface StatusReport {
  readonly version: string;
  readonly instance: string;
  readonly mode: string;
  readonly pausedUntil: string | null;
  readonly interfaces: readonly { readonly name: string; readonly xdp: 'native' | 'generic' | 'off' }[];
  readonly bans: { readonly active: number; readonly shunned: number; readonly capacity: number };
  readonly traps: TrapReport;
  readonly mesh: MeshReport;
  readonly hub: HubReport;
  readonly store: { readonly events: number; readonly ok: boolean };
  readonly packets: Readonly<Record<string, number>>;
  /** Who is told of events, and how that goes. */
  readonly notify?: readonly ChannelReport[];
  readonly degraded: readonly Degraded[];
  readonly since: string;
}

/** What was said in one trap session: the receipt for what followed. Texts hold one character (U+0000 to U+00FF) for each byte that came. */
export interface ReceiptRow extends Omit<Receipt, 'end'> {
  /** The id of its event. */
  readonly event: number;
  readonly at: string;
  readonly port: number | null;
  /** The trap's protocol. */
  readonly trap: string;
  readonly kind: EventKind;
  /** The rules of its findings, each once. */
  readonly rules: readonly Finding['rule'][];
  readonly end: string;
}

/** One step of the reason chain, oldest first. */
export interface ExplainStep {
  readonly at: string | null;
  readonly what: string;
}

export interface ExplainReport {
  readonly address: string;
  /** `dropped`: every packet; `confined`: all but what leads to traps; `shunned`: new connections; `policed`, `allowed`, `free`. */
  readonly verdict: 'dropped' | 'confined' | 'shunned' | 'policed' | 'allowed' | 'free';
  readonly because: string;
  readonly ban: BanRow | null;
  readonly allow: AllowRow | null;
  readonly kernel: Readonly<Record<string, unknown>>;
  readonly steps: readonly ExplainStep[];
  readonly events: readonly EventRow[];
  /** Its trap sessions among the events, oldest first. */
  readonly receipts: readonly ReceiptRow[];
  /** What would lift it, and what would be advised to others. */
  readonly lifts: string | null;
  readonly sharable: { readonly yes: boolean; readonly why: string };
}

export interface DryRunReport {
  readonly target: string;
  readonly refused: string | null;
  readonly fix: string | null;
  readonly addresses: string;
  readonly allowedWithin: readonly AllowRow[];
  readonly bystanders: readonly string[];
  readonly bansWithin: number;
  readonly coveredBy: string | null;
}

/** The dashboard's token, of which only a hash is kept. */
export interface TokenReport {
  readonly since: string;
  /** Until when the one before it holds, too. */
  readonly formerUntil: string | null;
  /** null: the dashboard does not listen. */
  readonly url: string | null;
  /** SHA-256 of its certificate. */
  readonly fingerprint: string | null;
  /** Requests that were not let in, since the daemon started. */
  readonly refused: { readonly wrong: number; readonly missing: number; readonly limited: number; readonly evidence: number };
}

/** Times are RFC 3339 texts, durations texts such as `24h`; what fails is a HoneyMeshError with code and fix, carried over the socket. */
export interface Operations extends MeshOperations {
  status(): Promise<StatusReport>;
  listBans(query: { readonly target?: string; readonly tier?: Tier }): Promise<readonly BanRow[]>;
  addBan(order: { readonly target: string; readonly ttl?: string; readonly note?: string }): Promise<BanRow>;
  dryRunBan(order: { readonly target: string }): Promise<DryRunReport>;
  removeBan(order: { readonly target: string }): Promise<{ readonly removed: readonly string[] }>;
  /** One target a line; `line` counts from 1 within `lines`. */
  importBans(order: { readonly lines: readonly string[]; readonly ttl?: string; readonly note?: string }): Promise<{
    readonly added: number;
    readonly refused: readonly { readonly line: number; readonly text: string; readonly why: string }[];
  }>;
  listAllowed(): Promise<readonly AllowRow[]>;
  addAllowed(order: { readonly target: string; readonly note?: string }): Promise<AllowRow>;
  removeAllowed(order: { readonly target: string }): Promise<{ readonly removed: readonly string[] }>;
  listEvents(query: {
    readonly afterId?: number;
    readonly beforeId?: number;
    readonly since?: string;
    readonly until?: string;
    readonly kinds?: readonly string[];
    readonly source?: string;
    readonly port?: number;
    readonly ascending?: boolean;
    readonly limit?: number;
  }): Promise<readonly EventRow[]>;
  /** Where the event log ends now: what a proof of an export names. */
  logTip(): Promise<LogTip>;
  /** Sends a test through each channel, or the one named, and says what became of it. */
  notifyTest(order: { readonly channel?: string }): Promise<readonly TestReport[]>;
  /** The members of the mesh besides this host. */
  listPeers(): Promise<readonly PeerRow[]>;
  explain(order: { readonly address: string }): Promise<ExplainReport>;
  /** `off` ends a pause. */
  pause(order: { readonly duration: string }): Promise<{ readonly pausedUntil: string | null }>;
  tokenStatus(): Promise<TokenReport>;
  /** The new token, shown once. `grace`: so long the former one holds, too; without it, it is dead at once. */
  tokenRotate(order: { readonly grace?: string }): Promise<{ readonly token: string; readonly formerUntil: string | null; readonly url: string | null }>;
  showConfig(): Promise<Readonly<Record<string, unknown>>>;
  /** The hub as `hub enrol` wrote it into the configuration: in use from now on. */
  hubUse(order: HubOrder): Promise<HubReport>;
  stop(): Promise<{ readonly stopping: true }>;
  /** Live events until the signal aborts: `tail`. */
  tail(onEvent: (row: EventRow) => void, signal: AbortSignal): void;
}
