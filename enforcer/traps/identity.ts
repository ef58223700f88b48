/**
 * Who this host's traps play, kept for life in one file of the state directory: the seed that versions and names are drawn from, and the keys that clients
 * remember. A host whose keys change is noticed by everyone, so a file that cannot be read is never replaced in silence.
 */
import { createPrivateKey, hash, X509Certificate } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, readFileSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { UnixMs } from '@honeymesh/intel/time';
import { makeIdentity } from './identity-making.ts';
import type { TrapIdentity } from './messages.ts';
import { SEED_BYTES } from './protocols/persona.ts';

export interface IdentityComplaint {
  readonly why: string;
  readonly fix: string;
}

export interface KeptIdentity {
  readonly identity: TrapIdentity;
  /** Absent: it is the one of the last start, or of a first start. */
  readonly complaint?: IdentityComplaint;
}

const NAME = 'trap-identity.json';
const LARGEST_FILE = 64 * 1024;
const MOST_KEYS = 8;

/** Reads the identity in `directory`, or makes one and writes it there (mode 0600). Takes a second or two when it makes one. Never throws for what is on the disk. */
export async function keepIdentity(directory: string, now: UnixMs, make: typeof makeIdentity = makeIdentity): Promise<KeptIdentity> {
  const path = join(directory, NAME);
  const read = readIdentity(path);
  if (read.kind === 'read') return { identity: read.identity };
  const identity = await make(now);
  if (read.kind === 'unreadable') {
    const fix = `make ${path} readable for the daemon and restart it; until then the traps look like another host after each start`;
    return { identity, complaint: { why: `the traps' identity cannot be read (${read.why})`, fix } };
  }
  const aside = `${path}.damaged-${now}`;
  try {
    if (read.kind === 'damaged') renameSync(path, aside);
    writeIdentity(directory, path, identity);
  } catch (error) {
    const fix = `see that ${directory} can be written; until then the traps look like another host after each start`;
    return { identity, complaint: { why: `the traps' identity cannot be kept (${textOf(error)})`, fix } };
  }
  if (read.kind === 'missing') return { identity };
  const fix = `restore ${path} from a copy if you have one and restart; if not, nothing is to be done (the damaged file is ${aside})`;
  return { identity, complaint: { why: `the traps' identity was damaged (${read.why}): they look like another host now`, fix } };
}

type Read =
  | { readonly kind: 'read'; readonly identity: TrapIdentity }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly why: string }
  | { readonly kind: 'damaged'; readonly why: string };

function readIdentity(path: string): Read {
  let text: string;
  try {
    if (statSync(path).size > LARGEST_FILE) return { kind: 'damaged', why: 'it is too large' };
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { kind: 'missing' };
    return { kind: 'unreadable', why: textOf(error) };
  }
  try {
    const { seed, tlsKey, tlsCertificate, sshHostKeys, checksum } = JSON.parse(text) as Record<string, unknown>;
    const texts = [seed, tlsKey, tlsCertificate];
    if (!texts.every(isText) || !Array.isArray(sshHostKeys) || !sshHostKeys.every(isText) || sshHostKeys.length > MOST_KEYS)
      return { kind: 'damaged', why: 'a part is missing' };
    const identity = { seed, tlsKey, tlsCertificate, sshHostKeys } as TrapIdentity;
    if (checksum !== checksumOf(identity)) return { kind: 'damaged', why: 'its checksum is wrong' };
    if (Buffer.from(identity.seed, 'base64').length !== SEED_BYTES) return { kind: 'damaged', why: 'its seed is too short' };
    if (!new X509Certificate(identity.tlsCertificate).checkPrivateKey(createPrivateKey(identity.tlsKey)))
      return { kind: 'damaged', why: 'its certificate is not that of its key' };
    return { kind: 'read', identity };
  } catch (error) {
    return { kind: 'damaged', why: textOf(error) };
  }
}

/** Whole or not at all: under another name first, on the disk before it gets its own. */
function writeIdentity(directory: string, path: string, identity: TrapIdentity): void {
  const draft = `${path}.new`;
  try {
    unlinkSync(draft); // of a start that was cut off
  } catch {}
  const fd = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    writeSync(fd, `${JSON.stringify({ version: 1, ...identity, checksum: checksumOf(identity) }, null, 2)}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(draft, path);
  const folder = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

const checksumOf = ({ seed, tlsKey, tlsCertificate, sshHostKeys }: TrapIdentity): string =>
  hash('sha256', JSON.stringify([seed, tlsKey, tlsCertificate, sshHostKeys]), 'hex');
const isText = (value: unknown): value is string => typeof value === 'string' && value.length > 0;
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
