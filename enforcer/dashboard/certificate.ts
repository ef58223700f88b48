/**
 * The dashboard's certificate: self-signed for this host's names and addresses, with a key that stays when it is renewed, or the operator's own, read again
 * when its files change.
 */
import { createPrivateKey, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { DAY_MS, HOUR_MS, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';
import { HoneyMeshError } from '../errors.ts';
import { type HttpsIdentity, isIdentity } from '../mesh/registrar/https-identity.ts';

/** Browsers and Apple's systems take no server certificate that lasts longer (398 days, CA/Browser Forum BR 6.3.2). */
export const LIFE_MS = 397 * DAY_MS;
/** Renewed so long before its end. */
export const RENEW_MS = 30 * DAY_MS;
export const MOST_NAMES = 64;
const SERIAL_BYTES = 16;
const LONGEST_FILE = 64 * 1024;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;

export interface CertificateNames {
  /** DNS names, the first one is the common name. */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
}

/** A self-signed one. `key`: PKCS #8 as PEM, to go on with; without it a new key is made. */
export async function makeCertificate({ names, addresses }: CertificateNames, now: UnixMs, key?: string): Promise<HttpsIdentity> {
  await import('reflect-metadata'); // before x509, which does not work without
  const x509 = await import('@peculiar/x509');
  const keys = key === undefined ? await newKeys() : await keysOf(key);
  const notBefore = Math.floor((now - HOUR_MS) / SECOND_MS) * SECOND_MS;
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, without a leading zero
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial.toString('hex'),
    // RFC 5280: a common name has 64 characters at the most; clients look at the alternative names only.
    name: [{ CN: [(names[0] ?? 'localhost').slice(0, 64)] }],
    notBefore: new Date(notBefore),
    notAfter: new Date(notBefore + LIFE_MS),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.map(value => ({ type: 'dns' as const, value })),
        ...addresses.map(value => ({ type: 'ip' as const, value })),
      ]),
    ],
  });
  const exported = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { key: key ?? x509.PemConverter.encode(exported, 'PRIVATE KEY'), certificate: certificate.toString('pem') };
}

const newKeys = async (): Promise<webcrypto.CryptoKeyPair> =>
  (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;

async function keysOf(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const secret = createPrivateKey(pem);
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', secret.export({ format: 'der', type: 'pkcs8' }), ALGORITHM, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', spki, ALGORITHM, true, ['verify']),
  };
}

/** Why a certificate of ours is to be made anew; null: it is good. IPv6 addresses come and go by themselves (RFC 8981) and are no reason. */
export function renewalReason({ certificate }: HttpsIdentity, { names, addresses }: CertificateNames, now: UnixMs): string | null {
  const read = new X509Certificate(certificate);
  if (Date.parse(read.validTo) - now < RENEW_MS) return `it ends at ${new Date(read.validTo).toISOString()}`;
  if (Date.parse(read.validFrom) > now) return 'the clock went back behind its beginning';
  const name = names.find(wanted => read.checkHost(wanted) === undefined);
  if (name !== undefined) return `it does not name ${name}`;
  const address = addresses.find(wanted => isIP(wanted) === 4 && read.checkIP(wanted) === undefined);
  return address === undefined ? null : `it does not name ${address}`;
}

/** The operator's own. Throws HM_CONFIG with what is wrong with it. */
export async function readOwnCertificate(paths: { readonly certificate: string; readonly key: string }): Promise<HttpsIdentity> {
  const certificate = await read(paths.certificate, 'certificate');
  const key = await read(paths.key, 'key');
  if (isIdentity({ certificate, key })) return { certificate, key };
  throw new HoneyMeshError('HM_CONFIG', `${paths.certificate} and ${paths.key} are no certificate with its key`, {
    fix: 'give a PEM file with the certificate (its chain after it) and one with its unencrypted key',
  });
}

async function read(path: string, key: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= LONGEST_FILE) return text;
    throw new Error(`it is longer than ${LONGEST_FILE} bytes`);
  } catch (error) {
    throw new HoneyMeshError('HM_CONFIG', `dashboard.${key} cannot be read: ${path}: ${(error as Error).message}`, {
      fix: 'see that the file is there and that the user of the daemon may read it',
      cause: error,
    });
  }
}
