/**
 * The relay: what this host says to the hub and hears of it. It runs in a process of its own (process/), for the device SDK is 60 MB of native code that the
 * daemon must not fall with. Everything here is plain: it crosses a process.
 */
import type { LedgerInput } from '../ledger/decisions.ts';

/** `hub` of the configuration; paths are absolute. */
export interface RelaySettings {
  /** Host name or address, and port. */
  readonly host: string;
  readonly port: number;
  readonly thing: string;
  readonly certificate: string;
  readonly key: string;
  /** PEM file of the broker's root; null: the system's. */
  readonly ca: string | null;
  /** SPKI in base64: whose signature makes an advisory the hub's. */
  readonly signers: readonly string[];
  /** <state>/hub, for the outbox. */
  readonly directory: string;
  /** <state>/mesh, where this host's certificate and whom it believes are kept. */
  readonly meshDirectory: string;
}

/** An envelope as this host signed it. */
export interface OwnEnvelope {
  readonly epoch: number;
  readonly seq: number;
  readonly bytes: Uint8Array;
}

/** What a heartbeat says of the daemon. */
export interface HostFacts {
  readonly version: string;
  readonly mode: 'observe' | 'enforce' | 'lockdown';
  readonly bans: number;
  readonly degraded: readonly string[];
}

export interface RelayFigures {
  readonly state: 'waiting' | 'connecting' | 'connected' | 'introduced';
  /** Envelopes that no receipt covers. */
  readonly waiting: number;
  /** The last advisory up to which everything came. */
  readonly head: { readonly epoch: number; readonly number: number } | null;
  /** RFC 3339; null: not yet. */
  readonly receiptAt: string | null;
  readonly advisoryAt: string | null;
  /** From when on this host counts towards a quorum at the hub; null: not said. */
  readonly votesFrom: string | null;
}

/** As `status` shows it. */
export interface HubReport {
  readonly state: 'off' | 'starting' | 'connecting' | 'connected' | 'introduced' | 'down';
  readonly endpoint: string | null;
  readonly thing: string | null;
  /** Envelopes of this host that the hub has given no receipt for. */
  readonly waiting: number;
  /** The last advisory up to which everything came. */
  readonly head: { readonly epoch: number; readonly number: number } | null;
  readonly receiptAt: string | null;
  readonly advisoryAt: string | null;
  readonly votesFrom: string | null;
}

export type ToRelay =
  | { readonly kind: 'start'; readonly settings: RelaySettings; readonly facts: HostFacts }
  | { readonly kind: 'own'; readonly envelopes: readonly OwnEnvelope[] }
  | { readonly kind: 'facts'; readonly facts: HostFacts }
  /** One `heard` was taken: there is room for another. */
  | { readonly kind: 'took' };

export type FromRelay =
  | { readonly kind: 'up' }
  /** Every 5 s and at changes: who says nothing has stalled. */
  | { readonly kind: 'figures'; readonly figures: RelayFigures }
  | { readonly kind: 'heard'; readonly inputs: readonly LedgerInput[] }
  /** These are on the disk: they need not be handed over again. */
  | { readonly kind: 'kept'; readonly count: number }
  /** Counted since the last word of this. */
  | { readonly kind: 'refused'; readonly counts: Readonly<Record<string, number>> }
  | { readonly kind: 'complaint'; readonly key: string; readonly why: string; readonly fix: string }
  | { readonly kind: 'recovered'; readonly key: string }
  /** For the log, kind `hub`. */
  | { readonly kind: 'event'; readonly text: string };
