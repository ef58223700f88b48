/**
 * New group keys and lists of revoked keys, signed by this host's registrar. Numbers that were given are on the disk before anybody hears them: none is ever
 * used twice, for two contents under one number would be held against this registrar.
 */
import { LONGEST_LIFE_MS, type Signatures, sealEnvelope } from '@honeymesh/intel/envelope';
import { encodeRekey, MOST_RECIPIENTS } from '@honeymesh/intel/envelope-bodies';
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import { MINUTE_MS, SECOND_MS, type UnixMs, unixMs } from '@honeymesh/intel/time';
import { HoneyMeshError } from '../../errors.ts';
import type { MeshKeys, MeshLink } from '../port.ts';
import type { NodeCertificate } from '../signed/certificates.ts';
import { KEY_BYTES } from '../signed/keys.ts';
import { SPACING_MS } from '../signed/misuse.ts';
import { issueRevocations, MOST_REVOCATIONS, type Revocation, type RevocationList, readRevocations } from '../signed/revocations.ts';
import { type GroupKey, sealGroupKey } from '../signed/sealed-keys.ts';
import { type DeskMesh, nodesOf, type Registrar } from './desk.ts';
import type { RegistrarKeeping } from './keeping.ts';

export interface Pace {
  /** From now until the new key is used: by then everybody should have it. */
  readonly useInMs: number;
  /** From then on until the old ones are dropped. */
  readonly keepOldMs: number;
}

/** Three rounds of push/pull, for who missed the push; the old key is heard as long as a host may be away without noticing. */
export const CALM_PACE: Pace = { useInMs: 90 * SECOND_MS, keepOldMs: 10 * MINUTE_MS };
/** Somebody is to be shut out: who misses the push fetches the key from a registrar. */
export const URGENT_PACE: Pace = { useInMs: 3 * SECOND_MS, keepOldMs: 10 * SECOND_MS };

export interface Rotation {
  readonly generation: number;
  readonly useAt: UnixMs;
  readonly dropOldAt: UnixMs;
  /** To so many hosts it was sealed. */
  readonly hosts: number;
}

export interface RekeyingDeps {
  readonly keeping: RegistrarKeeping;
  readonly link: MeshLink;
  readonly trust: DeskMesh['trust'];
  readonly signatures: Signatures;
  readonly now: () => UnixMs;
  readonly random: (bytes: number) => Uint8Array;
  /** Bytes of the mesh's label: they are taken from each datagram. */
  readonly labelBytes: () => number;
}

export interface Rekeying {
  /** To all certified hosts that are not revoked. Throws HM_REFUSED where the mesh is down. */
  rotate(self: Registrar, pace: Pace): Promise<Rotation>;
  /** What whoever comes now is to begin with: the key that is about to be used comes first, as all hosts accept it already. */
  keys(): Promise<MeshKeys | null>;
  /** The next list of this registrar, with this host on it. Throws HM_REFUSED where the mesh is down. */
  revoke(self: Registrar, entry: Revocation): Promise<{ readonly number: number }>;
}

const REKEY_TTL_S = LONGEST_LIFE_MS / SECOND_MS;
const LABEL_OF_FULL_SIZE = 9; // LONGEST_ENVELOPE_BYTES is reckoned with "honeymesh"
const RECIPIENT_BYTES = 57;

export const meshDown = (): HoneyMeshError =>
  new HoneyMeshError('HM_REFUSED', 'the mesh is down on this host: nobody would hear of it', { fix: '"honeymesh status" says why; try again when it is up' });

