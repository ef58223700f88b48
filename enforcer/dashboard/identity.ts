/** Which certificate is served now: kept in <state>/dashboard, looked at once in a while, renewed without a restart. */
import { createHash, X509Certificate } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { HOUR_MS, type UnixMs } from '@honeymesh/intel/time';
import * as z from 'zod';
import type { Place } from '../config/mesh-fields.ts';
import { ownAddresses } from '../mesh/registrar/addresses.ts';
import { type HttpsIdentity, isIdentity } from '../mesh/registrar/https-identity.ts';
import { readBounded, replaceFile } from '../mesh/state/files.ts';
import { type CertificateNames, MOST_NAMES, makeCertificate, readOwnCertificate, renewalReason } from './certificate.ts';

export interface DashboardIdentityOptions {
  /** <state>/dashboard */
  readonly directory: string;
  readonly bind: Place;
  /** Further names and addresses, of the configuration. */
  readonly names: readonly string[];
  /** Files of the operator. */
  readonly own: { readonly certificate: string; readonly key: string } | null;
}

export interface DashboardIdentity {
  /** The one to serve, made if there is none. Throws HM_CONFIG for one of the operator that cannot be used. */
  open(): Promise<HttpsIdentity>;
  /** A new one where it is time for that, else null. */
  look(): Promise<HttpsIdentity | null>;
  /** SHA-256 of the certificate as browsers show it. */
  fingerprint(): string | null;
}

export interface DashboardIdentityDeps {
  readonly now: () => UnixMs;
  readonly onRenewed: (why: string) => void;
  /** Own names and addresses; a test gives others. */
  readonly hostNames?: () => CertificateNames;
}

const FILE = 'certificate.json';
const LONGEST_FILE = 64 * 1024;
const LOOK_MS = HOUR_MS;
const NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
const fileSchema = z.object({ version: z.literal(1), key: z.string(), certificate: z.string() }).refine(isIdentity);

export function createDashboardIdentity(
  { directory, bind, names, own }: DashboardIdentityOptions,
  { now, onRenewed, hostNames = () => namesOfHost(bind) }: DashboardIdentityDeps,
): DashboardIdentity {
  const path = join(directory, FILE);
  let current: HttpsIdentity | null = null;
  let lookedAt = 0;

  function wanted(): CertificateNames {
    const host = hostNames();
    const given = names.map(name => name.trim().toLowerCase());
    const isAddress = (text: string): boolean => text.includes(':') || /^[\d.]+$/.test(text);
    return {
      names: bounded([...host.names, ...given.filter(name => !isAddress(name))]).filter(name => NAME.test(name)),
      addresses: bounded([...host.addresses, ...given.filter(isAddress)]),
    };
  }

  async function readKept(): Promise<HttpsIdentity | null> {
    const bytes = await readBounded(path, LONGEST_FILE);
    if (!bytes.ok) return null;
    try {
      const file = fileSchema.safeParse(JSON.parse(bytes.value.toString('utf8')));
      return file.success ? { key: file.data.key, certificate: file.data.certificate } : null;
    } catch {
      return null;
    }
  }

  async function make(key: string | undefined, why: string): Promise<HttpsIdentity> {
    const made = await makeCertificate(wanted(), now(), key);
    // Where it cannot be kept it serves all the same: browsers ask again after the next start.
    await replaceFile(path, `${JSON.stringify({ version: 1, ...made })}\n`, { ownFolder: true }).catch(() => undefined);
    onRenewed(why);
    return made;
  }

  async function next(): Promise<HttpsIdentity> {
    if (own !== null) return readOwnCertificate(own);
    const kept = current ?? (await readKept());
    if (kept === null) return make(undefined, 'there was none');
    const why = renewalReason(kept, wanted(), now());
    return why === null ? kept : make(kept.key, why);
  }

  return {
    async open() {
      lookedAt = now();
      current = await next();
      return current;
    },
    async look() {
      const at = now();
      if (current === null || (at - lookedAt < LOOK_MS && at >= lookedAt)) return null;
      lookedAt = at;
      const former = current;
      const found = await next();
      current = found;
      return found.certificate === former.certificate && found.key === former.key ? null : found;
    },
    fingerprint() {
      if (current === null) return null;
      const raw = new X509Certificate(current.certificate).raw;
      const digest = createHash('sha256').update(raw).digest('hex').toUpperCase();
      return digest.match(/../g)?.join(':') ?? null;
    },
  };
}

const bounded = (list: readonly string[]): readonly string[] => [...new Set(list)].slice(0, MOST_NAMES);

/** What this host is called and reached by. Bound to one address, it is reached by that one only. */
export function namesOfHost({ host }: Place): CertificateNames {
  const name = hostname().toLowerCase();
  const everywhere = host === '0.0.0.0' || host === '::';
  return {
    names: [...new Set([NAME.test(name) ? name : 'localhost', 'localhost'])],
    addresses: everywhere ? ['127.0.0.1', '::1', ...ownAddresses().map(address => address.replace(/%.*$/, ''))] : [host],
  };
}
