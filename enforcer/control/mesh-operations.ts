/** What the CLI may ask about this host's place in the mesh: to found one, invite, join, rotate keys, revoke, leave. Bytes are base64 texts. */
import type { MeshReport, Signatures } from '../mesh/port.ts';

export interface RegistrarRow {
  /** Its key id, by which it is revoked. */
  readonly key: string;
  readonly sites: readonly string[];
  readonly until: string;
}

export interface MeshStatusReport {
  readonly state: MeshReport['state'];
  readonly name: string | null;
  readonly site: string | null;
  /** This host's key id. */
  readonly key: string | null;
  readonly cluster: string | null;
  readonly signatures: Signatures;
  readonly certifiedUntil: string | null;
  /** When it is renewed, and by whom: `ADDR:PORT`, or `this host`. */
  readonly renewsAt: string | null;
  readonly renewsFrom: string | null;
  readonly keyGeneration: number | null;
  readonly peers: number;
  /** This host as a registrar; null: it is none. `address`: where it listens, null where it cannot. */
  readonly registrar: (RegistrarRow & { readonly address: string | null; readonly openInvites: number; readonly refusals: number }) | null;
  /** All that this host knows of. */
  readonly registrars: readonly RegistrarRow[];
}

/** What `mesh init` must know before the root signs. */
export interface MeshPreparation {
  /** The mesh of this host, if it is a member. */
  readonly cluster: string | null;
  readonly rootPublic: string | null;
  /** Of the registrar on this host, made if there was none. */
  readonly registrarKey: string;
  readonly name: string;
  /** This host's site: certified, else configured. */
  readonly site: string | null;
  /** For which its registrar is certified now. */
  readonly sites: readonly string[];
}

export interface InviteRow {
  readonly id: string;
  readonly site: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly uses: number;
  readonly used: number;
}

export interface InviteReport extends InviteRow {
  /** Shown once: only a hash of its secret is kept. */
  readonly token: string;
  readonly addresses: readonly string[];
}

export interface JoinReport {
  readonly name: string;
  readonly key: string;
  readonly site: string;
  readonly cluster: string;
  readonly certifiedUntil: string;
  readonly registrar: { readonly address: string; readonly key: string };
  readonly keyGeneration: number;
  /** `required`, unless the configuration says otherwise. */
  readonly signatures: Signatures;
  /** Members that were reached within some seconds. */
  readonly met: readonly string[];
}

export interface RotationReport {
  readonly generation: number;
  readonly useAt: string;
  readonly dropOldAt: string;
  readonly hosts: number;
}

export interface RevocationReport {
  /** null: a registrar, or a host that is not known here. */
  readonly name: string | null;
  readonly key: string;
  readonly by: 'registrar' | 'root';
  /** Of the list. */
  readonly number: number;
  /** Names of hosts that fell with a registrar: they need new tokens, of another one. */
  readonly fallen: readonly string[];
  /** The new group key; null: this host is no registrar, another one must rotate. */
  readonly rekeyed: RotationReport | null;
}

/** What the root signs in the CLI's process. */
export interface RevocationDraft {
  readonly key: string;
  readonly name: string | null;
  readonly notAfter: string;
  readonly cluster: string;
  readonly rootPublic: string;
  /** The root's last list; null: there is none. */
  readonly former: string | null;
}

export interface LeaveReport {
  /** `told`: all were told; `timeout`: some may not have been; `alone`: nobody was there; `down`: the mesh did not run. */
  readonly goodbye: 'told' | 'timeout' | 'alone' | 'down';
  readonly name: string | null;
  readonly wasRegistrar: boolean;
  /** The configuration still has `mesh`: this host is a member without a certificate, or none. */
  readonly configured: boolean;
}

export interface MeshOperations {
  meshStatus(): Promise<MeshStatusReport>;
  meshPrepare(order: { readonly name?: string }): Promise<MeshPreparation>;
  /** The root has signed: this host is a registrar, and a member if it was none. */
  meshInit(order: {
    readonly certificate: string;
    readonly rootPublic: string;
    readonly cluster: string;
    readonly site: string;
    readonly name?: string;
    readonly bind?: string;
  }): Promise<MeshStatusReport>;
  meshInvite(order: { readonly site?: string; readonly ttl?: string; readonly addresses?: readonly string[]; readonly uses?: number }): Promise<InviteReport>;
  meshInvites(): Promise<readonly InviteRow[]>;
  meshCancelInvite(order: { readonly id: string }): Promise<{ readonly cancelled: string }>;
  meshJoin(order: { readonly token: string; readonly name?: string; readonly bind?: string }): Promise<JoinReport>;
  meshRotateKey(order: { readonly now?: boolean }): Promise<RotationReport>;
  meshRevoke(order: { readonly target: string }): Promise<RevocationReport>;
  meshDraftRevocation(order: { readonly target: string }): Promise<RevocationDraft>;
  meshPublishRevocation(order: { readonly key: string; readonly list: string }): Promise<RevocationReport>;
  /** `registrar`: also where this host is one. */
  meshLeave(order: { readonly registrar?: boolean }): Promise<LeaveReport>;
}
