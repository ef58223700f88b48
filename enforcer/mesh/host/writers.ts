/** What is written of a running host. The certificates of who spoke go with the words: without them nobody could check these after a restart. */
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import type { UnixMs } from '@honeymesh/intel/time';
import type { MeshState } from '../port.ts';
import { readCertificate } from '../signed/certificates.ts';
import type { SignedLayer } from '../signed/signed-layer.ts';
import type { Proofs } from './proofs.ts';
import type { Ring } from './ring.ts';
import type { Signer } from './who.ts';

export interface WritersDeps {
  readonly state: MeshState;
  readonly signer: Signer | null;
  readonly layer: () => SignedLayer | null;
  readonly ring: Ring;
  readonly proofs: Proofs;
  /** Encryptions under the primary key, those of earlier runs with them. */
  readonly encrypted: () => number;
  /** Words of before that are not in yet. */
  readonly waiting: () => readonly Uint8Array[];
  readonly now: () => UnixMs;
}

export interface Writers extends Readonly<Record<Written, () => Promise<void>>> {}

/** Key, epoch and number as they stand in an envelope. */
const numberOf = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(NUMBER_AT, NUMBER_AT + NUMBER_BYTES)).toString('latin1');
const NUMBER_AT = 4;
const NUMBER_BYTES = 24;

export type Written = 'trust' | 'envelopes' | 'keys' | 'proofs' | 'use';

export function createWriters({ state, signer, layer, ring, proofs, encrypted, waiting, now }: WritersDeps): Writers {
  /** The daemon may have made this host another one meanwhile, or none: what it wrote then stands. */
  async function isStillOurs(): Promise<boolean> {
    const trust = state.loadTrust === undefined ? (await state.load()).trust : await state.loadTrust();
    if (signer === null || trust === null || !sameBytes(trust.clusterId, signer.clusterId)) return false;
    const read = readCertificate(trust.certificate);
    return read.ok && read.value.kid === signer.certificate.kid;
  }

  return {
    async trust() {
      if (signer === null || !(await isStillOurs())) return;
      const { clusterId, rootPublic, roster } = signer;
      const certificate = (roster.named(signer.certificate.nodeName) ?? signer.certificate).bytes;
      const [registrars, revocations] = [roster.registrars().map(one => one.bytes), roster.revocationLists().map(list => list.bytes)];
      await state.keepTrust({ clusterId, rootPublic, certificate, registrars, revocations, names: roster.names() });
    },
    async envelopes() {
      const words = layer()?.kept() ?? [];
      if (signer === null || !(await isStillOurs())) return;
      const held = new Set(words.map(numberOf));
      const others = waiting().filter(bytes => !held.has(numberOf(bytes)));
      await state.keepEnvelopes([...signer.roster.nodes(now()).map(one => one.bytes), ...words, ...others]);
    },
    keys: () => state.keepKeys(ring.keys()),
    async proofs() {
      await state.keepProofs?.(proofs.records());
    },
    async use() {
      const [keyId] = ring.ids();
      if (keyId !== undefined && (signer === null || (await isStillOurs()))) await state.keepUse?.({ keyId, encrypted: encrypted() });
    },
  };
}
