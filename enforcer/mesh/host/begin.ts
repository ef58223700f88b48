/** What must be settled before this host speaks: who it is, its keys, its epoch on the disk, the address that it tells. */
import { openEnvelope } from '@honeymesh/intel/envelope';
import type { UnixMs } from '@honeymesh/intel/time';
import { endpointFrom, parseTarget } from '../node/places.ts';
import { type Lookup, resolveTargets } from '../node/resolve.ts';
import type { MeshKept, MeshKeys, MeshSettings, MeshState } from '../port.ts';
import type { Endpoint } from '../protocol/core/endpoint.ts';
import { createNonceMemory, type NonceMemory } from '../signed/nonce-memory.ts';
import { makeFolder } from '../state/files.ts';
import type { Complaint } from './complaints.ts';
import { createRing, type Ring } from './ring.ts';
import { type Signer, whoWeAre } from './who.ts';

export interface Beginning {
  readonly kept: MeshKept;
  readonly signer: Signer | null;
  readonly ring: Ring;
  readonly nonces: NonceMemory;
  readonly epoch: number;
  readonly advertise: Endpoint | null;
  readonly complaints: readonly (Complaint & { readonly key: string })[];
}

export type Begun = { readonly ok: true; readonly value: Beginning } | ({ readonly ok: false } & Complaint);

const RESOLVE_MS = 5_000;
const LONGEST_LABEL = 255;
const LOST = 'join anew, with new keys: honeymesh mesh join TOKEN';
const DISK = 'make room on the disk, or let root write to the state directory';

export async function begin(settings: MeshSettings, state: MeshState, lookup: Lookup, now: UnixMs): Promise<Begun> {
  if (Buffer.byteLength(settings.label) > LONGEST_LABEL)
    return { ok: false, why: `mesh.label is longer than ${LONGEST_LABEL} bytes`, fix: 'shorten it on all members' };
  let kept: MeshKept;
  try {
    await makeFolder(settings.directory);
    kept = await state.load();
  } catch (error) {
    return { ok: false, why: `the mesh cannot read its state: ${messageOf(error)}`, fix: 'let root read and write the state directory' };
  }
  const who = whoWeAre(settings.signatures, kept, now);
  if (!who.ok) return who;
  const nonces = createNonceMemory();
  const ring = ringFrom(kept, settings.seedKey, nonces);
  if (ring === null) return { ok: false, why: `mesh.key has ${settings.seedKey?.length} bytes`, fix: 'set mesh.key to 16, 24 or 32 bytes in base64' };
  const advertise = settings.advertise === null ? null : await advertised(settings.advertise, lookup);
  if (typeof advertise === 'string') return { ok: false, why: advertise, fix: 'set mesh.advertise to an address of this host that its peers reach' };
  const epoch = who.signer === null ? 0 : lastEpochOf(kept, who.signer) + 1;
  // It signed before, for it remembers whom it met then, and knows no number that it used.
  const countLost = epoch === 1 && (kept.trust?.names.length ?? 0) > 0;
  try {
    if (who.signer !== null) await state.keepEpoch(epoch);
    if (isEmpty(kept.keys) && settings.seedKey !== null) await state.keepKeys(ring.keys());
  } catch (error) {
    return { ok: false, why: `the mesh cannot keep its state: ${messageOf(error)}`, fix: DISK };
  }
  const complaints = kept.damaged.map((one, at) => ({ key: `damaged ${at}`, ...one }));
  if (countLost) complaints.push({ key: 'own-key', why: 'this host lost count of what it said: peers refuse numbers that it used before', fix: LOST });
  if (who.complaint !== null) complaints.push({ key: 'identity', ...who.complaint });
  return { ok: true, value: { kept, signer: who.signer, ring, nonces, epoch, advertise, complaints } };
}

const isEmpty = (keys: MeshKeys | null): keys is null => (keys?.keys.length ?? 0) === 0;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The kept keyring wins: a key that the configuration named long ago must not come back. Null: no key of such a size. */
function ringFrom(kept: MeshKept, seed: Uint8Array | null, nonces: NonceMemory): Ring | null {
  const held = isEmpty(kept.keys) ? { keys: seed === null ? [] : [seed], generation: 0 } : kept.keys;
  try {
    return createRing(held, nonces);
  } catch {
    return null;
  }
}

/** Where its file was lost, our own words tell which numbers were used. */
function lastEpochOf({ epoch, envelopes }: MeshKept, { certificate }: Signer): number {
  return envelopes.reduce((last, bytes) => {
    const opened = openEnvelope(bytes);
    return opened.ok && opened.value.kid === certificate.kid ? Math.max(last, opened.value.epoch) : last;
  }, epoch);
}

/** Or what is wrong with it. Port 0: the bound one. */
async function advertised({ host, port }: { readonly host: string; readonly port: number }, lookup: Lookup): Promise<Endpoint | string> {
  const plain = endpointFrom(host, port);
  if (plain !== null) return plain;
  if (!parseTarget(host).ok) return `mesh.advertise names ${host}, which is no address and no name`;
  const { endpoints } = await resolveTargets([host], { defaultPort: Math.max(1, port), timeoutMs: RESOLVE_MS }, lookup);
  const [first] = endpoints;
  return first === undefined ? `mesh.advertise names ${host}, and nobody knows its address` : { address: first.address, port };
}
