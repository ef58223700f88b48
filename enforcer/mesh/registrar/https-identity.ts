/** The key and certificate of this host's HTTPS server: made once, known to others by the hash of its key. No CA is asked and none is believed. */
import { createPrivateKey, hash, randomBytes, type webcrypto, X509Certificate } from 'node:crypto';
import { DAY_MS, HOUR_MS, SECOND_MS, type UnixMs } from '@honeymesh/intel/time';

export interface HttpsIdentity {
  /** PEM. */
  readonly key: string;
  readonly certificate: string;
}

/** Nobody looks at its dates; a browser that does (the dashboard's) gives such a certificate no more than that without complaint. */
const LIFE_MS = 3_650 * DAY_MS;
const SERIAL_BYTES = 16;

export async function makeHttpsIdentity(now: UnixMs): Promise<HttpsIdentity> {
  await import('reflect-metadata'); // before x509, which does not work without
  const x509 = await import('@peculiar/x509');
  const keys = (await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const notBefore = Math.floor((now - HOUR_MS) / SECOND_MS) * SECOND_MS;
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, without a leading zero
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial.toString('hex'),
    name: 'CN=HoneyMesh',
    notBefore: new Date(notBefore),
    notAfter: new Date(notBefore + LIFE_MS),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    keys,
    extensions: [new x509.BasicConstraintsExtension(false, undefined, true), new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'honeymesh' }])],
  });
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { key: x509.PemConverter.encode(key, 'PRIVATE KEY'), certificate: certificate.toString('pem') };
}

/** SHA-256 of the certificate's SubjectPublicKeyInfo: what tokens carry. */
export const pinOf = (certificate: string): Uint8Array => pinOfKey(new X509Certificate(certificate));

export function pinOfKey(certificate: X509Certificate): Uint8Array {
  return Uint8Array.from(hash('sha256', certificate.publicKey.export({ format: 'der', type: 'spki' }), 'buffer'));
}

/** Whether key and certificate can be read and belong together: a disk may hold anything. */
export function isIdentity({ key, certificate }: HttpsIdentity): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}
