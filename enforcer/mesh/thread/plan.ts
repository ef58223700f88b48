/** Whether this host is a member, and as whom: what the configuration says, over what `mesh init` or `mesh join` kept. Pure. */
import type { MeshConfig } from '../../config/config.ts';
import { MESH_PORT, type Place, placeText, REGISTRAR_PORT, readPlace } from '../../config/mesh-fields.ts';
import type { MeshKept, MeshSettings, Signatures } from '../port.ts';
import { isNodeName, LONGEST_NAME, type NodeCertificate, readCertificate } from '../signed/certificates.ts';

export interface MeshComplaint {
  readonly key: string;
  readonly why: string;
  readonly fix: string;
}

export interface MeshPlan {
  /** null: off, or it cannot begin (then a complaint says why). */
  readonly settings: MeshSettings | null;
  /** Off: neither configured nor kept. */
  readonly wanted: boolean;
  readonly signatures: Signatures;
  /** What must not be a trap. */
  readonly ports: { readonly tcp: readonly number[]; readonly udp: readonly number[] };
  readonly complaints: readonly MeshComplaint[];
}

export interface MeshPlanFacts {
  readonly hostName: string;
  /** <state>/mesh */
  readonly directory: string;
}

const OFF: MeshPlan = { settings: null, wanted: false, signatures: 'off', ports: { tcp: [], udp: [] }, complaints: [] };
const ANYWHERE: Place = { host: '0.0.0.0', port: MESH_PORT };

export function planMesh(config: MeshConfig | undefined, kept: MeshKept, { hostName, directory }: MeshPlanFacts): MeshPlan {
  const { membership, identity, keys } = kept;
  const damaged = kept.damaged.map(({ why, fix }, at) => ({ key: `kept ${at}`, why, fix }));
  if (config === undefined && membership === null) return { ...OFF, complaints: damaged };
  const bind = config?.bind ?? readPlace(membership?.bind ?? '', MESH_PORT) ?? ANYWHERE;
  const ports = { tcp: [bind.port, config?.registrar.port ?? REGISTRAR_PORT], udp: [bind.port] };
  const certificate = certificateOf(kept);
  const signatures = config?.signatures ?? (certificate === null ? 'off' : 'required');
  const complaints = [...damaged, ...identityComplaints(signatures, certificate), ...siteComplaints(config, certificate), ...keyComplaints(config, kept)];
  const plan = { wanted: true, signatures, ports, complaints };
  if (signatures === 'required' && certificate === null) return { ...plan, settings: null };
  const join = config === undefined || config.join.length === 0 ? (membership?.join ?? []) : config.join.map(placeText);
  const settings: MeshSettings = {
    nodeName: certificate?.nodeName ?? config?.name ?? identity?.nodeName ?? nameFrom(hostName),
    bind: bind.host,
    port: bind.port,
    advertise: config?.advertise ?? null,
    join,
    label: config === undefined || config.label === '' ? (membership?.label ?? '') : config.label,
    profile: config?.profile ?? 'lan',
    signatures,
    seedKey: config?.key === undefined || (keys?.keys.length ?? 0) > 0 ? null : Uint8Array.from(Buffer.from(config.key, 'base64')),
    directory,
  };
  return { ...plan, settings };
}

function certificateOf({ identity, trust }: MeshKept): NodeCertificate | null {
  if (identity === null || trust === null) return null;
  const read = readCertificate(trust.certificate);
  return read.ok && read.value.kind === 'node' ? read.value : null;
}

/** That a member of `preferred` has none it says itself. */
function identityComplaints(signatures: Signatures, certificate: NodeCertificate | null): readonly MeshComplaint[] {
  if (certificate !== null || signatures !== 'required') return [];
  const fix = '"honeymesh mesh join TOKEN" gets one from a registrar of the mesh ("honeymesh mesh invite" there), "honeymesh mesh init" begins a new mesh';
  return [{ key: 'identity', why: 'mesh.signatures is required and this host has no certificate: the mesh is down', fix }];
}

function siteComplaints(config: MeshConfig | undefined, certificate: NodeCertificate | null): readonly MeshComplaint[] {
  if (config?.site === undefined || certificate === null || config.site === certificate.site) return [];
  const why = `mesh.site is ${config.site}, but this host is certified for the site ${certificate.site}, which is what counts`;
  return [{ key: 'site', why, fix: 'take mesh.site out, or join anew with a token for that site: "honeymesh mesh invite --site ..."' }];
}

function keyComplaints(config: MeshConfig | undefined, { keys }: MeshKept): readonly MeshComplaint[] {
  if (config?.key !== undefined || (keys?.keys.length ?? 0) > 0) return [];
  const fix = 'set mesh.key to the same 16, 24 or 32 bytes in base64 on all members ("head -c 32 /dev/urandom | base64" makes them), then restart';
  return [{ key: 'key', why: 'the mesh has no key: its members speak in clear, and whoever can send here can be one', fix }];
}

/** A host's name as a node's; what is no letter, digit, dot, dash or underscore becomes a dash. */
export function nameFrom(hostName: string): string {
  const name = hostName
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[._-]+/, '')
    .slice(0, LONGEST_NAME);
  return isNodeName(name) ? name : 'honeymesh';
}

export interface KeyNote {
  /** The key in the file is not the one that is used. */
  readonly differs: boolean;
  readonly text: string;
}

/** What there is to say of mesh.key where this host keeps keys of its own. */
export function keyNote(config: MeshConfig | undefined, keys: readonly Uint8Array[]): KeyNote | null {
  const [primary] = keys;
  if (config?.key === undefined || primary === undefined) return null;
  const wanted = Buffer.from(config.key, 'base64');
  const fix = 'take the line out, or "honeymesh mesh leave" to begin anew with it';
  if (wanted.equals(primary))
    return { differs: false, text: 'mesh.key is the key in use; since this host keeps its keys itself, a change of the line would change nothing' };
  const older = keys.some(key => wanted.equals(key));
  return {
    differs: true,
    text: `mesh.key is ${older ? "an older key of the mesh: the state directory's newer one is used" : 'none of the keys that this host keeps, which are used instead of it'}; ${fix}`,
  };
}
