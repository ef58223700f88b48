/**
 * What a registrar keeps beside a member's files, in <state>/mesh/registrar: its key and what it has said with it, its HTTPS key, its invitations, the hosts
 * that it certified. Written whole; a change is on the disk before anything follows from it.
 */

import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { UnixMs } from '@honeymesh/intel/time';
import * as z from 'zod';
import { LONGEST_CERTIFICATE_BYTES, type NodeCertificate, type RegistrarCertificate, readCertificate } from '../signed/certificates.ts';
import { KEY_BYTES } from '../signed/keys.ts';
import { LONGEST_REVOCATIONS_BYTES } from '../signed/revocations.ts';
import { readBounded, replaceFile, setAside } from '../state/files.ts';
import { type HttpsIdentity, isIdentity } from './https-identity.ts';
import { createInvites, type Invite, type Invites, MOST_REMEMBERED, MOST_USES } from './invites.ts';

export interface RegistrarSelf {
  readonly edSecret: Uint8Array;
  /** Null until the root has signed one. */
  readonly certificate: RegistrarCertificate | null;
  readonly https: HttpsIdentity;
  /** Counts the starts in which it spoke; `seq` of the last envelope of this epoch. */
  readonly epoch: number;
  readonly seq: number;
  /** Of the last group key that it gave out. */
  readonly generation: number;
  readonly revocations: Uint8Array | null;
}

export interface RegistrarKeeping {
  /** Null: this host was never made one, or its file was set aside. */
  self(): RegistrarSelf | null;
  readonly invites: Invites;
  /** By this registrar, those that have ended left out. */
  hosts(now: UnixMs): readonly NodeCertificate[];
  keepSelf(self: RegistrarSelf): Promise<void>;
  keepInvites(): Promise<void>;
  keepHost(certificate: NodeCertificate, now: UnixMs): Promise<void>;
  /** Files that were set aside when it was opened. */
  readonly damaged: readonly { readonly why: string; readonly fix: string }[];
  forget(): Promise<void>;
}

export const REGISTRAR_FOLDER = 'registrar';
/** As many as a roster holds. */
export const MOST_HOSTS = 8_192;
const LONGEST_FILE = 32 * 1_048_576;
const FILES = { self: 'registrar.json', invites: 'invites.json', hosts: 'hosts.json' } as const;
const VERSION = 1;

const FIXES = {
  self: 'make this host a registrar again: honeymesh mesh init --root-file FILE; hosts that it certified find it only after they join anew',
  invites: 'make new invitations: honeymesh mesh invite',
  hosts: 'nothing: hosts are listed again when they renew; until then "mesh revoke" knows those that are members now',
} as const;

const base64 = (longest: number) =>
  z
    .string()
    .max(Math.ceil(longest / 3) * 4)
    .transform((text): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64')));
const count = z.int().min(0);
const selfSchema = z.object({
  version: z.literal(VERSION),
  edSecret: base64(KEY_BYTES).refine(bytes => bytes.length === KEY_BYTES),
  certificate: base64(LONGEST_CERTIFICATE_BYTES).nullable(),
  https: z.object({ key: z.string().max(8_192), certificate: z.string().max(8_192) }).refine(isIdentity),
  epoch: count,
  seq: count,
  generation: count,
  revocations: base64(LONGEST_REVOCATIONS_BYTES).nullable(),
});
const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
const at = count.transform(ms => ms as UnixMs);
const invitesSchema = z.object({
  version: z.literal(VERSION),
  invites: z
    .array(
      z.object({
        id: hex(8),
        secretHash: hex(64),
        site: z.string().max(64),
        createdAt: at,
        expiresAt: at,
        uses: count,
        usedBy: z.array(z.string().max(64)).max(MOST_USES),
        cancelled: z.boolean(),
      }),
    )
    .max(MOST_REMEMBERED),
});
const hostsSchema = z.object({ version: z.literal(VERSION), hosts: z.array(base64(LONGEST_CERTIFICATE_BYTES)).max(MOST_HOSTS) });

/** Never rejects for what the files hold. `directory`: <state>/mesh. */
export async function openRegistrarKeeping(directory: string, now: () => UnixMs): Promise<RegistrarKeeping> {
  const folder = join(directory, REGISTRAR_FOLDER);
  const damaged: { why: string; fix: string }[] = [];

  async function take<T>(kind: keyof typeof FILES, schema: z.ZodType<T>): Promise<T | null> {
    const path = join(folder, FILES[kind]);
    const read = await readBounded(path, LONGEST_FILE);
    if (!read.ok && read.why === 'absent') return null;
    const checked = read.ok ? schema.safeParse(jsonOf(read.value)) : null;
    if (checked?.success === true) return checked.data;
    const aside = await setAside(path, new Date(now())).catch(() => null);
    const where = aside === null ? 'and cannot be renamed: nothing of it is used' : `and was set aside as ${basename(aside)}`;
    damaged.push({ why: `${path} is damaged ${where}`, fix: FIXES[kind] });
    return null;
  }

  const kept = await take('self', selfSchema);
  let self: RegistrarSelf | null = kept === null ? null : { ...kept, certificate: kept.certificate === null ? null : registrarOf(kept.certificate) };
  let invites = createInvites((await take('invites', invitesSchema))?.invites ?? []);
  const hosts = new Map<string, NodeCertificate>();
  for (const bytes of (await take('hosts', hostsSchema))?.hosts ?? []) {
    const read = readCertificate(bytes);
    if (read.ok && read.value.kind === 'node') hosts.set(read.value.kid, read.value);
  }

  const write = (kind: keyof typeof FILES, value: Readonly<Record<string, unknown>>): Promise<void> =>
    replaceFile(join(folder, FILES[kind]), `${JSON.stringify({ version: VERSION, ...value })}\n`);

  return {
    self: () => self,
    get invites() {
      return invites;
    },
    hosts: now => [...hosts.values()].filter(host => host.notAfter > now),
    async keepSelf(next) {
      await write('self', {
        ...next,
        edSecret: text64(next.edSecret),
        certificate: next.certificate === null ? null : text64(next.certificate.bytes),
        revocations: next.revocations === null ? null : text64(next.revocations),
      });
      self = next;
    },
    keepInvites: () => write('invites', { invites: invites.kept() satisfies readonly Invite[] }),
    async keepHost(certificate, now) {
      for (const [kid, host] of hosts) if (host.notAfter <= now) hosts.delete(kid);
      hosts.delete(certificate.kid);
      if (hosts.size >= MOST_HOSTS) for (const oldest of hosts.keys()) if (hosts.delete(oldest)) break;
      hosts.set(certificate.kid, certificate);
      await write('hosts', { hosts: [...hosts.values()].map(host => text64(host.bytes)) });
    },
    damaged,
    async forget() {
      self = null;
      invites = createInvites([]);
      hosts.clear();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

function registrarOf(bytes: Uint8Array): RegistrarCertificate | null {
  const read = readCertificate(bytes);
  return read.ok && read.value.kind === 'registrar' ? read.value : null;
}

const text64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
