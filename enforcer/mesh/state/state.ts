/**
 * What this host keeps of the mesh over a restart, a file for each kind: who changes one risks none of the others. All of it is small but for the
 * envelopes. The member's own memory (node/node-memory.ts: incarnation, peers) lies in the same folder.
 */
import { basename, join } from 'node:path';
import { parsed } from '@honeymesh/intel/parsed';
import type { MeshKept, MeshState } from '../port.ts';
import { decodeEnvelopes, encodeEnvelopes, LONGEST_ENVELOPE_FILE } from './envelope-file.ts';
import { makeFolder, readBounded, removeFiles, replaceFile, setAside } from './files.ts';
import {
  decodeEpoch,
  decodeIdentity,
  decodeKeys,
  decodeMembership,
  decodeTrust,
  decodeUse,
  encodeEpoch,
  encodeIdentity,
  encodeKeys,
  encodeMembership,
  encodeTrust,
  encodeUse,
} from './records.ts';

export const STATE_FILES = {
  identity: 'identity.json',
  trust: 'trust.json',
  keys: 'keyring.json',
  membership: 'membership.json',
  epoch: 'epoch.json',
  envelopes: 'envelopes.bin',
  proofs: 'proofs.bin',
  use: 'key-use.json',
  /** Kept by the member itself. */
  node: 'node.json',
} as const;

const LONGEST_SMALL_FILE = 256 * 1_024;
/** Hundreds of certificates, a hundred lists of 50 kB, 65,536 names. */
const LONGEST_TRUST_FILE = 32 * 1_048_576;

/** What to do where a file was set aside: what is lost with it differs. */
const FIXES = {
  identity: 'join again: honeymesh mesh join TOKEN; the keys of this host are in the file that was set aside, if anything is',
  trust: 'join again: honeymesh mesh join TOKEN; this host does not know any more whom to believe',
  keys: 'a registrar hands the group keys over at the next renewal; where mesh.key is configured it counts again until then',
  membership: 'join again, or set mesh.join and mesh.bind in the configuration',
  epoch: 'join again: honeymesh mesh join TOKEN; peers refuse numbers of this host that they know already',
  envelopes: 'nothing: what holds comes again from the peers',
  proofs: 'nothing: proofs against peers that cheated are in the file that was set aside, if anything is',
  use: 'nothing: encryptions under the group key are counted from 0 again',
} as const;

export interface MeshStateDeps {
  readonly now: () => Date;
}

export function createMeshState(directory: string, { now }: MeshStateDeps = { now: () => new Date() }): MeshState {
  const pathOf = (kind: keyof typeof STATE_FILES): string => join(directory, STATE_FILES[kind]);

  async function load(): Promise<MeshKept> {
    const damaged: { why: string; fix: string }[] = [];

    async function take<T>(kind: keyof typeof FIXES, longestBytes: number, decode: (bytes: Buffer) => T | null): Promise<T | null> {
      const path = pathOf(kind);
      const read = await readBounded(path, longestBytes);
      if (!read.ok && read.why === 'absent') return null;
      const value = read.ok ? decode(read.value) : null;
      if (value !== null) return value;
      const aside = await setAside(path, now()).then(parsed, () => null);
      const where = aside === null ? 'and cannot be renamed: nothing of it is used' : `and was set aside as ${basename(aside.value)}`;
      damaged.push({ why: `${path} ${read.ok || read.why === 'too-long' ? 'is damaged' : 'cannot be read'} ${where}`, fix: FIXES[kind] });
      return null;
    }

    const small = <T>(kind: keyof typeof FIXES, decode: (text: string) => T | null): Promise<T | null> =>
      take(kind, kind === 'trust' ? LONGEST_TRUST_FILE : LONGEST_SMALL_FILE, bytes => decode(bytes.toString('utf8')));

    const [identity, trust, keys, membership, epoch, envelopes, proofs, use] = [
      await small('identity', decodeIdentity),
      await small('trust', decodeTrust),
      await small('keys', decodeKeys),
      await small('membership', decodeMembership),
      await small('epoch', decodeEpoch),
      await take('envelopes', LONGEST_ENVELOPE_FILE, decodeEnvelopes),
      await take('proofs', LONGEST_SMALL_FILE, decodeEnvelopes),
      await small('use', decodeUse),
    ];
    return { identity, trust, keys, membership, epoch: epoch ?? 0, envelopes: envelopes ?? [], proofs: proofs ?? [], use, damaged };
  }

  const keep = (kind: keyof typeof STATE_FILES, bytes: Uint8Array | string): Promise<void> => replaceFile(pathOf(kind), bytes, { ownFolder: true });

  return {
    load,
    async loadTrust() {
      const read = await readBounded(pathOf('trust'), LONGEST_TRUST_FILE);
      return read.ok ? decodeTrust(read.value.toString('utf8')) : null;
    },
    keepIdentity: identity => keep('identity', encodeIdentity(identity)),
    keepTrust: trust => keep('trust', encodeTrust(trust)),
    keepKeys: keys => keep('keys', encodeKeys(keys)),
    keepMembership: membership => keep('membership', encodeMembership(membership)),
    keepEpoch: epoch => keep('epoch', encodeEpoch(epoch)),
    keepEnvelopes: envelopes => keep('envelopes', encodeEnvelopes(envelopes)),
    keepProofs: proofs => keep('proofs', encodeEnvelopes(proofs)),
    keepUse: use => keep('use', encodeUse(use)),
    async forget() {
      await makeFolder(directory);
      await removeFiles(directory, Object.values(STATE_FILES));
    },
  };
}
