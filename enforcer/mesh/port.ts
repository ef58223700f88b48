/**
 * This host as a member of the mesh, in three interfaces: what is kept on disk (state/), the member that runs in a thread of its own (host/), and what the
 * daemon sees of it (daemon-mesh.ts). All values are plain: they cross a thread.
 */
import type { Prefix } from '@honeymesh/intel/address';
import type { Advice } from '@honeymesh/intel/advisories';
import type { KeyId } from '@honeymesh/intel/envelope';
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshSurroundings } from '../ledger/advice/advice.ts';
import type { Shared } from '../ledger/advice/share.ts';
import type { Decision, LedgerInput } from '../ledger/decisions.ts';
import type { MemberState } from './protocol/messages.ts';

// What is kept, in <state>/mesh: written whole, mode 0600, atomically; a damaged file is set aside and said, never overwritten.

/** Keys of this host, made by itself; the secrets never leave it. */
export interface MeshIdentity {
  readonly nodeName: string;
  readonly edSecret: Uint8Array;
  readonly xSecret: Uint8Array;
}

/** Whom this host believes. Certificates and lists as bytes (signed/certificates.ts, signed/revocations.ts). */
export interface MeshTrust {
  readonly clusterId: Uint8Array;
  readonly rootPublic: Uint8Array;
  /** This host's own. */
  readonly certificate: Uint8Array;
  readonly registrars: readonly Uint8Array[];
  readonly revocations: readonly Uint8Array[];
  /** Names that were certified once: never taken unsigned again. */
  readonly names: readonly string[];
}

/** Group keys, primary first; `generation` of the primary (0: the config's or the cluster's first). */
export interface MeshKeys {
  readonly keys: readonly Uint8Array[];
  readonly generation: number;
}

/** How `mesh init` or `mesh join` set this host up; what the configuration says of the same wins. */
export interface MeshMembership {
  readonly bind: string;
  readonly join: readonly string[];
  readonly label: string;
  /** Where renewal and missed rotations go: `ADDR:PORT` and the SHA-256 of the HTTPS server's public key (SPKI). */
  readonly registrar: { readonly address: string; readonly pin: Uint8Array } | null;
}

/** How often this host encrypted with one group key, over restarts. `keyId`: a hash. */
export interface KeyUse {
  readonly keyId: string;
  readonly encrypted: number;
}

export interface MeshKept {
  readonly identity: MeshIdentity | null;
  readonly trust: MeshTrust | null;
  readonly keys: MeshKeys | null;
  readonly membership: MeshMembership | null;
  readonly epoch: number;
  /** Words that hold, and certificates of who said them. */
  readonly envelopes: readonly Uint8Array[];
  /** Certificates and envelopes, three records each: who was caught, and the two that convict it. */
  readonly proofs?: readonly Uint8Array[];
  readonly use?: KeyUse | null;
  /** Files that could not be read and were set aside, with what to do. */
  readonly damaged: readonly { readonly why: string; readonly fix: string }[];
}

export interface MeshState {
  /** Never rejects for what the files hold. */
  load(): Promise<MeshKept>;
  keepIdentity(identity: MeshIdentity): Promise<void>;
  keepTrust(trust: MeshTrust): Promise<void>;
  keepKeys(keys: MeshKeys): Promise<void>;
  keepMembership(membership: MeshMembership): Promise<void>;
  /** On disk (fsync) when it resolves: nothing is signed in an epoch before. */
  keepEpoch(epoch: number): Promise<void>;
  keepEnvelopes(envelopes: readonly Uint8Array[]): Promise<void>;
  keepProofs?(proofs: readonly Uint8Array[]): Promise<void>;
  keepUse?(use: KeyUse): Promise<void>;
  /** As `load` does, without the rest. */
  loadTrust?(): Promise<MeshTrust | null>;
  /** All of it goes, but for what a registrar keeps (registrar/). */
  forget(): Promise<void>;
}

// The member itself: memberlist's core, HM1 beside it, sockets, state. Runs in the mesh's thread, and in the scriptable peer.

export type Signatures = 'off' | 'preferred' | 'required';

export interface MeshSettings {
  /** Where there is no certificate; with one, its name counts. */
  readonly nodeName: string;
  readonly bind: string;
  readonly port: number;
  readonly advertise: { readonly host: string; readonly port: number } | null;
  readonly join: readonly string[];
  readonly label: string;
  readonly profile: 'lan' | 'wan' | 'local';
  readonly signatures: Signatures;
  /** Seeds an empty keyring only. */
  readonly seedKey: Uint8Array | null;
  /** <state>/mesh */
  readonly directory: string;
}

export interface MeshPeer {
  readonly name: string;
  /** `IP:PORT`, IPv6 in brackets. */
  readonly address: string;
  readonly state: MemberState;
  /** Its meta bears a certificate and signature that hold. */
  readonly signed: boolean;
  readonly signer: KeyId | null;
  readonly site: string | null;
  /** When it last answered a probe of ours at that address. */
  readonly answeredAt: UnixMs | null;
}

