/** This host's own place in the mesh as it lies on the disk: keys, certificate, whom it believes, how it joined. The member, in its thread, keeps the same files. */
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshConfig } from '../../config/config.ts';
import { MESH_PORT, placeText, readPlace } from '../../config/mesh-fields.ts';
import { HoneyMeshError } from '../../errors.ts';
import type { MeshIdentity, MeshKept, MeshPart, MeshState, MeshTrust } from '../port.ts';
import { isNodeName, type NodeCertificate, readCertificate } from '../signed/certificates.ts';
import { nameFrom } from '../thread/plan.ts';
import { nameError } from './faults.ts';
import type { Member } from './renewing.ts';

export interface OwnPlaceDeps {
  readonly mesh: MeshPart;
  readonly state: MeshState;
  readonly now: () => UnixMs;
  readonly random: (bytes: number) => Uint8Array;
}

export interface OwnPlace {
  /** This host's certificate as it holds now; null: it is no member. */
  certificate(): NodeCertificate | null;
  /** It was renewed; the member has kept it. */
  renewed(certificate: NodeCertificate): void;
  member(): Member | null;
  membership(): MeshKept['membership'];
  /** As last read: what is learnt from peers shows within a second of being asked by `trust`. */
  lastTrust(): MeshTrust | null;
  trust(): Promise<MeshTrust | null>;
  /** Read anew, for what is to be signed. */
  freshTrust(): Promise<MeshTrust | null>;
  /** In force, from the configuration or from how this host joined. */
  label(): string;
  /** Reads all of it. */
  reload(): Promise<void>;
  /** Writes while the member is down, so that it cannot overwrite it; then it begins anew with what was written. */
  rewrite(write: () => Promise<void>): Promise<void>;
  /** This host's keys, made where there are none. The name may change as long as nobody has certified it. Throws HM_USAGE, HM_REFUSED. */
  identityFor(name: string | undefined): Promise<MeshIdentity>;
  /** Where the member is to listen; what the configuration says wins. Throws HM_USAGE. */
  bindFor(given: string | undefined): string;
}

type Kept = Pick<MeshKept, 'identity' | 'trust' | 'membership'>;

const REREAD_MS = 1_000;
const SECRET_BYTES = 32;
const NO_MEMBER: Kept = { identity: null, trust: null, membership: null };

export function createOwnPlace(
  { config, hostName }: { readonly config: MeshConfig | undefined; readonly hostName: string },
  { mesh, state, now, random }: OwnPlaceDeps,
): OwnPlace {
  let kept: Kept = NO_MEMBER;
  let own: NodeCertificate | null = null;
  let read = { at: 0, trust: null as MeshTrust | null };

  async function freshTrust(): Promise<MeshTrust | null> {
    read = { at: now(), trust: (await state.load()).trust };
    return read.trust;
  }

  async function reload(): Promise<void> {
    const { identity, trust, membership } = await state.load();
    kept = { identity, trust, membership };
    read = { at: now(), trust };
    const certificate = trust === null ? null : readCertificate(trust.certificate);
    own = certificate?.ok && certificate.value.kind === 'node' ? certificate.value : null;
  }

  return {
    reload,
    freshTrust,
    certificate: () => own,
    renewed(certificate) {
      own = certificate;
    },
    member() {
      const { identity, membership } = kept;
      return identity === null || own === null ? null : { identity, certificate: own, place: membership?.registrar ?? null };
    },
    membership: () => kept.membership,
    lastTrust: () => read.trust,
    async trust() {
      const isRecent = now() - read.at < REREAD_MS && now() >= read.at;
      return isRecent ? read.trust : freshTrust();
    },
    label: () => (config === undefined || config.label === '' ? (kept.membership?.label ?? '') : config.label),
    async rewrite(write) {
      await mesh.stop();
      try {
        await write();
      } finally {
        await reload();
        await mesh.restart();
      }
    },
    async identityFor(name) {
      if (name !== undefined && !isNodeName(name)) throw nameError(name);
      const { identity } = kept;
      if (own !== null && identity !== null) {
        if (name === undefined || name === own.nodeName) return identity;
        throw new HoneyMeshError('HM_REFUSED', `this host is certified as ${own.nodeName} already`, {
          fix: 'leave --name out, or "honeymesh mesh leave" first',
        });
      }
      const nodeName = name ?? identity?.nodeName ?? config?.name ?? nameFrom(hostName);
      const made = identity === null ? { nodeName, edSecret: random(SECRET_BYTES), xSecret: random(SECRET_BYTES) } : { ...identity, nodeName };
      await state.keepIdentity(made);
      kept = { ...kept, identity: made };
      return made;
    },
    bindFor(given) {
      const standard = config === undefined ? (kept.membership?.bind ?? `0.0.0.0:${MESH_PORT}`) : placeText(config.bind);
      const place = readPlace(given ?? standard, MESH_PORT);
      if (place !== undefined) return placeText(place);
      const wrong = JSON.stringify((given ?? standard).slice(0, 80));
      throw new HoneyMeshError('HM_USAGE', `${wrong} is no address to listen on`, { fix: `give ADDRESS:PORT, such as 0.0.0.0:${MESH_PORT}` });
    },
  };
}
