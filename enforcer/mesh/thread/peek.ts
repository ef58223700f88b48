/** What this host keeps of the mesh, looked at from outside: for `config check` and `doctor`, which change nothing and set nothing aside. */
import { join } from 'node:path';
import type { MeshMembership } from '../port.ts';
import { type NodeCertificate, readCertificate } from '../signed/certificates.ts';
import { readBounded } from '../state/files.ts';
import { type Decoder, decodeKeys, decodeMembership, decodeTrust } from '../state/records.ts';
import { STATE_FILES } from '../state/state.ts';

export interface Peek {
  readonly keys: readonly Uint8Array[];
  readonly certificate: NodeCertificate | null;
  readonly membership: MeshMembership | null;
}

const LONGEST_BYTES = 32 * 1_048_576;

/** What cannot be read (no right, no file, damage) is absent. */
export async function peek(directory: string): Promise<Peek> {
  async function take<T>(kind: keyof typeof STATE_FILES, decode: Decoder<T>): Promise<T | null> {
    const read = await readBounded(join(directory, STATE_FILES[kind]), LONGEST_BYTES);
    return read.ok ? decode(read.value.toString('utf8')) : null;
  }
  const [keys, trust, membership] = [await take('keys', decodeKeys), await take('trust', decodeTrust), await take('membership', decodeMembership)];
  const certificate = trust === null ? null : readCertificate(trust.certificate);
  return { keys: keys?.keys ?? [], certificate: certificate?.ok === true && certificate.value.kind === 'node' ? certificate.value : null, membership };
}
