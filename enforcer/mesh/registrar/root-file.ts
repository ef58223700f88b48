/**
 * The offline root: the one secret that certifies registrars and takes them back. It lies encrypted in a file that the operator keeps elsewhere (scrypt and
 * AES-256-GCM); only the command line, in its own process, ever has it in the clear. What is not secret stands in clear beside it and is authenticated.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { CLUSTER_ID_BYTES } from '@honeymesh/intel/envelope';
import { sameBytes } from '@honeymesh/intel/envelope-bytes';
import { type Parsed, parsed, unparsed } from '@honeymesh/intel/parsed';
import * as z from 'zod';
import { edPublicOf, KEY_BYTES } from '../signed/keys.ts';

export interface MeshRoot {
  readonly clusterId: Uint8Array;
  readonly secret: Uint8Array;
}

export type RootFileFailure = 'not-a-root-file' | 'other-version' | 'damaged' | 'wrong-passphrase';

/** log2 of scrypt's N: 17 takes 128 MiB and some 0.4 s (OWASP, 2023). */
export const SCRYPT_COST = 17;
export const LONGEST_ROOT_FILE = 16 * 1_024;

const LOWEST_COST = 10;
const HIGHEST_COST = 20;
const [BLOCK_SIZE, PARALLEL] = [8, 1];
const [SALT_BYTES, NONCE_BYTES, TAG_BYTES] = [16, 12, 16];
const FORMAT = 'honeymesh-mesh-root';
const ABOUT =
  'The root of a HoneyMesh mesh. Keep this file and its passphrase off the hosts: whoever has both can certify registrars. It is needed every 30 days (honeymesh mesh init), and to revoke a registrar.';

const base64 = z
  .string()
  .max(256)
  .regex(/^[A-Za-z0-9+/]*={0,2}$/);
const fileSchema = z.object({
  format: z.literal(FORMAT),
  version: z.int(),
  clusterId: base64,
  rootPublic: base64,
  scrypt: z.object({ cost: z.int().min(LOWEST_COST).max(HIGHEST_COST), blockSize: z.literal(BLOCK_SIZE), parallel: z.literal(PARALLEL), salt: base64 }),
  nonce: base64,
  sealed: base64,
});

/** The file's text. `cost`: log2 of scrypt's N. */
export async function sealRoot({ clusterId, secret }: MeshRoot, passphrase: string, cost: number = SCRYPT_COST): Promise<string> {
  const [salt, nonce] = [randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)];
  const rootPublic = edPublicOf(secret);
  const cipher = createCipheriv('aes-256-gcm', await derive(passphrase, salt, cost), nonce).setAAD(boundTo(clusterId, rootPublic));
  const sealed = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  const file = {
    about: ABOUT,
    format: FORMAT,
    version: 1,
    clusterId: text64(clusterId),
    rootPublic: text64(rootPublic),
    scrypt: { cost, blockSize: BLOCK_SIZE, parallel: PARALLEL, salt: text64(salt) },
    nonce: text64(nonce),
    sealed: text64(sealed),
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** What may be known without the passphrase. Never throws. */
export function readRootFile(text: string): Parsed<{ readonly clusterId: Uint8Array; readonly rootPublic: Uint8Array }, RootFileFailure> {
  const file = readFile(text);
  return file.ok ? parsed({ clusterId: bytes64(file.value.clusterId), rootPublic: bytes64(file.value.rootPublic) }) : file;
}

export async function openRoot(text: string, passphrase: string): Promise<Parsed<MeshRoot, RootFileFailure>> {
  const file = readFile(text);
  if (!file.ok) return file;
  const [clusterId, rootPublic, sealed] = [bytes64(file.value.clusterId), bytes64(file.value.rootPublic), bytes64(file.value.sealed)];
  const key = await derive(passphrase, bytes64(file.value.scrypt.salt), file.value.scrypt.cost);
  try {
    const opener = createDecipheriv('aes-256-gcm', key, bytes64(file.value.nonce)).setAAD(boundTo(clusterId, rootPublic));
    opener.setAuthTag(sealed.subarray(-TAG_BYTES));
    const secret = Uint8Array.from(Buffer.concat([opener.update(sealed.subarray(0, -TAG_BYTES)), opener.final()]));
    return sameBytes(edPublicOf(secret), rootPublic) ? parsed({ clusterId, secret }) : unparsed('damaged');
  } catch {
    return unparsed('wrong-passphrase'); // or changed by somebody: the two cannot be told apart
  }
}

function readFile(text: string): Parsed<z.output<typeof fileSchema>, RootFileFailure> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return unparsed(text.includes(FORMAT) ? 'damaged' : 'not-a-root-file');
  }
  if (typeof value !== 'object' || value === null || !('format' in value) || value.format !== FORMAT) return unparsed('not-a-root-file');
  if ('version' in value && value.version !== 1) return unparsed('other-version');
  const read = fileSchema.safeParse(value);
  if (!read.success) return unparsed('damaged');
  const { clusterId, rootPublic, nonce, sealed } = read.data;
  const lengths = [clusterId, rootPublic, nonce, sealed].map(one => bytes64(one).length);
  const right = [CLUSTER_ID_BYTES, KEY_BYTES, NONCE_BYTES, KEY_BYTES + TAG_BYTES];
  return right.every((length, at) => lengths[at] === length) ? parsed(read.data) : unparsed('damaged');
}

function derive(passphrase: string, salt: Uint8Array, cost: number): Promise<Buffer> {
  const N = 2 ** cost;
  // NFC: the same passphrase typed on another keyboard.
  return new Promise((resolve, reject) =>
    scrypt(passphrase.normalize('NFC'), salt, KEY_BYTES, { N, r: BLOCK_SIZE, p: PARALLEL, maxmem: 256 * N * BLOCK_SIZE }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    ),
  );
}

const boundTo = (clusterId: Uint8Array, rootPublic: Uint8Array): Uint8Array => Buffer.concat([Buffer.from(`${FORMAT} 1\0`), clusterId, rootPublic]);
const text64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytes64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