export interface MeshView {
  readonly self: {
    readonly name: string;
    readonly address: string;
    readonly signer: KeyId | null;
    readonly site: string | null;
    readonly certifiedUntil: UnixMs | null;
  };
  /** Without this host; at most 16,384. */
  readonly peers: readonly MeshPeer[];
  /** Sites and hosts with a certificate that holds, this one included: what a quorum is counted against. */
  readonly sites: number;
  readonly hosts: number;
  readonly keyGeneration: number;
  readonly keyIds: readonly string[];
  /** Lifeguard's health score, 0 is well. */
  readonly health: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** What the member tells. */
export type MeshWord =
  | { readonly kind: 'view'; readonly view: MeshView }
  /** Advice, withdrawals, misconduct, revocations, in the order in which the ledger must take them. */
  | { readonly kind: 'heard'; readonly inputs: readonly LedgerInput[] }
  /** For the log, kind `peer`. */
  | {
      readonly kind: 'peer';
      readonly what: 'joined' | 'left' | 'died' | 'suspected' | 'recovered' | 'updated' | 'conflict' | 'revoked' | 'key-used';
      readonly name: string;
      readonly address: string | null;
      readonly text: string;
    }
  /** Our advice went out as (epoch, seq). */
  | { readonly kind: 'sent'; readonly epoch: number; readonly seq: number; readonly advice: readonly Advice[] }
  /** Advice or withdrawals of ours, as signed: for who carries them by another way. Those of earlier runs that still hold come again after a start, in order. */
  | { readonly kind: 'own-envelope'; readonly epoch: number; readonly seq: number; readonly bytes: Uint8Array }
  /** What was refused at the door, since the last word of this: by reason, bounded in number; `sample` names one source. */
  | { readonly kind: 'refused'; readonly counts: Readonly<Record<string, number>>; readonly sample: string | null }
  /** Degraded, and well again; `key` names the complaint. */
  | { readonly kind: 'complaint'; readonly key: string; readonly why: string; readonly fix: string }
  | { readonly kind: 'recovered'; readonly key: string };

export interface MeshHost {
  /** As ledger/advice/share.ts gives it: told to all within the sender's 500 ms. Nothing where signatures are off. */
  share(shared: readonly Shared[]): void;
  /** As the peer's command `intel` and `withdraw SEQ` of this epoch; false: there is no such item. */
  advise(advice: readonly Advice[]): void;
  withdraw(targets: readonly Prefix[], asError: boolean): void;
  withdrawItem(seq: number, asError: boolean): boolean;
  join(targets?: readonly string[]): Promise<{ readonly contacted: number; readonly failed: readonly string[] }>;
  /** Says goodbye (signed, where we can) and waits until it is told. */
  leave(timeoutMs: number): Promise<'told' | 'timeout' | 'alone'>;
  view(): MeshView;
  /** Certificates of registrars and hosts, revocation lists: learnt at once, kept, and told in the next exchanges. The reasons of those refused. */
  learn(certificates: readonly Uint8Array[], revocations: readonly Uint8Array[]): readonly string[];
  /** An envelope that a registrar on this host signed (rekey): taken as if heard, and pushed to all. The reasons where it was refused. */
  announce(envelope: Uint8Array): readonly string[];
  /** Our certificate renewed for the same key; false: it does not hold. */
  renew(certificate: Uint8Array): boolean;
  /** Certified hosts that hold now: to whom a new group key is sealed. */
  certified(): readonly Uint8Array[];
  keys(): MeshKeys;
  /** Group keys that a registrar handed over HTTPS: for a host that slept through a rotation. */
  adoptKeys(keys: MeshKeys): void;
  stop(): Promise<void>;
}

// What the daemon sees.

/** All of MeshHost over the thread: what it answers comes as a promise, null where there is no mesh or its thread ended meanwhile. */
export type MeshLink = {
  readonly [Key in Exclude<keyof MeshHost, 'stop' | 'view'>]: (...args: Parameters<MeshHost[Key]>) => Promise<Awaited<ReturnType<MeshHost[Key]>> | null>;
};

export interface MeshReport {
  readonly state: 'off' | 'starting' | 'alone' | 'joined' | 'down';
  /** Alive members besides this host. */
  readonly peers: number;
  readonly name: string | null;
  readonly site: string | null;
  readonly signatures: Signatures;
  readonly registrar: boolean;
}

export interface PeerRow {
  readonly name: string;
  readonly address: string;
  readonly state: MemberState;
  readonly signed: boolean;
  readonly site: string | null;
  /** Under which the log names what it says; null without a certificate. */
  readonly key: KeyId | null;
  /** When it last answered a probe at that address, RFC 3339; null: not yet. */
  readonly answeredAt: string | null;
  /** 0..1; null without a certificate. */
  readonly trust: number | null;
  readonly adviceAccepted: number;
  readonly adviceRefused: number;
}

export interface MeshPart {
  /** Resolves when the thread listens, or with the reason said in `degraded`: enforcement waits for nobody. */
  start(): Promise<void>;
  /** Reads the configuration's mesh and the state directory again and begins anew: after init, join and leave. */
  restart(): Promise<void>;
  link(): MeshLink;
  /** What the pipeline decided: what is for others goes out. */
  decided(decisions: readonly Decision[]): void;
  readonly surroundings: MeshSurroundings;
  report(): MeshReport;
  peers(): readonly PeerRow[];
  view(): MeshView | null;
  /** Every second. */
  tick(): void;
  stop(): Promise<void>;
}