export function createRekeying({ keeping, link, trust, signatures, now, random, labelBytes }: RekeyingDeps): Rekeying {
  /** Of this start, from its first envelope on. */
  let epoch: number | null = null;
  let lastIssuedAt = 0;
  let coming: GroupKey | null = null;

  async function certified(): Promise<readonly NodeCertificate[]> {
    const all = await link.certified();
    if (all === null) throw meshDown();
    return nodesOf(all);
  }

  async function announce(self: Registrar, bodies: readonly Uint8Array[]): Promise<void> {
    const begun = epoch ?? self.epoch + 1;
    const from = epoch === null ? 0 : self.seq;
    epoch = begun;
    await keeping.keepSelf({ ...(keeping.self() ?? self), epoch: begun, seq: from + bodies.length });
    for (const [at, body] of bodies.entries()) {
      // Envelopes of one moment would be too fast: each is issued a little after the one before.
      const issuedAt = unixMs(Math.max(now(), lastIssuedAt + SPACING_MS.rekey));
      lastIssuedAt = issuedAt;
      const header = { kid: self.certificate.kid, epoch: begun, seq: from + at + 1, issuedAt, ttlS: REKEY_TTL_S, type: 'rekey' as const };
      const refused = await link.announce(sealEnvelope(header, body, { clusterId: self.certificate.clusterId, secret: self.edSecret, signatures }));
      if (refused === null) throw meshDown();
      if (refused.length > 0) {
        throw new HoneyMeshError('HM_REFUSED', `this host's own member refused the new key: ${refused.join(', ')}`, {
          fix: 'is this registrar revoked, or its certificate over? "honeymesh mesh status"',
        });
      }
    }
  }

  /** Ours on the disk, or what the mesh has of us, if that is later: a restored disk must not begin the numbers anew. */
  async function latestList(self: Registrar): Promise<RevocationList | null> {
    const known = [...(self.revocations === null ? [] : [self.revocations]), ...((await trust())?.revocations ?? [])];
    const own = known.flatMap(bytes => {
      const read = readRevocations(bytes);
      return read.ok && read.value.issuer === self.certificate.kid ? [read.value] : [];
    });
    return own.sort((one, other) => other.number - one.number)[0] ?? null;
  }

  return {
    async rotate(self, { useInMs, keepOldMs }) {
      const recipients = await certified();
      const held = await link.keys();
      if (held === null) throw meshDown();
      // Beyond any that waits to be used: of another registrar's rotation this host knows the key, not its number.
      const generation = Math.max(self.generation, held.generation) + Math.max(1, held.keys.length);
      const useAt = unixMs(now() + useInMs);
      const group: GroupKey = { generation, key: random(KEY_BYTES), useAt, dropOldAt: unixMs(useAt + keepOldMs) };
      const each = Math.max(1, MOST_RECIPIENTS - Math.ceil(Math.max(0, labelBytes() - LABEL_OF_FULL_SIZE) / RECIPIENT_BYTES));
      const bodies: Uint8Array[] = [];
      let hosts = 0;
      for (let at = 0; at < recipients.length; at += each) {
        const sealing = { clusterId: self.certificate.clusterId, issuer: self.certificate.kid, ephemeralSecret: random(KEY_BYTES) };
        const body = sealGroupKey(group, recipients.slice(at, at + each), sealing);
        hosts += body.sealed.length;
        if (body.sealed.length > 0) bodies.push(encodeRekey(body));
      }
      await keeping.keepSelf({ ...(keeping.self() ?? self), generation });
      await announce({ ...self, ...keeping.self(), certificate: self.certificate }, bodies);
      coming = group;
      return { generation, useAt, dropOldAt: group.dropOldAt, hosts };
    },
    async keys() {
      const held = await link.keys();
      if (held === null || held.keys.length === 0) return null;
      if (coming === null || coming.generation <= held.generation) return held;
      const { key, generation } = coming;
      // Another registrar's of the same moment has won.
      if (!held.keys.some(one => sameBytes(one, key))) return held;
      return { generation, keys: [key, ...held.keys.filter(one => !sameBytes(one, key))] };
    },
    async revoke(self, entry) {
      const former = await latestList(self);
      const entries = former?.entries.filter(one => one.kid !== entry.kid && one.notAfter > now()) ?? [];
      if (entries.length >= MOST_REVOCATIONS) {
        throw new HoneyMeshError('HM_REFUSED', `${MOST_REVOCATIONS} hosts of this registrar are revoked already`, {
          fix: 'revoke the registrar itself, with --root-file, and begin a new one',
        });
      }
      const number = (former?.number ?? 0) + 1;
      const by = { kid: self.certificate.kid, secret: self.edSecret };
      const list = issueRevocations({ clusterId: self.certificate.clusterId, number, entries: [...entries, entry] }, by, signatures, now());
      await keeping.keepSelf({ ...(keeping.self() ?? self), revocations: list.bytes });
      const refused = await link.learn([], [list.bytes]);
      if (refused === null) throw meshDown();
      return { number };
    },
  };
}
